#!/usr/bin/env python3
"""Which type each tensor gets: dry runs beside llama-quantize's on headers of well-known models, and llama.cpp's own
snapshots of its choices. No weights are read. A sample by default; --all takes every model and type."""
import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gguf_headers import write_sparse

TYPES = ("F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K "
         "IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4_MOE Q1_0 "
         "Q2_0 COPY").split()
# Options that change the choice, each with the types it is tried with.
OPTIONS = [
    ["--pure"],
    ["--leave-output-tensor"],
    ["--output-tensor-type", "q5_K"],
    ["--output-tensor-type", "iq4_nl", "--token-embedding-type", "Q8_0"],
    ["--tensor-type", "attn_=q8_0", "--tensor-type", "attn_v=q6_k"],
    ["--tensor-type", r"blk\.(1|2)\..*ffn_down=Q4_1", "--tensor-type", "FFN_DOWN=mxfp4"],
    ["--tensor-type", ".*=nvfp4"],
    ["--tensor-type", "token_embd=f16", "--token-embedding-type", "q4_0"],
    ["--prune-layers", "1,3,2"],
    ["--prune-layers", "0,5", "--tensor-type", r"blk\.0\.=q5_1"],
]
LINE = re.compile(r"^\[ *\d+/ *\d+\] (\S+) +- \[.*?\], type = +(\S+), size = .*?(?:\((\S+)\))?$")


def reference_choice(args, source, kind, options):
    """{name: type} of llama-quantize's dry run, None when it refuses."""
    run = subprocess.run([args.oracle / "bin/llama-quantize", "--dry-run", *options, source, kind, "1"],
                         capture_output=True, text=True, errors="replace")
    if run.returncode:
        return None
    found = (LINE.match(line) for line in (run.stdout + run.stderr).splitlines())
    return {m[1]: (m[3] or m[2]).upper() for m in found if m}


def our_choice(args, source, kind, options):
    run = subprocess.run([args.bin / "quantize", "--dry-run", "--json", *options, source, kind], capture_output=True)
    if run.returncode:
        return None
    return {t["name"]: t["to"] for t in json.loads(run.stdout)["tensors"]}


def difference(ours, theirs):
    """None, or what differs first."""
    if ours is None or theirs is None:
        return None if ours == theirs else f"{'we refuse' if ours is None else 'the reference refuses'}"
    if list(ours) != list(theirs):
        return "not the same tensors in the same order"
    wrong = [n for n in ours if ours[n] != theirs[n]]
    return f"{len(wrong)} tensors, {wrong[0]}: {ours[wrong[0]]}, reference {theirs[wrong[0]]}" if wrong else None


class Score:
    def __init__(self):
        self.passed = self.failed = 0

    def note(self, label, problem):
        if problem:
            print(f"FAIL {label}: {problem}")
            self.failed += 1
        else:
            self.passed += 1


def check_headers(args, tmp, score):
    """Every model with every type (a sample: each with every sixth), without and with an importance matrix."""
    folder = args.shared / "vram/headers"
    if not folder.is_dir():
        return
    sizes = json.loads((folder / "apparent_sizes.json").read_text())
    imatrix = args.shared / "goldens/imatrix/wide.imatrix.gguf"
    for number, name in enumerate(sorted(sizes)):
        source = tmp / "header.gguf"
        shutil.copyfile(folder / name, source)
        with open(source, "r+b") as f:
            f.truncate(sizes[name])
        cases = [(kind, o) for kind in TYPES for o in ([], ["--imatrix", imatrix])]
        cases += [(TYPES[(i * 5 + number) % len(TYPES)], o) for i, o in enumerate(OPTIONS)]
        if not args.all:
            cases = cases[number % 11::11]
        before = score.failed
        for kind, options in cases:
            score.note(f"{name} {kind} {' '.join(map(str, options))}",
                       difference(our_choice(args, source, kind, options), reference_choice(args, source, kind, options)))
        if args.all:
            print(f"{name:32} {len(cases) - (score.failed - before)} of {len(cases)} as the reference", flush=True)


# ---- snapshots ----

def read_snapshot(path):
    """(facts, {file type: (default, {tensor: type})}); a section lists the tensors that don't get the default."""
    facts, sections = {}, {}
    for line in path.read_text().splitlines():
        if line.startswith("# n_embd"):
            facts = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}
        elif line.startswith("["):
            kind, default = line[1:].split("] ")
            sections[kind] = (default.upper(), {})
            current = sections[kind][1]
        elif line and not line.startswith("#"):
            name, chosen = line.rsplit(" ", 1)
            current[name] = chosen.upper()
    return facts, sections


def snapshot_tensors(sections):
    """Tensors of a model as far as its snapshot tells: a name that occurs in no section got the default everywhere.
    Rows: what became of Q5_K_S says what divides them. Stacks are what MXFP4_MOE leaves at its default."""
    tensors = []
    for name in sorted({n for _, listed in sections.values() for n in listed}):
        became = sections["Q5_K_S"][1].get(name)
        row = {"Q5_1": 32, "Q8_0": 32, "F16": 8}.get(became, 256)
        stacked = name not in sections["MXFP4_MOE"][1]
        tensors.append((name, [row, 2, 2] if stacked else [row, 2], 0))
    return tensors


def check_snapshots(args, tmp, score):
    for path in sorted((args.oracle / "llama.cpp/tests/snapshots").glob("*.schema")):
        facts, sections = read_snapshot(path)
        tensors = snapshot_tensors(sections)
        arch = "llama" if path.name.startswith("meta-llama") else "qwen3"
        keys = {"general.architecture": arch, f"{arch}.block_count": facts["n_layer"],
                f"{arch}.attention.head_count": facts["n_head"], f"{arch}.attention.head_count_kv": facts["n_head_kv"],
                f"{arch}.expert_count": facts.get("n_expert", 0)}
        source = tmp / "snapshot.gguf"
        write_sparse(source, keys, tensors)
        wrong = []
        for kind, (default, listed) in sections.items():
            expected = {name: listed.get(name, default) for name, _, _ in tensors}
            ours = our_choice(args, source, kind, [])
            problem = "refused" if ours is None else difference(ours, {n: expected[n] for n in ours})
            score.note(f"{path.name} {kind}", problem)
            wrong += [kind] if problem else []
        print(f"{path.name:44} {len(sections) - len(wrong)} of {len(sections)} types as in the snapshot", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    score = Score()
    with tempfile.TemporaryDirectory() as folder:
        check_snapshots(args, Path(folder), score)
        check_headers(args, Path(folder), score)
    print(f"{score.passed} passed, {score.failed} failed")
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
