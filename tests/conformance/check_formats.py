#!/usr/bin/env python3
"""Random files written by the Python packages gguf and safetensors, read by `inspect --json`: every value type, dtype,
alignment and way to split that the packages can write."""
import argparse
import json
import logging
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
from check_inspect import differences_gguf, differences_safetensors
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
from safetensors import TensorSpec, serialize_file

INTEGERS = {GGUFValueType.UINT8: (0, 2**8), GGUFValueType.INT8: (-2**7, 2**7), GGUFValueType.UINT16: (0, 2**16),
            GGUFValueType.INT16: (-2**15, 2**15), GGUFValueType.UINT32: (0, 2**32),
            GGUFValueType.INT32: (-2**31, 2**31), GGUFValueType.UINT64: (0, 2**64),
            GGUFValueType.INT64: (-2**63, 2**63)}
SCALARS = [t for t in GGUFValueType if t != GGUFValueType.ARRAY]
DTYPES = {"bool": 1, "uint8": 1, "int8": 1, "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e8m0fnu": 1,
          "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int32": 4,
          "uint32": 4, "float32": 4, "complex64": 8, "float64": 8, "int64": 8, "uint64": 8}


def random_text(rng):
    return "".join(rng.choice('ab."\\\n\x01/ é漢🙂') for _ in range(rng.randint(1, 9)))


def random_value(rng, kind):
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        return rng.choice([low, high - 1, rng.randrange(low, high)])
    if kind == GGUFValueType.BOOL:
        return rng.random() < 0.5
    if kind == GGUFValueType.STRING:
        return random_text(rng)
    return float(np.float32(rng.uniform(-1e9, 1e9))) if kind == GGUFValueType.FLOAT32 else rng.uniform(-1e99, 1e99)


def add_random_keys(rng, writer):
    for i in range(rng.randrange(20)):
        kind = rng.choice(SCALARS)
        if rng.random() < 0.3:
            values = [random_value(rng, kind) for _ in range(rng.randint(1, 6))]
            writer.add_key_value(f"key.{i}", values, GGUFValueType.ARRAY, sub_type=kind)
        else:
            writer.add_key_value(f"key.{i}", random_value(rng, kind), kind)


def add_random_tensors(rng, writer, count):
    for i in range(count):
        shape = [rng.choice([1, 2, 3, 5, 32]) for _ in range(rng.randint(1, 4))]
        dtype = rng.choice([np.float32, np.float16, np.float64, np.int8, np.int16, np.int32, np.int64, "q8_0"])
        if dtype == "q8_0":
            blocks = np.zeros(shape[:-1] + [34 * shape[-1]], dtype=np.uint8)
            writer.add_tensor(f"tensor.{i}", blocks, raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(f"tensor.{i}", np.ones(shape, dtype=dtype))


def write_gguf(rng, folder, split):
    """The files written; several when split (3 tensors in each). The package forgets the alignment in later parts."""
    writer = GGUFWriter(folder / "m.gguf", "llama", split_max_tensors=3 if split else 0)
    if not split and rng.random() < 0.5:
        writer.add_custom_alignment(rng.choice([8, 16, 64, 4096]))
    add_random_keys(rng, writer)
    add_random_tensors(rng, writer, rng.randint(4, 10) if split else rng.randint(1, 10))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.glob("*.gguf"))


def write_safetensors(rng, folder):
    path, specs, buffers = folder / "m.safetensors", {}, []
    for _ in range(rng.randint(1, 12)):
        dtype = rng.choice(list(DTYPES))
        shape = [rng.choice([0, 1, 2, 3, 5, 8]) for _ in range(rng.randint(0, 5))]
        size = int(np.prod(shape, dtype=np.int64)) * DTYPES[dtype]
        buffers.append(np.zeros(max(size, 1), np.uint8))
        specs[random_text(rng)] = TensorSpec(dtype=dtype, shape=shape, data_ptr=buffers[-1].ctypes.data, data_len=size)
    serialize_file(specs, path, rng.choice([None, {"format": "pt"}, {random_text(rng): random_text(rng)}]))
    return path


def inspect(tool, path):
    result = subprocess.run([tool, path, "--json"], capture_output=True)
    return (json.loads(result.stdout), "") if result.returncode == 0 else (None, result.stderr.decode().strip())


def check_gguf(tool, rng, folder, split):
    files = write_gguf(rng, folder, split)
    ours, message = inspect(tool, files[0])
    if ours is None:
        return [message]
    if not split:
        return list(differences_gguf(ours, files[0]))
    names = [t.name for f in files for t in gguf.GGUFReader(f).tensors]
    problems = [] if [t["name"] for t in ours["tensors"]] == names else ["tensors of all parts"]
    refused = inspect(tool, files[1])[1]
    return problems + ([] if files[0].name in refused else [f"the second part alone: {refused!r}"])


def check_safetensors(tool, rng, folder):
    path = write_safetensors(rng, folder)
    ours, message = inspect(tool, path)
    return [message] if ours is None else list(differences_safetensors(ours, [path]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, help="not used")
    parser.add_argument("--shared", type=Path, help="not used")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30, help="files of each kind")
    args = parser.parse_args()
    logging.getLogger("gguf").setLevel(logging.ERROR)
    tool, passed, failed = args.bin / "inspect", 0, 0
    kinds = {"gguf": lambda *a: check_gguf(*a, False), "split gguf": lambda *a: check_gguf(*a, True),
             "safetensors": check_safetensors}
    for kind, check in kinds.items():
        for i in range(args.rounds):
            seed = f"{kind} {args.seed + i}"
            with tempfile.TemporaryDirectory() as folder:
                problems = check(tool, random.Random(seed), Path(folder))
            for problem in problems:
                print(f"{seed}: {problem}")
            failed += bool(problems)
            passed += not problems
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
