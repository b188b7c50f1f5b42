#!/usr/bin/env python3
"""vram-estimate against what llama.cpp allocates on the CPU for its own small test models, one per architecture, in nine
sets of options. Where vram-estimate says that it knows the architecture, weights, KV cache and compute buffer must agree
to the byte; how far its guesses are off for the others is printed."""
import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KINDS = ["full", "wide", "lean"]  # see allocations.cpp; the largest temporary result is a layer's, or the logits
PARTS = ["weights", "kv_cache", "compute"]
# Made from options that no real model has: Refact with experts, which llama.cpp then does not compute.
ODD = {"refact+experts"}


def build(oracle, folder):
    sources, libraries = oracle / "llama.cpp", (oracle / "bin").resolve()
    tool = folder / "allocations"
    includes = [f"-I{sources / name}" for name in (".", "include", "ggml/include", "src", "common", "vendor")]
    links = [f"-l{name}" for name in ("llama", "llama-common", "ggml", "ggml-base")]
    subprocess.run(["g++", "-std=c++17", "-o", tool, Path(__file__).parent / "allocations.cpp", *includes,
                    f"-L{libraries}", f"-Wl,-rpath,{libraries}", *links], check=True)
    return tool


def measured(tool, folder):
    """Lines of `allocations measure`; what llama.cpp cannot do is not among them."""
    quiet = {"stderr": subprocess.DEVNULL, "text": True, "env": os.environ | {"GGML_NO_BACKTRACE": "1"}}
    for kind in KINDS:
        subprocess.run([tool, "make", folder, kind], check=True, **quiet)
    files = sorted(folder.glob("*.gguf"))
    result = subprocess.run([tool, "measure", *files], stdout=subprocess.PIPE, check=True, **quiet)
    lines = [line for line in result.stdout.splitlines() if line.startswith("{") and line.endswith("}")]
    return [json.loads(line) for line in lines]


def estimate(tool, case):
    options = ["--cpu", "--ctx", case["ctx"], "--ubatch-size", case["ubatch"], "--batch-size", case["batch"],
               "--parallel", case["seqs"], "--kv-unified" if case["unified"] else "--no-kv-unified",
               "--flash-attn", "on" if case["flash"] else "off", "--kv-type", case["type"],
               "--caller", "server" if case["outputs"] else "bindings", *(["--swa-full"] if case["swa_full"] else [])]
    result = subprocess.run([tool, case["file"], "--json", *map(str, options)], capture_output=True, text=True)
    if result.returncode != 0:
        return None, result.stderr.strip()
    ours = json.loads(result.stdout)
    return {part: ours["host"][part + "_bytes"] for part in PARTS}, ours["model"]["architecture_known"]


def name_of(case):
    return Path(case["file"]).name.rsplit("-", 1)[0]


def judge(cases, estimates):
    """Print a line per architecture; the number of described ones that are not exact."""
    worst = collections.defaultdict(float)
    known = {}
    for case, (ours, note) in zip(cases, estimates):
        name = name_of(case)
        known[name] = known.get(name, True) and note is True
        if ours is None:
            print(f"{name}: {note}")
        error = max(abs(ours[part] - case[part]) / max(case[part], 1) for part in PARTS) if ours else float("inf")
        worst[name] = max(worst[name], error)
    exact = sorted(name for name in worst if worst[name] == 0)
    wrong = sorted(name for name in worst if worst[name] and known[name] and name not in ODD)
    guessed = {name: worst[name] for name in sorted(worst) if worst[name] and not known[name]}
    print(f"{len(exact)} of {len(worst)} architectures exact to the byte in {len(cases)} cases: {' '.join(exact)}")
    print("guessed, worst part: " + " ".join(f"{name} {100 * error:.0f}%" for name, error in guessed.items()))
    for name in wrong:
        print(f"{name}: described, but {100 * worst[name]:.2f} % off")
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, default=Path("/nonexistent"), help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, help="unused")
    parser.add_argument("--keep", type=Path, help="keep models and measurements in this folder")
    args = parser.parse_args()
    if not (args.oracle / "llama.cpp").exists() or not shutil.which("g++"):
        print("skipped: no reference (oracle.sh) or no g++")
        return 0
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp, ThreadPoolExecutor(2) as pool:
        tmp = args.keep or tmp
        cases = measured(build(args.oracle, Path(tmp)), Path(tmp))
        (Path(tmp) / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
        estimates = list(pool.map(lambda case: estimate(args.bin / "vram-estimate", case), cases))
        return judge(cases, estimates) != 0 or not cases


if __name__ == "__main__":
    sys.exit(main())
