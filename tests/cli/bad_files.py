"""Broken files, each with the words its message must hold. Written with struct only: no library helps a broken file."""
import json
import struct

F32, Q4_0 = 0, 2


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key, kind, value):
    return string(key) + struct.pack("<I", kind) + value


ARCH = pair("general.architecture", 8, string("llama"))


def info(name, dims, kind=F32, offset=0):
    return string(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset)


def gguf(pairs=(ARCH,), infos=(), data=b"", version=3, magic=b"GGUF", n_tensors=None, n_pairs=None):
    head = magic + struct.pack("<IQQ", version, len(infos) if n_tensors is None else n_tensors,
                               len(pairs) if n_pairs is None else n_pairs)
    head += b"".join(pairs) + b"".join(infos)
    return head + b"\0" * (-len(head) % 32) + data


def bad_ggufs():
    """name -> (content, words of the message)"""
    one = info("a.weight", [8])
    data = b"\0" * 32
    whole = gguf(infos=[one], data=data)
    return {
        "empty": (b"", ["not a GGUF"]),
        "magic": (b"GGML" + whole[4:], ["not a GGUF"]),
        "header-cut": (whole[:20], ["header"]),
        "pairs-cut": (whole[:40], []),
        "data-cut": (whole[:-8], ["a.weight"]),
        "version-1": (gguf(version=1), ["version 1"]),
        "version-9": (gguf(version=9), ["version 9"]),
        "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), ["big-endian"]),
        "past-the-end": (gguf(infos=[info("a.weight", [8], offset=1 << 40)], data=data), ["a.weight"]),
        "misaligned": (gguf(infos=[info("a.weight", [8], offset=3)], data=data * 2), ["a.weight"]),
        "duplicate-tensor": (gguf(infos=[one, info("a.weight", [8], offset=32)], data=data * 2), ["a.weight"]),
        "duplicate-key": (gguf(pairs=[ARCH, ARCH]), ["general.architecture"]),
        "unknown-type": (gguf(infos=[info("a.weight", [8], kind=999)], data=data), ["a.weight", "999"]),
        "removed-type": (gguf(infos=[info("a.weight", [32], kind=4)], data=data), ["a.weight", "4"]),
        "overflow": (gguf(infos=[info("a.weight", [1 << 33, 1 << 33])], data=data), ["a.weight"]),
        "partial-block": (gguf(infos=[info("a.weight", [33], kind=Q4_0)], data=data), ["a.weight"]),
        "nine-dims": (gguf(infos=[info("a.weight", [1] * 9)], data=data), ["a.weight", "9"]),
        "absurd-tensors": (gguf(n_tensors=1 << 60), []),
        "absurd-pairs": (gguf(n_pairs=1 << 60), []),
        "string-wraps": (gguf(pairs=[struct.pack("<Q", (1 << 64) - 4) + b"key"]), []),
        "array-wraps": (gguf(pairs=[ARCH, pair("x", 9, struct.pack("<IQ", 10, 1 << 61))]), ["x"]),
        "value-type": (gguf(pairs=[ARCH, pair("x", 77, b"\0" * 8)]), ["x", "77"]),
        "alignment": (gguf(pairs=[ARCH, pair("general.alignment", 4, struct.pack("<I", 24))]), ["general.alignment"]),
        "split-alone": (gguf(pairs=[ARCH, pair("split.no", 2, struct.pack("<H", 0)),
                                    pair("split.count", 2, struct.pack("<H", 3))]), ["split"]),
    }


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def bad_safetensors():
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return {
        "empty": (b"", []),
        "cut": (safetensors({"w": good}, b"\0" * 4), ["w"]),
        "json": (safetensors(b'{"w": {"dtype": "F32", ', b"\0" * 8), ["JSON"]),
        "not-an-object": (safetensors(b"[1, 2, 3]"), []),
        "header-length": (safetensors({"w": good}, b"\0" * 8, length=1 << 62), ["header"]),
        "unknown-type": (safetensors({"w": {**good, "dtype": "Q17"}}, b"\0" * 8), ["w", "Q17"]),
        "overflow": (safetensors({"w": {**good, "shape": [1 << 40, 1 << 40]}}, b"\0" * 8), ["w"]),
        "negative": (safetensors({"w": {**good, "shape": [-2]}}, b"\0" * 8), ["w"]),
        "fraction": (safetensors({"w": {**good, "data_offsets": [0, 8.5]}}, b"\0" * 8), ["w"]),
        "size": (safetensors({"w": {**good, "shape": [3]}}, b"\0" * 8), ["w"]),
        "hole": (safetensors({"w": good, "v": {**good, "data_offsets": [16, 24]}}, b"\0" * 24), []),
        "overlap": (safetensors({"w": good, "v": {**good, "data_offsets": [4, 12]}}, b"\0" * 12), []),
        "left-over": (safetensors({"w": good}, b"\0" * 80), []),
    }
