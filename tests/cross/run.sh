#!/usr/bin/env bash
# Builds the kernels of quantize and of infer for 64-bit ARM into static programs and runs them in qemu's user mode, as
# processors without, with some and with all of the instructions that infer has kernels for. Exit code 77 (a skipped
# test, for ctest) when the compiler or the emulator is missing. WS_CROSS_CC and WS_CROSS_RUN name others.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
cc=${WS_CROSS_CC:-aarch64-linux-gnu-gcc}
run=${WS_CROSS_RUN:-qemu-aarch64-static}
for tool in "$cc" "$run"; do
    if ! command -v "$tool" > /dev/null; then
        echo "skipped: $tool is missing (Debian: gcc-aarch64-linux-gnu, qemu-user-static)"
        exit 77
    fi
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cd "$here"
flags=(-std=gnu17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -ffp-contract=off -fno-math-errno
       -I common -I quantize -I infer -I tests -I tests/cross)
compile() { # FLAGS... SOURCE OBJECT
    "$cc" "${flags[@]}" "${@:1:$#-1}" -c -o "$out/${*: -1}"
}

# In the background: NEON's blocks take as long as all the others.
pids=()
compile infer/kernels/arm_neon.c kernels-neon.o & pids+=($!)
compile -march=armv8.2-a+dotprod infer/kernels/arm_dotprod.c kernels-dotprod.o & pids+=($!)
compile -march=armv8.2-a+dotprod+i8mm infer/kernels/arm_i8mm.c kernels-i8mm.o & pids+=($!)
compile infer/kernels/c.c kernels-c.o & pids+=($!)
formats=()
for isa in c neon; do
    for source in quantize/formats/*.c; do
        object=$isa-$(basename "$source" .c).o
        compile -DWS_ISA_$isa -DWS_ISA=$isa "$source" "$object"
        formats+=("$out/$object")
    done
done
for pid in "${pids[@]}"; do wait "$pid"; done

"$cc" "${flags[@]}" -DWS_CROSS_ISA=neon -static -pthread tests/cross/formats.c common/dtype.c quantize/grids*.c \
    "${formats[@]}" -o "$out/formats"
"$run" "$out/formats"

"$cc" "${flags[@]}" -DWS_HAVE_neon -DWS_HAVE_dotprod -DWS_HAVE_i8mm -static -pthread tests/cross/kernels.c \
    tests/infer/test_{panels,floats,rows}.c infer/kernels.c common/{cpu,dtype,error}.c quantize/formats.c \
    quantize/grids*.c "${formats[@]}" "$out"/kernels-*.o -lm -o "$out/kernels"
for cpu in cortex-a72:neon neoverse-n1:dotprod max:i8mm; do
    QEMU_CPU=${cpu%:*} "$run" "$out/kernels" "${cpu#*:}"
done
