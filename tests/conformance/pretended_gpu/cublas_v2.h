// What ggml-cuda.cu names of cuBLAS, which is not needed to find out how much memory it would allocate.
#pragma once
enum cublasStatus_t {
    CUBLAS_STATUS_SUCCESS,
    CUBLAS_STATUS_NOT_INITIALIZED,
    CUBLAS_STATUS_ALLOC_FAILED,
    CUBLAS_STATUS_INVALID_VALUE,
    CUBLAS_STATUS_ARCH_MISMATCH,
    CUBLAS_STATUS_MAPPING_ERROR,
    CUBLAS_STATUS_EXECUTION_FAILED,
    CUBLAS_STATUS_INTERNAL_ERROR,
    CUBLAS_STATUS_NOT_SUPPORTED
};
enum cublasComputeType_t { CUBLAS_COMPUTE_16F, CUBLAS_COMPUTE_32F };
enum { CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_GEMM_DEFAULT_TENSOR_OP, CUBLAS_TENSOR_OP_MATH, CUBLAS_TF32_TENSOR_OP_MATH };
#define CUBLAS_VER_MAJOR 13
#define CUBLAS_VER_MINOR 0
using cublasHandle_t = struct cublasContext *;

template <class... A> cublasStatus_t cublasNothing(A...) { return CUBLAS_STATUS_SUCCESS; }
#define cublasCreate cublasNothing
#define cublasDestroy cublasNothing
#define cublasSetMathMode cublasNothing
#define cublasSetStream cublasNothing
#define cublasSetWorkspace cublasNothing
#define cublasSgemm cublasNothing
#define cublasGemmEx cublasNothing
#define cublasGemmBatchedEx cublasNothing
#define cublasGemmStridedBatchedEx cublasNothing
inline const char * cublasGetStatusString(cublasStatus_t) { return "pretended"; }
