#!/usr/bin/env python3
"""Tokens per second of infer beside llama-bench of llama.cpp and its relatives, per type, prompt and generation,
alternating in one run; medians. Peers are folders with a llama-bench, NAME=FOLDER. WS_CPU chooses our kernels."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def ours(args, model, threads):
    out = subprocess.run([args.bin / "infer", model, "--bench", "-t", str(threads), "-p", str(args.prompt), "-n", str(args.generate),
                          "-r", "1", "--json"], capture_output=True, check=True)
    return {test["test"][:2]: test["tokens_per_second"] for test in json.loads(out.stdout)}


def theirs(folder, args, model, threads):
    command = [folder / "llama-bench", "-m", model, "-t", str(threads), "-p", str(args.prompt), "-n", str(args.generate), "-r", "1",
               "-o", "json"]
    out = subprocess.run(command, capture_output=True, env={**os.environ, "LD_LIBRARY_PATH": str(folder)})
    if out.returncode:  # a type that the peer does not know
        return {}
    return {"pp" if test["n_prompt"] else "tg": test["avg_ts"] for test in json.loads(out.stdout)}


def measure(args, peers, model, threads):
    """Name -> kind -> tokens per second, each once per round."""
    rounds = []
    for _ in range(args.rounds):
        run = {"ours": ours(args, model, threads)}
        run |= {name: theirs(folder, args, model, threads) for name, folder in peers.items()}
        rounds.append(run)
    return {name: {kind: statistics.median(r[name][kind] for r in rounds) for kind in rounds[0][name]} for name in rounds[0]}


def print_rows(kind, threads, speeds):
    for test, label in (("pp", "prompt"), ("tg", "generation")):
        mine = speeds["ours"][test]
        cells = [f"{got[test]:.0f} | {mine / got[test]:.2f}x" if test in got else "- | -"
                 for name, got in speeds.items() if name != "ours"]
        print(f"| {kind} | {label} | {threads} | {mine:.0f} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("model", type=Path, help="GGUF file of floats; other types are made from it")
    parser.add_argument("--types", default="as-is,q8_0,q6_k,q5_k_m,q4_k_m,q4_0,q4_1,q5_0,q3_k_m,q2_k,iq4_xs,iq3_s,bf16")
    parser.add_argument("--imatrix", type=Path, help="for the types that need one")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    peers = {name: Path(folder) for name, folder in (peer.split("=", 1) for peer in args.peer)}
    print(f"| type | test | threads | infer | {' | '.join(f'{name} | ratio' for name in peers)} |\n|{'---|' * (4 + 2 * len(peers))}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.types.split(","):
            model = args.model
            if kind != "as-is":
                model = Path(folder) / "model.gguf"
                how = ["--imatrix", args.imatrix] if args.imatrix else []
                subprocess.run([args.bin / "quantize", *how, args.model, model, kind, "-q"], check=True)
            for threads in map(int, args.threads.split(",")):
                print_rows(kind, threads, measure(args, peers, model, threads))
    return 0


if __name__ == "__main__":
    sys.exit(main())
