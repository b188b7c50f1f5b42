#include "estimate_print.h"

#include "escape.h"
#include "json_out.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { BAR_WIDTH = 40, NAME_WIDTH = 60, TYPE_BYTES = 16, SCHEMA = 1 };

static const double GIB = 1024.0 * 1024.0 * 1024.0;

/* The name of a type as it is written on command lines ("q8_0"). */
static void flag_name(char buf[TYPE_BYTES], ws_dtype type) {
    snprintf(buf, TYPE_BYTES, "%s", ws_dtype_name(type));
    for (char *c = buf; *c; c++) *c = (char)tolower((unsigned char)*c);
}

/* ---- text ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void print_model(FILE *f, const ws_model_sizes *s) {
    char n[32];
    const char *file = base_name(s->path);
    if (s->name.len)
        ws_escape_put(f, s->name.data, s->name.len, NAME_WIDTH);
    else
        ws_escape_put(f, file, strlen(file), NAME_WIDTH);
    fputs(": ", f);
    ws_escape_put(f, s->architecture.data, s->architecture.len, NAME_WIDTH);
    fprintf(f, ", %s%s%s parameters, %zu layers\n", s->file_type ? s->file_type : "", s->file_type ? ", " : "",
            ws_format_short(n, (double)s->n_params), s->model.n_layers);
}

static void print_options(FILE *f, const ws_est_result *r) {
    const ws_est_options *o = r->options;
    const ws_estimate *e = r->estimate;
    fprintf(f, "context %" PRIu64, e->n_ctx);
    if (o->n_seq > 1 && o->unified) fprintf(f, " shared by %" PRIu64 " sequences", o->n_seq);
    if (e->n_streams > 1) fprintf(f, " as %" PRIu64 " x %" PRIu64, e->n_streams, e->n_ctx_seq);
    char k[TYPE_BYTES], v[TYPE_BYTES];
    flag_name(k, o->type_k), flag_name(v, o->type_v);
    fprintf(f, ", K %s, V %s, micro-batch %" PRIu64 ", flash attention %s, as by llama.cpp's %s\n", k, v, o->n_ubatch,
            o->flash_attn ? "on" : "off", r->caller);
    if (r->sizes->model.n_ctx_train && o->n_ctx > r->sizes->model.n_ctx_train)
        fprintf(f, "(more context than the %" PRIu64 " tokens the model was trained on)\n",
                r->sizes->model.n_ctx_train);
}

/* A line with a bar in proportion to `total`; `note` may be empty. */
static void print_part(FILE *f, const char *name, uint64_t bytes, uint64_t total, const char *note) {
    char n[32], bar[BAR_WIDTH + 1] = "";
    const double share = total ? (double)bytes / (double)total : 0;
    memset(bar, '#', share < 1 ? (size_t)(share * BAR_WIDTH + 0.5) : BAR_WIDTH);
    fprintf(f, "  %-10s %10.3f GiB %20s  ", name, (double)bytes / GIB, ws_format_count(n, bytes));
    fprintf(f, *note ? "%-*s  %s\n" : "%-*s%s\n", *note ? BAR_WIDTH : 0, bar, note);
}

static void print_cache(FILE *f, const char *name, const ws_est_cache *c, bool cells) {
    if (!c->n_layers) return;
    char n[32];
    fprintf(f, "    %-8s %10.3f GiB %20s  %" PRIu64 " layers", name, (double)c->bytes / GIB,
            ws_format_count(n, c->bytes), c->n_layers);
    if (cells) fprintf(f, " of %" PRIu64 " cells", c->cells);
    fputc('\n', f);
}

/* The cache by kind, when a model mixes kinds. */
static void print_caches(FILE *f, const ws_estimate *e) {
    if (!e->sliding.n_layers && !e->recurrent.n_layers) return;
    print_cache(f, "full", &e->full, true);
    print_cache(f, "window", &e->sliding, true);
    print_cache(f, "state", &e->recurrent, false);
}

void ws_estimate_print(FILE *f, const ws_est_result *r) {
    const ws_estimate *e = r->estimate;
    const ws_est_memory *d = &e->device, *h = &e->host;
    print_model(f, r->sizes);
    print_options(f, r);
    fprintf(f, "\none GPU (CUDA) that holds all layers %19s\n", "bytes");
    print_part(f, "weights", d->weights, d->total, "");
    print_part(f, "KV cache", d->kv_cache, d->total, "");
    print_caches(f, e);
    print_part(f, "compute", d->compute, d->total, "approximate");
    print_part(f, "total", d->total, d->total, "");
    fputs("\nhost memory\n", f);
    print_part(f, "weights", h->weights, d->total, "the token embedding, mapped from the file");
    print_part(f, "compute", h->compute, d->total, "approximate");
    print_part(f, "output", h->output, d->total, "");
    fputs(
        "\nNot included: the driver's context and pools, 0.1 to 0.6 GiB on each GPU (part of what nvidia-smi shows);\n"
        "vision projectors, LoRA adapters and draft models.\n",
        f);
}

