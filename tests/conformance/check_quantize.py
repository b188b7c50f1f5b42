#!/usr/bin/env python3
"""Whole files of `quantize` against llama-quantize's, byte for byte: small random models beside the reference itself,
in every file type, with and without an importance matrix and with each option; larger ones against kept hashes of its
files. A sample of those by default; --all takes them all, and larger models beside the reference. A type whose
conversion the program says it lacks is skipped."""
import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import quant_models

TYPES = ("F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K "
         "IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4_MOE Q1_0 "
         "Q2_0 COPY").split()
NAMES = ["q4_k", "Q3_K", "q5_k", "15", "0", "iq4_nl", "copy", "38", "MxFp4_MoE", "q2_k_s"]  # any case, ids, aliases

# (model, options, type): IMATRIX, DAT, TYPES_FILE stand for files
OPTIONS = [
    ("dense", ["--pure"], "Q4_K_M"),
    ("dense", ["--pure"], "IQ4_XS"),
    ("tied", ["--pure", "--token-embedding-type", "q6_k"], "Q3_K_M"),
    ("dense", ["--leave-output-tensor"], "Q5_K_M"),
    ("dense", ["--output-tensor-type", "q5_1", "--token-embedding-type", "Q8_0"], "Q4_K_S"),
    ("tied", ["--output-tensor-type", "q5_1"], "Q4_K_M"),
    ("odd", ["--output-tensor-type", "f16"], "Q6_K"),
    ("dense", ["--tensor-type", "attn_=q8_0", "--tensor-type", "attn_v=q6_k"], "Q4_K_M"),
    ("dense", ["--tensor-type", r"blk\.(1|3)\..*DOWN=mxfp4", "--tensor-type", "ffn_up=NVFP4"], "Q8_0"),
    ("dense", ["--tensor-type", ".*=nvfp4"], "Q4_0"),
    ("dense", ["--tensor-type", "ffn=q1_0", "--tensor-type", "attn_[qk]=q2_0"], "Q4_0"),
    ("odd", ["--tensor-type", "ffn_down=iq4_xs", "--tensor-type", "attn_q=mxfp4"], "Q4_K_M"),
    ("dense", ["--tensor-type", "ffn=q8_0"], "F16"),
    ("dense", ["--tensor-type-file", "TYPES_FILE", "--tensor-type", "attn_v=q4_1"], "Q4_K_M"),
    ("dense", ["--tensor-type", "attn_v=q4_1", "--tensor-type-file", "TYPES_FILE"], "Q4_K_M"),
    ("dense", ["--prune-layers", "1,3,15"], "Q4_K_M"),
    ("dense", ["--prune-layers", "0,2,2"], "Q4_0"),
    ("eight", ["--prune-layers", "7,1"], "Q3_K_M"),
    ("dense", ["--prune-layers", "2,4", "--imatrix", "IMATRIX"], "IQ4_XS"),
    ("dense", ["--override-kv", "llama.context_length=int:-77", "--override-kv", "a.b=str:text with = and é"], "Q8_0"),
    ("dense", ["--override-kv", "x.f=float:0.1", "--override-kv", "x.b=bool:true", "--override-kv", "x.f=int:3"],
     "Q8_0"),
    ("four", ["--override-kv", "general.name=str:", "--override-kv", "qwen3moe.expert_count=int:8"], "Q4_K_M"),
    ("dense", ["--override-kv", "general.file_type=int:7"], "COPY"),
    ("dense", ["--override-kv", "quantize.imatrix.file=str:mine", "--imatrix", "IMATRIX"], "Q4_0"),
    ("tied", [], "COPY"),
    ("dense", ["--imatrix", "IMATRIX", "--include-weights", "attn_v", "--include-weights", "ffn_down"], "Q4_K_M"),
    ("dense", ["--imatrix", "IMATRIX", "--exclude-weights", "attn", "--exclude-weights", "blk.1"], "Q4_K_M"),
    ("dense", ["--imatrix", "IMATRIX", "--include-weights", "nothing"], "Q4_0"),
    ("dense", ["--imatrix", "DAT"], "Q4_K_M"),
    ("tied", ["--imatrix", "DAT"], "IQ4_XS"),
    ("dense", ["--max-buffer-size", "1"], "Q5_0"),
]

