#!/usr/bin/env python3
"""The Criterion suites that compare with the reference when they are told where it is: blocks of every format against
libggml, token ids against llama.cpp's test vocabularies and, where ../shared is, against SmolLM2's golden ids."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def run(program, suite, env):
    """(passed, failed) of one suite."""
    result = subprocess.run([program, "--filter", f"{suite}/*"], env={**os.environ, **env}, capture_output=True, text=True)
    text = result.stdout + result.stderr
    summary = re.search(r"Tested: (\d+) \| Passing: (\d+)", text)
    tested, passed = map(int, summary.groups()) if summary else (1, 0)
    if passed < tested or result.returncode or not tested:
        print(text)
        return passed, max(1, tested - passed)
    print(f"{suite}: {passed} passed")
    return passed, 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools and tests")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = {"WS_LLAMA_CPP": str(args.oracle / "llama.cpp")}
        model = args.oracle / "models/SmolLM2-135M-Instruct"
        if model.is_dir():
            tokenizer["WS_SMOLLM2_GGUF"] = f"{folder}/smollm2.gguf"
            subprocess.run([args.bin / "convert", model, tokenizer["WS_SMOLLM2_GGUF"], "-q"], check=True)
        else:
            print("no SmolLM2 folder (its script is in ../shared): its ids are not checked")
        results = [run(args.bin / "test_common", "tokenizer_golden", tokenizer),
                   run(args.bin / "test_quantize", "formats_ggml", {"WS_GGML_BASE": str(args.oracle / "bin/libggml-base.so")})]
    passed, failed = map(sum, zip(*results))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
