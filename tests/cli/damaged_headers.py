"""Headers and configs with random damage: every one is read or refused with one clean line, soon. Damage is drawn from a
fixed seed; a failure names its number."""
import json
import random
import struct

from bad_files import gguf, pair, string
from cli_case import MODEL, CliCase, run

NUMBERS = [0, 1, 2, 3, 255, 1 << 15, 1 << 24, (1 << 31) - 1, (1 << 32) - 1, 1 << 33, 1 << 62, 1 << 63, (1 << 64) - 1]
VALUES = [None, True, 0, -1, 0.5, 1 << 31, 1 << 53, 1e300, "", "x" * 5000, [], {}, [[["a"]]], {"rope_type": "yarn"}]


def damage_bytes(rng, data, end):
    """One to three faults in the first `end` bytes: a flipped bit, a number, a cut, a hole, a repetition."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(min(end, len(data)))
        kind = rng.randrange(6)
        if kind < 2:
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 4:
            size = rng.choice([4, 8])
            data[at:at + size] = struct.pack("<Q", rng.choice(NUMBERS))[:size]
        elif kind == 4:
            del data[at:at + rng.randrange(1, 64)]
        else:
            data[at:at] = data[at:at + rng.randrange(1, 64)]
    return bytes(data[:rng.randrange(1, len(data))] if rng.random() < 0.1 else data)


def places(value, before=()):
    """Paths of all values in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from places(inner, (*before, key))


def damage_json(rng, text):
    document = json.loads(text)
    path = rng.choice(list(places(document)))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if rng.random() < 0.2:
        del inner[path[-1]]
    else:
        inner[path[-1]] = rng.choice(VALUES)
    return json.dumps(document).encode()


class DamagedHeaders(CliCase):
    def expect_sound(self, result):
        message = result.stderr.decode("utf-8", "backslashreplace")
        self.assertIn(result.returncode, (0, 1), message)
        if result.returncode:
            self.assertEqual(message.count("\n"), 1, message)
        self.assertFalse([c for c in message if ord(c) < 32 and c != "\n"], repr(message))

    def test_gguf(self):
        whole = self.dir / "whole.gguf"
        self.assertEqual(run("convert", MODEL, whole).returncode, 0)
        content = whole.read_bytes()
        rng = random.Random(1)
        for i in range(120):
            path = self.file("damaged.gguf", damage_bytes(rng, content, rng.choice([200, 1000, 20000])))
            for tool, args in (("inspect", [path]), ("vram-estimate", [path]), ("inspect", ["--safety", path])):
                with self.subTest(number=i, tool=tool):
                    self.expect_sound(run(tool, *args, timeout=20))

    def test_config(self):
        content = (MODEL / "config.json").read_text()
        rng = random.Random(2)
        for i in range(120):
            path = self.file("config.json", damage_json(rng, content))
            with self.subTest(number=i):
                self.expect_sound(run("vram-estimate", path, timeout=20))

    def test_no_context(self):
        path = self.file("a.gguf", gguf([pair("general.architecture", 8, string("llama")),
                                         pair("llama.block_count", 4, struct.pack("<I", 1)),
                                         pair("llama.embedding_length", 4, struct.pack("<I", 8))],
                                        [string("token_embd.weight") + struct.pack("<IQQIQ", 2, 8, 4, 0, 0)], b"\0" * 128))
        self.expect_failure(run("vram-estimate", path), path, ["--ctx"])

    def test_names_cannot_drive_the_terminal(self):
        path = self.file("a.gguf", gguf([pair("general.architecture", 8, string("a\x1b[2J\nb"))],
                                        [string("token_embd.weight") + struct.pack("<IQQIQ", 2, 8, 4, 0, 0)], b"\0" * 128))
        self.expect_failure(run("vram-estimate", path), path, ["a\\x1b[2J\\nb.block_count"])
