#!/usr/bin/env python3
"""`inspect split` and `inspect merge` against llama-gguf-split: the same files, byte for byte. `inspect set` and `rm`
against the Python package gguf: it reads back what was set."""
import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gguf import GGUFReader

MODEL = Path(__file__).resolve().parents[1] / "model/weightsmith-tiny"

# our options | the reference's
CASES = [
    (["--max-tensors", "7"], ["--split-max-tensors", "7"]),
    ([], []),
    (["--max-tensors", "38"], ["--split-max-tensors", "38"]),
    (["--max-tensors", "1"], ["--split-max-tensors", "1"]),
    (["--max-tensors", "20", "--no-tensor-first"], ["--no-tensor-first-split", "--split-max-tensors", "20"]),
    (["--max-size", "2M"], ["--split-max-size", "2M"]),
    (["--max-size", "1G", "--no-tensor-first"], ["--no-tensor-first-split", "--split-max-size", "1G"]),
    (["--max-size", "200M"], ["--split-max-size", "200M"]),
]


def call(*args):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True)


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.gguf"))}


def compare(args, source, ours_options, reference_options, work):
    """Problems found when splitting `source` and merging the parts again, both ways."""
    ours, reference = work / "ours", work / "reference"
    for folder in (ours, reference):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    a = call(args.bin / "inspect", "split", source, ours / "model", *ours_options, "-q")
    b = call(args.oracle / "bin/llama-gguf-split", "--split", *reference_options, source, reference / "model")
    if a.returncode or b.returncode:
        both = a.returncode and b.returncode
        if both and not list(ours.glob("*")):
            return
        yield f"split: ours {a.returncode} ({a.stderr.strip()}), reference {b.returncode}"
        return
    if digests(ours) != digests(reference):
        yield f"split differs: {digests(ours)} {digests(reference)}"
    first = next(iter(digests(reference)))
    a = call(args.bin / "inspect", "merge", reference / first, ours / "merged.gguf", "-q")
    b = call(args.oracle / "bin/llama-gguf-split", "--merge", reference / first, reference / "merged.gguf")
    if a.returncode or b.returncode:
        yield f"merge: ours {a.returncode} ({a.stderr.strip()}), reference {b.returncode}"
    elif digests(ours).get("merged.gguf") != digests(reference)["merged.gguf"]:
        yield "merge differs"


def check_edits(args, source, work):
    path = work / "edited.gguf"
    shutil.copy(source, path)
    tool = args.bin / "inspect"
    edits = ["general.name=A name that is a good deal longer than the old one", "test.count:u64=18446744073709551615",
             "test.real:f64=0.1", "test.list:[i16]=-3,4,32767", 'test.words:[string]=["é", ""]', "test.yes=true"]
    for command in (["set", path, *edits], ["rm", path, "general.type"], ["set", path, "test.yes=false"]):
        result = call(tool, *command)
        if result.returncode:
            yield result.stderr.strip()
            return
    before, after = GGUFReader(source), GGUFReader(path)
    wanted = {"general.name": "A name that is a good deal longer than the old one", "test.count": 2**64 - 1,
              "test.real": 0.1, "test.list": [-3, 4, 32767], "test.words": ["é", ""], "test.yes": False}
    for key, value in wanted.items():
        if key not in after.fields or after.fields[key].contents() != value:
            yield f"key {key}"
    if set(before.fields) ^ set(after.fields) != {"general.type", *(k for k in wanted if k != "general.name")}:
        yield "keys"
    for a, b in zip(before.tensors, after.tensors, strict=True):
        if a.name != b.name or a.data.tobytes() != b.data.tobytes():
            yield f"tensor {a.name}"
    a, b = (call(tool, "hash", p).stdout.splitlines()[-1] for p in (source, path))
    if a != b:
        yield "the model's hash depends on the metadata"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path)
    args = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="ws-split-") as folder:
        work = Path(folder)
        source = work / "tiny.gguf"
        call(args.bin / "convert", MODEL, source, "--type", "f16", "-q")
        checks = [(" ".join(ours), list(compare(args, source, ours, theirs, work))) for ours, theirs in CASES]
        checks.append(("edits", list(check_edits(args, source, work))))
    for name, problems in checks:
        for problem in problems:
            print(f"{name}: {problem}")
        failed += bool(problems)
        passed += not problems
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
