#!/usr/bin/env bash
# Every test: gcc with warnings as errors, the same under ASan and UBSan by clang, the comparison with the
# reference tools (tests/conformance), fresh from the sources in this folder.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here"
run() {
    echo "== $1"
    ctest --test-dir "$2" --output-on-failure -j 2 "${@:3}"
}

compiler=$(command -v gcc || command -v cc)
CC=$compiler tests/scripts/build.sh build -DWS_TESTS=ON -DWS_WERROR=ON
run "unit and command-line tests, $compiler, warnings as errors" build

CC=clang tests/scripts/build.sh build-asan -DWS_TESTS=ON -DWS_WERROR=ON -DWS_SANITIZE=address,undefined \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo
run "the same under AddressSanitizer and UndefinedBehaviorSanitizer, clang" build-asan -E '^cross$' # built by its own compiler

echo "== conformance with gguf, safetensors, transformers and llama.cpp"
tests/conformance/run.sh build/bin
