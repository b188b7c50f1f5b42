#!/usr/bin/env python3
"""Hold infer's measurements against llama-perplexity: HellaSwag, Winogrande and multiple-choice scores.

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
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = ROOT / "tests/model/heldout.txt"

passed = failed = 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(("ok   " if ok else "FAIL ") + what, flush=True)


def run(*command, **kw):
    kw = {"check": True, "capture_output": True, "text": True} | kw
    return subprocess.run([str(c) for c in command], **kw)


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
        self.infer, self.convert = args.bin / "infer", args.bin / "convert"
        self.oracle, self.work = args.oracle, args.work
        self.work.mkdir(parents=True, exist_ok=True)

    def model(self, name, folder, kind):
        path = self.work / f"{name}.{kind}.gguf"
        if not path.exists():
            run(self.convert, folder, path, "--type", kind, "-q")
        return path

    def llama(self, *options):
        out = run(self.oracle / "bin/llama-perplexity", *options, "-c", 128, "-t", 2, check=False)
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
            done, right = last_row(setup.llama("-m", model, option, path, f"--{kind}", f"--{kind}-tasks", n), n_fields)
            check(done > n * 0.8 and ours["tasks"] == n and sum(ours["right"][:done]) == right,
                  f"{name} {kind}: {ours['correct']} of {n} right, {right} of {done} in llama-perplexity, too")
        again = json.loads(run(setup.infer, model, f"--{kind}", path, f"--{kind}-tasks", n_chosen, "--json", "-b", "7", "-t", "1").stdout)
        check(again == ours, f"{name} {kind}: the same with one thread and odd batches")


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
    check_scores(setup, "weightsmith-tiny", tiny, 60, 25)
    smol = setup.model("smollm2", args.oracle / "models/SmolLM2-135M-Instruct", "f16")
    check_scores(setup, "SmolLM2", smol, 8, 8)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
