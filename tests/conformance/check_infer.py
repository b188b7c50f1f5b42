#!/usr/bin/env python3
"""Hold infer against two references.

- transformers in float32: last-position logits of the golden models of 14 architectures, from f32 GGUFs that are those
  of the reference converter (by their hashes), with f32 and f16 KV caches, as one batch, token by token, in odd batches and with one and two threads;
- llama.cpp: perplexity of SmolLM2 in several types lies between the value of the weights in exact arithmetic
  (dequantized to f32, run by llama-perplexity) and llama-perplexity's own value, widened by 0.3 %.

Needs the oracle folder: venv (gguf, transformers, tokenizers), llama.cpp, bin/llama-quantize, bin/llama-perplexity,
models/. What is made on the way is kept in --work for the next run.
"""
import argparse
import hashlib
import json
import os
import pathlib
import sys
import tempfile

import numpy as np

from score import check, finish, run

TOLERANCE = {"f32": 1e-3, "f16": 1e-2}
SPLITS = {"f32": [["-b", "1", "-t", "1"], ["-b", "5"], ["-b", "3", "-t", "2"]], "f16": [["-b", "3", "-t", "2"]]}
WIDEN = 0.003
CHUNKS = 20
TYPES = ["f16", "q8_0", "q4_0", "q4_k_m"]
TINY = ["llama", "llama_bpe", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "mixtral", "granite", "qwen3_moe",
        "gpt2", "olmo2", "deepseek2"]


class Setup:
    def __init__(self, args):
        self.infer, self.convert_tool = args.bin / "infer", args.bin / "convert"
        self.oracle, self.goldens, self.work = args.oracle, args.shared / "goldens", args.work
        self.python = self.oracle / "venv/bin/python"
        self.env = os.environ | {"PYTHONPATH": f"{self.oracle}/llama.cpp/gguf-py:{self.oracle}/llama.cpp"}
        self.work.mkdir(parents=True, exist_ok=True)

    def make(self, name, maker):
        """The file `name` in the work folder, made by maker(path) if it is not there."""
        path = self.work / name
        if not path.exists():
            part = path.with_suffix(".part")
            maker(part)
            part.rename(path)
        return path

    def convert(self, folder, out, kind="f32"):
        script = self.oracle / "llama.cpp/convert_hf_to_gguf.py"
        run(self.python, script, folder, "--outfile", out, "--outtype", kind, env=self.env)

    def tiny_folder(self, name):
        """Models with SmolLM2's tokenizer are not stored: oracle.sh makes them."""
        stored = self.goldens / "tiny" / name
        return stored if stored.exists() else self.oracle / "models/tiny" / name

    def tiny_f32(self, name):
        """By our own convert, whose files are those of the reference converter: the manifests say so."""
        manifests = self.goldens / "manifests/tiny"
        for kind in ("f16", "bf16", "f32"):
            path = self.work / f"{name}.{kind}.gguf"
            run(self.convert_tool, self.tiny_folder(name), path, "--type", kind)
            want = json.loads((manifests / f"{name}.{kind}.gguf.json").read_text())["sha256"]
            check(hashlib.sha256(path.read_bytes()).hexdigest() == want, f"{name} {kind}: the reference converter's file")
        return path

    def smollm2(self, kind):
        folder = self.oracle / "models/SmolLM2-135M-Instruct"
        source = self.make("smollm2.f16.gguf", lambda p: self.convert(folder, p, "f16"))
        if kind == "f16":
            return source
        quantize = self.oracle / "bin/llama-quantize"
        return self.make(f"smollm2.{kind}.gguf", lambda p: run(quantize, source, p, kind, 2))


def logits(setup, model, ids, *options):
    out = run(setup.infer, model, "--logits", ",".join(map(str, ids)), "--json", *options).stdout
    return np.array(json.loads(out)["logits"], dtype=np.float64)


def check_logits(setup, name, model):
    golden = json.loads((setup.goldens / "logits" / f"{name}.json").read_text())
    want = np.load(setup.goldens / "logits" / f"{name}.npy")
    for i, sequence in enumerate(golden["sequences"]):
        ids = sequence["ids"]
        for kv, tolerance in TOLERANCE.items():
            got = logits(setup, model, ids, "--kv-type", kv)
            worst = float(np.abs(got - want[i]).max())
            check(worst <= tolerance, f"{name} sequence {i}, {kv} KV cache: {worst:.2e} from transformers")
            for options in SPLITS[kv]:
                again = logits(setup, model, ids, "--kv-type", kv, *options)
                check(np.array_equal(got, again), f"{name} sequence {i}, {kv}: the same bits with {' '.join(options)}")


