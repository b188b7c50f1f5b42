#!/usr/bin/env python3
"""Hold `infer --imatrix` against llama-imatrix, in both formats: the same keys, names, order, shapes and counts; sums as
near as the arithmetic of either allows (llama.cpp rounds activations to f16 for f16 weights); and llama-quantize makes
nearly the same files of both. Models: SmolLM2 in f16, and small ones with experts and with latent attention. Batches are
of one chunk: of larger ones llama-imatrix may cut pieces of less than 16 tokens, which it ignores."""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from gguf import GGUFReader

from score import check, finish

# name -> (tokens of a chunk, most that a tensor's sums may differ, as a share of their length)
MODELS = {"smollm2": (512, 2e-3), "mixtral": (128, 1e-4), "deepseek2": (128, 1e-4)}
KEYS = ["general.type", "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"]
SAME_BYTES = 0.99


def run(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True)


def folder_of(args, name):
    """Those with SmolLM2's tokenizer are not stored: oracle.sh makes them."""
    stored, models = args.shared / "goldens/tiny" / name, args.oracle / "models"
    if name == "smollm2":
        return models / "SmolLM2-135M-Instruct"
    return stored if stored.is_dir() else models / "tiny" / name


def compare_gguf(label, ours, theirs, tolerance):
    a, b = GGUFReader(ours), GGUFReader(theirs)
    check([a.fields[k].contents() for k in KEYS] == [b.fields[k].contents() for k in KEYS], f"{label}: keys")
    check([(t.name, t.shape.tolist()) for t in a.tensors] == [(t.name, t.shape.tolist()) for t in b.tensors],
          f"{label}: {len(a.tensors)} names and shapes, in order")
    counts = [(x.data, y.data) for x, y in zip(a.tensors, b.tensors) if x.name.endswith(".counts")]
    off = sum(float(np.abs(x - y).sum()) for x, y in counts) / sum(float(y.sum()) for _, y in counts)
    check(off <= 2e-3, f"{label}: {off:.5f} of the counts differ")
    sums = [(x.data.astype(float), y.data.astype(float)) for x, y in zip(a.tensors, b.tensors) if "in_sum2" in x.name]
    worst = max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in sums)
    check(worst <= tolerance, f"{label}: sums differ by at most {worst:.2e}")


def read_dat(path):
    """(name, calls, values) of every entry, and what follows them."""
    data, at = path.read_bytes(), 4
    entries = []
    for _ in range(int.from_bytes(data[:4], "little")):
        length = int.from_bytes(data[at:at + 4], "little")
        name, at = data[at + 4:at + 4 + length], at + 4 + length
        calls, n = np.frombuffer(data[at:at + 8], dtype="<i4")
        entries.append((name, int(calls), np.frombuffer(data[at + 8:at + 8 + 4 * n], dtype="<f4").astype(float)))
        at += 8 + 4 * n
    return entries, data[at:]


def compare_dat(label, ours, theirs, tolerance):
    (a, end_a), (b, end_b) = read_dat(ours), read_dat(theirs)
    check([e[:2] for e in a] == [e[:2] for e in b] and end_a == end_b, f"{label}: a .dat with the same names and calls")
    worst = max(float(np.linalg.norm(x[2] - y[2]) / np.linalg.norm(y[2])) for x, y in zip(a, b))
    check(worst <= tolerance, f"{label}: values differ by at most {worst:.2e}")


def check_merging(args, tmp, name, model, made, text, options, compare):
    """The reference's own file, added to itself, and to a run over the text."""
    more = tmp / "more.gguf"
    run(args.oracle / "bin/llama-imatrix", "-m", model, "-f", text, "-o", more, "--no-ppl", *options[:-1], "gguf")
    for label, ours, theirs in (("alone", [], []), ("and a run", [text], ["-f", text, "--no-ppl"])):
        a, b = tmp / f"ours.merged{made.suffix}", tmp / f"theirs.merged{made.suffix}"
        files = ["--in-file", made, "--in-file", made if made.suffix == ".dat" else more]
        run(args.bin / "infer", model, "--imatrix", a, *ours, *files, *options)
        run(args.oracle / "bin/llama-imatrix", "-m", model, "-o", b, *theirs, *files, *options)
        compare(f"{name}, merged files {label}", a, b, MODELS[name][1])


def compare_model(args, tmp, name, folder, text):
    ctx, tolerance = MODELS[name]
    model = tmp / f"{name}.gguf"
    run(args.bin / "convert", folder, model, "--type", "f16" if name == "smollm2" else "f32")
    for kind, compare in (("dat", compare_dat), ("gguf", compare_gguf))[name != "mixtral":]:
        ours, theirs = tmp / f"ours.{kind}", tmp / f"theirs.{kind}"
        options = ["-c", ctx, "-b", ctx, "--chunks", 2, "--process-output", "--output-format", kind]
        run(args.bin / "infer", model, "--imatrix", ours, text, *options)
        run(args.oracle / "bin/llama-imatrix", "-m", model, "-f", text, "-o", theirs, "--no-ppl", *options)
        compare(name, ours, theirs, tolerance)
        check_merging(args, tmp, name, model, theirs, text, options, compare)
    quantized = [tmp / "q.ours.gguf", tmp / "q.theirs.gguf"]
    for out in quantized:
        matrix = tmp / out.name.replace("q.", "")
        run(args.oracle / "bin/llama-quantize", "--imatrix", matrix, model, out, "q2_k", 2)
    a, b = (np.concatenate([t.data.view(np.uint8).ravel() for t in GGUFReader(p).tensors]) for p in quantized)
    same = float((a == b).mean())
    check(len(a) == len(b) and same >= SAME_BYTES, f"{name}: {100 * same:.3f} % of the bytes of both Q2_K files are the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--bin", "--oracle", "--shared"):
        parser.add_argument(option, type=pathlib.Path, required=True)
    args = parser.parse_args()
    text = args.shared / "goldens/imatrix/calib-60k.txt"
    if not text.exists():
        print("skipped: its text and models are in ../shared\n0 passed, 0 failed")
        return 0
    with tempfile.TemporaryDirectory(prefix="ws-imatrix-") as tmp:
        tmp = pathlib.Path(tmp)
        for name in MODELS:
            compare_model(args, tmp, name, folder_of(args, name), text)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
