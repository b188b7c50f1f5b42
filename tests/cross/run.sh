#!/usr/bin/env bash
# Builds the formats' kernels for 64-bit ARM into one static program and runs it in qemu's user mode. Exit code 77 (a
# skipped test, for ctest) when the compiler or the emulator is missing. WS_CROSS_CC and WS_CROSS_RUN name others.
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
flags=(-std=gnu17 -O2 -Wall -Wextra -Werror -ffp-contract=off -fno-math-errno -I "$here/quantize" -I "$here/common")
objects=()
for isa in c neon; do
    for source in "$here"/quantize/formats/*.c; do
        object=$out/$isa-$(basename "$source" .c).o
        "$cc" "${flags[@]}" -DWS_ISA_$isa -DWS_ISA=$isa -c "$source" -o "$object"
        objects+=("$object")
    done
done
"$cc" "${flags[@]}" -DWS_CROSS_ISA=neon -static -pthread "$here/tests/cross/formats.c" "$here/common/dtype.c" \
    "$here"/quantize/grids*.c "${objects[@]}" -o "$out/formats"
"$run" "$out/formats"
