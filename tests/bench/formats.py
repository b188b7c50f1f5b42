#!/usr/bin/env python3
"""Million weights per second of every type's quantizer, one thread, ours in each instruction set beside ggml's on the
same data, as a table; exits with 1 when a block differs. Needs build/bin/bench_formats (built with the tests) and the
folder made by tests/conformance/oracle.sh."""
import argparse
import json
import subprocess
import sys
from pathlib import Path

ISAS = ["c", "avx2", "avx512"]


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown processor"


def number(x):
    """Three digits, without an exponent."""
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def table(result):
    isas = [isa for isa in ISAS if any(isa in row for row in result["rows"])]
    lines = ["| type | imatrix | ggml | " + " | ".join(f"{isa} | ratio" for isa in isas) + " |",
             "|---|---|--:|" + "--:|--:|" * len(isas)]
    for row in result["rows"]:
        cells = [row["type"], "yes" if row["imatrix"] else "", number(row["ggml"])]
        for isa in isas:
            cells += [number(row[isa]), f"{row[isa] / row['ggml']:.1f}x"]
        lines.append("| " + " | ".join(cells) + " |" + (" DIFFERS" if row["different_blocks"] else ""))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("types", nargs="*", help="only these")
    args = parser.parse_args()
    out = subprocess.run([args.bin / "bench_formats", args.oracle / "bin/libggml-base.so", str(args.rounds), *args.types],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    result = {"machine": cpu_model(), **json.loads(out)}
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{result['machine']}, one thread, million weights per second, median of {result['rounds']} rounds; "
          f"reading f32 from memory: {result['read_f32']:.0f}\n")
    print("\n".join(table(result)))
    blocks = sum(row["blocks"] for row in result["rows"])
    different = sum(row["different_blocks"] for row in result["rows"])
    print(f"\n{blocks} blocks in {len(result['rows'])} rows, {different} differ from ggml's")
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