# (model, options, arguments behind the input): both must refuse. OUT stands for a free name.
REFUSALS = [
    ("dense", [], ["OUT", "q4_k_xl"]), ("dense", [], ["OUT", "4"]), ("dense", [], ["OUT"]), ("dense", [], []),
    ("dense", [], ["OUT", "Q4_0", "many"]), ("dense", ["--no-such-option"], ["OUT", "Q4_0"]),
    ("dense", ["--imatrix", "/nonexistent"], ["OUT", "Q4_0"]),
    ("dense", ["--imatrix", "MODEL"], ["OUT", "Q4_0"]),
    ("dense", ["--imatrix", "TYPES_FILE"], ["OUT", "Q4_0"]),
    ("dense", ["--imatrix", "OTHER"], ["OUT", "Q4_K_M"]),
    ("dense", ["--imatrix", "NAN"], ["OUT", "Q4_0"]),
    ("dense", ["--imatrix", "IMATRIX", "--exclude-weights", "blk.2"], ["OUT", "IQ2_XXS"]),
    ("dense", ["--imatrix", "IMATRIX", "--exclude-weights", "a", "--include-weights", "b"], ["OUT", "Q4_0"]),
    ("dense", [], ["OUT", "IQ2_S"]), ("dense", [], ["OUT", "Q2_K_S"]), ("four", [], ["OUT", "IQ1_M"]),
    ("dense", ["--tensor-type", "ffn_up=iq1_s"], ["OUT", "Q4_0"]),
    ("dense", ["--tensor-type", "ffn_up"], ["OUT", "Q4_0"]), ("dense", ["--tensor-type", "=q4_0"], ["OUT", "Q4_0"]),
    ("dense", ["--tensor-type", "ffn_up="], ["OUT", "Q4_0"]), ("dense", ["--tensor-type", "a=q9"], ["OUT", "Q4_0"]),
    ("dense", ["--tensor-type", "(=q4_0"], ["OUT", "Q4_0"]), ("dense", ["--tensor-type-file", "no"], ["OUT", "Q4_0"]),
    ("dense", ["--output-tensor-type", "q9"], ["OUT", "Q4_0"]), ("dense", ["--output-tensor-type"], ["OUT", "Q4_0"]),
    ("dense", ["--prune-layers", "1,x"], ["OUT", "Q4_0"]), ("dense", ["--prune-layers", "-1"], ["OUT", "Q4_0"]),
    ("dense", ["--override-kv", "a.b=7"], ["OUT", "Q4_0"]), ("dense", ["--override-kv", "a.b"], ["OUT", "Q4_0"]),
    ("dense", ["--override-kv", "a.b=bool:yes"], ["OUT", "Q4_0"]),
    ("dense", ["--override-kv", "a.b=str:" + "x" * 128], ["OUT", "Q4_0"]),
    ("dense", ["--max-buffer-size", "0"], ["OUT", "Q4_0"]), ("dense", [], ["MODEL", "Q4_0"]),
    ("odd", ["--token-embedding-type", "q4_K"], ["OUT", "Q4_0"]), ("odd", [], ["OUT", "Q1_0"]),
    ("odd", ["--tensor-type", "ffn=nvfp4"], ["OUT", "Q4_0"]),
    ("QUANTIZED", [], ["OUT", "Q4_0"]), ("BROKEN", [], ["OUT", "Q4_0"]),
]


class Score:
    def __init__(self):
        self.same = self.failed = self.skipped = 0
        self.by_source = {}

    def note(self, label, what, problem):
        """problem: None, "skipped", or what differs."""
        same, of = self.by_source.get(label, (0, 0))
        if problem == "skipped":
            self.skipped += 1
            return
        self.by_source[label] = (same + (problem is None), of + 1)
        self.same += problem is None
        self.failed += problem is not None
        if problem:
            print(f"FAIL {label} {what}: {problem}", flush=True)


