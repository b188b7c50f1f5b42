#!/usr/bin/env python3
"""vram-estimate against what llama.cpp allocates on the CPU for its own small test models, one per architecture, in nine
sets of options. Where vram-estimate says that it knows the architecture, weights, KV cache and compute buffer must agree
to the byte; how far its guesses are off for the others is printed."""
import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llama_allocations import Case, build, estimate, judge, make, measure

KINDS = ["full", "wide", "lean"]  # see allocations.cpp; the largest temporary result is a layer's, or the logits
SETS = [
    {},
    {"flash": 0},
    {"ctx": 8192, "ubatch": 128, "seqs": 4},
    {"ctx": 8192, "seqs": 4, "unified": 1},
    {"type_k": "q8_0", "type_v": "q8_0"},
    {"ubatch": 256, "batch": 1024, "seqs": 4, "flash": 0},
    {"ctx": 8192, "seqs": 4, "unified": 1, "outputs": 4},
    {"ctx": 16384, "ubatch": 2048},
    {"seqs": 2, "swa_full": 1},
]
# Made from options that no real model has: Refact with experts, which llama.cpp then does not compute.
ODD = {"refact+experts"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, default=Path("/nonexistent"), help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, help="unused")
    args = parser.parse_args()
    if not (args.oracle / "llama.cpp").exists() or not shutil.which("g++"):
        print("skipped: no reference (oracle.sh) or no g++")
        return 0
    with tempfile.TemporaryDirectory() as tmp, ThreadPoolExecutor(2) as pool:
        tool = build(args.oracle, Path(tmp))
        cases = [Case(file, **options) for file in make(tool, Path(tmp), KINDS) for options in SETS]
        theirs = measure(tool, cases)
        ours = list(pool.map(lambda case: estimate(args.bin / "vram-estimate", case), cases))
        return judge(cases, theirs, ours, ODD) != 0 or not any(theirs)


if __name__ == "__main__":
    sys.exit(main())
