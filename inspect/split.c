#include "split.h"

#include "alloc.h"
#include "progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { SLICE = 8 << 20, PADDED_TO = 32, MAX_PARTS = 65535 /* split.count is a u16 */ };

#define KEY_NO      "split.no"
#define KEY_COUNT   "split.count"
#define KEY_TENSORS "split.tensors.count"

/* ---- the plan ---- */

static ws_status next_part(ws_split_plan *plan, size_t *cap, size_t tensor, bool may_be_empty, ws_error *err) {
    if (plan->n_parts && plan->first[plan->n_parts - 1] == tensor && !may_be_empty)
        return ws_fail(err, WS_UNSUPPORTED, "part %zu would hold no tensors: the limit is too small", plan->n_parts);
    if (plan->n_parts == MAX_PARTS)
        return ws_fail(err, WS_UNSUPPORTED, "more than %d parts cannot be numbered: the limit is too small", MAX_PARTS);
    WS_TRY(ws_grow(&plan->first, cap, plan->n_parts + 2, sizeof *plan->first, err));
    plan->first[plan->n_parts++] = tensor;
    return WS_OK;
}

ws_status ws_split_plan_make(ws_split_plan *plan, const ws_gguf *g, const ws_split_options *o, ws_error *err) {
    *plan = (ws_split_plan){0};
    size_t cap = 0;
    WS_TRY(next_part(plan, &cap, 0, false, err));
    if (o->no_tensor_first) WS_TRY(next_part(plan, &cap, 0, true, err));
    uint64_t bytes = 0; /* of the part; sums are bounded by the sizes of the files */
    for (size_t i = 0; i < g->n_tensors; i++) {
        const uint64_t padded = ws_align_up(g->tensors[i].bytes, PADDED_TO);
        const bool full = o->max_bytes ? bytes + padded > o->max_bytes : i > 0 && i % o->max_tensors == 0;
        if (full) WS_TRY(next_part(plan, &cap, i, false, err));
        bytes = full ? padded : bytes + padded;
    }
    plan->first[plan->n_parts] = g->n_tensors;
    return WS_OK;
}

void ws_split_plan_free(ws_split_plan *plan) {
    free(plan->first);
    *plan = (ws_split_plan){0};
}

char *ws_split_path(const char *prefix, size_t no, size_t count, ws_error *err) {
    return ws_sprintf(err, "%s-%05zu-of-%05zu.gguf", prefix, no + 1, count);
}

/* ---- writing ---- */

static ws_status copy_tensor(ws_gguf_writer *w, const ws_gguf *g, const ws_tensor *t, ws_progress *p, ws_error *err) {
    const ws_map *map = &g->parts[t->part];
    for (uint64_t at = 0; at < t->bytes; at += SLICE) {
        const size_t n = t->bytes - at < SLICE ? (size_t)(t->bytes - at) : SLICE;
        ws_map_will_need(map, t->offset + at, n);
        WS_TRY(ws_gguf_write(w, t->data + at, n, err));
        ws_map_release(map, t->offset + at, n);
        ws_progress_add(p, n);
    }
    return WS_OK;
}

/* Write tensors [first, last) and what was put into w; takes w over. */
static ws_status write_file(ws_gguf_writer *w, const ws_gguf *g, size_t first, size_t last, const char *path,
                            ws_progress *p, ws_error *err) {
    for (size_t i = first; i < last; i++) {
        const ws_tensor *t = &g->tensors[i];
        ws_gguf_add_tensor(w, t->name, t->type, t->n_dims, t->ne);
    }
    ws_status status = ws_gguf_writer_begin(w, path, err);
    for (size_t i = first; i < last && !status; i++) status = copy_tensor(w, g, &g->tensors[i], p, err);
    if (!status) return ws_gguf_writer_finish(w, err);
    ws_gguf_writer_discard(w);
    return status;
}

static ws_status write_part(const ws_split_plan *plan, const ws_gguf *g, size_t no, const char *path, ws_progress *p,
                            ws_error *err) {
    ws_gguf_writer *w;
    WS_TRY(ws_gguf_writer_new(&w, err));
    for (size_t i = 0; no == 0 && i < g->n_kv; i++) ws_gguf_put_kv(w, &g->kv[i]);
    ws_gguf_put_u16(w, KEY_NO, (uint16_t)no);
    ws_gguf_put_i32(w, KEY_TENSORS, (int32_t)g->n_tensors);
    ws_gguf_put_u16(w, KEY_COUNT, (uint16_t)plan->n_parts);
    return write_file(w, g, plan->first[no], plan->first[no + 1], path, p, err);
}

static ws_status check_target(const ws_gguf *g, const char *path, ws_error *err) {
    for (size_t i = 0; i < g->n_parts; i++)
        if (ws_same_file(path, g->part_paths[i]))
            return ws_fail(err, WS_USAGE, "'%s' would be read and written: give another name", path);
    return WS_OK;
}

static ws_status check_targets(const ws_split_plan *plan, const ws_gguf *g, const char *prefix, ws_error *err) {
    if (g->n_tensors > INT32_MAX) return ws_fail(err, WS_UNSUPPORTED, "%zu tensors are too many", g->n_tensors);
    for (size_t no = 0; no < plan->n_parts; no++) {
        char *path = ws_split_path(prefix, no, plan->n_parts, err);
        if (!path) return WS_NOMEM;
        const ws_status status = check_target(g, path, err);
        free(path);
        if (status) return status;
    }
    return WS_OK;
}

static void remove_parts(const char *prefix, size_t n, size_t count) {
    for (size_t no = 0; no < n; no++) {
        char *path = ws_split_path(prefix, no, count, NULL);
        if (path) unlink(path);
        free(path);
    }
}

static uint64_t tensor_bytes(const ws_gguf *g) {
    uint64_t n = 0;
    for (size_t i = 0; i < g->n_tensors; i++) n += g->tensors[i].bytes;
    return n;
}

ws_status ws_split_run(const ws_split_plan *plan, const ws_gguf *g, const char *prefix, bool quiet, ws_error *err) {
    WS_TRY(check_targets(plan, g, prefix, err));
    ws_progress progress;
    ws_progress_start(&progress, "split", NULL, tensor_bytes(g), quiet);
    ws_status status = WS_OK;
    for (size_t no = 0; no < plan->n_parts && !status; no++) {
        char *path = ws_split_path(prefix, no, plan->n_parts, err);
        status = path ? write_part(plan, g, no, path, &progress, err) : WS_NOMEM;
        if (status) remove_parts(prefix, no, plan->n_parts);
        free(path);
    }
    ws_progress_finish(&progress);
    return status;
}

ws_status ws_merge_run(const ws_gguf *g, const char *out_path, bool quiet, ws_error *err) {
    if (!ws_gguf_kv(g, KEY_COUNT))
        return ws_fail(err, WS_FORMAT, "'%s' is not part of a split model: it has no key '" KEY_COUNT "'",
                       ws_gguf_path(g));
    WS_TRY(check_target(g, out_path, err));
    ws_gguf_writer *w;
    WS_TRY(ws_gguf_writer_new(&w, err));
    for (size_t i = 0; i < g->n_kv; i++) ws_gguf_put_kv(w, &g->kv[i]);
    ws_gguf_put_u16(w, KEY_COUNT, 0); /* no longer split */
    ws_progress progress;
    ws_progress_start(&progress, "merge", NULL, tensor_bytes(g), quiet);
    const ws_status status = write_file(w, g, 0, g->n_tensors, out_path, &progress, err);
    ws_progress_finish(&progress);
    return status;
}
