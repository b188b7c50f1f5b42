#include "logits_file.h"

#include "alloc.h"
#include "cursor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char magic[] = "_logits_";
enum { MAGIC_BYTES = 8, ROW_HEAD = 2 * sizeof(float), LEVELS = 65535, SPAN = 16 };

static const float hidden = -1e4f; /* its exponential is 0 */

size_t ws_logits_row_bytes(size_t n_vocab) { return ROW_HEAD + (n_vocab + n_vocab % 2) * sizeof(uint16_t); }

bool ws_is_logits_file(const char *path) {
    char start[MAGIC_BYTES] = {0};
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    const bool is = fread(start, 1, sizeof start, f) == sizeof start && memcmp(start, magic, MAGIC_BYTES) == 0;
    fclose(f);
    return is;
}

/* ---- reading ---- */

static ws_status check_tokens(const ws_logits_file *f, size_t n, ws_error *err) {
    ws_cursor c = {.at = f->tokens, .end = f->tokens + n * sizeof(int32_t)};
    for (size_t i = 0; i < n; i++) {
        const uint32_t token = ws_u32(&c);
        if (token >= f->n_vocab)
            return ws_fail(err, WS_FORMAT, "'%s': token %zu is %" PRIu32 ", but the vocabulary has %" PRIu32, f->path,
                           i, token, f->n_vocab);
    }
    return WS_OK;
}

ws_status ws_logits_file_bytes(ws_logits_file *f, const uint8_t *data, size_t n, const char *path, ws_error *err) {
    ws_cursor c = {.at = data, .end = data + n};
    const uint8_t *start = ws_take(&c, MAGIC_BYTES);
    *f = (ws_logits_file){.path = path};
    f->n_ctx = ws_u32(&c), f->n_vocab = ws_u32(&c), f->n_chunks = ws_u32(&c);
    if (c.bad || memcmp(start, magic, MAGIC_BYTES) != 0)
        return ws_fail(err, WS_FORMAT, "'%s' is not a file of logits", path);
    if (f->n_ctx < 4 || f->n_vocab < 1 || f->n_vocab > INT32_MAX || f->n_chunks < 1)
        return ws_fail(err, WS_FORMAT,
                       "'%s': chunks of %" PRIu32 " tokens, %" PRIu32 " chunks, a vocabulary of %" PRIu32, path,
                       f->n_ctx, f->n_chunks, f->n_vocab);
    const uint64_t n_tokens = (uint64_t)f->n_chunks * f->n_ctx;
    uint64_t bytes;
    f->n_rows = f->n_ctx - 1 - f->n_ctx / 2;
    f->row_bytes = ws_logits_row_bytes(f->n_vocab);
    f->tokens = n_tokens <= ws_left(&c) / sizeof(int32_t) ? ws_take(&c, n_tokens * sizeof(int32_t)) : NULL;
    const bool fits = f->tokens && !ws_mul_overflows(f->n_chunks * (uint64_t)f->n_rows, f->row_bytes, &bytes);
    f->rows = fits ? ws_take(&c, bytes) : NULL;
    if (!f->rows)
        return ws_fail(err, WS_FORMAT,
                       "'%s' has %zu bytes, too few for %" PRIu32 " chunks of %" PRIu32 " tokens: it is not complete",
                       path, n, f->n_chunks, f->n_ctx);
    return check_tokens(f, n_tokens, err);
}

ws_status ws_logits_file_open(ws_logits_file *f, const char *path, ws_error *err) {
    ws_map map;
    *f = (ws_logits_file){0};
    WS_TRY(ws_map_open(&map, path, err));
    const ws_status st = ws_logits_file_bytes(f, map.data, map.size, path, err);
    f->map = map;
    return st;
}

void ws_logits_file_close(ws_logits_file *f) {
    ws_map_close(&f->map);
    *f = (ws_logits_file){0};
}

/* ---- rows ---- */

void ws_logits_pack(const float *x, size_t n, double lse, uint8_t *row) {
    float max = x[0], min = x[0];
    for (size_t i = 1; i < n; i++) {
        max = x[i] > max ? x[i] : max;
        min = x[i] < min ? x[i] : min;
    }
    if (min < max - SPAN) min = max - SPAN;
    const float head[2] = {(max - min) / LEVELS, (float)((double)min - lse)};
    const float per_level = head[0] > 0 ? 1 / head[0] : 0;
    memcpy(row, head, sizeof head);
    row += sizeof head;
    for (size_t i = 0; i < n + n % 2; i++) {
        const float level = i < n && x[i] > min ? rintf(per_level * (x[i] - min)) : 0;
        const uint16_t q = (uint16_t)(level < LEVELS ? level : LEVELS);
        memcpy(row + i * sizeof q, &q, sizeof q);
    }
}

double ws_logits_unpack(const uint8_t *row, size_t n, int32_t token, float *x) {
    const float scale = ws_f32_at(row), least = ws_f32_at(row + sizeof(float));
    double nll = NAN;
    if (!isfinite(scale) || !isfinite(least) || !isfinite(scale * LEVELS + least)) return NAN;
    row += ROW_HEAD;
    for (size_t i = 0; i < n; i++) {
        uint16_t q;
        memcpy(&q, row + i * sizeof q, sizeof q);
        const float logp = scale * (float)q + least;
        x[i] = logp > -SPAN ? logp : hidden;
        if (i == (size_t)token) nll = -(double)logp;
    }
    return nll;
}

/* ---- writing ---- */

ws_status ws_logits_write_header(ws_outfile *out, uint32_t n_ctx, uint32_t n_vocab, uint32_t n_chunks,
                                 const int32_t *tokens, ws_error *err) {
    const uint32_t numbers[] = {n_ctx, n_vocab, n_chunks};
    WS_TRY(ws_outfile_write(out, magic, MAGIC_BYTES, err));
    WS_TRY(ws_outfile_write(out, numbers, sizeof numbers, err));
    return ws_outfile_write(out, tokens, (size_t)n_chunks * n_ctx * sizeof *tokens, err);
}
