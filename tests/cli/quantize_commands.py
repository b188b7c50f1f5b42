"""quantize as a person meets it; check_cli.py runs this."""
import json
import struct

from bad_files import ARCH, gguf, info
from cli_case import MODEL, CliCase, run


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
