#!/usr/bin/env python3
"""By hand (two minutes, needs nvcc): vram-estimate against what llama.cpp allocates on GPUs, one or two of them, all
layers or some, for its test models and for random ones with the sizes of real models, in random sets of options. No card
is needed: llama.cpp's CUDA back end runs on a pretended run time (pretended_gpu), which reproduces all cases of
../shared/vram/truth.jsonl. Described architectures must be exact on GPUs that hold the whole model, and within 1 % where
the CPU keeps a part: there the order of operations counts that leave no trace otherwise."""
import argparse
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_vram_archs import KINDS, ODD, SETS
from llama_allocations import HERE, Case, build, estimate, judge, make, measure

# Their test models have biases or arrays that their architecture does not read, or that are too short.
STRANGE = ODD | {"llada", "ernie4_5-moe+experts", "mimo2+experts", "maple+experts", "spark2_5", "step35+experts"}


def of_sets(files):
    for file in files:
        for options in SETS:
            yield Case(file, **options, gpus=1)
        for options in SETS[0], SETS[6]:
            yield Case(file, **options, gpus=2)
            yield Case(file, **options, gpus=1, gpu_layers=1)


def by_chance(files, each):
    pick = random.Random(1).choice
    for file in files:
        for _ in range(each):
            flash, type_k, seqs = pick([-1, -1, 1, 0]), pick(["f16", "f16", "q8_0", "q4_0", "bf16", "iq4_nl"]), pick([1, 1, 2, 3, 4, 8])
            yield Case(file, pick([512, 1000, 5000, 8192, 33000]), pick([64, 100, 512, 512, 1024]), pick([512, 2048]), seqs,
                       pick([0, 1]), flash, type_k, pick([type_k, "f16"]) if flash else "f16", pick([0, 0, 0, 1]),
                       pick([0, seqs]), pick([1, 1, 1, 2]), pick([999, 999, 999, 0, 1, 2, 3]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--random", type=int, default=2, help="random models per architecture")
    args = parser.parse_args()
    subprocess.run([HERE / "pretended_gpu/build.sh", args.oracle], check=True)
    library = args.oracle / "pretended_gpu/libggml-cuda.so"
    with tempfile.TemporaryDirectory() as tmp, ThreadPoolExecutor(2) as pool:
        fixed, free = Path(tmp) / "fixed", Path(tmp) / "free"
        fixed.mkdir()
        free.mkdir()
        tool = build(args.oracle, Path(tmp))
        cases = list(of_sets(make(tool, fixed, KINDS)))
        cases += by_chance(make(tool, free, [f"random-{i}" for i in range(args.random)]), 2)
        theirs = measure(tool, cases, library)
        ours = list(pool.map(lambda case: estimate(args.bin / "vram-estimate", case), cases))
        wrong = 0
        for title, tolerance, wanted in (("all layers on GPUs", 0, True), ("some of them", 0.01, False)):
            chosen = [i for i, case in enumerate(cases) if (case.gpu_layers == 999) == wanted]
            print(f"{title}:")
            wrong += judge(*([every[i] for i in chosen] for every in (cases, theirs, ours)), STRANGE, tolerance)
        return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
