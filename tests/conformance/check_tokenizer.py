#!/usr/bin/env python3
"""Token ids against llama.cpp's own test vocabularies and, where ../shared is, against SmolLM2's golden ids.

The comparison itself is in tests/common/test_tokenizer_golden.c; this gives it the files."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools and tests")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    env = {**os.environ, "WS_LLAMA_CPP": str(args.oracle / "llama.cpp")}
    with tempfile.TemporaryDirectory() as folder:
        model = args.oracle / "models/SmolLM2-135M-Instruct"
        if model.is_dir():
            env["WS_SMOLLM2_GGUF"] = f"{folder}/smollm2.gguf"
            subprocess.run([args.bin / "convert", model, env["WS_SMOLLM2_GGUF"], "-q"], check=True)
        else:
            print("no SmolLM2 folder (its script is in ../shared): its ids are not checked")
        result = subprocess.run([args.bin / "test_common", "--filter", "tokenizer_golden/*"], env=env, capture_output=True,
                                text=True)
    print(result.stdout + result.stderr)
    summary = re.search(r"Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)", result.stdout + result.stderr)
    passed, failed, crashed = map(int, summary.groups()) if summary else (0, 1, 0)
    print(f"{passed} passed, {failed + crashed} failed")
    return 1 if failed or crashed or result.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
