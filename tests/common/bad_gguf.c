#include "bad_gguf.h"

#include "gguf.h"

#define FILE_OF(...)                                                                                                   \
    (const piece[]) {                                                                                                  \
        __VA_ARGS__, { PIECE_END, 0, 0, NULL }                                                                         \
    }

#define HEADER(n_tensors, n_kv) R("GGUF"), U32(3), U64(n_tensors), U64(n_kv)
#define PAIR_U32(key, v)        S(key), U32(WS_KV_U32), U32(v)
#define ARRAY(type, n)          U32(WS_KV_ARRAY), U32(type), U64(n)
#define INNER(type, n)          U32(type), U64(n)
#define F32_1D(name, ne, at)    S(name), U32(1), U64(ne), U32(WS_TYPE_F32), U64(at)
#define ALIGNED(v)              HEADER(1, 1), PAIR_U32("general.alignment", v), F32_1D("a", 2, 0), PAD(32), FILL(32)
#define HUGE                    UINT64_MAX
#define NAME_64                 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NAME_256                NAME_64 NAME_64 NAME_64 NAME_64

const bad_file bad_ggufs[] = {
    /* the header */
    {"empty", (const piece[]){{PIECE_END, 0, 0, NULL}}, WS_FORMAT, "is not a GGUF file: it is empty"},
    {"three bytes", FILE_OF(R("GGU")), WS_FORMAT, "is not a GGUF file"},
    {"wrong magic", FILE_OF(R("GGML"), U32(3), U64(0), U64(0)), WS_FORMAT, "starts with GGML"},
    {"magic that a terminal would obey", FILE_OF(R("\33[2J"), U32(3), U64(0), U64(0)), WS_FORMAT, "starts with ?[2J"},
    {"only the magic", FILE_OF(R("GGUF")), WS_FORMAT, "ends inside its header"},
    {"version 0", FILE_OF(R("GGUF"), U32(0), U64(0), U64(0)), WS_UNSUPPORTED, "version 0;"},
    {"version 1", FILE_OF(R("GGUF"), U32(1), U32(0), U32(0), U64(0)), WS_UNSUPPORTED, "version 1;"},
    {"version 4", FILE_OF(R("GGUF"), U32(4), U64(0), U64(0)), WS_UNSUPPORTED, "version 4;"},
    {"big-endian", FILE_OF(R("GGUF\0\0\0\3"), U64(0), U64(0)), WS_UNSUPPORTED, "big-endian"},
    {"absurd number of tensors", FILE_OF(HEADER(HUGE, 0)), WS_FORMAT, "more than its 24 bytes can hold"},
    {"absurd number of keys", FILE_OF(HEADER(0, HUGE / 2), FILL(64)), WS_FORMAT, "more than its 88 bytes can hold"},
    {"one key too many", FILE_OF(HEADER(0, 2), PAIR_U32("a.key", 1)), WS_FORMAT, "more than its"},

    /* keys and values */
    {"key without bytes", FILE_OF(HEADER(0, 1), S(""), U32(WS_KV_U32), U32(1)), WS_FORMAT, "bad name of 0 bytes"},
    {"key with a NUL", FILE_OF(HEADER(0, 1), PAIR_U32("a\0b", 1)), WS_FORMAT, "bad name of 3 bytes ('a?b')"},
    {"key length beyond the file", FILE_OF(HEADER(0, 1), U64(100), R("key"), FILL(20)), WS_FORMAT, "inside key 1 of 1"},
    {"key length that wraps", FILE_OF(HEADER(0, 1), U64(HUGE - 7), R("key"), FILL(20)), WS_FORMAT, "inside key 1 of 1"},
    {"unknown value type", FILE_OF(HEADER(0, 1), S("a.key"), U32(13), U64(0)), WS_FORMAT,
     "'a.key' has an unknown type"},
    {"same key twice", FILE_OF(HEADER(0, 3), PAIR_U32("b", 1), PAIR_U32("a", 1), PAIR_U32("b", 2)), WS_FORMAT,
     "the key 'b' twice"},
    {"value cut", FILE_OF(HEADER(0, 1), S("a.key"), U32(WS_KV_U64), U32(1)), WS_FORMAT,
     "'a.key' ends past the end of the file"},
    {"string length that wraps", FILE_OF(HEADER(0, 1), S("s"), U32(WS_KV_STRING), U64(HUGE), FILL(8)), WS_FORMAT,
     "'s' holds a string that ends past"},
    {"array length that wraps", FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_U64, 0x2000000000000001), U64(1)), WS_FORMAT,
     "'a' ends past the end of the file"},
    {"array one element too long", FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_U16, 3), U32(1)), WS_FORMAT,
     "'a' ends past the end of the file"},
    {"array of an unknown type", FILE_OF(HEADER(0, 1), S("a"), ARRAY(99, 1), U64(1)), WS_FORMAT,
     "'a' has elements of an unknown type"},
    {"array of strings, absurd count", FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_STRING, HUGE / 8), S("x")), WS_FORMAT,
     "'a' ends past the end of the file"},
    {"array of strings, the second cut", FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_STRING, 2), S("x"), U64(1)),
     WS_FORMAT, "'a' holds a string that ends past"},
    {"array of arrays, the inner one cut",
     FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_ARRAY, 1), INNER(WS_KV_U8, 5), U32(0)), WS_FORMAT,
     "'a' ends past the end of the file"},
    {"arrays nine deep",
     FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1),
             INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1),
             INNER(WS_KV_ARRAY, 1), INNER(WS_KV_U8, 1), U8(7)),
     WS_FORMAT, "nested more than 8 deep"},

    /* the alignment */
    {"alignment 0", FILE_OF(ALIGNED(0)), WS_FORMAT, "general.alignment is 0"},
    {"alignment 33", FILE_OF(ALIGNED(33)), WS_FORMAT, "general.alignment is 33"},
    {"alignment 4", FILE_OF(ALIGNED(4)), WS_FORMAT, "general.alignment is 4"},
    {"alignment of type u64",
     FILE_OF(HEADER(1, 1), S("general.alignment"), U32(WS_KV_U64), U64(32), F32_1D("a", 2, 0), PAD(32), FILL(8)),
     WS_FORMAT, "has type u64, expected u32"},
    {"alignment beyond the file", FILE_OF(ALIGNED(1 << 20)), WS_FORMAT, "ends before its tensor data"},

    /* tensors */
    {"tensor without name", FILE_OF(HEADER(1, 0), F32_1D("", 2, 0), PAD(32), FILL(8)), WS_FORMAT,
     "bad name of 0 bytes"},
    {"tensor name with a NUL", FILE_OF(HEADER(1, 0), F32_1D("a\0b", 2, 0), PAD(32), FILL(8)), WS_FORMAT,
     "bad name of 3 bytes"},
    {"tensor name of 256 bytes", FILE_OF(HEADER(1, 0), F32_1D(NAME_256, 2, 0), PAD(32), FILL(8)), WS_FORMAT,
     "bad name of 256 bytes"},
    {"tensor name length that wraps", FILE_OF(HEADER(1, 0), U64(HUGE), FILL(64)), WS_FORMAT, "tensor 1 of 1"},
    {"same name twice", FILE_OF(HEADER(2, 0), F32_1D("t", 2, 0), F32_1D("t", 2, 32), PAD(32), FILL(64)), WS_FORMAT,
     "the tensor 't' twice"},
    {"five dimensions",
     FILE_OF(HEADER(1, 0), S("t"), U32(5), U64(1), U64(1), U64(1), U64(1), U64(1), U32(0), U64(0), PAD(32), FILL(8)),
     WS_FORMAT, "has 5 dimensions"},
    {"negative dimension", FILE_OF(HEADER(1, 0), F32_1D("t", HUGE, 0), PAD(32), FILL(8)), WS_FORMAT, "overflows"},
    {"negative dimension beside one of 0",
     FILE_OF(HEADER(1, 0), S("t"), U32(2), U64(0), U64(HUGE), U32(0), U64(0), PAD(32), FILL(8)), WS_FORMAT,
     "overflows"},
    {"shape product that overflows",
     FILE_OF(HEADER(1, 0), S("t"), U32(3), U64(1ull << 31), U64(1ull << 31), U64(4), U32(0), U64(0), PAD(32), FILL(8)),
     WS_FORMAT, "product overflows"},
    {"bytes that overflow", FILE_OF(HEADER(1, 0), F32_1D("t", 1ull << 62, 0), PAD(32), FILL(8)), WS_FORMAT,
     "overflows"},
    {"type number 4, removed from the format",
     FILE_OF(HEADER(1, 0), S("t"), U32(1), U64(32), U32(4), U64(0), PAD(32), FILL(32)), WS_FORMAT,
     "tensor 't' has the unknown type number 4"},
    {"type number far out", FILE_OF(HEADER(1, 0), S("t"), U32(1), U64(32), U32(0x80000001), U64(0), PAD(32), FILL(32)),
     WS_FORMAT, "unknown type number 2147483649"},
    {"row of half a block",
     FILE_OF(HEADER(1, 0), S("t"), U32(2), U64(16), U64(2), U32(WS_TYPE_Q8_0), U64(0), PAD(32), FILL(34)), WS_FORMAT,
     "rows of 16 elements, not a multiple of the 32 in a block of Q8_0"},
    {"offset not aligned", FILE_OF(HEADER(1, 0), F32_1D("t", 2, 8), PAD(32), FILL(64)), WS_FORMAT,
     "offset 8, not a multiple of the alignment 32"},
    {"offset past the end", FILE_OF(HEADER(1, 0), F32_1D("t", 2, 96), PAD(32), FILL(64)), WS_FORMAT,
     "tensor 't' ends past the end of the file"},
    {"offset that wraps", FILE_OF(HEADER(1, 0), F32_1D("t", 16, HUGE - 31), PAD(32), FILL(64)), WS_FORMAT,
     "ends past the end of the file"},
    {"data one byte short", FILE_OF(HEADER(1, 0), F32_1D("t", 2, 0), PAD(32), FILL(7)), WS_FORMAT,
     "8 bytes at offset 0 of 7 bytes of data"},
    {"no data at all", FILE_OF(HEADER(1, 0), F32_1D("t", 2, 0)), WS_FORMAT, "ends before its tensor data"},
    {"two tensors in one place", FILE_OF(HEADER(2, 0), F32_1D("t", 2, 0), F32_1D("u", 2, 0), PAD(32), FILL(64)),
     WS_FORMAT, "overlaps tensor"},
    {"a tensor inside another", FILE_OF(HEADER(2, 0), F32_1D("u", 2, 32), F32_1D("t", 16, 0), PAD(32), FILL(64)),
     WS_FORMAT, "tensor 'u' overlaps tensor 't'"},
    {"laid out for alignment 32, declared 64",
     FILE_OF(HEADER(2, 1), PAIR_U32("general.alignment", 64), F32_1D("t", 2, 0), F32_1D("u", 2, 32), PAD(64), FILL(64)),
     WS_FORMAT, "offset 32, not a multiple of the alignment 64"},

    /* split models */
    {"part in memory",
     FILE_OF(HEADER(0, 3), S("split.no"), U32(WS_KV_U16), U16(0), S("split.count"), U32(WS_KV_U16), U16(2),
             S("split.tensors.count"), U32(WS_KV_I32), U32(0)),
     WS_UNSUPPORTED, "split model"},
    {"split.count without split.no", FILE_OF(HEADER(0, 1), S("split.count"), U32(WS_KV_U16), U16(2)), WS_FORMAT,
     "'split.no' is missing"},
    {"negative split.count", FILE_OF(HEADER(0, 1), S("split.count"), U32(WS_KV_I32), U32(-1)), WS_FORMAT,
     "'split.count' is not an integer"},

    /* not broken at all */
    {"smallest file", FILE_OF(HEADER(0, 0)), WS_OK, NULL},
    {"version 2", FILE_OF(R("GGUF"), U32(2), U64(0), U64(0)), WS_OK, NULL},
    {"last tensor without padding", FILE_OF(HEADER(1, 0), F32_1D("t", 2, 0), PAD(32), FILL(8)), WS_OK, NULL},
    {"bytes after the last tensor", FILE_OF(HEADER(1, 0), F32_1D("t", 2, 0), PAD(32), FILL(999)), WS_OK, NULL},
    {"gap between tensors", FILE_OF(HEADER(2, 0), F32_1D("t", 2, 0), F32_1D("u", 2, 96), PAD(32), FILL(104)), WS_OK,
     NULL},
    {"tensors in another order", FILE_OF(HEADER(2, 0), F32_1D("t", 2, 32), F32_1D("u", 2, 0), PAD(32), FILL(64)), WS_OK,
     NULL},
    {"alignment 64", FILE_OF(HEADER(1, 1), PAIR_U32("general.alignment", 64), F32_1D("a", 2, 0), PAD(64), FILL(8)),
     WS_OK, NULL},
    {"tensor of no elements", FILE_OF(HEADER(2, 0), F32_1D("t", 0, 0), F32_1D("u", 2, 0), PAD(32), FILL(8)), WS_OK,
     NULL},
    {"tensor of no dimensions", FILE_OF(HEADER(1, 0), S("t"), U32(0), U32(0), U64(0), PAD(32), FILL(4)), WS_OK, NULL},
    {"tensor name of 64 bytes", FILE_OF(HEADER(1, 0), F32_1D(NAME_64, 2, 0), PAD(32), FILL(8)), WS_OK, NULL},
    {"arrays eight deep",
     FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1),
             INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1), INNER(WS_KV_ARRAY, 1),
             INNER(WS_KV_U8, 1), U8(7)),
     WS_OK, NULL},
    {"array of no elements", FILE_OF(HEADER(0, 1), S("a"), ARRAY(WS_KV_STRING, 0)), WS_OK, NULL},
    {NULL, NULL, WS_OK, NULL},
};
