"""Headers of GGUF files without data: the file is sparse and as long as its tensors say."""
import struct

BLOCKS = {0: (1, 4), 1: (1, 2)}  # F32, F16: elements and bytes of a block
U16, U32, I32, F32, BOOL, STRING, ARRAY = 2, 4, 5, 6, 7, 8, 9
SCALARS = {U16: "<H", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value(v):
    """str, int (u32), float, bool, list of str, or (type, number)."""
    if isinstance(v, list):
        return struct.pack("<IIQ", ARRAY, STRING, len(v)) + b"".join(text(s) for s in v)
    if isinstance(v, str):
        return struct.pack("<I", STRING) + text(v)
    kind, v = v if isinstance(v, tuple) else ({int: U32, float: F32, bool: BOOL}[type(v)], v)
    return struct.pack("<I", kind) + struct.pack(SCALARS[kind], v)


def write_sparse(path, keys, tensors):
    """keys: {name: str, int (u32), float or bool}; tensors: [(name, [ne, fastest first], 0 for F32 or 1 for F16)]."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(k) + value(v) for k, v in keys.items())
    offset = 0
    for name, ne, kind in tensors:
        head += text(name) + struct.pack(f"<I{len(ne)}QIQ", len(ne), *ne, kind, offset)
        elements, size = BLOCKS[kind]
        for n in ne:
            size *= n
        offset += (size // elements + 31) // 32 * 32
    head += b"\0" * (-len(head) % 32)
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(len(head) + offset)
