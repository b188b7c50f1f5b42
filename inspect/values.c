#include "values.h"

#include "formats.h"
#include "fp16.h"

#include <math.h>
#include <string.h>

/* ---- types that quantize/formats has no need for ---- */

#define DEFINE_PLAIN(name, type)                                                                                       \
    static void name(const void *x, float *y, size_t n) {                                                              \
        for (size_t i = 0; i < n; i++) {                                                                               \
            type v;                                                                                                    \
            memcpy(&v, (const char *)x + i * sizeof v, sizeof v);                                                      \
            y[i] = (float)v;                                                                                           \
        }                                                                                                              \
    }
DEFINE_PLAIN(from_i8, int8_t)
DEFINE_PLAIN(from_i16, int16_t)
DEFINE_PLAIN(from_i32, int32_t)
DEFINE_PLAIN(from_i64, int64_t)
DEFINE_PLAIN(from_u8, uint8_t)
DEFINE_PLAIN(from_u16, uint16_t)
DEFINE_PLAIN(from_u32, uint32_t)
DEFINE_PLAIN(from_u64, uint64_t)
DEFINE_PLAIN(from_f64, double)

/* Eight bits: sign, exponent, `mantissa` bits; `bias` of the exponent. The NaNs are the caller's. */
static float small_float(uint8_t v, int mantissa, int bias) {
    const int exponent = (v & 0x7f) >> mantissa, fraction = v & ((1 << mantissa) - 1);
    const float m = exponent ? 1 + ldexpf((float)fraction, -mantissa) : ldexpf((float)fraction, -mantissa);
    const float x = ldexpf(m, (exponent ? exponent : 1) - bias);
    return v & 0x80 ? -x : x;
}

static void from_e4m3(const void *x, float *y, size_t n) {
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = (p[i] & 0x7f) == 0x7f ? NAN : small_float(p[i], 3, 7);
}

static void from_e5m2(const void *x, float *y, size_t n) {
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = ws_f16_to_f32((uint16_t)(p[i] << 8)); /* the high byte of a half */
}

static void from_e4m3fnuz(const void *x, float *y, size_t n) {
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = p[i] == 0x80 ? NAN : small_float(p[i], 3, 8);
}

static void from_e5m2fnuz(const void *x, float *y, size_t n) {
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = p[i] == 0x80 ? NAN : small_float(p[i], 2, 16);
}

static void from_e8m0(const void *x, float *y, size_t n) {
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = p[i] == 0xff ? NAN : ldexpf(1, p[i] - 127);
}

/* ---- tables ---- */

static ws_to_float *const gguf_plain[WS_TYPE_COUNT] = {
    [WS_TYPE_I8] = from_i8,   [WS_TYPE_I16] = from_i16, [WS_TYPE_I32] = from_i32,
    [WS_TYPE_I64] = from_i64, [WS_TYPE_F64] = from_f64,
};

ws_to_float *ws_values_of(ws_dtype type, uint32_t cpu_flags) {
    const ws_format *format = ws_format_get(type, cpu_flags);
    return format ? format->to_float : gguf_plain[type];
}

static ws_to_float *const st_plain[WS_ST_COUNT] = {
    [WS_ST_BOOL] = from_u8,
    [WS_ST_U8] = from_u8,
    [WS_ST_I8] = from_i8,
    [WS_ST_U16] = from_u16,
    [WS_ST_I16] = from_i16,
    [WS_ST_U32] = from_u32,
    [WS_ST_I32] = from_i32,
    [WS_ST_U64] = from_u64,
    [WS_ST_I64] = from_i64,
    [WS_ST_F64] = from_f64,
    [WS_ST_F8_E4M3] = from_e4m3,
    [WS_ST_F8_E5M2] = from_e5m2,
    [WS_ST_F8_E8M0] = from_e8m0,
    [WS_ST_F8_E4M3FNUZ] = from_e4m3fnuz,
    [WS_ST_F8_E5M2FNUZ] = from_e5m2fnuz,
};

ws_to_float *ws_values_of_st(ws_st_dtype type, uint32_t cpu_flags) {
    switch (type) {
    case WS_ST_F32: return ws_values_of(WS_TYPE_F32, cpu_flags);
    case WS_ST_F16: return ws_values_of(WS_TYPE_F16, cpu_flags);
    case WS_ST_BF16: return ws_values_of(WS_TYPE_BF16, cpu_flags);
    default: return st_plain[type];
    }
}
