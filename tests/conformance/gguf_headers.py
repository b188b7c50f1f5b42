"""Headers of GGUF files without data: the file is sparse and as long as its tensors say."""
import struct

BLOCKS = {0: (1, 4), 1: (1, 2)}  # F32, F16: elements and bytes of a block
TYPES = {str: 8, int: 4, float: 6, bool: 7}


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value(v):
    kind = TYPES[type(v)]
    raw = text(v) if kind == 8 else struct.pack({4: "<I", 6: "<f", 7: "<?"}[kind], v)
    return struct.pack("<I", kind) + raw


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
