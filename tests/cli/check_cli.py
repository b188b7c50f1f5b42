#!/usr/bin/env python3
"""The tools as a person meets them: wrong arguments, broken files, full disks, signals, --json, help.

Usage: check_cli.py FOLDER_OF_THE_TOOLS. Needs nothing but Python's standard library."""
import json
import os
import pty
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

from bad_files import ARCH, bad_ggufs, bad_safetensors, gguf, info, pair, string

BIN = Path(sys.argv.pop(1)).resolve()
MODEL = Path(__file__).resolve().parents[1] / "model/weightsmith-tiny"
TEXT = Path(__file__).resolve().parents[1] / "model/heldout.txt"
TOOLS = ["convert", "quantize", "inspect", "vram-estimate", "infer"]


def run(tool, *args, **options):
    return subprocess.run([BIN / tool, *map(str, args)], capture_output=True, timeout=600, **options)


class CliCase(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="ws-cli-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def file(self, name, content):
        path = self.dir / name
        path.write_bytes(content)
        return path

    def expect_failure(self, result, path, words=()):
        """Exit code 1, nothing on stdout, one line on stderr that names the file and the cause, no file left."""
        message = result.stderr.decode()
        self.assertEqual(result.returncode, 1, message)
        self.assertEqual(result.stdout, b"")
        self.assertEqual(message.count("\n"), 1, message)
        for word in (Path(path).name, *words):
            self.assertIn(word, message)

    def expect_only(self, *names):
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), sorted(names))


class Arguments(CliCase):
    def test_usage(self):
        for tool in TOOLS:
            for args in ([], ["--no-such-option"], ["a", "b", "c", "d", "e", "f", "g"]):
                with self.subTest(tool=tool, args=args):
                    result = run(tool, *args)
                    self.assertEqual(result.returncode, 2)
                    self.assertEqual(result.stdout, b"")
                    self.assertIn(b"Usage: " + tool.encode(), result.stderr)

    def test_help_and_version(self):
        for tool in TOOLS:
            with self.subTest(tool=tool):
                text = run(tool, "--help")
                self.assertEqual((text.returncode, text.stderr), (0, b""))
                for part in (b"Usage: ", b"Options:", b"--json", b"Examples:", b"Exit codes"):
                    self.assertIn(part, text.stdout)
                self.assertTrue(all(len(line) <= 130 for line in text.stdout.splitlines()))
                self.assertIn(b"weightsmith", run(tool, "--version").stdout)

    def test_unknown_cpu(self):
        for tool in TOOLS:
            result = run(tool, "x", "y", "q8_0", env={**os.environ, "WS_CPU": "z80"})
            self.assertEqual(result.returncode, 2, tool)
            self.assertIn(b"z80", result.stderr)

    def test_unknown_type(self):
        self.assertEqual(run("quantize", "a", "b", "q9_x").returncode, 2)
        self.assertEqual(run("convert", "a", "b", "--type", "q9_x").returncode, 2)