def reference_text(setup):
    from tokenizers import Tokenizer

    data = json.loads((setup.goldens / "tokenizer/wikitext2_test_ids.json").read_text())
    tokenizer = Tokenizer.from_file(str(setup.oracle / "models/SmolLM2-135M-Instruct/tokenizer.json"))
    text = tokenizer.decode(data["first_10240"], skip_special_tokens=False)
    return setup.make("wikitext-10240.txt", lambda p: p.write_text(text, encoding="utf-8"))


def reference_perplexity(setup, model, text):
    """llama-perplexity may lose its last lines at exit: try again until the result is there."""
    for _ in range(5):
        out = run(setup.oracle / "bin/llama-perplexity", "-m", model, "-f", text, "-c", 512, "--chunks", CHUNKS, "-t", 1)
        for line in (out.stdout + out.stderr).splitlines():
            if "Final estimate" in line:
                return float(line.split("PPL =")[1].split()[0])
    raise RuntimeError(f"llama-perplexity gave no result for {model}")


def exact_perplexity(setup, kind, text):
    """Of the weights as they are, computed in f32."""

    def make(path):
        wide = setup.work / f"smollm2.{kind}.f32.gguf"
        run(setup.oracle / "bin/llama-quantize", "--allow-requantize", setup.smollm2(kind), wide, "f32", 2)
        path.write_text(str(reference_perplexity(setup, wide, text)))
        wide.unlink()

    return float(setup.make(f"exact.{kind}.txt", make).read_text())


def check_perplexity(setup):
    text = reference_text(setup)
    golden = json.loads((setup.goldens / "ppl.json").read_text())
    for kind in TYPES:
        model = setup.smollm2(kind)
        out = run(setup.infer, model, "--perplexity", text, "--chunks", CHUNKS, "--json").stdout
        got = json.loads(out)
        ends = sorted([exact_perplexity(setup, kind, text), golden[kind]["ppl"]])
        inside = ends[0] * (1 - WIDEN) <= got["perplexity"] <= ends[1] * (1 + WIDEN)
        check(inside, f"SmolLM2 {kind}: perplexity {got['perplexity']:.4f}, references {ends[0]:.4f} to {ends[1]:.4f}")
        near = abs(got["error"] / golden[kind]["err"] - 1) < 0.01
        check(near, f"SmolLM2 {kind}: error {got['error']:.4f}, llama-perplexity {golden[kind]['err']:.4f}")
        check(got["chunks"] == CHUNKS and got["tokens"] == 255 * CHUNKS, f"SmolLM2 {kind}: chunks and tokens")


def check_divergence(setup):
    text = reference_text(setup)
    golden = json.loads((setup.goldens / "ppl.json").read_text())
    for kind in TYPES[1:]:
        out = run(setup.infer, setup.smollm2(kind), "--kld-base", setup.smollm2("f16"), text, "--chunks", CHUNKS, "--json")
        got, want = json.loads(out.stdout), golden[kind]["kld"]
        mean = want["Mean    KLD"][0]
        check(got["mean_kld"] <= mean * 1.05, f"SmolLM2 {kind}: mean KLD {got['mean_kld']:.6f}, llama.cpp {mean:.6f}")
        top = want["Same top p"][0] / 100
        check(got["top1"] >= top - 0.01, f"SmolLM2 {kind}: same top {got['top1']:.4f}, llama.cpp {top:.4f}")
        check(abs(got["ppl"] / golden[kind]["ppl"] - 1) < 0.01, f"SmolLM2 {kind}: perplexity {got['ppl']:.4f} again")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of our programs")
    parser.add_argument("--oracle", type=pathlib.Path, required=True)
    parser.add_argument("--shared", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "ws-check-infer")
    parser.add_argument("--only", choices=["logits", "perplexity", "divergence"])
    args = parser.parse_args()
    if not (args.shared / "goldens").is_dir():
        print("skipped: its golden data is in ../shared\n0 passed, 0 failed")
        return 0
    setup = Setup(args)
    if args.only in (None, "logits"):
        for name in TINY:
            check_logits(setup, name, setup.tiny_f32(name))
        for name in ("wide", "SmolLM2-135M-Instruct"):
            folder = args.oracle / "models" / name
            check_logits(setup, name, setup.make(f"{name}.f32.gguf", lambda p, folder=folder: setup.convert(folder, p)))
    if args.only in (None, "perplexity"):
        check_perplexity(setup)
    if args.only in (None, "divergence"):
        check_divergence(setup)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
