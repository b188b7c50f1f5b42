#!/usr/bin/env python3
"""`convert` against convert_hf_to_gguf.py: whole files, byte for byte, for every folder and type."""
import argparse
import contextlib
import filecmp
import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import arch_folders
from convert_folders import ALL, make_folders

TINY = ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "mixtral", "granite"]


class Reference:
    """The reference converter, loaded once."""

    def __init__(self, oracle):
        sys.path[:0] = [str(oracle / "llama.cpp"), str(oracle / "llama.cpp/gguf-py")]
        logging.disable(logging.CRITICAL)
        os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
        import convert_hf_to_gguf
        from conversion.base import TextModel
        self.converter, self.model = convert_hf_to_gguf, TextModel
        self.recognise = TextModel.get_vocab_base_pre

    def run(self, folder, out, out_type, pre):
        """None, or why there is no file. A vocabulary that it has never seen gets the name `pre`."""
        self.model.get_vocab_base_pre = (lambda model, tokenizer: pre) if pre else self.recognise
        argv, sys.argv = sys.argv, ["convert", str(folder), "--outfile", str(out), "--outtype", out_type]
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                self.converter.main()
        except (Exception, SystemExit) as e:
            return f"{type(e).__name__}: {e}"
        finally:
            sys.argv = argv
        return None


class Check:
    def __init__(self, args, tmp):
        self.args, self.tmp, self.passed, self.failed = args, tmp, 0, 0
        self.reference = Reference(args.oracle)

    def convert(self, folder, out, out_type):
        return subprocess.run([self.args.bin / "convert", folder, out, "--type", out_type, "--json"], capture_output=True)

    def difference(self, folder, out_type, pre):
        """None when both write the same bytes."""
        ours, theirs = self.tmp / "ours.gguf", self.tmp / "theirs.gguf"
        for path in (ours, theirs):
            path.unlink(missing_ok=True)
        problem = self.reference.run(folder, theirs, out_type, pre)
        if problem or not theirs.exists():
            return f"the reference fails: {problem}"
        result = self.convert(folder, ours, out_type)
        if result.returncode != 0:
            return f"exit code {result.returncode}: {result.stderr.decode().strip()}"
        if json.loads(result.stdout)["output"] != str(ours):
            return "--json names another file"
        return None if filecmp.cmp(ours, theirs, shallow=False) else first_difference(ours, theirs)

    def compare(self, label, folder, types, pre=None):
        same = []
        for out_type in types:
            problem = self.difference(folder, out_type, pre)
            if self.count(problem is None, f"{label} {out_type}: {problem}"):
                same.append(out_type)
        print(f"{label:36} identical: {' '.join(same) or 'none'}", flush=True)

    def count(self, fine, what):
        self.passed += fine
        self.failed += not fine
        if not fine:
            print("FAIL", what)
        return fine

    def refuse(self, label, folder):
        out = self.tmp / "refused.gguf"
        result = self.convert(folder, out, "auto")
        lines = result.stderr.decode().splitlines()
        fine = result.returncode == 1 and len(lines) == 1 and "not supported" in lines[0] and not out.exists()
        self.count(fine, f"{label} is not refused clearly: exit code {result.returncode}, {lines}")
        print(f"{label:36} refused")

    def golden(self, label, folder, manifest):
        """The manifest of a file that the reference made elsewhere."""
        want, out = json.loads(manifest.read_text()), self.tmp / "golden.gguf"
        result = self.convert(folder, out, manifest.name.split(".")[-3])
        have = hashlib.sha256(out.read_bytes()).hexdigest() if result.returncode == 0 else None
        self.count(have == want["sha256"], f"{label} {manifest.name}: sha256 {have}, golden {want['sha256']}")


def first_difference(ours, theirs):
    """Which key or tensor differs first."""
    from gguf import GGUFReader
    a, b = GGUFReader(ours), GGUFReader(theirs)
    for name in list(dict.fromkeys([*b.fields, *a.fields])):
        if name not in a.fields or name not in b.fields:
            return f"key {name} is only in {'the reference' if name in b.fields else 'ours'}"
        fa, fb = a.fields[name].parts, b.fields[name].parts
        if len(fa) != len(fb) or any(x.tobytes() != y.tobytes() for x, y in zip(fa, fb)):
            if not name.startswith("GGUF."):
                return f"key {name}: {a.fields[name].contents()!s:.90} instead of {b.fields[name].contents()!s:.90}"
    if list(a.fields) != list(b.fields):
        return f"order of keys: {[x for x, y in zip(a.fields, b.fields) if x != y][:3]}"
    for ta, tb in zip(a.tensors, b.tensors):
        if ta.name != tb.name or ta.tensor_type != tb.tensor_type or ta.data.tobytes() != tb.data.tobytes():
            return f"tensor {ta.name} ({ta.tensor_type.name}), reference {tb.name} ({tb.tensor_type.name})"
    return "files differ"


def check_models(check, args):
    models, tiny = args.oracle / "models", args.shared / "goldens/tiny"
    for name in ("SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct-sharded", "wide"):
        if (models / name).is_dir():
            check.compare(name, models / name, ALL)
    embedded = args.repo / "tests/model/weightsmith-tiny"
    if embedded.is_dir():
        check.compare("embedded", embedded, ALL, pre="smollm")
    if not tiny.is_dir():
        return
    for name in TINY:
        check.compare(f"tiny/{name}", tiny / name, ["q8_0"])
        for manifest in sorted((args.shared / "goldens/manifests/tiny").glob(f"{name}.*.gguf.json")):
            check.golden(f"tiny/{name}", tiny / name, manifest)
    odd = check.tmp / "odd"
    shutil.copytree(tiny / "llama", odd)
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps(config | {"architectures": ["UnheardOfForCausalLM"]}))
    check.refuse("an unknown architecture", odd)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, required=True, help="folder with llama.cpp/ and models/")
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--repo", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--only", default="", help="made folders whose name contains this; no models")
    parser.add_argument("--every", action="store_true", help="every type for the made folders, not the first only")
    args = parser.parse_args()
    spm = args.shared / "goldens/spm/llama2000.model"
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        check = Check(args, tmp)
        if not args.only:
            check_models(check, args)
        for made, types, pre in make_folders(tmp / "folders", spm) if spm.exists() else []:
            label = str(made.relative_to(tmp / "folders"))
            if args.only in label:
                check.compare(label, made, types if args.every else types[:1], pre)
        for name, (_, kind) in arch_folders.MODELS.items():
            made = tmp / "arch" / name
            if args.only in f"arch/{name}" and (kind != "gemma" or spm.exists()):
                arch_folders.make(name, made, spm.parent)
                check.compare(f"arch/{name}", made, ["f16", "bf16", "f32"],
                              arch_folders.PRE_OF.get(name, arch_folders.PRE[kind]))
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
