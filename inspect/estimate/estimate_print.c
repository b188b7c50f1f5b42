#include "estimate_print.h"

#include "escape.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { BAR_WIDTH = 30, NAME_WIDTH = 60, TYPE_BYTES = 16 };

static const double GIB = 1024.0 * 1024.0 * 1024.0, MIB = 1024.0 * 1024.0;

/* ---- does it fit? ---- */

static bool holds(const ws_device *d, const ws_est_memory *m) {
    return !d->capacity || m->total + d->overhead_low <= d->capacity;
}

bool ws_device_fits(const ws_est_result *r, unsigned i) {
    return holds(&r->target->device[i], &r->estimate->device[i]);
}

bool ws_result_fits(const ws_est_result *r) {
    if (r->vllm) return r->vllm->fits;
    uint64_t all = r->estimate->host.total;
    for (unsigned i = 0; i < r->target->n_devices; i++) {
        if (!ws_device_fits(r, i)) return false;
        all += r->target->unified ? r->estimate->device[i].total : 0;
    }
    const uint64_t host = r->target->host.capacity;
    return !host || all <= host;
}

/* ---- text ---- */

/* The name of a type as it is written on command lines ("q8_0"). */
static void flag_name(char buf[TYPE_BYTES], ws_dtype type) {
    snprintf(buf, TYPE_BYTES, "%s", ws_dtype_name(type));
    for (char *c = buf; *c; c++) *c = (char)tolower((unsigned char)*c);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void print_model(FILE *f, const ws_est_result *r) {
    char n[32];
    const ws_blueprint *m = r->model;
    const char *name = *m->name ? m->name : base_name(r->path), *type = r->as ? r->as : m->file_type;
    ws_escape_put(f, name, strlen(name), NAME_WIDTH);
    fputs(": ", f);
    ws_escape_put(f, m->architecture, strlen(m->architecture), NAME_WIDTH);
    fprintf(f, ", %s%s%s%s parameters, %" PRIu64 " layers\n", type ? type : "", r->as ? " (not made yet)" : "",
            type ? ", " : "", ws_format_short(n, (double)m->n_params), m->n_layer);
    if (m->guessed)
        fprintf(
            f,
            "This architecture is not described here: cache and compute buffers are guessed as a plain decoder's.\n");
}

static void print_options(FILE *f, const ws_est_result *r) {
    const ws_est_options *o = r->options;
    const ws_estimate *e = r->estimate;
    fprintf(f, "context %" PRIu64, e->n_ctx);
    if (o->n_seq > 1 && o->unified) fprintf(f, " shared by %" PRIu64 " sequences", o->n_seq);
    if (e->n_streams > 1) fprintf(f, " as %" PRIu64 " x %" PRIu64, e->n_streams, e->n_ctx_seq);
    char k[TYPE_BYTES], v[TYPE_BYTES];
    flag_name(k, o->type_k), flag_name(v, o->type_v);
    fprintf(f, ", K %s, V %s, micro-batch %" PRIu64 ", flash attention %s, ", k, v, o->n_ubatch,
            e->flash_attn ? "on" : "off");
    const bool own = strcmp(r->engine, "weightsmith") == 0;
    fprintf(f, "as by %s%s\n", own ? "infer" : "llama.cpp's ", own ? "" : r->caller);
    if (r->model->n_ctx_train && o->n_ctx > r->model->n_ctx_train)
        fprintf(f, "(more context than the %" PRIu64 " tokens the model was trained on)\n", r->model->n_ctx_train);
}

/* A line with a bar in proportion to `whole`. */
static void print_part(FILE *f, const char *name, uint64_t bytes, uint64_t whole) {
    char n[32], bar[BAR_WIDTH + 1] = "";
    const double share = whole ? (double)bytes / (double)whole : 0;
    memset(bar, '#', share < 1 ? (size_t)(share * BAR_WIDTH + 0.5) : BAR_WIDTH);
    fprintf(f, "  %-11s %9.3f GiB %20s  %s\n", name, (double)bytes / GIB, ws_format_count(n, bytes), bar);
}

static void print_cache(FILE *f, const char *name, const ws_est_cache *c, bool cells) {
    if (!c->n_layers) return;
    fprintf(f, "  %-10s %10.3f GiB, %" PRIu64 " layers", name, (double)c->bytes / GIB, c->n_layers);
    if (cells) fprintf(f, " of %" PRIu64 " cells", c->cells);
    fputc('\n', f);
}

/* The cache by kind, when a model mixes kinds. */
static void print_caches(FILE *f, const ws_estimate *e) {
    if (!e->sliding.n_layers && !e->recurrent.n_layers) return;
    fputs("\nKV cache by kind\n", f);
    print_cache(f, "full", &e->full, true);
    print_cache(f, "window", &e->sliding, true);
    print_cache(f, "state", &e->recurrent, false);
}

static void print_verdict(FILE *f, const ws_device *d, const ws_est_memory *m) {
    if (!d->capacity) return;
    const double left = ((double)d->capacity - (double)m->total) / GIB;
    fprintf(f, "  %-10s %10.3f GiB  ", "of", (double)d->capacity / GIB);
    if (!holds(d, m))
        fprintf(f, "DOES NOT FIT: %.2f GiB too much\n", -left + (double)d->overhead_low / GIB);
    else if (m->total + d->overhead_high > d->capacity)
        fprintf(f, "tight: %.2f GiB are left, and the driver takes %.2f to %.2f\n", left, (double)d->overhead_low / GIB,
                (double)d->overhead_high / GIB);
    else
        fprintf(f, "fits: %.2f GiB are left\n", left);
}

static void print_memory(FILE *f, const char *name, const ws_device *d, const ws_est_memory *m) {
    const uint64_t whole = d->capacity ? d->capacity : m->total;
    fputc('\n', f);
    ws_escape_put(f, name, strlen(name), NAME_WIDTH);
    if (m->n_layers) fprintf(f, ", %" PRIu64 " layers", m->n_layers);
    fputc('\n', f);
    print_part(f, "weights", m->weights, whole);
    if (m->kv_cache) print_part(f, "KV cache", m->kv_cache, whole);
    print_part(f, "compute", m->compute, whole);
    if (m->output) print_part(f, "output", m->output, whole);
    print_part(f, "total", m->total, whole);
    print_verdict(f, d, m);
}

static void print_overhead(FILE *f, const ws_target *t) {
    uint64_t low = 0, high = 0;
    for (unsigned i = 0; i < t->n_devices; i++) low += t->device[i].overhead_low, high += t->device[i].overhead_high;
    if (high)
        fprintf(f, "\nOn top, in nvidia-smi: %.0f to %.0f MiB for the driver's context and pools%s.\n",
                (double)low / MIB, (double)high / MIB, t->n_devices > 1 ? " of all GPUs" : "");
    fputs("Not included: vision projectors, LoRA adapters, draft models.\n", f);
}

static void print_speed(FILE *f, const ws_speed *s) {
    fprintf(f, "\nOne token reads %.3f GB of weights and up to %.3f GB of cache", (double)s->weights / 1e9,
            (double)s->cache / 1e9);
    if (s->empty <= 0) {
        fputs(" (tokens per second: give a card by name, or --bandwidth).\n", f);
        return;
    }
    fprintf(f, ":\nat most %.1f tokens/s (%.1f at full context), from the bandwidth; %.1f to %.1f are usual.\n",
            s->empty, s->full, s->empty * WS_SPEED_LOW, s->empty * WS_SPEED_HIGH);
    if (s->host_rate > 0)
        fprintf(f, "The CPU's memory: %.1f GB/s%s.\n", s->host_rate / 1e9,
                s->host_assumed ? ", assumed (--measure finds out)" : "");
}

static void print_flags(FILE *f, const ws_est_result *r) {
    fputc('\n', f);
    if (r->llama_flags) fprintf(f, "llama-server %s\n", r->llama_flags);
    if (r->ollama_flags) fprintf(f, "ollama: %s\n", r->ollama_flags);
    if (r->vllm_flags) fprintf(f, "vllm serve %s\n", r->vllm_flags);
}

static void print_plan(FILE *f, const ws_est_result *r, const ws_plan *p) {
    char k[TYPE_BYTES];
    const ws_est_options *o = &p->options;
    const char *type = p->quantization ? p->quantization : "as it is";
    flag_name(k, o->type_k);
    fprintf(f, "  %-14s %-6s %8" PRIu64 " %10.2f", type, k, o->n_ctx, (double)p->estimate.sum.total / GIB);
    if (p->on_gpus)
        fputs("  all\n", f);
    else if (o->n_cpu_moe)
        fprintf(f, "  experts of %" PRIu64 " layers on the CPU\n", o->n_cpu_moe);
    else
        fprintf(f, "  %" PRIu64 " of %" PRIu64 " layers\n", o->n_gpu_layers, r->model->n_layer_all + 1);
}

/* The plans; what is above is the first of them. */
static void print_fit(FILE *f, const ws_est_result *r) {
    if (!r->fit->n) {
        fprintf(f, "\nNothing of %d tokens or more fits.\n", WS_LEAST_CTX);
        return;
    }
    fputs("\nWhat fits, with room for the driver (the first is shown above)\n"
          "  quantization   cache   context        GiB  on the GPUs\n",
          f);
    for (size_t i = 0; i < r->fit->n; i++) print_plan(f, r, &r->fit->plans[i]);
}

static void print_vllm(FILE *f, const ws_est_result *r) {
    const ws_vllm_estimate *v = r->vllm;
    const uint64_t share = (uint64_t)((double)r->target->device[0].capacity * r->vllm_utilization);
    const uint64_t whole = share ? share : v->weights + v->activations + v->graphs + v->pool;
    print_model(f, r);
    fprintf(f, "vLLM on %u GPU%s, %.0f %% of each card\n\n", r->target->n_devices, r->target->n_devices > 1 ? "s" : "",
            r->vllm_utilization * 100);
    print_part(f, "weights", v->weights, whole);
    print_part(f, "activations", v->activations, whole);
    print_part(f, "graphs", v->graphs, whole);
    print_part(f, "KV blocks", v->pool, whole);
    fprintf(f, "\n%" PRIu64 " blocks of %" PRIu64 " tokens, %" PRIu64 " bytes a token: %" PRIu64 " tokens at most,\n",
            v->n_blocks, v->block_size, v->bytes_per_token, v->max_tokens);
    fprintf(f, "%.2f sequences of %" PRIu64 " tokens at a time%s\n", v->max_concurrency, r->options->n_ctx,
            v->fits ? "" : ": DOES NOT FIT");
    if (r->vllm_flags) fprintf(f, "\nvllm serve %s\n", r->vllm_flags);
}

void ws_estimate_print(FILE *f, const ws_est_result *r) {
    const ws_estimate *e = r->estimate;
    if (r->vllm) {
        print_vllm(f, r);
        return;
    }
    print_model(f, r);
    print_options(f, r);
    for (unsigned i = 0; i < e->n_devices; i++)
        print_memory(f, r->target->device[i].name, &r->target->device[i], &e->device[i]);
    print_memory(f, e->n_devices ? "host" : r->target->host.name, &r->target->host, &e->host);
    print_caches(f, e);
    print_speed(f, r->speed);
    if (r->fit) print_fit(f, r);
    print_flags(f, r);
    print_overhead(f, r->target);
}

/* ---- CSV ---- */

static void csv_text(FILE *f, const char *s) {
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"') fputc('"', f);
        fputc((unsigned char)*s < ' ' ? ' ' : *s, f);
    }
    fputc('"', f);
}

static void csv_row(FILE *f, const char *name, const ws_device *d, const ws_est_memory *m) {
    csv_text(f, name);
    fprintf(f, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", m->n_layers, m->weights,
            m->kv_cache, m->compute, m->output, m->total);
    if (d->capacity) fprintf(f, "%" PRIu64, d->capacity);
    fprintf(f, ",%s\n", holds(d, m) ? "true" : "false");
}

void ws_estimate_csv(FILE *f, const ws_est_result *r) {
    fputs("device,layers,weights_bytes,kv_cache_bytes,compute_bytes,output_bytes,total_bytes,capacity_bytes,fits\n", f);
    for (unsigned i = 0; i < r->estimate->n_devices; i++)
        csv_row(f, r->target->device[i].name, &r->target->device[i], &r->estimate->device[i]);
    csv_row(f, "host", &r->target->host, &r->estimate->host);
}
