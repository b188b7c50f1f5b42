// The CUDA run time as far as ggml-cuda.cu asks it before it computes: PRETENDED_GPUS cards of the Ada generation, a TiB
// of memory each. What is not here returns success (build.sh).
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#undef cudaGetDeviceProperties

namespace {
int current;
constexpr size_t memory = (size_t) 1 << 40;
} // namespace

extern "C" {
cudaError_t cudaGetDeviceCount(int * n) {
    const char * wanted = getenv("PRETENDED_GPUS");
    return *n = wanted ? atoi(wanted) : 1, cudaSuccess;
}
cudaError_t cudaGetDevice(int * n) { return *n = current, cudaSuccess; }
cudaError_t cudaSetDevice(int n) { return current = n, cudaSuccess; }
cudaError_t cudaDeviceCanAccessPeer(int * can, int, int) { return *can = 1, cudaSuccess; }
cudaError_t cudaDeviceGetPCIBusId(char * id, int n, int device) {
    return snprintf(id, n, "0000:%02d:00.0", device + 1), cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int * value, cudaDeviceAttr, int) { return *value = 0, cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t * free, size_t * total) { return *free = *total = memory, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp * p, int) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "pretended");
    p->major = 8, p->minor = 9, p->warpSize = 32, p->multiProcessorCount = 128;
    p->totalGlobalMem = memory;
    p->sharedMemPerBlock = 48 << 10, p->sharedMemPerBlockOptin = 99 << 10;
    return cudaSuccess;
}
cudaError_t cudaMalloc(void ** p, size_t n) { return *p = aligned_alloc(256, (n + 255) & ~(size_t) 255), cudaSuccess; }
cudaError_t cudaMallocHost(void ** p, size_t n) { return cudaMalloc(p, n); }
cudaError_t cudaFree(void * p) { return free(p), cudaSuccess; }
cudaError_t cudaFreeHost(void * p) { return free(p), cudaSuccess; }
const char * cudaGetErrorString(cudaError_t) { return "pretended"; }
void ** __cudaRegisterFatBinary(void *) {
    static void * handle;
    return &handle;
}
}