/* ---- JSON ---- */

static void put_str(ws_json_out *j, const char *key, ws_str s) {
    if (s.len)
        ws_json_bytes_out(j, key, s.data, s.len);
    else
        ws_json_text(j, key, NULL);
}

static void put_model(ws_json_out *j, const ws_model_sizes *s) {
    ws_json_open(j, "model", true, true);
    ws_json_text(j, "file", s->path);
    put_str(j, "name", s->name);
    put_str(j, "architecture", s->architecture);
    ws_json_text(j, "file_type", s->file_type);
    ws_json_u64_out(j, "n_params", s->n_params);
    ws_json_u64_out(j, "n_layers", s->model.n_layers);
    ws_json_u64_out(j, "n_ctx_train", s->model.n_ctx_train);
    ws_json_close(j);
}

static void put_options(ws_json_out *j, const ws_est_result *r) {
    const ws_est_options *o = r->options;
    const ws_estimate *e = r->estimate;
    ws_json_text(j, "caller", r->caller);
    ws_json_u64_out(j, "ctx", o->n_ctx);
    ws_json_u64_out(j, "n_ctx", e->n_ctx); /* as llama.cpp rounds it */
    ws_json_u64_out(j, "ctx_per_sequence", e->n_ctx_seq);
    ws_json_u64_out(j, "parallel", o->n_seq);
    ws_json_bool(j, "kv_unified", o->unified);
    ws_json_u64_out(j, "batch_size", o->n_batch);
    ws_json_u64_out(j, "ubatch_size", o->n_ubatch);
    ws_json_bool(j, "flash_attn", o->flash_attn);
    ws_json_bool(j, "swa_full", o->swa_full);
    char k[TYPE_BYTES], v[TYPE_BYTES];
    flag_name(k, o->type_k), flag_name(v, o->type_v);
    ws_json_text(j, "kv_type", o->type_k == o->type_v ? k : NULL);
    ws_json_text(j, "cache_type_k", k);
    ws_json_text(j, "cache_type_v", v);
}

static void put_memory(ws_json_out *j, const ws_est_memory *m) {
    ws_json_u64_out(j, "weights_bytes", m->weights);
    ws_json_u64_out(j, "kv_cache_bytes", m->kv_cache);
    ws_json_u64_out(j, "compute_bytes", m->compute);
}

static void put_cache(ws_json_out *j, const char *kind, const ws_est_cache *c, bool cells) {
    if (!c->n_layers) return;
    ws_json_open(j, NULL, true, false);
    ws_json_text(j, "kind", kind);
    ws_json_u64_out(j, "layers", c->n_layers);
    if (cells) ws_json_u64_out(j, "cells", c->cells);
    ws_json_u64_out(j, "bytes", c->bytes);
    ws_json_close(j);
}

static void put_places(ws_json_out *j, const ws_estimate *e) {
    ws_json_open(j, "devices", false, true);
    ws_json_open(j, NULL, true, false);
    ws_json_text(j, "name", "CUDA0");
    put_memory(j, &e->device);
    ws_json_u64_out(j, "total_bytes", e->device.total);
    ws_json_close(j);
    ws_json_close(j);
    ws_json_open(j, "host", true, false);
    put_memory(j, &e->host);
    ws_json_u64_out(j, "output_bytes", e->host.output);
    ws_json_u64_out(j, "total_bytes", e->host.total);
    ws_json_close(j);
}

static void put_gib(ws_json_out *j, const ws_est_memory *m) {
    ws_json_real(j, "weights_gib", (double)m->weights / GIB);
    ws_json_real(j, "kv_cache_gib", (double)m->kv_cache / GIB);
    ws_json_real(j, "compute_gib", (double)m->compute / GIB);
    ws_json_real(j, "total_gib", (double)m->total / GIB);
}

ws_status ws_estimate_json(FILE *f, const ws_est_result *r, ws_error *err) {
    const ws_estimate *e = r->estimate;
    ws_json_out j;
    ws_json_begin(&j, f);
    ws_json_open(&j, NULL, true, true);
    ws_json_u64_out(&j, "schema", SCHEMA);
    put_model(&j, r->sizes);
    put_options(&j, r);
    put_places(&j, e);
    ws_json_open(&j, "kv_cache", false, true);
    put_cache(&j, "full", &e->full, true);
    put_cache(&j, "window", &e->sliding, true);
    put_cache(&j, "state", &e->recurrent, false);
    ws_json_close(&j);
    put_memory(&j, &e->device);
    ws_json_u64_out(&j, "total_bytes", e->device.total);
    put_gib(&j, &e->device);
    ws_json_close(&j);
    return ws_json_end(&j, err);
}
