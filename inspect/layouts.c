#include "layouts.h"

#include "blocks.h"

#include <stddef.h>

/* ---- numbers ---- */

static const ws_number f16 = {2, 0x7c00, 0x7c00, 0x03ff, 0, 0};
static const ws_number bf16 = {2, 0x7f80, 0x7f80, 0x007f, 0, 0};
static const ws_number f32 = {4, 0x7f800000, 0x7f800000, 0x007fffff, 0, 0};
static const ws_number f64 = {8, 0x7ff0000000000000, 0x7ff0000000000000, 0x000fffffffffffff, 0, 0};
static const ws_number e8m0 = {1, 0xff, 0xff, 0, 0, 0};
static const ws_number e4m3 = {1, 0x7f, 0x7f, 0, 0, 0}; /* the "fn" form: no infinities, one NaN of each sign */
static const ws_number e5m2 = {1, 0x7c, 0x7c, 0x03, 0, 0};
static const ws_number fnuz = {1, 0xff, 0x80, 0, 0, 0}; /* what would be -0 is the only NaN */

/* Scales of blocks: 64 and above is absurd; below 2^-20 a half keeps four bits or less. E8M0: from 2^10 on. */
static const ws_number scale16 = {2, 0x7c00, 0x7c00, 0x03ff, 0x5400, 0x000f};
static const ws_number scale8 = {1, 0xff, 0xff, 0, 127 + 10, 0};

/* The f16 scale of IQ1_M, four bits at the top of each of four 16-bit words, low bits first. */
static const ws_number iq1_m = {8, 0x7000c00000000000, 0x7000c00000000000, 0x00003000f000f000, 0, 0};

/* ---- GGUF types ---- */

#define AT(type, member) offsetof(type, member)

static const ws_number_field gguf_fields[WS_TYPE_COUNT][WS_MAX_FIELDS] = {
    [WS_TYPE_F32] = {{&f32, 0, 1}},
    [WS_TYPE_F16] = {{&f16, 0, 1}},
    [WS_TYPE_BF16] = {{&bf16, 0, 1}},
    [WS_TYPE_F64] = {{&f64, 0, 1}},
    [WS_TYPE_Q4_0] = {{&scale16, AT(ws_q4_0, d), 1}},
    [WS_TYPE_Q4_1] = {{&scale16, AT(ws_q4_1, d), 1}, {&f16, AT(ws_q4_1, m), 1}},
    [WS_TYPE_Q5_0] = {{&scale16, AT(ws_q5_0, d), 1}},
    [WS_TYPE_Q5_1] = {{&scale16, AT(ws_q5_1, d), 1}, {&f16, AT(ws_q5_1, m), 1}},
    [WS_TYPE_Q8_0] = {{&scale16, AT(ws_q8_0, d), 1}},
    [WS_TYPE_Q2_K] = {{&scale16, AT(ws_q2_k, d), 1}, {&f16, AT(ws_q2_k, dmin), 1}},
    [WS_TYPE_Q3_K] = {{&scale16, AT(ws_q3_k, d), 1}},
    [WS_TYPE_Q4_K] = {{&scale16, AT(ws_q4_k, d), 1}, {&f16, AT(ws_q4_k, dmin), 1}},
    [WS_TYPE_Q5_K] = {{&scale16, AT(ws_q5_k, d), 1}, {&f16, AT(ws_q5_k, dmin), 1}},
    [WS_TYPE_Q6_K] = {{&scale16, AT(ws_q6_k, d), 1}},
    /* The types below are only listed and copied; a block of most begins with its f16 scale. */
    [WS_TYPE_Q8_1] = {{&f16, 0, 2}},
    [WS_TYPE_Q8_K] = {{&f32, 0, 1}},
    [WS_TYPE_IQ2_XXS] = {{&scale16, 0, 1}},
    [WS_TYPE_IQ2_XS] = {{&scale16, 0, 1}},
    [WS_TYPE_IQ2_S] = {{&scale16, 0, 1}},
    [WS_TYPE_IQ3_XXS] = {{&scale16, 0, 1}},
    [WS_TYPE_IQ3_S] = {{&scale16, 0, 1}},
    [WS_TYPE_IQ1_S] = {{&scale16, 0, 1}},
    [WS_TYPE_IQ1_M] = {{&iq1_m, 48, 1}},
    [WS_TYPE_IQ4_NL] = {{&scale16, 0, 1}},
    [WS_TYPE_IQ4_XS] = {{&scale16, 0, 1}},
    [WS_TYPE_TQ1_0] = {{&scale16, 52, 1}},
    [WS_TYPE_TQ2_0] = {{&scale16, 64, 1}},
    [WS_TYPE_MXFP4] = {{&scale8, 0, 1}},
    [WS_TYPE_NVFP4] = {{&e4m3, 0, 4}},
    [WS_TYPE_Q1_0] = {{&scale16, 0, 1}},
    [WS_TYPE_Q2_0] = {{&scale16, 0, 1}},
};

static void copy_fields(ws_layout *layout, const ws_number_field *fields) {
    for (int i = 0; i < WS_MAX_FIELDS; i++) layout->fields[i] = fields[i];
}

ws_layout ws_layout_of(ws_dtype type) {
    const ws_dtype_info *info = ws_dtype_get(type);
    ws_layout layout = {.what = "values"};
    if (!info) return layout;
    layout.what = info->block_elements > 1 ? "scales" : "values";
    layout.block_bytes = info->block_bytes;
    layout.block_elements = info->block_elements;
    copy_fields(&layout, gguf_fields[type]);
    return layout;
}

/* ---- safetensors types ---- */

static const ws_number_field st_fields[WS_ST_COUNT][WS_MAX_FIELDS] = {
    [WS_ST_F16] = {{&f16, 0, 1}},          [WS_ST_BF16] = {{&bf16, 0, 1}},    [WS_ST_F32] = {{&f32, 0, 1}},
    [WS_ST_F64] = {{&f64, 0, 1}},          [WS_ST_C64] = {{&f32, 0, 2}},      [WS_ST_F8_E4M3] = {{&e4m3, 0, 1}},
    [WS_ST_F8_E5M2] = {{&e5m2, 0, 1}},     [WS_ST_F8_E8M0] = {{&e8m0, 0, 1}}, [WS_ST_F8_E4M3FNUZ] = {{&fnuz, 0, 1}},
    [WS_ST_F8_E5M2FNUZ] = {{&fnuz, 0, 1}},
};

ws_layout ws_layout_of_st(ws_st_dtype type) {
    const uint32_t bits = ws_st_dtype_bits(type);
    ws_layout layout = {.what = "values", .block_bytes = bits / 8, .block_elements = 1};
    if (bits % 8 == 0) copy_fields(&layout, st_fields[type]);
    return layout;
}
