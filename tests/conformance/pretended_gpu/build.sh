#!/usr/bin/env bash
# build.sh ORACLE: makes ORACLE/pretended_gpu/libggml-cuda.so, the host side of llama.cpp's CUDA back end on a run time
# that has no card behind it (a minute, once). With it llama.cpp says what it would allocate on GPUs. Needs nvcc.
set -euo pipefail
oracle=$1 here=$(cd "$(dirname "$0")" && pwd)
[ ! -e "$oracle/pretended_gpu/libggml-cuda.so" ] || exit 0
command -v nvcc > /dev/null || { echo "no nvcc" >&2; exit 77; }
ggml=$oracle/llama.cpp/ggml libraries=$(realpath "$oracle/bin") work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The combinations of cache types that llama.cpp compiles flash attention for by default.
options=(-DGGML_CUDA_FA_QUANTS='"default"')
for k in Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 BF16 F16; do
    for v in Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 BF16 F16; do
        compiled=0
        [ $k = $v ] && [[ $k =~ ^(Q4_0|Q8_0|BF16|F16)$ ]] && compiled=1
        options+=(-DGGML_CUDA_FA_${k}_$v=$compiled)
    done
done
for source in ggml-cuda fattn topk-moe moe-weighted-reduction lightning-indexer; do
    nvcc -std=c++17 -arch=sm_89 -O1 -DNDEBUG -DGGML_CUDA_NO_VMM -DGGML_SCHED_MAX_COPIES=4 -DGGML_BACKEND_SHARED \
        -DGGML_SHARED -DGGML_BACKEND_BUILD "${options[@]}" -Xcompiler -fPIC --extended-lambda -I"$here" \
        -I"$ggml/include" -I"$ggml/src" -c "$ggml/src/ggml-cuda/$source.cu" -o "$work/$source.o"
done
nvcc -O1 -Xcompiler -fPIC -c "$here/cudart.cpp" -o "$work/cudart.o"

# Whatever else is called: the run time succeeds, kernels trap (they are never reached).
cd "$work"
nm -u ./*.o | awk '$1 == "U" { print $2 }' | sort -u > wanted
{
    nm --defined-only ./*.o | awk 'NF == 3 { print $3 }'
    for library in libc.so.6 libstdc++.so.6 libm.so.6 libgcc_s.so.1 "$libraries/libggml-base.so"; do
        [ -e "$library" ] || library=$(gcc -print-file-name="$library")
        nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//'
    done
    printf '%s\n' _GLOBAL_OFFSET_TABLE_ __dso_handle atexit
} | sort -u > there
comm -23 wanted there | awk '{
    body = $1 ~ /^(__)?cu(da|blas)/ ? "xor %eax, %eax\n ret" : "ud2"
    print ".globl " $1 "\n.type " $1 ", @function\n" $1 ":\n " body
} END { print ".section .note.GNU-stack,\"\",@progbits" }' > rest.s
mkdir -p "$oracle/pretended_gpu"
g++ -shared -o "$oracle/pretended_gpu/new.so" ./*.o rest.s -L"$libraries" -lggml-base -Wl,-rpath,"$libraries"
mv "$oracle/pretended_gpu/new.so" "$oracle/pretended_gpu/libggml-cuda.so"
