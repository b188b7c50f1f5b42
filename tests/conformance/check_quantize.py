#!/usr/bin/env python3
"""Whole files of `quantize` against llama-quantize's, byte for byte, for every type on every source."""
import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TYPES = ("F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K "
         "q4_k Q3_K q5_k 15").split()


def reference_gguf(oracle, folder, out_type, out):
    """The reference converter's file for a Hugging Face folder."""
    env = {**os.environ, "PYTHONPATH": f"{oracle}/llama.cpp/gguf-py:{oracle}/llama.cpp"}
    command = [oracle / "venv/bin/python", oracle / "llama.cpp/convert_hf_to_gguf.py", folder, "--outfile", out,
               "--outtype", out_type]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return out


def sources(args, tmp):
    """(label, GGUF file): the embedded model always, more where ../shared and its models are."""
    for out_type in ("f16", "bf16"):  # by our converter: the reference's does not know this vocabulary's hash
        source = tmp / f"embedded.{out_type}.gguf"
        subprocess.run([args.bin / "convert", args.repo / "tests/model/weightsmith-tiny", source, "--type", out_type, "-q"],
                       check=True)
        yield f"embedded.{out_type}", source
    folders = []
    models = args.oracle / "models"
    if (models / "SmolLM2-135M-Instruct").is_dir():
        folders += [("smollm2", models / "SmolLM2-135M-Instruct", ["f16", "f32", "bf16"]),
                    ("wide", models / "wide", ["f16", "f32"])]
    tiny = args.shared / "goldens/tiny"
    if tiny.is_dir():
        folders += [(p.name, p, ["f16"]) for p in sorted(tiny.iterdir()) if p.is_dir()]
    for name, folder, out_types in folders:
        for out_type in out_types:
            yield f"{name}.{out_type}", reference_gguf(args.oracle, folder, out_type, tmp / f"{name}.{out_type}.gguf")


def compare(args, source, kind, threads, tmp):
    """None when both tools agree (in bytes, or in refusing), else what differs."""
    ours, theirs = tmp / "ours.gguf", tmp / "theirs.gguf"
    for path in (ours, theirs):
        path.unlink(missing_ok=True)
    reference = subprocess.run([args.oracle / "bin/llama-quantize", source, theirs, kind, "2"], capture_output=True)
    result = subprocess.run([args.bin / "quantize", source, ours, kind, str(threads), "--json"], capture_output=True)
    if (result.returncode == 0) != (reference.returncode == 0):
        return f"exit code {result.returncode}, reference {reference.returncode}: {result.stderr.decode().strip()}"
    if result.returncode != 0:
        return None
    json.loads(result.stdout)
    return None if filecmp.cmp(ours, theirs, shallow=False) else "files differ"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--repo", type=Path, default=Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        for label, source in sources(args, tmp):
            same = []
            for number, kind in enumerate(TYPES):
                difference = compare(args, source, kind, 1 + number % 3, tmp)
                if difference:
                    print(f"FAIL {label} {kind}: {difference}")
                    failed += 1
                else:
                    same.append(kind)
                    passed += 1
            print(f"{label:16} identical: {len(same)} of {len(TYPES)}", flush=True)
            source.unlink()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
