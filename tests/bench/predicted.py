#!/usr/bin/env python3
"""The speed that vram-estimate predicts for our own engine from the measured bandwidth of this machine, beside what
infer really generates, per type. The cache counts as half of the tokens generated. Needs a quiet machine."""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def tool(*command):
    return json.loads(subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout)


def compare(args, model, threads):
    """Predicted and real tokens per second, alternating."""
    predicted, real = [], []
    for _ in range(args.rounds):
        said = tool(args.bin / "vram-estimate", model, "--engine", "weightsmith", "--measure", "-t", threads,
                    "-c", args.tokens // 2, "--json")
        predicted.append(said["tokens_per_second"]["bound_full_context"])
        ran = tool(args.bin / "infer", model, "--bench", "-t", threads, "-p", 0, "-n", args.tokens, "-r", 1, "--json")
        real.append(next(row["tokens_per_second"] for row in ran if row["test"].startswith("tg")))
    return statistics.median(predicted), statistics.median(real)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("model", type=Path, help="GGUF file of floats, larger than the caches")
    parser.add_argument("--types", default="as-is,q8_0,q4_0,q4_k_m,q6_k")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print("| type | threads | predicted tokens/s | real | real / predicted |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.types.split(","):
            model = args.model
            if kind != "as-is":
                model = Path(folder) / "model.gguf"
                subprocess.run([args.bin / "quantize", args.model, model, kind, "-q"], check=True)
            for threads in (1, 2):
                predicted, real = compare(args, model, threads)
                print(f"| {kind} | {threads} | {predicted:.1f} | {real:.1f} | {real / predicted:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
