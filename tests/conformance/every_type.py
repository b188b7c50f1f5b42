#!/usr/bin/env python3
"""Perplexity and KL divergence of SmolLM2 in every weight type: by infer, by llama-perplexity, and exactly (the weights
as they are, multiplied as floats). Ours must lie between the two others, widened by 0.3 % and 5 %. A table for the docs;
it takes half an hour, so that no CI runs it (check_infer.py has four of the types)."""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TYPES = ("F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S "
         "IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_M IQ1_S MXFP4 NVFP4 TQ2_0 TQ1_0 Q2_0 Q1_0").split()
BY_TENSOR = {"MXFP4", "NVFP4"}  # types of tensors, not of files
CONTEXT = "512"


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)


def quantized(args, source, kind, out):
    imatrix = ["--imatrix", args.shared / "goldens/imatrix/SmolLM2.imatrix.gguf"] if "IQ" in kind or kind == "Q2_K_S" else []
    how = ["--tensor-type", f".*={kind}", source, out, "Q8_0"] if kind in BY_TENSOR else [*imatrix, source, out, kind]
    run(args.bin / "quantize", "-q", *how)


def ours(args, base, model, text, *options):
    out = run(args.bin / "infer", model, "--kld-base", base, text, "--ctx", CONTEXT, "--chunks", args.chunks, "--json", *options)
    got = json.loads(out.stdout)
    return got["ppl"], got["mean_kld"]


def theirs(args, logits, model):
    """llama-perplexity may lose its last lines at exit: again until they are there."""
    for _ in range(5):
        out = run(args.oracle / "bin/llama-perplexity", "-m", model, "--kl-divergence", "--kl-divergence-base", logits)
        found = [re.search(p, out.stdout + out.stderr) for p in (r"Mean PPL\(Q\)\s*:\s*([\d.]+)", r"Mean\s+KLD:\s*(-?[\d.]+)")]
        if all(found):
            return [float(match[1]) for match in found]
    raise RuntimeError(f"llama-perplexity gave no result for {model}")


def between(value, a, b, widen):
    return min(a, b) * (1 - widen) <= value <= max(a, b) * (1 + widen)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--text", type=Path, required=True, help="at least --chunks times 512 tokens")
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--chunks", type=int, default=8)
    args = parser.parse_args()
    outside = 0
    print("| type | perplexity: exact | infer | llama.cpp | KL divergence: exact | infer | llama.cpp | |\n|" + "---|" * 8)
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        base, model, exact, logits = tmp / "f16.gguf", tmp / "model.gguf", tmp / "exact.gguf", tmp / "logits"
        run(args.bin / "convert", args.oracle / "models/SmolLM2-135M-Instruct", base, "--type", "f16", "-q")
        run(args.oracle / "bin/llama-perplexity", "-m", base, "-f", args.text, "-c", CONTEXT, "--chunks", args.chunks,
            "--kl-divergence-base", logits)
        for kind in args.types.split(","):
            quantized(args, base, kind, model)
            run(args.bin / "quantize", "-q", "--allow-requantize", model, exact, "f32")
            reference, real = ours(args, base, exact, args.text, "--kv-type", "f16"), ours(args, base, model, args.text)
            other = theirs(args, logits, model)
            fine = between(real[0], reference[0], other[0], 0.003) and between(real[1], reference[1], other[1], 0.05)
            outside += not fine
            row = [f"{x:.4f}" for x in (reference[0], real[0], other[0])] + [f"{x:.5f}" for x in (reference[1], real[1], other[1])]
            print(f"| {kind} | {' | '.join(row)} | {'' if fine else 'outside'} |", flush=True)
    print(f"{outside} outside" if outside else "all between")
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
