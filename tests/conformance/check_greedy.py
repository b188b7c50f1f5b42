#!/usr/bin/env python3
"""Greedy text, 64 tokens of SmolLM2: of the f32 file the same as llama.cpp's. For quantized types, whose activations the
two round differently, it is printed where they part."""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PROMPTS = ["The capital of France is", "Once upon a time", "def fibonacci(n):"]
REPORTED = ["q8_0", "q4_k_m"]
N = 64


def build(oracle, folder):
    sources, libraries = oracle / "llama.cpp", (oracle / "bin").resolve()
    tool = folder / "greedy"
    subprocess.run(["g++", "-std=c++17", "-o", tool, Path(__file__).parent / "greedy.cpp", f"-I{sources}/include",
                    f"-I{sources}/ggml/include", f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lllama", "-lggml",
                    "-lggml-base"], check=True)
    return tool


def ours(args, model, prompt):
    out = subprocess.run([args.bin / "infer", model, "-p", prompt, "-n", str(N), "--temp", "0", "--kv-type", "f32", "--json"],
                         capture_output=True, check=True)
    return json.loads(out.stdout)["tokens"]


def theirs(tool, model, prompt):
    return list(map(int, subprocess.run([tool, model, prompt, str(N)], capture_output=True, check=True).stdout.split()))


def common(a, b):
    """How many tokens at the beginning are the same; an end-of-generation token may be told or not."""
    n = min(len(a), len(b))
    return next((i for i in range(n) if a[i] != b[i]), n)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    folder = args.oracle / "models/SmolLM2-135M-Instruct"
    if not folder.is_dir():
        print("skipped: SmolLM2 is made by scripts of ../shared")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        tool, f32, model = build(args.oracle, Path(tmp)), Path(tmp) / "f32.gguf", Path(tmp) / "model.gguf"
        subprocess.run([args.bin / "convert", folder, f32, "--type", "f32", "-q"], check=True)
        for prompt in PROMPTS:
            a, b = ours(args, f32, prompt), theirs(tool, f32, prompt)
            if common(a, b) < min(len(a), len(b)) or abs(len(a) - len(b)) > 1:
                failed += 1
                print(f"FAIL f32, {prompt!r}: the same for {common(a, b)} tokens of {len(b)}")
        for kind in REPORTED:
            subprocess.run([args.bin / "quantize", f32, model, kind, "-q"], check=True)
            same = [common(ours(args, model, prompt), theirs(tool, model, prompt)) for prompt in PROMPTS]
            print(f"{kind:8} the same tokens: {', '.join(map(str, same))} of {N}")
    print(f"{len(PROMPTS) - failed} of {len(PROMPTS)} f32 texts the same for {N} tokens")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
