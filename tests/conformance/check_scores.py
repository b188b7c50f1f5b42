#!/usr/bin/env python3
"""Hold infer's measurements against llama-perplexity: HellaSwag, Winogrande and multiple-choice scores; statistics of a
comparison; files of logits, exchanged in both directions; perplexity with a stride.

The tasks are made from tests/model/heldout.txt: which of several sentences comes next, which of two words stood in the
gap. Both programs run the same file; the numbers of right answers have to be equal, for all tasks and for a choice of
them (which shows that the same ones are drawn).
"""
import argparse
import json
import os
import pathlib
import random
import re
import struct
import sys
import tempfile

from score import check, finish, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = ROOT / "tests/model/heldout.txt"

# ---- tasks ----


def sentences():
    text = re.sub(r"\s+", " ", TEXT.read_text())
    return [s for s in re.split(r"(?<=[.!?]) ", text) if 4 <= len(s.split()) <= 40]


def hellaswag(rng, n):
    lines, said = [], sentences()
    for _ in range(n):
        at, right = rng.randrange(1, len(said)), rng.randrange(4)
        endings = [said[rng.randrange(len(said))] for _ in range(4)]
        endings[right] = said[at]
        lines += [f"Story: {said[at - 1]}", str(right), *endings]
    return "\n".join(lines) + "\n"


