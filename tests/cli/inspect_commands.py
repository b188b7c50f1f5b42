"""inspect's commands as a person meets them; check_cli.py runs this."""
import json
import os
import pty
import shutil
import struct
import zipfile
from pathlib import Path

from cli_case import BIN, MODEL, CliCase, run


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