class BrokenFiles(CliCase):
    def readers(self, path):
        yield "inspect", [path]
        yield "inspect", [path, "--verify", "--json"]
        yield "vram-estimate", [path, "--ctx", "512"]

    def test_gguf(self):
        for name, (content, words) in bad_ggufs().items():
            path = self.file(f"{name}.gguf", content)
            out = self.dir / "out.gguf"
            # inspect tells what is in files that llama.cpp refuses.
            readers = [] if name in ("version-1", "big-endian") else self.readers(path)
            if not readers:
                self.assertIn(b"GGUF version", run("inspect", path).stdout)
            commands = [*readers, ("infer", [path, "-p", "x", "-n", "1"]), ("quantize", [path, out, "q8_0"])]
            for tool, args in commands:
                with self.subTest(file=name, tool=tool):
                    # A file that is no GGUF may be described by other words where safetensors is read, too.
                    checked = words if tool in ("infer", "quantize") or "not a GGUF" not in words else []
                    self.expect_failure(run(tool, *args), path, checked)
                    self.expect_only(path.name)
            path.unlink()

    def test_every_truncation(self):
        whole = gguf(infos=[info("a.weight", [8])], data=b"\0" * 32)
        for n in range(0, len(whole), 3):
            path = self.file("cut.gguf", whole[:n])
            self.expect_failure(run("inspect", path), path)

    def test_safetensors(self):
        for name, (content, words) in bad_safetensors().items():
            path = self.file(f"{name}.safetensors", content)
            for args in ([path], [path, "--verify"]):
                with self.subTest(file=name):
                    self.expect_failure(run("inspect", *args), path, words)
            path.unlink()

    def test_model_folders(self):
        def broken(name, change):
            folder = self.dir / name
            shutil.copytree(MODEL, folder)
            change(folder)
            return folder

        def index(folder):
            (folder / "model.safetensors").unlink()
            (folder / "model.safetensors.index.json").write_text(
                json.dumps({"metadata": {}, "weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}))

        def cut(folder):
            path = folder / "model.safetensors"
            path.write_bytes(path.read_bytes()[:100000])

        def edit(folder, **values):
            path = folder / "config.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

        cases = {
            "no-config": (lambda f: (f / "config.json").unlink(), "config.json"),
            "bad-config": (lambda f: (f / "config.json").write_text("{"), "config.json"),
            "no-weights": (lambda f: (f / "model.safetensors").unlink(), "no-weights"),
            "cut": (cut, "model.safetensors"),
            "missing-shard": (index, "model-00001-of-00002.safetensors"),
            "no-tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
            "bad-tokenizer": (lambda f: (f / "tokenizer.json").write_text("[]"), "tokenizer.json"),
            "architecture": (lambda f: edit(f, architectures=["FancyForCausalLM"]), "FancyForCausalLM"),
            "heads": (lambda f: edit(f, num_attention_heads=0), "num_attention_heads"),
            "layers": (lambda f: edit(f, num_hidden_layers=99), "layers"),
        }
        for name, (change, word) in cases.items():
            with self.subTest(case=name):
                folder = broken(name, change)
                result = run("convert", folder, self.dir / "out.gguf")
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertEqual(result.stdout, b"")
                self.assertIn(word, result.stderr.decode())
                self.expect_only(name)
                shutil.rmtree(folder)


class Outputs(CliCase):
    def setUp(self):
        super().setUp()
        self.gguf = self.dir / "model.gguf"
        result = run("convert", MODEL, self.gguf, "--type", "f16")
        self.assertEqual(result.returncode, 0, result.stderr)

    def commands(self, out):
        yield "convert", [MODEL, out]
        yield "quantize", [self.gguf, out, "q4_k"]

    def test_folder_missing(self):
        for tool, args in self.commands(self.dir / "nowhere/out.gguf"):
            self.expect_failure(run(tool, *args), "out.gguf", ["No such file"])
            self.expect_only("model.gguf")

    def test_disk_full(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        for tool, args in self.commands(self.dir / "out.gguf"):
            self.expect_failure(run(tool, *args, preexec_fn=limit), "out.gguf", ["too large"])
            self.expect_only("model.gguf")
        for tool, args in self.commands("/dev/full"):
            self.expect_failure(run(tool, *args), "/dev/full", ["No space left"])

    def test_input_is_output(self):
        before = self.gguf.read_bytes()
        self.expect_failure(run("quantize", self.gguf, self.gguf, "q8_0"), self.gguf)
        self.assertEqual(self.gguf.read_bytes(), before)
        folder = self.dir / "copy"
        shutil.copytree(MODEL, folder)
        weights = folder / "model.safetensors"
        self.expect_failure(run("convert", folder, weights), weights)
        self.assertEqual(weights.read_bytes(), (MODEL / "model.safetensors").read_bytes())

    def test_failed_run_keeps_the_old_file(self):
        out = self.file("out.gguf", b"precious")
        broken = self.file("nan.gguf", gguf(infos=[info("a.weight", [8, 2])], data=struct.pack("<16f", *[float("nan")] * 16)))
        self.expect_failure(run("quantize", broken, out, "f16"), broken, ["a.weight", "NaN"])
        self.assertEqual(out.read_bytes(), b"precious")
        self.expect_only("model.gguf", "nan.gguf", "out.gguf")

    def test_interrupted(self):
        """A signal leaves neither the file nor the temporary one: the source is a pipe's worth of zeros, 4 GiB, sparse."""
        rows = 1 << 18
        source = self.dir / "big.gguf"
        source.write_bytes(gguf(infos=[info("a.weight", [4096, rows])]))
        os.truncate(source, source.stat().st_size + 4096 * rows * 4)
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([BIN / "quantize", source, self.dir / "out.gguf", "q4_0"], stderr=subprocess.PIPE)
            while not list(self.dir.glob("out.gguf.part*")) and process.poll() is None:
                pass
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, -number)
            self.expect_only("model.gguf", "big.gguf")

    def test_standard_output_full(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([BIN / "inspect", self.gguf], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"standard output", result.stderr)


class Json(CliCase):
    def test_one_value_on_stdout(self):
        model, small = self.dir / "model.gguf", self.dir / "small.gguf"
        keys = {}
        for tool, args in (
                ("convert", [MODEL, model]),
                ("quantize", [model, small, "Q4_K_M", "2"]),
                ("quantize", [model, self.dir / "checked.gguf", "q8_0", f"--check={TEXT}", "--check-chunks", "1"]),
                ("inspect", [small]),
                ("inspect", [small, "--verify"]),
                ("inspect", [MODEL / "model.safetensors"]),
                ("vram-estimate", [small, "--ctx", "512"]),
                ("infer", [small, "-p", "The", "-n", "4", "--temp", "0"]),
                ("infer", [small, "--perplexity", TEXT, "--chunks", "1"]),
                ("infer", [small, "--kld-base", model, TEXT, "--chunks", "1"]),
        ):
            with self.subTest(tool=tool, args=args):
                result = run(tool, *args, "--json")
                self.assertEqual(result.returncode, 0, result.stderr)
                keys[tool] = json.loads(result.stdout)
        self.assertEqual({"weights_bytes", "kv_cache_bytes", "compute_bytes", "total_bytes"} - keys["vram-estimate"].keys(), set())

    def test_estimates(self):
        small = self.dir / "small.gguf"
        self.assertEqual(run("convert", MODEL, small).returncode, 0)
        fits = run("vram-estimate", small, "-c", "512", "-np", "1", "--gpu", "24GiB", "--must-fit", "--json")
        self.assertEqual(fits.returncode, 0, fits.stderr)
        device = json.loads(fits.stdout)["devices"][0]
        self.assertEqual(device["total_bytes"], device["weights_bytes"] + device["kv_cache_bytes"] + device["compute_bytes"])
        self.assertEqual(run("vram-estimate", small, "-c", "512", "--gpu", "1MiB", "--must-fit").returncode, 3)
        self.assertEqual(run("vram-estimate", small, "-c", "512", "--gpu", "1MiB").returncode, 0)
        self.assertEqual(run("vram-estimate", small, "-fa", "off", "-ctv", "q8_0").returncode, 1)
        for args in ([small, "--gpu", "rtx-9999"], [small, "--cpu", "--gpu", "8GiB"], [small, "--cheat-sheet"], [],
                     [small, "--as", "q99"], [small, "-ts", "x"]):
            self.assertEqual(run("vram-estimate", *args).returncode, 2, args)
        for args in (["--fit", "--gpu", "rtx-3060"], ["--engine", "vllm", "--gpu", "rtx-3060"], ["--csv"], ["--cpu"],
                     ["--gpu", "auto"], ["--apple", "m3-16"], ["--as", "q4_k_m"], ["-ngl", "1", "-ub", "64"]):
            result = run("vram-estimate", small, *args)
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(run("vram-estimate", MODEL, "-c", "512").returncode, 0)
        for form in ("text", "json", "markdown", "html"):
            self.assertEqual(run("vram-estimate", "--cheat-sheet", "--format", form).returncode, 0)

    def test_infer_takes_what_vram_estimate_says(self):
        small = self.dir / "small.gguf"
        self.assertEqual(run("convert", MODEL, small).returncode, 0)
        ran = run("infer", small, "-p", "a b c", "-n", "1", "-c", "300", "-t", "2", "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        ran = json.loads(ran.stdout)
        said = run("vram-estimate", small, "--engine", "weightsmith", "-c", "300", "-t", "2",
                   "-b", str(ran["prompt_tokens"]), "--json")
        self.assertEqual(said.returncode, 0, said.stderr)
        host = json.loads(said.stdout)["host"]
        self.assertEqual(host["kv_cache_bytes"] + host["compute_bytes"], ran["session_bytes"])
        speed = json.loads(run("vram-estimate", small, "--cpu", "--measure", "--json").stdout)["tokens_per_second"]
        self.assertFalse(speed["host_bandwidth_assumed"])
        self.assertGreater(speed["host_bytes_per_second"], 1e8)
        self.assertEqual(run("vram-estimate", small, "--engine", "weightsmith", "--gpu", "8GiB").returncode, 2)
        self.assertEqual(run("vram-estimate", small, "--engine", "weightsmith", "-ctk", "q8_0").returncode, 1)

    def test_bench(self):
        model = self.dir / "model.gguf"
        run("convert", MODEL, model, "-q")
        result = run("infer", model, "--bench", "-p", "16", "-n", "4", "-r", "2", "-t", "1", "--json")
        rows = json.loads(result.stdout)
        self.assertEqual([(r["test"], r["threads"]) for r in rows], [("pp16", 1), ("tg4", 1)])
        self.assertTrue(all(r["tokens_per_second"] > 0 and r["stddev"] >= 0 for r in rows))
        csv = run("infer", model, "--bench", "-p", "0", "-n", "2", "-r", "1", "-o", "csv").stdout.decode()
        self.assertEqual(csv.splitlines()[0], "test,threads,tokens_per_second,stddev")
        for args in (["-p", "many"], ["-p", "0", "-n", "0"], ["--perplexity", "x"]):
            self.assertEqual(run("infer", model, "--bench", *args).returncode, 2, args)

    def test_generation(self):
        model = self.dir / "model.gguf"
        run("convert", MODEL, model, "-q")
        greedy = [model, "-n", "12", "--temp", "0"]
        out = json.loads(run("infer", *greedy, "-p", "The cat", "--logprobs", "3", "--json").stdout)
        self.assertEqual(run("infer", *greedy, "-p", "The cat").stdout.decode(), out["text"])
        self.assertEqual([p["token"] for p in out["logprobs"]], out["tokens"])
        for p in out["logprobs"]:
            self.assertEqual([t["token"] for t in p["top"]][0], p["token"])
            self.assertLessEqual([t["logprob"] for t in p["top"]][0], 0)
        prompt = self.file("prompt.txt", b"The cat\n")
        for args, given in ((["-f", prompt], b""), (["-f", "-"], b"The cat\n"), ([], b"The cat")):
            again = run("infer", *greedy, *args, "--json", input=given)
            self.assertEqual(json.loads(again.stdout)["tokens"], out["tokens"], args)
        far = json.loads(run("infer", *greedy, "-p", "The cat", "--repeat-penalty", "20", "--json").stdout)
        self.assertEqual(len(set(far["tokens"])), len(far["tokens"]))
        timings = run("infer", *greedy, "-p", "The cat").stderr.decode()
        self.assertRegex(timings, r"prompt: .* tokens/s; generated: .* tokens/s; .* beside the weights")
        self.assertEqual(run("infer", model, "-p", "x " * 900, "-c", "64").returncode, 1)

    def test_imatrix(self):
        model, out, again, dat = (self.dir / name for name in ("model.gguf", "m.gguf", "again.gguf", "m.dat"))
        run("convert", MODEL, model, "--type", "f16", "-q")
        result = run("infer", model, "--imatrix", out, TEXT, TEXT, "-c", "64", "--chunks", "3", "-t", "2", "--json")
        self.assertEqual(json.loads(result.stdout), {"path": str(out), "chunks": 3, "chunk_size": 64})
        run("infer", model, "--imatrix", again, TEXT, TEXT, "-c", "64", "--chunks", "3", "-t", "1", "-b", "17")
        self.assertEqual(out.read_bytes(), again.read_bytes())
        self.assertEqual(run("infer", model, "--imatrix", dat, TEXT, "-c", "64", "--output-format", "dat", "-q").returncode, 0)
        shown = run("inspect", dat, "--verify", "--json")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual((json.loads(shown.stdout)["format"], json.loads(shown.stdout)["file_size"]),
                         ("imatrix.dat", dat.stat().st_size))
        for matrix in (out, dat):
            self.assertEqual(run("quantize", model, self.dir / "q", "iq2_xs", "--imatrix", matrix).returncode, 0)
        for args, code in (([], 2), ([TEXT, "-p", "x"], 2), ([TEXT, "-c", "1000000"], 1), ([self.dir / "none"], 1)):
            self.assertEqual(run("infer", model, "--imatrix", self.dir / "no.gguf", *args).returncode, code, args)
            self.assertFalse((self.dir / "no.gguf").exists())

    def test_scores(self):
        model = self.dir / "model.gguf"
        run("convert", MODEL, model, "-q")
        endings = "\n".join(["It was red.", "xq zv", "qqq", "zz 9"])
        tasks = self.file("h.txt", "".join(f"Mia had a ball.\n{right}\n{endings}\n" for right in (0, 0, 2)).encode())
        got = json.loads(run("infer", model, "--hellaswag", tasks, "--json").stdout)
        self.assertEqual((got["tasks"], got["correct"], sorted(got["right"])), (3, 2, [False, True, True]))
        self.assertAlmostEqual(got["accuracy"], 2 / 3)
        lines = self.file("w.csv", b"0,Tom saw a _ in the tree.,bird,zqx,1\n1,cut off _,a,b,1\n")
        result = run("infer", model, "--winogrande", lines, "-t", "1", "-b", "3")
        self.assertIn(b"1 of 1 tasks right", result.stdout)
        self.assertIn(b"last line", result.stderr)
        for args, code in ((["--hellaswag", lines], 1), (["--multiple-choice", tasks], 1), (["--winogrande", model], 1),
                           (["--hellaswag", tasks, "--winogrande", lines], 2), (["--hellaswag", tasks, "-c", "5"], 1)):
            self.assertEqual(run("infer", model, *args).returncode, code, args)

    def test_measurements(self):
        model, small, logits = (self.dir / name for name in ("model.gguf", "small.gguf", "base.logits"))
        run("convert", MODEL, model, "-q")
        run("quantize", model, small, "q4_0", "-q")
        options = ("-c", "64", "--chunks", "20", "--json")
        whole = run("infer", model, "--perplexity", TEXT, TEXT, *options, "--save-all-logits", logits)
        self.assertEqual(whole.returncode, 2, whole.stderr)
        whole = run("infer", model, "--perplexity", TEXT, *options, "--save-all-logits", logits)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        whole = json.loads(whole.stdout)
        self.assertEqual({*whole}, {"perplexity", "error", "tokens", "chunks"})
        both = json.loads(run("infer", small, "--kld-base", model, TEXT, *options).stdout)
        saved = json.loads(run("infer", small, "--kld-base", logits, "--json").stdout)
        self.assertEqual((saved["ppl"], saved["top1"]), (both["ppl"], both["top1"]))
        self.assertAlmostEqual(saved["mean_kld"], both["mean_kld"], places=4)
        self.assertAlmostEqual(both["ppl_base"], whole["perplexity"])
        two = json.loads(run("infer", model, "--perplexity", TEXT, TEXT, *options).stdout)
        self.assertAlmostEqual(two["perplexity"], whole["perplexity"])
        self.assertEqual([d["perplexity"] for d in two["documents"]], [whole["perplexity"]] * 2)
        page = self.dir / "page.html"
        self.assertEqual(run("infer", small, "--kld-base", model, TEXT, *options, "--html", page).returncode, 0)
        self.assertIn("Predicted worst", page.read_text())
        self.assertEqual(run("infer", small, "--perplexity", self.dir / "none", "--html", self.dir / "no.html").returncode, 1)
        self.assertEqual(run("infer", small, "--perplexity", TEXT, "--html", self.dir / "no/page.html").returncode, 1)
        self.assertFalse((self.dir / "no.html").exists())
        self.file("cut.logits", logits.read_bytes()[:-1])
        for args, code in ((["--kld-base", self.dir / "cut.logits"], 1), (["--kld-base", logits, TEXT], 2),
                           (["--kld-base", model], 2), (["--perplexity", TEXT, "--stride", "600"], 2)):
            self.assertEqual(run("infer", small, *args).returncode, code, args)

    def test_resume(self):
        model, state = self.dir / "model.gguf", self.dir / "model.gguf.resume"
        run("convert", MODEL, model, "-q")
        command = ("infer", model, "--perplexity", TEXT, "-c", "64", "--chunks", "150", "--resume", "--json")
        whole = run(*command)
        self.assertEqual((whole.returncode, state.exists()), (0, False), whole.stderr)
        for seconds in (0.02, 0.3):
            killed = subprocess.Popen([BIN / command[0], *map(str, command[1:])], stdout=subprocess.PIPE)
            deadline = time.monotonic() + 60
            while killed.poll() is None and time.monotonic() < deadline and not (state.exists() and state.stat().st_size > 4000):
                time.sleep(0.005)
            time.sleep(seconds / 10)
            killed.kill()
            killed.communicate()
        if state.exists():  # else the run was faster than the signal
            self.assertEqual(run("infer", model, "--perplexity", TEXT, "-c", "48", "--resume").returncode, 1)
        again = run(*command)
        self.assertEqual((again.stdout, state.exists()), (whole.stdout, False), again.stderr)

    def test_strings_cannot_drive_the_terminal(self):
        evil = b"\x1b]0;owned\x07\xff\xfe"
        path = self.file("evil.gguf", gguf(pairs=[ARCH, pair("general.name", 8, string(evil))]))
        shown = run("inspect", path)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertNotIn(b"\x1b", shown.stdout)
        self.assertNotIn(b"\x07", shown.stdout)
        value = json.loads(run("inspect", path, "--json").stdout)["metadata"]["general.name"]
        self.assertEqual(value.encode("utf-8", "surrogateescape"), evil)


class QuantizeCommands(CliCase):
    def setUp(self):
        super().setUp()
        self.gguf = self.dir / "model.gguf"
        run("convert", MODEL, self.gguf, "--type", "f16", "-q")

    def ok(self, *args):
        result = run("quantize", *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def test_usage(self):
        for args in ([self.gguf], [self.gguf, "--out", "q8_0"], [self.gguf, "--out", ":x"], [self.gguf, "--out", "q8_0:"],
                     [self.gguf, "o", "--out", "q8_0:x"], [self.gguf, "--out", "q8_0:x", "--out", "q4_0:x"],
                     [self.gguf, "--reproduce", "x", "--report", "y"], [self.gguf, "o", "q8_0", "--progress", "loud"]):
            with self.subTest(args=args):
                self.assertEqual(run("quantize", *args).returncode, 2)
        self.expect_only("model.gguf")

    def test_several_outputs(self):
        self.ok(self.gguf, "--out", f"q4_k_m:{self.dir}/a", "--out", f"q8_0:{self.dir}/b", "--json")
        for kind, name in (("q4_k_m", "a"), ("q8_0", "b")):
            self.ok(self.gguf, self.dir / "single", kind)
            self.assertEqual((self.dir / "single").read_bytes(), (self.dir / name).read_bytes())

    def test_from_a_folder(self):
        self.ok(MODEL, self.dir / "a", "q5_k_m", "3")
        self.assertEqual(run("convert", MODEL, self.dir / "auto", "-q").returncode, 0)
        self.ok(self.dir / "auto", self.dir / "b", "q5_k_m")
        self.assertEqual((self.dir / "a").read_bytes(), (self.dir / "b").read_bytes())
        self.assertEqual(run("quantize", MODEL, self.dir / "c", "q5_k_m", "--check").returncode, 2)

    def test_reproduce(self):
        small = self.dir / "small.gguf"
        self.ok(self.gguf, small, "q4_k_m")
        found = json.loads(self.ok(self.gguf, "--reproduce", small, "--json").stdout)
        self.assertEqual((found["reproduced"], found["same_header"], found["type"]), (True, True, "Q4_K_M"))
        data = bytearray(small.read_bytes())
        data[-1] ^= 1
        small.write_bytes(data)
        result = run("quantize", self.gguf, "--reproduce", small)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"different: 1 of", result.stdout)
        self.assertIn(b"small.gguf", result.stderr)

    def test_report_and_progress(self):
        report = self.dir / "r.json"
        lines = self.ok(self.gguf, self.dir / "o", "q5_k", "--report", report, "--progress", "json").stderr.decode()
        last = json.loads(lines.splitlines()[-1])
        self.assertEqual((last["event"], last["bytes"]), ("progress", last["of"]))
        for t in json.loads(report.read_text())["outputs"][0]["tensors"]:
            self.assertTrue(t["sqnr_db"] == "inf" or (15 < t["sqnr_db"] < 1.1 * t["limit_db"] and t["cosine"] > 0.99), t)

    def test_nonfinite(self):
        data = struct.pack("<64f", *[1.0] * 40, float("inf"), *[1.0] * 23)
        broken = self.file("inf.gguf", gguf(pairs=[ARCH], infos=[info("a.weight", [32, 2])], data=data))
        self.expect_failure(run("quantize", broken, self.dir / "o", "q8_0"), broken, ["a.weight", "element 40"])
        self.ok(broken, self.dir / "o", "q8_0", "--allow-nonfinite")


class InspectCommands(CliCase):
    def setUp(self):
        super().setUp()
        self.gguf = self.dir / "model.gguf"
        run("convert", MODEL, self.gguf, "--type", "f16", "-q")

    def ok(self, *args):
        result = run("inspect", *args)
        self.assertEqual((result.returncode, result.stderr), (0, b""), args)
        return result.stdout.decode()

    def test_usage(self):
        for args in (["split", self.gguf], ["split", self.gguf, "x", "--max-size", "3K"], ["merge"], ["get", self.gguf],
                     ["set", self.gguf, "novalue"], ["set", self.gguf, "a:u8=256"], ["hash"], ["hash", "a", "-a", "md5"]):
            with self.subTest(args=args):
                self.assertEqual(run("inspect", *args).returncode, 2)
        self.expect_only("model.gguf")

    def test_get_set_rm(self):
        before = self.gguf.read_bytes()
        self.ok("set", self.gguf, "general.name=x", "-o", self.dir / "copy.gguf")
        self.assertEqual(self.gguf.read_bytes(), before)
        self.assertEqual(self.ok("get", self.dir / "copy.gguf", "general.name"), "x\n")
        self.assertIn("in place", self.ok("set", self.gguf, "llama.context_length=7"))
        self.assertEqual(json.loads(self.ok("get", self.gguf, "llama.context_length", "--json")), {"llama.context_length": 7})
        self.ok("set", self.gguf, "evil=\x1b]0;owned\x07\nnext")
        self.assertEqual(self.ok("get", self.gguf, "evil"), "\\x1b]0;owned\\x07\nnext\n")
        self.assertEqual(self.ok("get", self.gguf, "evil", "--raw"), "\x1b]0;owned\x07\nnext")
        self.ok("rm", self.gguf, "evil")
        self.expect_failure(run("inspect", "get", self.gguf, "evil"), self.gguf, ["evil"])
        self.expect_failure(run("inspect", "rm", self.gguf, "evil"), self.gguf, ["evil"])
        self.expect_only("model.gguf", "copy.gguf")

    def test_stats_and_diff(self):
        small = self.dir / "small.gguf"
        run("quantize", self.gguf, small, "q4_k", "-q")
        d = json.loads(self.ok("diff", self.gguf, small, "--json"))
        self.assertEqual((d["same"], d["values"], [k["key"] for k in d["keys"]]), (9, 29, ["general.file_type"]))
        self.assertIn("SQNR", self.ok("diff", self.gguf, small))
        self.assertEqual(run("inspect", "diff", self.gguf, small, "--exit-code").returncode, 1)
        self.assertEqual(self.ok("diff", self.gguf, self.gguf, "--exit-code", "-q"), "")
        s = json.loads(self.ok("stats", small, "--base", MODEL, "--json"))["tensors"]
        self.assertTrue(all(t["sqnr"] == "inf" or 15 < t["sqnr"] < t["sqnr_limit"] for t in s))
        self.assertEqual(len(self.ok("stats", small).splitlines()), 38 + 3)
        self.expect_failure(run("inspect", "diff", self.gguf, self.dir / "none"), "none")

    def test_verify_and_safety(self):
        v = json.loads(self.ok(self.gguf, "--verify", "--safety", "--json"))
        self.assertEqual([v[k]["findings"] for k in ("verify", "safety")], [[], []])
        self.ok("set", self.gguf, "tokenizer.ggml.eos_token_id=99999", "tokenizer.chat_template={{ ''.__class__ }}\x1b[2J")
        for flag, words in (("--verify", b"eos_token_id"), ("--safety", b"__class__")):
            result = run("inspect", self.gguf, flag)
            self.assertEqual(result.returncode, 1)
            self.assertIn(words, result.stdout)
            self.assertNotIn(b"\x1b", result.stdout)

    def test_verify_checkpoint(self):
        """Names against the architecture of config.json: one is renamed in the header, at the same length."""
        folder = self.dir / "model"
        shutil.copytree(MODEL, folder)
        self.ok(folder, "--verify")
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes().replace(b"layers.1.mlp.up_proj", b"layers.1.mlp.zp_proj", 1))
        result = run("inspect", folder, "--verify", "--json")
        self.assertEqual(result.returncode, 1)
        found = [(f["kind"], f["tensor"]) for f in json.loads(result.stdout)["verify"]["findings"]]
        self.assertEqual(found, [("extra", "model.layers.1.mlp.zp_proj.weight"), ("missing", None)])

    def test_verify_shapes_of_a_checkpoint(self):
        """One tensor's shape is changed in the header, at the same length and size."""
        folder = self.dir / "model"
        shutil.copytree(MODEL, folder)
        path = folder / "model.safetensors"
        data = path.read_bytes()
        at = data.index(b'"shape":[768,256]', data.index(b"layers.1.mlp.up_proj"))
        path.write_bytes(data[:at] + b'"shape":[384,512]' + data[at + 17:])
        result = run("inspect", folder, "--verify", "--json")
        self.assertEqual(result.returncode, 1)
        found = json.loads(result.stdout)["verify"]["findings"]
        self.assertEqual([(f["kind"], f["tensor"]) for f in found], [("shape", "model.layers.1.mlp.up_proj.weight")])

    def test_html(self):
        self.ok("set", self.gguf, "general.name=<script>alert(1)</script>", "general.url=\x1b[0m")
        for args in ([self.gguf, "--html"], ["stats", self.gguf, "--html"], [MODEL / "model.safetensors", "--html"]):
            page = self.ok(*args)
            self.assertTrue(page.startswith("<!doctype html>") and page.endswith("</html>\n"))
            self.assertNotIn("<script", page)
            self.assertNotIn("http", page.replace("http-equiv", ""))
            self.assertNotIn("\x1b", page)

    def test_colours_on_a_terminal_only(self):
        self.assertNotIn("\x1b", self.ok(self.gguf))
        for variables, coloured in (({"PAGER": "cat"}, True), ({"PAGER": "cat", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            pid, terminal = pty.fork()
            if pid == 0:
                os.environ.update({"TERM": "xterm", **variables})
                os.execv(BIN / "inspect", ["inspect", str(self.gguf), "--summary"])
            shown = b""
            try:
                while chunk := os.read(terminal, 4096):
                    shown += chunk
            except OSError:
                pass # the end of a terminal
            os.close(terminal)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
            self.assertEqual(b"\x1b[36m" in shown, coloured, variables)
            self.assertIn(b"GGUF version 3", shown)

    def test_pytorch(self):
        """A file as torch.save writes it, with a call that no tensor needs; it is named and not made."""
        target = self.dir / "pwned"
        code = (b"\x80\x02}(X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
                b"X\x01\0\0\0" + b"0X\x03\0\0\0cpuK\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89}tR"
                b"X\x01\0\0\0xcos\nsystem\n" + b"X" + struct.pack("<I", len(f"touch {target}")) + f"touch {target}".encode() + b"\x85Ru.")
        path = self.dir / "model.bin"
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(path, "w", method) as z:
                z.writestr("model/data.pkl", code)
                z.writestr("model/data/0", struct.pack("<4f", 1, 2, 3, 4))
            result = run("inspect", path, "--safety", "--json")
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"not safe", result.stderr)
            r = json.loads(result.stdout)
            self.assertEqual([(t["name"], t["type"], t["shape"]) for t in r["tensors"]], [("w", "F32", [2, 2])])
            self.assertIn("os.system", r["safety"]["findings"][0]["message"])
        self.assertFalse(target.exists())
        self.expect_failure(run("inspect", "hash", path), path, ["cannot be read in place"])

    def test_ollama_manifest(self):
        digest = "0123456789abcdef" * 4
        blob, manifest = self.dir / f"blobs/sha256-{digest}", self.dir / "manifests/registry/library/tiny/latest"
        for folder in (blob.parent, manifest.parent):
            folder.mkdir(parents=True)
        layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
        shutil.copy(self.gguf, blob)
        manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [layer]}))
        r = json.loads(self.ok(manifest, "--json"))
        self.assertEqual((r["format"], r["n_tensors"], r["blob"]), ("gguf", 38, str(blob)))
        manifest.write_text(json.dumps({"layers": [{**layer, "digest": "sha256:../../../etc/passwd"}]}))
        self.expect_failure(run("inspect", manifest), manifest, ["sound model layer"])

    def test_split_merge_hash(self):
        whole = json.loads(self.ok("hash", self.gguf, "--json"))["model"]
        plan = json.loads(self.ok("split", self.gguf, self.dir / "p", "--max-size", "3M", "--dry-run", "--json"))
        self.expect_only("model.gguf")
        self.ok("split", self.gguf, self.dir / "p", "--max-size", "3M")
        first = Path(plan["parts"][0]["file"])
        self.assertEqual(sum(p["tensors"] for p in plan["parts"]), 38)
        self.ok("hash", first, "--manifest", self.dir / "m")
        self.ok("merge", first, self.dir / "merged.gguf")
        self.assertIn("all 38", self.ok("hash", self.dir / "merged.gguf", "--check", self.dir / "m"))
        self.assertEqual(json.loads(self.ok("hash", first, "--json"))["model"], whole)
        data = bytearray(self.gguf.read_bytes())
        data[-1] ^= 1
        result = run("inspect", "hash", self.file("bad.gguf", bytes(data)), "--check", self.dir / "m")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"changed", result.stdout)


class Check(CliCase):
    def test_limit_decides_the_exit_code_and_the_output_stays(self):
        model = self.dir / "model.gguf"
        run("convert", MODEL, model, "--type", "f16")
        for limit, code in (("0.0001", 1), ("1000", 0)):
            out = self.dir / f"out-{code}.gguf"
            result = run("quantize", model, out, "q2_k", "--check", "--check-chunks", "2", "--max-ppl-increase", limit)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertTrue(out.exists())
            self.assertIn(b"perplexity", result.stdout)
            if code:
                self.assertIn(b"stays", result.stderr)


if __name__ == "__main__":
    unittest.main()