class Runner:
    """Runs both tools on the same arguments in a folder of their own and compares."""

    def __init__(self, args, tmp):
        self.args, self.tmp, self.n = args, tmp, 0
        self.files = {}

    def path(self, name):
        return str(self.files.get(name, name))

    def ours(self, source, options, rest):
        threads = [] if "--threads" in rest else ["--threads", str(1 + self.n % 3)]
        self.n += 1
        command = [self.args.bin / "quantize", *options, *threads, "--json", source, *rest]
        return subprocess.run(command, capture_output=True, cwd=self.tmp)

    def theirs(self, source, options, rest):
        env = {**os.environ, "GGML_NO_BACKTRACE": "1"}  # it aborts in some cases, and would call a debugger
        return subprocess.run([self.args.oracle / "bin/llama-quantize", *options, source, *rest], capture_output=True,
                              cwd=self.tmp, env=env)

    def lacks(self, source, options, kind):
        """Does the program say itself that it has no such conversion?"""
        run = subprocess.run([self.args.bin / "quantize", *options, "--dry-run", "--json", source, kind],
                             capture_output=True, cwd=self.tmp)
        return run.returncode == 0 and "cannot be converted" in json.loads(run.stdout).get("problem", "")

    def compare(self, source, options, kind):
        options = [self.path(o) for o in options]
        ours, theirs = self.tmp / "ours", self.tmp / "theirs"
        for folder in (ours, theirs):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        if self.lacks(source, options, kind):
            return "skipped"
        run, reference = self.ours(source, options, [ours / "o.gguf", kind]), self.theirs(source, options,
                                                                                          [theirs / "o.gguf", kind])
        if (run.returncode == 0) != (reference.returncode == 0):
            return f"exit code {run.returncode}, reference {reference.returncode}: {run.stderr.decode().strip()}"
        if run.returncode:
            return None
        json.loads(run.stdout)
        names = [sorted(p.name for p in f.iterdir()) for f in (ours, theirs)]
        if names[0] != names[1]:
            return f"files {names[0]}, reference {names[1]}"
        wrong = [n for n in names[0] if (ours / n).read_bytes() != (theirs / n).read_bytes()]
        return f"{', '.join(wrong)} differ" if wrong else None

    def both_refuse(self, source, options, rest):
        options, rest = [self.path(o) for o in options], [self.path(r) for r in rest]
        out = Path(self.path("OUT"))
        out.unlink(missing_ok=True)
        reference = self.theirs(source, options, rest)
        out.unlink(missing_ok=True)
        run = self.ours(source, options, rest)
        if reference.returncode == 0:
            return "the reference does it"
        if run.returncode not in (1, 2):
            return f"exit code {run.returncode}, reference {reference.returncode}"
        return "left a file" if out.exists() else None


# ---- beside the reference ----

def make_files(r):
    r.files = {"OUT": r.tmp / "out.gguf", "TYPES_FILE": r.tmp / "types.txt", "NAN": r.tmp / "nan.gguf",
               "OTHER": r.tmp / "odd.imatrix.gguf"}
    r.files["TYPES_FILE"].write_text("attn_v=q5_1\n  ffn_up=iq4_nl attn_output=q8_0\n")
    bad = quant_models.importance("dense")
    bad["blk.0.attn_q.weight"][0][0, 5] = float("nan")
    quant_models.write_imatrix(r.files["NAN"], bad)
    for name in quant_models.MODELS:
        quant_models.write_gguf(r.tmp / f"{name}.gguf", *quant_models.model(name))
        quant_models.write_imatrix(r.tmp / f"{name}.imatrix.gguf", quant_models.importance(name))
        quant_models.write_legacy_imatrix(r.tmp / f"{name}.dat", quant_models.importance(name), name != "tied")


def use_model(r, name):
    r.files |= {"IMATRIX": r.tmp / f"{name}.imatrix.gguf", "DAT": r.tmp / f"{name}.dat", "MODEL": r.tmp / f"{name}.gguf"}
    return r.files["MODEL"]


