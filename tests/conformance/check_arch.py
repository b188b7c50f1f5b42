#!/usr/bin/env python3
"""infer against transformers in float32 for architectures without golden data: random folders (arch_folders.py), converted
by our convert. Logits within 1e-3 with an f32 KV cache and 1e-2 with f16,
embeddings within 1e-4."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from tokenizers import Tokenizer

import arch_folders
from score import check, finish

TOLERANCE = {"f32": 1e-3, "f16": 1e-2}
LENGTHS = [5, 40]
TEXTS = ["the quick brown fox jumps over the lazy dog", "A dog, jumped!"]


def infer(args, *command):
    return json.loads(subprocess.run([args.bin / "infer", *map(str, command), "--json"], check=True, capture_output=True).stdout)


def check_logits(args, name, model, gguf):
    generator = np.random.default_rng(3)
    for n in LENGTHS:
        ids = generator.integers(3, model.config.get_text_config().vocab_size, n).tolist()
        want = arch_folders.logits(model, ids)
        for kv, tolerance in TOLERANCE.items():
            got = np.array(infer(args, gguf, "--logits", ",".join(map(str, ids)), "--kv-type", kv)["logits"])
            worst = float(np.abs(got - want).max())
            check(worst <= tolerance, f"{name}, {n} tokens, {kv} KV cache: {worst:.2e} from transformers (deviation {want.std():.2f})")


def check_embeddings(args, name, model, gguf):
    kind = arch_folders.MODELS[name][1]
    file = gguf.with_suffix("") / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file)) if file.exists() else None
    long = [" ".join(TEXTS * 12)] if getattr(model.config, "max_position_embeddings", 0) >= 512 else []
    for text in TEXTS + long:
        got = infer(args, gguf, "--embed", text, "--kv-type", "f32")
        states = arch_folders.states(model, got["tokens"])
        want = states[0] if kind == "unigram" else states[-1] if name.endswith("-headless") else states.mean(axis=0)
        if tokenizer:
            check(got["tokens"] == tokenizer.encode(text).ids, f"{name}, {len(got['tokens'])} tokens: those of tokenizer.json")
        worst = float(np.abs(np.array(got["embedding"]) - want / np.linalg.norm(want)).max())
        check(worst <= 1e-4, f"{name}, {len(got['tokens'])} tokens: embedding {worst:.2e} from transformers")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--bin", "--oracle", "--shared"):
        parser.add_argument(option, type=pathlib.Path, required=True)
    parser.add_argument("--only", choices=list(arch_folders.MODELS))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    spm = args.shared / "goldens/spm"
    with tempfile.TemporaryDirectory(prefix="ws-arch-") as tmp:
        for name, (_, kind) in arch_folders.MODELS.items():
            if args.only not in (None, name):
                continue
            if kind == "gemma" and not spm.is_dir():
                print(f"skipped {name}: its tokenizer is in ../shared")
                continue
            folder, gguf = pathlib.Path(tmp) / name, pathlib.Path(tmp) / f"{name}.gguf"
            model = arch_folders.make(name, folder, spm, args.seed)
            subprocess.run([args.bin / "convert", folder, gguf, "--type", "f32", "-q"], check=True)
            if name.endswith("mxfp4"):  # whose products are of 8-bit activations
                packed = gguf.rename(gguf.with_suffix(".packed"))
                subprocess.run([args.bin / "quantize", packed, gguf, "f32", "--allow-requantize", "-q"], check=True)
            (check_embeddings if arch_folders.is_encoder(name) else check_logits)(args, name, model, gguf)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
