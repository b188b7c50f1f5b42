/* Every type: a NaN or infinity in any scale or value is found, and nothing else is. */
#include "fp16.h"
#include "model_file.h"
#include "report.h"
#include "verify.h"

#include <string.h>

/* Where the scales are, written down from the layouts of ggml (not from layouts.c). */
typedef struct {
    ws_dtype type;
    size_t at[5]; /* byte offsets in a block */
    int n;
    uint64_t nan; /* `bytes` bytes of a NaN */
    size_t bytes;
} scale_place;

static const scale_place places[] = {
    {WS_TYPE_F32, {0}, 1, 0x7fc00000, 4},   {WS_TYPE_F16, {0}, 1, 0x7e01, 2},
    {WS_TYPE_BF16, {0}, 1, 0x7fc0, 2},      {WS_TYPE_F64, {0}, 1, 0x7ff8000000000000, 8},
    {WS_TYPE_Q4_0, {0}, 1, 0x7e01, 2},      {WS_TYPE_Q4_1, {0, 2}, 2, 0x7e01, 2},
    {WS_TYPE_Q5_0, {0}, 1, 0x7e01, 2},      {WS_TYPE_Q5_1, {0, 2}, 2, 0x7e01, 2},
    {WS_TYPE_Q8_0, {0}, 1, 0x7e01, 2},      {WS_TYPE_Q8_1, {0, 2}, 2, 0x7e01, 2},
    {WS_TYPE_Q2_K, {80, 82}, 2, 0x7e01, 2}, {WS_TYPE_Q3_K, {108}, 1, 0x7e01, 2},
    {WS_TYPE_Q4_K, {0, 2}, 2, 0x7e01, 2},   {WS_TYPE_Q5_K, {0, 2}, 2, 0x7e01, 2},
    {WS_TYPE_Q6_K, {208}, 1, 0x7e01, 2},    {WS_TYPE_Q8_K, {0}, 1, 0x7fc00000, 4},
    {WS_TYPE_IQ2_XXS, {0}, 1, 0x7e01, 2},   {WS_TYPE_IQ2_XS, {0}, 1, 0x7e01, 2},
    {WS_TYPE_IQ2_S, {0}, 1, 0x7e01, 2},     {WS_TYPE_IQ3_XXS, {0}, 1, 0x7e01, 2},
    {WS_TYPE_IQ3_S, {0}, 1, 0x7e01, 2},     {WS_TYPE_IQ1_S, {0}, 1, 0x7e01, 2},
    {WS_TYPE_IQ4_NL, {0}, 1, 0x7e01, 2},    {WS_TYPE_IQ4_XS, {0}, 1, 0x7e01, 2},
    {WS_TYPE_TQ1_0, {52}, 1, 0x7e01, 2},    {WS_TYPE_TQ2_0, {64}, 1, 0x7e01, 2},
    {WS_TYPE_MXFP4, {0}, 1, 0xff, 1},       {WS_TYPE_NVFP4, {0, 1, 2, 3}, 4, 0x7f, 1},
    {WS_TYPE_Q1_0, {0}, 1, 0x7e01, 2},      {WS_TYPE_Q2_0, {0}, 1, 0x7e01, 2},
};
enum { N_PLACES = sizeof places / sizeof *places, BLOCKS = 9 };

static char dir[32], path[64];

static void set_up(void) {
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/model.gguf", dir);
}

