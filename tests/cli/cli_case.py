"""What the tests of the command lines share. Whoever imports this is run as SCRIPT FOLDER_OF_THE_TOOLS."""
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BIN = Path(sys.argv.pop(1)).resolve()
MODEL = Path(__file__).resolve().parents[1] / "model/weightsmith-tiny"
TEXT = Path(__file__).resolve().parents[1] / "model/heldout.txt"
TOOLS = ["convert", "quantize", "inspect", "vram-estimate", "infer"]


def run(tool, *args, timeout=600, **options):
    return subprocess.run([BIN / tool, *map(str, args)], capture_output=True, timeout=timeout, **options)


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
