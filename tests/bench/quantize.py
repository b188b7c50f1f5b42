#!/usr/bin/env python3
"""`quantize` beside llama-quantize: wall time of the whole command and peak resident memory, alternating in one run, for
every type asked for; then one large sparse model, for the memory alone. Prints a table, or JSON.

Needs the folder made by tests/conformance/oracle.sh, with models, and a quiet machine. Times are medians. Our time for
waiting until the disk has the file (the reference doesn't wait) is shown apart and not part of the ratio."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TYPES = "q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k_m q4_k_m q5_k_m q6_k iq4_nl iq4_xs iq3_s iq3_xxs tq1_0 tq2_0".split()
IMATRIX_TYPES = "q4_0 q4_k_m iq4_xs iq3_xxs iq2_xxs iq2_xs iq2_s iq1_s iq1_m".split()


def measured(command, env=None):
    """(seconds, peak resident MiB, standard output) of a command that must succeed. /usr/bin/time (Debian's package
    `time`) watches the memory: a process started from here would be charged with what Python itself takes."""
    with tempfile.NamedTemporaryFile("r") as peak, tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        result = subprocess.run(["/usr/bin/time", "-f", "%M", "-o", peak.name, *map(str, command)], stdout=out,
                                stderr=subprocess.DEVNULL, env=env)
        seconds = time.perf_counter() - start
        if result.returncode:
            raise SystemExit(f"failed with {result.returncode}: {' '.join(map(str, command))}")
        out.seek(0)
        return seconds, int(peak.read().split()[-1]) / 1024, out.read()


def compare(args, model, kind, imatrix, tmp):
    """One row: medians over the rounds, ours and the reference's alternating."""
    ours, theirs = [], []
    options = ["--imatrix", imatrix] if imatrix else []
    for _ in range(args.rounds):
        seconds, memory, out = measured([args.bin / "quantize", *options, model, tmp / "ours.gguf", kind, args.threads, "--json"])
        sync = json.loads(out)["sync_seconds"]
        ours.append((seconds - sync, sync, memory))
        os.unlink(tmp / "ours.gguf")
        seconds, memory, _ = measured([args.oracle / "bin/llama-quantize", *options, model, tmp / "theirs.gguf", kind, args.threads])
        theirs.append((seconds, memory))
        os.unlink(tmp / "theirs.gguf")
    (mine, sync, memory), (reference, their_memory) = ([statistics.median(x) for x in zip(*runs)] for runs in (ours, theirs))
    return {"model": model.stem, "type": kind, "imatrix": bool(imatrix), "seconds": mine, "sync_seconds": sync,
            "reference_seconds": reference, "ratio": reference / mine, "peak_mib": memory, "reference_peak_mib": their_memory}


def write_sparse_8b(path, oracle):
    """An 8B-shaped F16 model whose 16 GB of weights are a hole in the file."""
    sys.path.insert(0, str(oracle / "llama.cpp/gguf-py"))
    import gguf
    import numpy as np
    w = gguf.GGUFWriter(path, "llama")
    w.add_block_count(32)
    w.add_head_count(32)
    w.add_head_count_kv(8)
    shapes = {"token_embd.weight": (128256, 4096), "output.weight": (128256, 4096)}
    for i in range(32):
        shapes |= {f"blk.{i}.attn_q.weight": (4096, 4096), f"blk.{i}.attn_k.weight": (1024, 4096),
                   f"blk.{i}.attn_v.weight": (1024, 4096), f"blk.{i}.attn_output.weight": (4096, 4096),
                   f"blk.{i}.ffn_gate.weight": (14336, 4096), f"blk.{i}.ffn_up.weight": (14336, 4096),
                   f"blk.{i}.ffn_down.weight": (4096, 14336)}
    for name, shape in shapes.items():
        w.add_tensor_info(name, shape, np.dtype(np.float16), 2 * shape[0] * shape[1])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    w.close()
    header = os.path.getsize(path)
    os.truncate(path, (header + 31) // 32 * 32 + sum(2 * a * b for a, b in shapes.values()))


def large_model(args, tmp):
    model = tmp / "sparse-8b.gguf"
    write_sparse_8b(model, args.oracle)
    rows = []
    for kind in ("q4_k_m", "q8_0"):
        seconds, memory, out = measured([args.bin / "quantize", model, tmp / "ours.gguf", kind, args.threads, "--json"])
        sync = json.loads(out)["sync_seconds"]
        rows.append({"model": "8B, sparse", "type": kind, "input_gib": os.path.getsize(model) / 2**30,
                     "seconds": seconds - sync, "sync_seconds": sync, "peak_mib": memory})
        os.unlink(tmp / "ours.gguf")
    return rows


def print_table(rows, large):
    print("| model | type | imatrix | ours | + sync | reference | ratio | peak | reference |")
    print("|---|---|---|--:|--:|--:|--:|--:|--:|")
    for r in rows:
        print(f"| {r['model']} | {r['type']} | {'yes' if r['imatrix'] else ''} | {r['seconds']:.2f} s | {r['sync_seconds']:.2f} s "
              f"| {r['reference_seconds']:.2f} s | {r['ratio']:.1f}x | {r['peak_mib']:.0f} MiB | {r['reference_peak_mib']:.0f} MiB |")
    for r in large:
        print(f"| {r['model']}, {r['input_gib']:.0f} GiB | {r['type']} | | {r['seconds']:.1f} s | {r['sync_seconds']:.1f} s | | "
              f"| {r['peak_mib']:.0f} MiB | |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by tests/conformance/oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="for the importance matrices")
    parser.add_argument("--types", nargs="*", default=TYPES)
    parser.add_argument("--imatrix-types", nargs="*", default=IMATRIX_TYPES)
    parser.add_argument("--models", nargs="*", default=["wide", "SmolLM2-135M-Instruct"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--large", action="store_true", help="the sparse 8B model, too (writes 14 GB)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows, large = [], []
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        for name in args.models:
            model = tmp / f"{name.split('-')[0].lower()}.gguf"
            subprocess.run([args.bin / "convert", args.oracle / "models" / name, model, "--type", "f16", "-q"], check=True)
            imatrix = args.shared / f"goldens/imatrix/{name.split(chr(45))[0]}.imatrix.gguf"
            jobs = [(kind, None) for kind in args.types]
            if imatrix.exists():
                jobs += [(kind, imatrix) for kind in args.imatrix_types]
            for kind, matrix in jobs:
                rows.append(compare(args, model, kind, matrix, tmp))
                print(f"{model.stem} {kind}: {rows[-1]['ratio']:.1f}x", file=sys.stderr)
            model.unlink()
        if args.large:
            large = large_model(args, tmp)
    if args.json:
        print(json.dumps({"quantize": rows, "large": large}, indent=1))
    else:
        print_table(rows, large)


if __name__ == "__main__":
    main()
