#!/usr/bin/env python3
"""Generation on a model larger than any cache (1.0 billion random weights, shaped as TinyLlama is) beside the bound that
vram-estimate predicts from the memory's reading speed, measured in the same run.

Needs the folder made by tests/conformance/oracle.sh (for a tokenizer), numpy, 8 GB of disk and a quiet machine."""
import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

HIDDEN, FEED_FORWARD, LAYERS, HEADS, KV_HEADS = 2048, 5632, 22, 32, 4


def shapes(vocab):
    kv = HIDDEN // HEADS * KV_HEADS
    yield "model.embed_tokens.weight", (vocab, HIDDEN)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for name, shape in (("self_attn.q_proj", (HIDDEN, HIDDEN)), ("self_attn.k_proj", (kv, HIDDEN)),
                            ("self_attn.v_proj", (kv, HIDDEN)), ("self_attn.o_proj", (HIDDEN, HIDDEN)),
                            ("mlp.gate_proj", (FEED_FORWARD, HIDDEN)), ("mlp.up_proj", (FEED_FORWARD, HIDDEN)),
                            ("mlp.down_proj", (HIDDEN, FEED_FORWARD)), ("input_layernorm", (HIDDEN,)),
                            ("post_attention_layernorm", (HIDDEN,))):
            yield f"{at}{name}.weight", shape
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (vocab, HIDDEN)


def write_checkpoint(folder, small):
    """A checkpoint of F16 beside the tokenizer and the configuration of a small model."""
    folder.mkdir()
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copyfile(small / name, folder / name)
    config = json.loads((small / "config.json").read_text())
    config.update(hidden_size=HIDDEN, intermediate_size=FEED_FORWARD, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                  num_key_value_heads=KV_HEADS)
    (folder / "config.json").write_text(json.dumps(config))
    header, at = {}, 0
    for name, shape in shapes(config["vocab_size"]):
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    random = numpy.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes(config["vocab_size"]):
            x = random.standard_normal(shape, dtype=numpy.float32) * (0.02 if len(shape) > 1 else 0.1) + (len(shape) == 1)
            file.write(x.astype(numpy.float16).tobytes())


def predicted(args, path, threads):
    """What vram-estimate says that our engine can reach: tokens per second, bytes per second of the memory."""
    out = subprocess.run([args.bin / "vram-estimate", path, "--engine", "weightsmith", "--measure", "-t", str(threads), "-c", "32",
                          "--json"], capture_output=True, check=True)
    said = json.loads(out.stdout)["tokens_per_second"]
    return said["bound"], said["host_bytes_per_second"]


def best_rate(args, path, threads):
    rates = []
    for _ in range(args.rounds):
        out = subprocess.run([args.bin / "infer", path, "--bench", "-t", str(threads), "-p", "0", "-n", "16", "-r", "1",
                              "-o", "json"], capture_output=True, check=True)
        rates.append(json.loads(out.stdout)[0]["tokens_per_second"])
    return max(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh, with models/")
    parser.add_argument("--types", default="f16,q8_0,q4_0,q4_k,q6_k", help="of the weights, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    args = parser.parse_args()
    print("| type | threads | memory, GB/s | tokens/s, predicted | measured | ratio |\n|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        write_checkpoint(tmp / "model", args.oracle / "models/wide")
        f16 = tmp / "f16.gguf"
        subprocess.run([args.bin / "convert", tmp / "model", f16, "--type", "f16", "-q"], check=True)
        shutil.rmtree(tmp / "model")
        for kind in args.types.split(","):
            path = f16
            if kind != "f16":
                path = tmp / f"{kind}.gguf"
                subprocess.run([args.bin / "quantize", f16, path, kind, "-q"], check=True)
            for threads in (1, 2):
                bound, memory = max(predicted(args, path, threads) for _ in range(args.rounds))
                rate = best_rate(args, path, threads)
                print(f"| {kind} | {threads} | {memory * 1e-9:.1f} | {bound:.1f} | {rate:.1f} | {rate / bound:.2f} |", flush=True)
            if path != f16:
                path.unlink()


if __name__ == "__main__":
    sys.exit(main())