def check_types(r, score):
    """The reference makes tables for seconds before it begins with a codebook type: without --all one such type for
    each model, with an importance matrix; kept hashes have more of them."""
    slow = [kind for kind in TYPES if kind[:3] in ("IQ1", "IQ2", "IQ3")]
    for number, name in enumerate(quant_models.MODELS):
        source = use_model(r, name)
        for kind in TYPES:
            if kind in slow and not r.args.all:
                if kind == slow[number]:
                    score.note(f"{name}, imatrix", kind, r.compare(source, ["--imatrix", "IMATRIX"], kind))
                continue
            score.note(name, kind, r.compare(source, [], kind))
            if kind not in ("F32", "F16", "BF16", "COPY"):
                score.note(f"{name}, imatrix", kind, r.compare(source, ["--imatrix", "IMATRIX"], kind))
    source = use_model(r, "dense")
    for kind in NAMES:
        score.note("names", kind, r.compare(source, ["--imatrix", "IMATRIX"], kind))


def check_options(r, score):
    for name, options, kind in OPTIONS:
        score.note("options", f"{name} {' '.join(options)} {kind}", r.compare(use_model(r, name), options, kind))


def check_refusals(r, score):
    source = r.tmp / "q8.gguf"
    use_model(r, "dense")
    r.theirs(r.files["MODEL"], [], [source, "Q8_0"])
    for kind in ("Q4_K_M", "Q8_0", "F16", "IQ4_NL", "COPY"):
        score.note("requantize", kind, r.compare(source, ["--allow-requantize"], kind))
    broken = r.tmp / "broken.gguf"
    broken.write_bytes(source.read_bytes()[:-1000])
    for name, options, rest in REFUSALS:
        path = use_model(r, name) if name in quant_models.MODELS else {"QUANTIZED": source, "BROKEN": broken}[name]
        score.note("refusals", f"{name} {' '.join(options)} {' '.join(rest)}", r.both_refuse(path, options, rest))


def check_split(r, score):
    for name, parts in (("dense", 3), ("eight", 2)):
        use_model(r, name)
        source = quant_models.make_split(r.tmp / f"{name}-split", name, parts)
        for kind in ("Q4_K_M", "Q3_K_M", "Q8_0", "COPY"):
            score.note("split", f"{name} {kind}", r.compare(source, [], kind))
            score.note("split", f"{name} --keep-split {kind}", r.compare(source, ["--keep-split"], kind))
    use_model(r, "dense")
    score.note("split", "one file --keep-split", r.compare(r.files["MODEL"], ["--keep-split"], "Q4_0"))


# ---- kept hashes of the reference's files ----

def reference_gguf(args, folder, out_type, out):
    """The reference converter's file for a Hugging Face folder."""
    env = {**os.environ, "PYTHONPATH": f"{args.oracle}/llama.cpp/gguf-py:{args.oracle}/llama.cpp"}
    command = [args.oracle / "venv/bin/python", args.oracle / "llama.cpp/convert_hf_to_gguf.py", folder, "--outfile", out,
               "--outtype", out_type]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_gguf(args, folder, out_type, manifest, out):
    """The converted model that hashes belong to: by our converter if it gives the same, else the reference's."""
    wanted = json.loads(manifest.read_text())["sha256"]
    run = subprocess.run([args.bin / "convert", folder, out, "--type", out_type, "-q"], capture_output=True)
    if run.returncode or sha256(out) != wanted:
        reference_gguf(args, folder, out_type, out)
    if sha256(out) != wanted:
        raise SystemExit(f"{out} is not the file that {manifest} describes")
    return out


def golden_sources(args):
    """(label, folder, type, manifest, hashes, options)"""
    goldens = args.shared / "goldens"
    models, hashes, manifests = args.oracle / "models", goldens / "quant_json", goldens / "manifests"
    for path in sorted(hashes.glob("quant_tiny_*.json")):
        name = path.stem.removeprefix("quant_tiny_")
        folder = next((f for f in (goldens / "tiny" / name, models / "tiny" / name) if f.is_dir()), None)
        if folder:
            yield f"tiny {name}", folder, "f16", manifests / f"tiny/{name}.f16.gguf.json", path, []
    for name, short in (("wide", "wide"), ("SmolLM2-135M-Instruct", "smol")):
        imatrix = ["--imatrix", f"imatrix/{name.split('-')[0]}.imatrix.gguf"]
        for out_type in ("f16", "f32"):
            for kept, options in (("native", []), ("native_imat", imatrix), ("extra", [])):
                path = hashes / f"quant_{short}_{out_type}_{kept}.json"
                manifest = manifests / f"ref/{name}.{out_type}.gguf.json"
                if path.is_file() and (models / name).is_dir():
                    yield f"{short} {out_type} {kept}", models / name, out_type, manifest, path, options