static void tear_down(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

/* A file with one tensor "t" of BLOCKS blocks and an innocent one before and behind it. */
static void write_tensor(ws_dtype type, const uint8_t *data) {
    const ws_dtype_info *info = ws_dtype_get(type);
    const uint64_t ne[] = {(uint64_t)info->block_elements * BLOCKS, 1}, one[] = {1, 1};
    static const float zero;
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_add_tensor(w, "before", WS_TYPE_F32, 1, one);
    ws_gguf_add_tensor(w, "t", type, 1, ne);
    ws_gguf_add_tensor(w, "behind", WS_TYPE_F32, 1, one);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_write(w, &zero, sizeof zero, &err), WS_OK);
    cr_assert_eq(ws_gguf_write(w, data, (size_t)info->block_bytes * BLOCKS, &err), WS_OK);
    cr_assert_eq(ws_gguf_write(w, &zero, sizeof zero, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

/* Verify the file; the findings' strings stay valid until ws_report_close(). */
static ws_report *verify(ws_findings *v) {
    ws_error err = {0};
    ws_report *r;
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_verify_run(v, r, 2, true, &err), WS_OK, "%s", err.msg);
    return r;
}

static size_t block_bytes(const scale_place *p) { return ws_dtype_get(p->type)->block_bytes; }

/* All bits set, but every scale zero: nothing is wrong with that. */
static uint8_t *innocent(const scale_place *p) {
    const size_t block = block_bytes(p);
    uint8_t *data = malloc(block * BLOCKS);
    memset(data, 0xff, block * BLOCKS);
    for (size_t b = 0; b < BLOCKS; b++)
        for (int i = 0; i < p->n; i++) memset(data + b * block + p->at[i], 0, p->bytes);
    return data;
}

static void put(uint8_t *data, uint64_t bits, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)(bits >> (8 * i));
}

Test(verify, bytes_beside_the_scales_do_not_matter, .init = set_up, .fini = tear_down) {
    for (int i = 0; i < N_PLACES; i++) {
        uint8_t *data = innocent(&places[i]);
        write_tensor(places[i].type, data);
        ws_findings v;
        ws_report *r = verify(&v);
        cr_expect_eq(v.n, 0, "%s: %zu findings", ws_dtype_name(places[i].type), v.n);
        cr_expect_eq(v.n_bytes, 8 + block_bytes(&places[i]) * BLOCKS, "all of it was looked at");
        ws_findings_free(&v);
        ws_report_close(r);
        free(data);
    }
}

Test(verify, finds_a_nan_in_every_scale, .init = set_up, .fini = tear_down) {
    for (int i = 0; i < N_PLACES; i++)
        for (int k = 0; k < places[i].n; k++) {
            const scale_place *p = &places[i];
            const char *name = ws_dtype_name(p->type);
            uint8_t *data = innocent(p);
            put(data + 7 * block_bytes(p) + p->at[k], p->nan, p->bytes);
            put(data + 8 * block_bytes(p) + p->at[k], p->nan, p->bytes);
            write_tensor(p->type, data);
            ws_findings v;
            ws_report *r = verify(&v);
            cr_assert_eq(v.n, 1, "%s, scale %d: %zu findings", name, k, v.n);
            cr_expect(v.n_errors == 1 && v.n_warnings == 0);
            cr_expect_str_eq(v.list[0].tensor, "t");
            cr_expect_eq(v.list[0].kind, WS_FINDING_NOT_FINITE);
            cr_expect(v.list[0].n_nan == 2 && v.list[0].n_inf == 0, "%s", name);
            cr_expect_eq(v.list[0].first, 7 * ws_dtype_get(p->type)->block_elements, "%s", name);
            ws_findings_free(&v);
            ws_report_close(r);
            free(data);
        }
}

Test(verify, iq1_m_has_its_scale_in_four_nibbles, .init = set_up, .fini = tear_down) {
    enum { BLOCK = 56, SCALES = 48 };
    static const struct {
        uint16_t f16;
        uint64_t n_nan, n_inf;
    } cases[] = {{0x7e01, 1, 0}, {0x7c00, 0, 1}, {0xfc00, 0, 1}, {0x7c08, 1, 0}, {0x7bff, 0, 0}, {0x83ff, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t data[BLOCK * BLOCKS];
        memset(data, 0x0f, sizeof data);
        for (int n = 0; n < 4; n++) /* the high nibble of word n holds bits 4n.. of the scale */
            data[3 * BLOCK + SCALES + 2 * n + 1] = (uint8_t)(0x0f | (cases[i].f16 >> (4 * n) & 15) << 4);
        write_tensor(WS_TYPE_IQ1_M, data);
        ws_findings v;
        ws_report *r = verify(&v);
        cr_expect_eq(v.n, cases[i].n_nan + cases[i].n_inf, "case %zu: %zu", i, v.n);
        if (v.n) {
            cr_expect_eq(v.list[0].n_nan, cases[i].n_nan, "case %zu", i);
            cr_expect_eq(v.list[0].first, 3 * 256);
        }
        ws_findings_free(&v);
        ws_report_close(r);
    }
}

Test(verify, largest_finite_numbers_are_fine_and_infinities_are_not, .init = set_up, .fini = tear_down) {
    static const struct {
        ws_dtype type;
        uint64_t bits;
        uint64_t n_inf;
    } cases[] = {
        {WS_TYPE_F32, 0xff7fffff, 0},
        {WS_TYPE_F32, 0xff800000, 1},
        {WS_TYPE_F16, 0xfbff, 0},
        {WS_TYPE_F16, 0x7c00, 1},
        {WS_TYPE_BF16, 0xff7f, 0},
        {WS_TYPE_BF16, 0x7f80, 1},
        {WS_TYPE_F64, 0xffefffffffffffff, 0},
        {WS_TYPE_F64, 0x7ff0000000000000, 1},
        {WS_TYPE_Q8_0, 0xfbff, 0},
        {WS_TYPE_Q8_0, 0xfc00, 1},
        {WS_TYPE_MXFP4, 0xfe, 0},
        {WS_TYPE_NVFP4, 0x7e, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ws_dtype_info *info = ws_dtype_get(cases[i].type);
        uint8_t *data = calloc(BLOCKS, info->block_bytes);
        put(data, cases[i].bits, info->block_elements > 1 ? (cases[i].bits > 255 ? 2 : 1) : info->block_bytes);
        write_tensor(cases[i].type, data);
        ws_findings v;
        ws_report *r = verify(&v);
        cr_expect_eq(v.n_errors, cases[i].n_inf, "case %zu", i);
        if (v.n_errors) cr_expect(v.list[0].n_inf == 1 && v.list[0].n_nan == 0 && v.list[0].first == 0);
        ws_findings_free(&v);
        ws_report_close(r);
        free(data);
    }
}

/* Larger than the pieces that threads take: counts add up over pieces, the first is the first of the tensor. */
Test(verify, pieces_add_up, .init = set_up, .fini = tear_down) {
    enum { N = 5 << 20 }; /* 20 MiB of floats: five pieces */
    static const size_t bad[] = {1500000, 1500001, 3000000, N - 1};
    float *data = calloc(N, sizeof *data);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) data[bad[i]] = i == 2 ? INFINITY : NAN;
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_add_tensor(w, "t", WS_TYPE_F32, 1, (const uint64_t[]){N});
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK);
    cr_assert_eq(ws_gguf_write(w, data, N * sizeof *data, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK);
    free(data);
    for (int threads = 1; threads <= 4; threads++) {
        ws_findings v;
        ws_report *r;
        cr_assert_eq(ws_report_open(&r, path, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_verify_run(&v, r, threads, true, &err), WS_OK);
        cr_assert_eq(v.n, 1);
        cr_expect_eq(v.list[0].n_nan, 3);
        cr_expect_eq(v.list[0].n_inf, 1);
        cr_expect_eq(v.list[0].first, bad[0]);
        ws_findings_free(&v);
        ws_report_close(r);
    }
}

/* ---- safetensors ---- */

typedef struct {
    ws_st_dtype type;
    size_t bytes;
    uint64_t bits;
    uint64_t n_nan, n_inf;
} st_case;

static const st_case st_cases[] = {
    {WS_ST_F16, 2, 0x7e00, 1, 0},
    {WS_ST_F16, 2, 0x7bff, 0, 0},
    {WS_ST_BF16, 2, 0xffc0, 1, 0},
    {WS_ST_F32, 4, 0x7f800000, 0, 1},
    {WS_ST_F64, 8, 0xfff0000000000001, 1, 0},
    {WS_ST_C64, 8, 0x7fc0000000000000, 1, 0}, /* the imaginary part */
    {WS_ST_F8_E4M3, 1, 0xff, 1, 0},
    {WS_ST_F8_E4M3, 1, 0x7e, 0, 0},
    {WS_ST_F8_E5M2, 1, 0x7c, 0, 1},
    {WS_ST_F8_E5M2, 1, 0xfd, 1, 0},
    {WS_ST_F8_E5M2, 1, 0x7b, 0, 0},
    {WS_ST_F8_E8M0, 1, 0xff, 1, 0},
    {WS_ST_F8_E4M3FNUZ, 1, 0x80, 1, 0},
    {WS_ST_F8_E4M3FNUZ, 1, 0xff, 0, 0},
    {WS_ST_F8_E5M2FNUZ, 1, 0x80, 1, 0},
    {WS_ST_I32, 4, 0x7fc00000, 0, 0},
    {WS_ST_U8, 1, 0xff, 0, 0},
    {WS_ST_BOOL, 1, 0x01, 0, 0},
    {WS_ST_U64, 8, 0x7ff8000000000000, 0, 0},
};

Test(verify, safetensors_types, .init = set_up, .fini = tear_down) {
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    for (size_t i = 0; i < sizeof st_cases / sizeof *st_cases; i++) {
        const st_case *c = &st_cases[i];
        enum { N = 40, AT = 33 };
        uint8_t data[N * 8] = {0};
        put(data + AT * c->bytes, c->bits, c->bytes);
        ws_error err = {0};
        ws_safetensors_writer *w;
        cr_assert_eq(ws_safetensors_writer_new(&w, &err), WS_OK);
        ws_safetensors_add(w, "t", c->type, 1, (const uint64_t[]){N});
        cr_assert_eq(ws_safetensors_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_safetensors_write(w, data, N * c->bytes, &err), WS_OK);
        cr_assert_eq(ws_safetensors_writer_finish(w, &err), WS_OK, "%s", err.msg);
        ws_findings v;
        ws_report *r = verify(&v);
        cr_expect_eq(v.n, c->n_nan + c->n_inf, "case %zu: %zu findings", i, v.n);
        if (v.n) cr_expect(v.list[0].n_nan == c->n_nan && v.list[0].n_inf == c->n_inf, "case %zu", i);
        if (v.n) cr_expect_eq(v.list[0].first, AT, "case %zu", i);
        ws_findings_free(&v);
        ws_report_close(r);
    }
}

/* ---- structure ---- */

static void append(const char *bytes, size_t n) {
    FILE *f = fopen(path, "ab");
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* The findings of ws_verify_structure() only. */
static ws_report *structure(ws_findings *v) {
    ws_error err = {0};
    ws_report *r;
    *v = (ws_findings){0};
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_verify_structure(v, r, &err), WS_OK, "%s", err.msg);
    return r;
}

Test(verify, trailing_bytes_are_a_warning, .init = set_up, .fini = tear_down) {
    static const test_tensor tensor = {"t", WS_TYPE_F32, {8, 1}};
    test_write_model(path, "llama", 1, 1, 1, 0, &tensor, 1);
    append("abc", 3);
    ws_findings v;
    ws_report *r = structure(&v);
    cr_assert(v.n == 1 && v.n_errors == 0 && v.n_warnings == 1);
    cr_expect(v.list[0].kind == WS_FINDING_TRAILING && v.list[0].bytes == 3);
    ws_findings_free(&v);
    ws_report_close(r);
}

/* Swap the offsets of two tensors of the same size: valid, but not what llama.cpp reads. */
Test(verify, order_is_checked, .init = set_up, .fini = tear_down) {
    static const test_tensor tensors[] = {{"a", WS_TYPE_F32, {8, 1}}, {"b", WS_TYPE_F32, {8, 1}}};
    test_write_model(path, "llama", 1, 1, 1, 0, tensors, 2);
    FILE *f = fopen(path, "r+b");
    char header[4096];
    const size_t n = fread(header, 1, sizeof header, f);
    /* info: u64 length, name, u32 n_dims, n_dims u64, u32 type, u64 offset */
    for (size_t i = 0, seen = 0; i + 40 < n && seen < 2; i++) {
        if (memcmp(header + i, seen ? "\1\0\0\0\0\0\0\0b" : "\1\0\0\0\0\0\0\0a", 9) != 0) continue;
        uint32_t n_dims;
        memcpy(&n_dims, header + i + 9, 4);
        fseek(f, (long)(i + 13 + 8 * n_dims + 4), SEEK_SET);
        const uint64_t offset = seen++ ? 0 : 32;
        cr_assert_eq(fwrite(&offset, 8, 1, f), 1);
    }
    fclose(f);
    ws_findings v;
    ws_report *r = structure(&v);
    cr_assert_eq(v.n, 2, "%zu", v.n);
    cr_expect(v.list[0].kind == WS_FINDING_ORDER && v.list[0].bytes == 32 && v.n_errors == 0);
    cr_expect_str_eq(v.list[0].tensor, "a");
    ws_findings_free(&v);
    ws_report_close(r);
}