def winogrande(rng, n):
    """Gaps anywhere but at the very beginning (there llama-perplexity reads probabilities that nobody computed, if the
    model has no BOS); sentences with commas are quoted, some others as well."""
    lines, said = [], sentences()
    for i in range(n):
        words = ("Now " + said[rng.randrange(len(said))]).replace('"', "").replace("_", "").split(" ")
        gap, right = rng.randrange(1, len(words)), rng.randrange(2)
        choices = [rng.choice(said).split(" ")[0].strip('",') or "it" for _ in range(2)]
        choices[right] = words[gap].replace(",", "") or "it"
        if choices[0] == choices[1]:
            choices[1 - right] += "s"
        words[gap] = "_"
        sentence = " ".join(words)
        if "," in sentence or i % 7 == 0:
            sentence = f'"{sentence}"'
        lines.append(f"{i},{sentence},{choices[0]},{choices[1]},{right + 1}")
    lines.insert(n // 2, "not a task")
    return "\n".join(lines) + "\n\n"  # llama-perplexity leaves out a line that ends the file


def multiple_choice(rng, n):
    def string(s):
        return struct.pack("<I", len(s.encode())) + s.encode()

    def answers(texts, right):
        labels = struct.pack(f"<{len(texts)}i", *(int(i == right) for i in range(len(texts))))
        return struct.pack("<I", len(texts)) + b"".join(map(string, texts)) + labels

    tasks, said = [], sentences()
    for _ in range(n):
        at, n_answers = rng.randrange(1, len(said)), rng.randrange(2, 5)
        texts, right = [said[rng.randrange(len(said))] for _ in range(n_answers)], rng.randrange(n_answers)
        texts[right] = said[at]
        tasks.append(string(said[at - 1]) + answers(texts, right) + answers(texts[:1], 0))
    data, at = struct.pack("<I", n), 4 + 4 * n
    for task in tasks:
        data += struct.pack("<I", at)
        at += len(task)
    return data + b"".join(tasks)


# ---- the two programs ----


class Setup:
    def __init__(self, args):
        self.infer, self.convert, self.quantize = (args.bin / t for t in ("infer", "convert", "quantize"))
        self.oracle, self.work = args.oracle, args.work
        self.work.mkdir(parents=True, exist_ok=True)

    def model(self, name, folder, kind):
        path = self.work / f"{name}.{kind}.gguf"
        if not path.exists():
            run(self.convert, folder, path, "--type", kind, "-q")
        return path

    def llama(self, *options, until=""):
        """What llama-perplexity prints. It may lose its last lines at exit: run it again until the words are there."""
        for _ in range(12):
            out = run(self.oracle / "bin/llama-perplexity", *options, "-t", 2, check=False)
            if until in out.stdout + out.stderr:
                break
        return out.stdout + out.stderr


def last_row(text, n_fields):
    """Of a table whose rows begin with the number of the task: (number, right answers so far). llama-perplexity may
    lose its last lines at exit."""
    rows = [line.split() for line in re.sub(r"^[\d.]+ [A-Z] ", "", text, flags=re.M).splitlines()]
    rows = [r for r in rows if len(r) >= n_fields and r[0].isdigit()]
    return (int(rows[-1][0]), round(float(rows[-1][1].rstrip("%")) * int(rows[-1][0]) / 100)) if rows else (0, 0)


KINDS = {
    "hellaswag": ("-f", hellaswag, 2),
    "winogrande": ("-f", winogrande, 6),
    "multiple-choice": ("-bf", multiple_choice, 2),
}


def check_scores(setup, name, model, n_tasks, n_chosen):
    for kind, (option, make, n_fields) in KINDS.items():
        path = setup.work / f"{kind}.{n_tasks}"
        data = make(random.Random(7), n_tasks)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        for n in sorted({n_tasks, n_chosen}):
            ours = json.loads(run(setup.infer, model, f"--{kind}", path, f"--{kind}-tasks", n, "--json").stdout)
            done, right = last_row(setup.llama("-m", model, option, path, f"--{kind}", f"--{kind}-tasks", n, "-c", 128), n_fields)
            check(done > n * 0.8 and ours["tasks"] == n and sum(ours["right"][:done]) == right,
                  f"{name} {kind}: {ours['correct']} of {n} right, {right} of {done} in llama-perplexity, too")
        again = json.loads(run(setup.infer, model, f"--{kind}", path, f"--{kind}-tasks", n, "--json", "-b", "7", "-t", "1").stdout)
        check(again == ours, f"{name} {kind}: the same with one thread and odd batches")


# ---- comparison, files of logits, stride ----

# Their name: (our key, their factor, tolerance of the value, of the error)
STATISTICS = {
    "Mean PPL(Q)": ("ppl", 1, 2e-4, 1e-3),
    "Mean PPL(base)": ("ppl_base", 1, 2e-4, 1e-3),
    "Mean ln(PPL(Q)/PPL(base))": ("ln_ratio", 1, 2e-4, 1e-3),
    "Mean    KLD": ("mean_kld", 1, 5e-3, 1e-2),
    "Maximum KLD": ("max_kld", 1, 1e-2, 0),
    "99.9%   KLD": ("kld_999", 1, 1e-2, 0),
    "Median  KLD": ("median_kld", 1, 1e-2, 0),
    "Mean    Δp": ("mean_dp", 100, 1e-2, 1e-2),
    "RMS Δp": ("rms_dp", 100, 5e-3, 1e-2),
    "Same top p": ("top1", 100, 1e-3, 1e-2),
}
ERRORS = {"ppl": "ppl_error", "ppl_base": "ppl_base_error", "ln_ratio": "ln_ratio_error", "mean_kld": "mean_kld_error",
          "mean_dp": "mean_dp_error", "rms_dp": "rms_dp_error", "top1": "top1_error"}


def statistics(text):
    """{name: (value, error)} of the tables that --kl-divergence prints."""
    rows = re.findall(r"^(\S.*?) *: +(-?[\d.]+)%?(?: ± +([\d.]+))?", re.sub(r"^[\d.]+ [A-Z] ", "", text, flags=re.M), re.M)
    return {name: (float(value), float(error or 0)) for name, value, error in rows}


def compare(what, ours, theirs):
    """Both models are in f32, so that what is left is the 16 bits of the file and a different order of sums."""
    check("Mean    KLD" in theirs, f"{what}: llama-perplexity's table")
    for name, (key, factor, tolerance, of_error) in STATISTICS.items():
        if name not in theirs:
            print(f"     {what}: llama-perplexity lost its line '{name}'")
            continue
        value, error = theirs[name]
        near = abs(factor * ours[key] - value) <= tolerance * abs(value) + 2e-3 * factor / 100
        if key in ERRORS:
            near &= abs(factor * ours[ERRORS[key]] - error) <= of_error * error + 2e-3 * factor / 100
        check(near, f"{what}: {key} {factor * ours[key]:.6f}, llama-perplexity {value:.6f} ± {error:.6f}")


def check_comparison(setup, base):
    """The model as q4_0, written out in f32, against itself."""
    quant, theirs, ours = (setup.work / name for name in ("tiny.q4.gguf", "base.theirs", "base.ours"))
    run(setup.quantize, base, setup.work / "q4", "q4_0", "-q")
    run(setup.quantize, "--allow-requantize", setup.work / "q4", quant, "f32", "-q")
    run(setup.infer, base, "--perplexity", TEXT, "--chunks", 8, "--save-all-logits", ours, "-q")
    size = ("-c", 512, "-b", 512, "--chunks", 8)
    setup.llama("-m", base, "-f", TEXT, "--save-all-logits", theirs, *size)
    check(ours.stat().st_size == theirs.stat().st_size, "files of logits have the same size")
    check(ours.read_bytes()[:20 + 4 * 512 * 8] == theirs.read_bytes()[:20 + 4 * 512 * 8], "... header and tokens")
    direct = json.loads(run(setup.infer, quant, "--kld-base", base, TEXT, "--chunks", 8, "--json", "--kv-type", "f32").stdout)
    for name, file in (("their file", theirs), ("our file", ours)):
        said = statistics(setup.llama("-m", quant, "--kl-divergence", "--kl-divergence-base", file, *size, until="Mean    KLD"))
        got = json.loads(run(setup.infer, quant, "--kld-base", file, "--json").stdout)
        compare(f"{name} read by both", got, said)
    compare("no file", direct, said)


def check_stride(setup, model):
    for ctx, stride in ((512, 512), (256, 100)):
        out = setup.llama("-m", model, "-f", TEXT, "-c", ctx, "-b", ctx, "--chunks", 4, "--ppl-stride", stride)
        n, want = re.findall(r"\[(\d+)\]([\d.]+)", out)[-1]  # the last ones may be lost at exit
        got = json.loads(run(setup.infer, model, "--perplexity", TEXT, "-c", ctx, "--stride", stride, "--chunks", n, "--json").stdout)
        check(abs(got["perplexity"] / float(want) - 1) < 1e-3,
              f"stride {stride} of {ctx}: perplexity {got['perplexity']:.4f}, llama-perplexity {want} after {n} chunks")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of our programs")
    parser.add_argument("--oracle", type=pathlib.Path, required=True)
    parser.add_argument("--shared", type=pathlib.Path, help="not used")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "ws-check-scores")
    args = parser.parse_args()
    os.environ["LD_LIBRARY_PATH"] = f"{args.oracle}/bin"
    setup = Setup(args)
    tiny = setup.model("tiny", ROOT / "tests/model/weightsmith-tiny", "f32")
    check_comparison(setup, tiny)
    check_stride(setup, tiny)
    check_scores(setup, "weightsmith-tiny", tiny, 60, 25)
    smollm2 = args.oracle / "models/SmolLM2-135M-Instruct"
    if smollm2.is_dir():
        check_scores(setup, "SmolLM2", setup.model("smollm2", smollm2, "f16"), 8, 8)
    else:
        print("SmolLM2 skipped: it is made by scripts of ../shared")
    return finish()


if __name__ == "__main__":
    sys.exit(main())
