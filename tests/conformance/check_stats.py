#!/usr/bin/env python3
"""`inspect stats` and `inspect diff` against NumPy over tensors that the Python package gguf decodes."""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

MODEL = Path(__file__).resolve().parents[1] / "model/weightsmith-tiny"
TYPES = ["q4_k", "q2_k", "q8_0", "q5_1", "iq4_xs", "iq3_s", "tq2_0"]


def run(*args):
    result = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(result.stderr)
    return result.stdout


def values(path):
    return {t.name: dequantize(t.data, t.tensor_type).astype(np.float64) for t in GGUFReader(path).tensors}


def near(ours, theirs, tolerance=1e-6):
    return abs(ours - theirs) <= tolerance * max(1e-12, abs(theirs))


def check_stats(ours, theirs):
    for t in ours["tensors"]:
        x = theirs[t["name"]]
        d = x - x.mean()
        wanted = {"min": x.min(), "max": x.max(), "std": x.std(), "kurtosis": (d**4).mean() / (d**2).mean() ** 2 - 3}
        for key, value in wanted.items():
            if not near(t[key], value):
                yield f"{t['name']}: {key} is {t[key]}, NumPy has {value}"
        if not abs(t["mean"] - x.mean()) <= 1e-9 * x.std():
            yield f"{t['name']}: mean"
        if t["zeros"] != int((x == 0).sum()) or sum(t["histogram"]) != x.size:
            yield f"{t['name']}: zeros or histogram"
        if x.ndim == 2:
            rms = np.sqrt((x**2).mean(axis=0))
            if t["outlier_columns"] != int((rms > 6 * np.sort(rms)[rms.size // 2]).sum()):
                yield f"{t['name']}: outlier columns"


def check_diff(ours, a, b):
    if {t["name"] for t in ours["tensors"]} != set(a):
        yield "names"
    for t in ours["tensors"]:
        x, y = a[t["name"]], b[t["name"]]
        e = x - y
        if t["kind"] != "values":
            if e.any():
                yield f"{t['name']} differs"
            continue
        wanted = {"rmse": np.sqrt((e**2).mean()), "sqnr": 10 * np.log10((x**2).sum() / (e**2).sum()),
                  "cosine": (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()), "max_error": abs(e).max()}
        for key, value in wanted.items():
            if not near(t[key], value):
                yield f"{t['name']}: {key} is {t[key]}, NumPy has {value}"
    damage = [t["sqnr"] for t in ours["tensors"] if t["kind"] == "values"]
    if damage != sorted(damage):
        yield "not sorted by damage"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path)
    parser.add_argument("--shared", type=Path)
    args = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="ws-stats-") as folder:
        base = Path(folder) / "base.gguf"
        run(args.bin / "convert", MODEL, base, "--type", "bf16", "-q")
        a = values(base)
        # The checkpoint, with the rows of its heads where convert puts them, holds the same values.
        same = json.loads(run(args.bin / "inspect", "diff", MODEL, base, "--json"))
        results = [["checkpoint and GGUF differ"] if same["differ"] else []]
        # So do those of the other architectures: norms with one added, stacked experts, regrouped heads.
        for model in sorted((args.shared or Path("/nonexistent")).glob("goldens/tiny/*/config.json")):
            path = Path(folder) / "other.gguf"
            if subprocess.run([args.bin / "convert", model.parent, path, "--type", "f32", "-q"], capture_output=True).returncode:
                continue  # not an architecture of convert
            other = json.loads(run(args.bin / "inspect", "diff", model.parent, path, "--json"))
            known = [t for t in other["tensors"] if t["kind"] not in ("same", "equal") and t["name"] != "rope_freqs.weight"]
            results.append([f"{model.parent.name}: {t}" for t in known])
        for kind in TYPES:
            path = Path(folder) / f"{kind}.gguf"
            run(args.bin / "quantize", base, path, kind, "-q")
            b = values(path)
            results.append(list(check_stats(json.loads(run(args.bin / "inspect", "stats", path, "--json")), b)))
            results.append(list(check_diff(json.loads(run(args.bin / "inspect", "diff", base, path, "--json")), a, b)))
    for problems in results:
        for problem in problems[:5]:
            print(problem)
        failed += bool(problems)
        passed += not problems
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
