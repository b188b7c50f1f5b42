"""Small random models whose shapes make llama-quantize's mixes, fallbacks and importance matrices show, written as
GGUF files without a vocabulary, and importance matrices for them."""
import struct

import numpy as np

from gguf_headers import I32, U16, text, value

F32, F16, BF16 = 0, 1, 30  # types of tensors


def bf16(x):
    return (x.view(np.uint32) >> 16).astype(np.uint16)


def encoded(x, kind):
    return {F32: lambda: x, F16: lambda: x.astype(np.float16), BF16: lambda: bf16(x)}[kind]().tobytes()


def write_gguf(path, keys, tensors):
    """tensors: [(name, array, kind)], the array with its fastest dimension last."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(k) + value(v) for k, v in keys.items())
    data = b""
    for name, x, kind in tensors:
        ne = x.shape[::-1]
        head += text(name) + struct.pack(f"<I{len(ne)}QIQ", len(ne), *ne, kind, len(data))
        raw = encoded(np.ascontiguousarray(x, dtype=np.float32), kind)
        data += raw + b"\0" * (-len(raw) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)


def weights(rng, *shape):
    """Values as weights have them: outliers, a row of zeros, a constant one, a tiny one."""
    x = rng.standard_normal(shape).astype(np.float32) * 0.05
    x[rng.random(shape) < 0.002] *= 20
    rows = x.reshape(-1, shape[-1])
    rows[0] = 0
    rows[min(1, len(rows) - 1)] = 0.125
    rows[-1] *= 1e-6
    return x


def common_keys(arch, layers, row, heads, kv_heads, ff, experts=0):
    keys = {"general.architecture": arch, "general.name": "random", f"{arch}.block_count": layers,
            f"{arch}.context_length": 512, f"{arch}.embedding_length": row, f"{arch}.feed_forward_length": ff,
            f"{arch}.attention.head_count": heads, f"{arch}.attention.head_count_kv": kv_heads,
            f"{arch}.attention.layer_norm_rms_epsilon": 1e-5, f"{arch}.attention.layer_norm_epsilon": 1e-5}
    if experts:
        keys |= {f"{arch}.expert_count": experts, f"{arch}.expert_used_count": 2}
    return keys


def blocks(rng, layers, row, kv, ff, experts, kind):
    """Tensors of the layers, in the order that convert gives them: by the name as a string."""
    tensors = []
    stack = (experts,) if experts else ()
    exps = "_exps" if experts else ""
    for layer in sorted(range(layers), key=str):
        p = f"blk.{layer}."
        tensors += [(p + "attn_k.weight", weights(rng, kv, row), kind),
                    (p + "attn_norm.weight", weights(rng, row), F32),
                    (p + "attn_output.weight", weights(rng, 4, row), kind),
                    (p + "attn_q.weight", weights(rng, 4, row), kind),
                    (p + "attn_v.weight", weights(rng, kv, row), kind),
                    (p + f"ffn_down{exps}.weight", weights(rng, *stack, 3, ff), kind),
                    (p + f"ffn_gate{exps}.weight", weights(rng, *stack, 3, row), kind),
                    (p + f"ffn_up{exps}.weight", weights(rng, *stack, 3, row), kind)]
        if experts:
            tensors.append((p + "ffn_gate_inp.weight", weights(rng, experts, row), F32))
    return tensors


# name: architecture, layers, row, heads, kv heads, ff row, experts, output.weight, kind, keys beside the common ones
MODELS = {
    "dense": ("llama", 16, 256, 8, 2, 512, 0, True, F16, {"general.file_type": 1}),
    "tied": ("qwen2", 3, 512, 4, 4, 256, 0, False, BF16, {}),
    "eight": ("llama", 8, 256, 4, 4, 256, 8, True, F32, {"general.file_type": 0}),
    "four": ("qwen3moe", 9, 256, 8, 4, 512, 4, True, F16, {"qwen3moe.expert_feed_forward_length": 512}),
    "odd": ("llama", 4, 288, 4, 4, 320, 0, True, F16, {}),
    "tiny": ("llama", 2, 40, 4, 4, 64, 0, True, F32, {}),
    "falcon": ("falcon", 16, 256, 8, 8, 512, 0, True, F16, {}),
}


def model(name):
    """(keys, tensors) of one of MODELS."""
    arch, layers, row, heads, kv_heads, ff, experts, output, kind, keys = MODELS[name]
    rng = np.random.default_rng(len(name) * 1000 + row)
    tensors = [("token_embd.weight", weights(rng, 8, row), kind), ("output_norm.weight", weights(rng, row), F32)]
    if output:
        tensors.append(("output.weight", weights(rng, 8, row), kind))
    tensors += blocks(rng, layers, row, 4, ff, experts, kind)
    return common_keys(arch, layers, row, heads, kv_heads, ff, experts) | keys, tensors


def make_split(folder, name, parts):
    """The model in several files, last layers first; returns the first file."""
    keys, tensors = model(name)
    tensors = tensors[::-1]
    folder.mkdir(exist_ok=True)
    paths = [folder / f"m-{i + 1:05d}-of-{parts:05d}.gguf" for i in range(parts)]
    for i, path in enumerate(paths):
        split = {"split.no": (U16, i), "split.count": (U16, parts), "split.tensors.count": (I32, len(tensors))}
        share = tensors[i * len(tensors) // parts:(i + 1) * len(tensors) // parts]
        write_gguf(path, (keys if i == 0 else {}) | split, share)
    return paths[0]


def importance(name):
    """{tensor: (sums [matrix][column], counts [matrix])}; one expert that no token met, columns that never fire."""
    arch, layers, row, heads, kv_heads, ff, experts, output, kind, keys = MODELS[name]
    rng = np.random.default_rng(row)
    entries = {}
    for layer in range(layers):
        for part in ("attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"):
            stack = experts if experts and part.startswith("ffn") else 1
            columns = ff if part == "ffn_down" else row
            sums = (rng.standard_normal((stack, columns)) ** 2 * 100).astype(np.float32)
            sums[:, ::7] = 0
            counts = np.full(stack, 37, np.float32)
            if stack > 1:
                counts[1] = 0
            suffix = "_exps" if stack > 1 else ""
            entries[f"blk.{layer}.{part}{suffix}.weight"] = (sums, counts)
    if output:
        entries["output.weight"] = ((rng.standard_normal((1, row)) ** 2).astype(np.float32), np.ones(1, np.float32))
    return entries


def write_imatrix(path, entries):
    tensors = []
    for name, (sums, counts) in entries.items():
        tensors += [(name + ".in_sum2", sums, F32), (name + ".counts", counts.reshape(-1, 1), F32)]
    write_gguf(path, {"general.type": "imatrix", "imatrix.datasets": ["calib.txt", "more.txt"],
                      "imatrix.chunk_count": 11, "imatrix.chunk_size": 512}, tensors)
    return path


def write_legacy_imatrix(path, entries, chunks=True):
    """The .dat of older tools: sums are means times the number of calls. Stacks have one list for all."""
    out = struct.pack("<i", len(entries))
    for name, (sums, counts) in entries.items():
        calls = int(counts[0])
        values = (sums / counts[0] * calls).astype(np.float32).ravel()
        out += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values)) + values.tobytes()
    if chunks:
        out += struct.pack("<ii", 5, 9) + b"calib.txt"
    path.write_bytes(out)
    return path
