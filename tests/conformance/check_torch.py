#!/usr/bin/env python3
"""`inspect --json` of files that torch.save writes, against torch.load: names, types, shapes, bytes of the data."""
import argparse
import json
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
         torch.complex64: "C64", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.uint16: "U16"}


def example():
    torch.manual_seed(1)
    tensors = OrderedDict((f"t.{name.lower()}", torch.zeros(3, 5).to(dtype)) for dtype, name in NAMES.items())
    base = torch.randn(6, 8)
    tensors |= {"whole": base, "rows": base[1:4], "columns": base[:, 2:5], "turned": base.t(), "none": torch.zeros(0, 4),
                "scalar": torch.tensor(2.5), "parameter": torch.nn.Parameter(torch.ones(2, 1, 3)), "deep": torch.zeros([1] * 8)}
    return tensors


def flatten(value, name=""):
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for key, item in enumerate(value):
            yield from flatten(item, f"{name}.{key}" if name else str(key))


def differences(tool, path):
    result = subprocess.run([tool, path, "--json", "--safety"], capture_output=True, text=True)
    if result.returncode:
        yield result.stderr.strip()
        return
    ours, theirs = json.loads(result.stdout), dict(flatten(torch.load(path, weights_only=False)))
    content = path.read_bytes()
    if [t["name"] for t in ours["tensors"]] != sorted(theirs):
        yield f"names: {sorted({t['name'] for t in ours['tensors']} ^ set(theirs))}"
        return
    for t in ours["tensors"]:
        x = theirs[t["name"]].detach()
        if (t["type"], t["shape"], t["bytes"]) != (NAMES[x.dtype], list(x.shape), x.numel() * x.element_size()):
            yield f"{t['name']}: {t}"
        elif x.is_contiguous() and x.numel():
            if content[t["offset"]:t["offset"] + t["bytes"]] != bytes(x.reshape(-1).view(torch.uint8).tolist()):
                yield f"{t['name']}: data"
    if not ours["safety"]["ok"]:
        yield "said to be unsafe"


def cases(folder):
    for name, value in (("state", example()), ("nested", {"model": example(), "step": 3, "lr": 0.1, "n": [torch.ones(2), {"x": None}]}),
                        ("single", torch.ones(3)), ("empty", {}), ("many", {f"{i}": torch.ones(1) for i in range(3000)})):
        path = folder / f"{name}.pt"
        torch.save(value, path)
        yield path
        path = folder / f"{name}-4.pt"
        torch.save(value, path, pickle_protocol=4)
        yield path


def sharded(tool, folder):
    """A checkpoint in two files with an index, as Transformers saved them; given as a folder and as the index."""
    tensors, shards = example(), ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    where = {name: shards[i % 2] for i, name in enumerate(tensors)}
    for shard in shards:
        torch.save({name: t for name, t in tensors.items() if where[name] == shard}, folder / shard)
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    for path in (folder, index):
        result = subprocess.run([tool, path, "--json"], capture_output=True, text=True)
        if result.returncode:
            yield result.stderr.strip()
            continue
        ours = json.loads(result.stdout)
        if {t["name"]: shards[t["part"]] for t in ours["tensors"]} != where:
            yield f"{path.name}: names or parts"
    index.write_text(json.dumps({"weight_map": {"x": "../x.bin"}}))
    if subprocess.run([tool, index], capture_output=True).returncode != 1:
        yield "a shard outside of the folder was read"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path)
    parser.add_argument("--shared", type=Path)
    args = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="ws-torch-") as folder:
        for path in cases(Path(folder)):
            problems = list(differences(args.bin / "inspect", path))
            for problem in problems[:5]:
                print(f"{path.name}: {problem}")
            failed += bool(problems)
            passed += not problems
    with tempfile.TemporaryDirectory(prefix="ws-torch-") as folder:
        problems = list(sharded(args.bin / "inspect", Path(folder)))
        print(*problems, sep="\n", end="\n" if problems else "")
        failed += bool(problems)
        passed += not problems
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