def check_golden(args, r, score, label, source, path, options):
    """Every case of a file of hashes (a sample: each seventh of the large models). The path of the importance matrix
    is written into the output, so we run where it is relative to."""
    cases = list(json.loads(path.read_text()).items())
    if not args.all and not label.startswith("tiny"):
        cases = cases[len(label) % 7::7]
    out = r.tmp / "golden.gguf"
    for number, (case, kept) in enumerate(cases):
        kind, *more = case.split(" ")
        out.unlink(missing_ok=True)
        command = [*options, *more, "--threads", str(1 + number % 3)]
        if r.lacks(source, [o.replace("imatrix/", f"{args.shared}/goldens/imatrix/") for o in command], kind):
            score.note(label, case, "skipped")
            continue
        run = subprocess.run([args.bin / "quantize", *command, source, out, kind, "-q"], capture_output=True,
                             cwd=args.shared / "goldens")
        if kept["ok"] != (run.returncode == 0):
            score.note(label, case, f"exit code {run.returncode}: {run.stderr.decode().strip()}")
        else:
            score.note(label, case, None if run.returncode or sha256(out) == kept["sha256"] else "another hash")


def check_goldens(args, r, score):
    at = None
    for label, folder, out_type, manifest, path, options in golden_sources(args):
        if at != (folder, out_type):
            source = source_gguf(args, folder, out_type, manifest, r.tmp / "source.gguf")
            at = (folder, out_type)
        check_golden(args, r, score, label, source, path, options)


# ---- real models beside the reference (--all) ----

def measured_imatrix(args, source, out):
    """By llama-imatrix, from a text of ours."""
    text = Path(__file__).resolve().parents[1] / "model/heldout.txt"
    command = [args.oracle / "bin/llama-imatrix", "-m", source, "-f", text, "-o", out, "--chunks", "4", "-c", "128"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return out


def check_real(args, r, score):
    """Every tiny model (experts and latent attention among them) and SmolLM2, bf16, in every type, with an importance
    matrix and, where the reference does not need one, without."""
    goldens = args.shared / "goldens"
    folders = [f.parent for root in (goldens / "tiny", args.oracle / "models/tiny") for f in sorted(root.glob("*/config.json"))]
    folders.append(args.oracle / "models/SmolLM2-135M-Instruct")
    for folder in folders:
        source = r.tmp / "real.gguf"
        subprocess.run([args.bin / "convert", folder, source, "--type", "bf16", "-q"], check=True)
        r.files["IMATRIX"] = measured_imatrix(args, source, r.tmp / "real.imatrix.gguf")
        for kind in TYPES:
            score.note(f"{folder.name} bf16", kind, r.compare(source, [], kind))
            score.note(f"{folder.name} bf16, imatrix", kind, r.compare(source, ["--imatrix", "IMATRIX"], kind))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", choices=["types", "options", "refusals", "split", "goldens", "real"])
    args = parser.parse_args()
    args.bin, args.oracle, args.shared = (p.resolve() for p in (args.bin, args.oracle, args.shared))
    score = Score()
    memory = Path("/dev/shm")  # where waiting for the disk costs nothing
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        r = Runner(args, Path(folder))
        make_files(r)
        for name, check in (("types", check_types), ("options", check_options), ("refusals", check_refusals),
                            ("split", check_split)):
            if args.only in (None, name):
                check(r, score)
        if args.only in (None, "goldens"):
            check_goldens(args, r, score)
        if args.only == "real" or (args.all and not args.only):
            check_real(args, r, score)
    for label, (same, of) in score.by_source.items():
        print(f"{label:24} as the reference: {same} of {of}")
    print(f"{score.same} passed, {score.failed} failed, {score.skipped} skipped: no such conversion yet")
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
