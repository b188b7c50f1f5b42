#!/usr/bin/env python3
"""Wall time and peak memory of our tools beside the reference's, alternating in one run, as a table.

Needs the folder made by tests/conformance/oracle.sh and a quiet machine. Times are medians; ratios are what to read."""
import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from quantize import measured


def row(name, ours, theirs, rounds, env=None):
    a, b = [], []
    for _ in range(rounds):
        a.append(measured(ours)[:2])
        b.append(measured(theirs, env)[:2])
    (t, m), (rt, rm) = ([statistics.median(x) for x in zip(*runs)] for runs in (a, b))
    print(f"| {name} | {t:.2f} s | {rt:.2f} s | {rt / t:.1f}x | {m:.0f} MiB | {rm:.0f} MiB |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh, with models/")
    parser.add_argument("--text", type=Path, default=Path(__file__).resolve().parents[1] / "model/heldout.txt")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    model = args.oracle / "models/SmolLM2-135M-Instruct"
    python = args.oracle / "venv/bin/python"
    env = {**os.environ, "PYTHONPATH": f"{args.oracle}/llama.cpp/gguf-py:{args.oracle}/llama.cpp"}
    print(f"{platform.machine()}, {os.cpu_count()} processors, SmolLM2-135M, median of {args.rounds} rounds\n")
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        f16 = tmp / "f16.gguf"
        subprocess.run([args.bin / "convert", model, f16, "--type", "f16", "-q"], check=True)
        files = {"f16": f16, "q4_k": tmp / "q4_k.gguf"}
        subprocess.run([args.bin / "quantize", f16, files["q4_k"], "q4_k", "-q"], check=True)
        print("| | ours | reference | ratio | peak memory | reference |\n|---|---|---|---|---|---|")
        row("convert, f16", [args.bin / "convert", model, tmp / "a.gguf", "--type", "f16"],
            [python, args.oracle / "llama.cpp/convert_hf_to_gguf.py", model, "--outfile", tmp / "b.gguf", "--outtype", "f16"],
            args.rounds, env)
        for kind in ("q8_0", "q4_0", "q4_k_m", "q5_k_m", "q6_k", "q2_k"):
            row(f"quantize, {kind}", [args.bin / "quantize", f16, tmp / "a.gguf", kind, "2"],
                [args.oracle / "bin/llama-quantize", f16, tmp / "b.gguf", kind, "2"], args.rounds)
        for kind in ("f16", "q4_k"):
            row(f"perplexity, {kind}, 4 chunks", [args.bin / "infer", files[kind], "--perplexity", args.text, "--chunks", "4"],
                [args.oracle / "bin/llama-perplexity", "-m", files[kind], "-f", args.text, "-c", "512", "--chunks", "4",
                 "-t", "2"], args.rounds)
        run = f"{args.oracle}/bin/llama-perplexity -f {args.text} -c 512 --chunks 4 -t 2 --kl-divergence-base {tmp}/logits"
        row("KL divergence, q4_k, 4 chunks",
            [args.bin / "infer", files["q4_k"], "--kld-base", f16, args.text, "--chunks", "4"],
            ["sh", "-c", f"{run} -m {f16} && {run} -m {files['q4_k']} --kl-divergence"], args.rounds)


if __name__ == "__main__":
    sys.exit(main())
