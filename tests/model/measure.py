#!/usr/bin/env python3
"""Measures weightsmith-tiny with llama.cpp (converter, llama-quantize, llama-perplexity) and notes the figures in its
README.  An independent check: nothing of weightsmith is used."""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TYPES = "q8_0 q6_k q5_k_m q4_k_m q4_0 q3_k_m q2_k".split()
START, END = "<!-- measured with llama.cpp -->", "<!-- end -->"
# The converter knows a pre-tokenizer by a hash over one model's token ids, so it can't know that of a new vocabulary.
CONVERT = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[1] + "/gguf-py")
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: "smollm"
script = sys.argv[1] + "/convert_hf_to_gguf.py"
sys.argv = [script] + sys.argv[2:]
runpy.run_path(script, run_name="__main__")
"""


def call(*command):
    """Runs a command and returns what it printed; its text is shown if it fails."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def measure(binaries, gguf, context, threads):
    """Perplexity and its error.  Tried again, because llama-perplexity sometimes ends before its last line is out."""
    for _ in range(8):
        text = call(binaries / "llama-perplexity", "-m", gguf, "-f", HERE / "heldout.txt", "-c", context, "-t", threads)
        found = re.search(r"Final estimate: PPL = (\S+) \+/- (\S+)", text)
        if found:
            return found.groups()
    raise SystemExit("llama-perplexity printed no final estimate:\n" + text[-1000:])


def note(model, rows):
    """Puts the table into the model's README, in place of an older one."""
    readme = model / "README.md"
    table = "\n".join(["| File | Bytes | Perplexity | Error |", "| --- | ---: | ---: | ---: |"] +
                      [f"| {name} | {size:,} | {ppl} | {error} |" for name, size, ppl, error in rows])
    block = f"{START}\nThe same with `llama-quantize` and `llama-perplexity -c 512` of llama.cpp:\n\n{table}\n{END}"
    text = re.sub(re.escape(START) + ".*" + re.escape(END), lambda _: block, readme.read_text("utf-8"), flags=re.S)
    readme.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", type=Path, required=True, help="llama.cpp's source folder (for the converter)")
    parser.add_argument("--bin", type=Path, required=True, help="folder of its binaries")
    parser.add_argument("--model", type=Path, default=HERE / "weightsmith-tiny", help="model folder")
    parser.add_argument("--context", type=int, default=512, help="tokens a chunk (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: %(default)s)")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "bf16.gguf"
        call(sys.executable, "-c", CONVERT, args.llama_cpp, args.model, "--outfile", base, "--outtype", "bf16")
        for name in ["bf16"] + TYPES:
            gguf = Path(folder) / f"{name}.gguf"
            if name != "bf16":
                call(args.bin / "llama-quantize", base, gguf, name)
            rows.append((name, gguf.stat().st_size) + measure(args.bin, gguf, args.context, args.threads))
            print(*rows[-1], flush=True)
    note(args.model, rows)


if __name__ == "__main__":
    main()
