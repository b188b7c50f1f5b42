#!/usr/bin/env python3
"""What `vram-estimate --engine weightsmith` says that infer takes, and what it takes, to the byte: every tiny model, from
its GGUF file, its folder and its config.json, with each type of KV cache. (The reference is ours; the models are not.)"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

NO_TENSORS_FROM_CONFIG = {"gpt2"}


def said(args, source, options):
    command = [args.bin / "vram-estimate", source, "--engine", "weightsmith", "--json", *options]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        return result.stderr.strip()
    host = json.loads(result.stdout)["host"]
    return host["kv_cache_bytes"] + host["compute_bytes"]


def problems(args, folder, gguf):
    subprocess.run([args.bin / "convert", folder, gguf, "--type", "f16", "-q"], check=True)
    for kv in ("f16", "f32", "q8_0", "q4_0"):
        shared = ["--ctx", "300", "--threads", "2", "--kv-type", kv]
        run = subprocess.run([args.bin / "infer", gguf, "-p", "one two", "-n", "1", "--json", *shared], capture_output=True)
        if run.returncode:
            yield f"infer: {run.stderr.decode().strip()}"
            return
        took = json.loads(run.stdout)
        sources = [gguf] if folder.name in NO_TENSORS_FROM_CONFIG else [gguf, folder, folder / "config.json"]
        for source in sources:
            told = said(args, source, [*shared, "--batch-size", str(took["prompt_tokens"])])
            if told != took["session_bytes"]:
                yield f"{source.name}, {kv}: {told}, infer takes {took['session_bytes']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, default=Path("/nonexistent"), help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    roots = (args.shared / "goldens/tiny", args.oracle / "models/tiny")
    folders = [path.parent for root in roots for path in sorted(root.glob("*/config.json"))]
    if not folders:
        print("skipped: no ../shared/goldens/tiny")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        for folder in folders:
            found = list(problems(args, folder, Path(tmp) / "model.gguf"))
            failed += bool(found)
            for problem in found:
                print(f"FAIL {folder.name}: {problem}")
    print(f"{len(folders) - failed} of {len(folders)} models exact")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
