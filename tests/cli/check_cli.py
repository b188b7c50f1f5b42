#!/usr/bin/env python3
"""The tools as a person meets them: wrong arguments, broken files, full disks, signals, --json, help.

Usage: check_cli.py FOLDER_OF_THE_TOOLS. Needs nothing but Python's standard library."""
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import time
import unittest

from bad_files import ARCH, bad_ggufs, bad_safetensors, gguf, info, pair, string
from cli_case import BIN, MODEL, TEXT, TOOLS, CliCase, run
from damaged_headers import DamagedHeaders  # noqa: F401 (unittest finds them here)
from inspect_commands import InspectCommands  # noqa: F401
from quantize_commands import Check, QuantizeCommands  # noqa: F401


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

    def test_generated_text_meets_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([BIN / "infer", self.gguf, "-p", "a", "-n", "4000"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"standard output: No space left", result.stderr)
        self.assertNotIn(b"tokens/s", result.stderr)

    def test_timings_begin_a_line_where_both_outputs_meet(self):
        command = [BIN / "infer", self.gguf, "-p", "a", "-n", "4", "--temp", "0"]
        alone = subprocess.run(command, capture_output=True, check=True)
        both = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        self.assertTrue(both.stdout.startswith(alone.stdout + b"\nprompt: "), both.stdout)
        self.assertTrue(alone.stderr.startswith(b"prompt: "), alone.stderr)


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


if __name__ == "__main__":
    unittest.main()
