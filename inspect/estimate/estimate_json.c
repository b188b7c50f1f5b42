/* The JSON of an estimate. Keys are stable; `schema` counts changes that break readers. */
#include "estimate_print.h"
#include "json_out.h"

#include <ctype.h>
#include <string.h>

enum { SCHEMA = 1, TYPE_BYTES = 16 };

static const double GIB = 1024.0 * 1024.0 * 1024.0;

static void put_type(ws_json_out *j, const char *key, ws_dtype type) {
    char buf[TYPE_BYTES];
    snprintf(buf, TYPE_BYTES, "%s", ws_dtype_name(type));
    for (char *c = buf; *c; c++) *c = (char)tolower((unsigned char)*c);
    ws_json_text(j, key, buf);
}

static void put_model(ws_json_out *j, const ws_est_result *r) {
    const ws_blueprint *m = r->model;
    ws_json_open(j, "model", true, true);
    ws_json_text(j, "file", r->path);
    ws_json_text(j, "name", *m->name ? m->name : NULL);
    ws_json_text(j, "architecture", m->architecture);
    ws_json_bool(j, "architecture_known", !m->guessed);
    ws_json_text(j, "file_type", r->as ? r->as : m->file_type);
    ws_json_u64_out(j, "n_params", m->n_params);
    ws_json_u64_out(j, "n_layers", m->n_layer);
    ws_json_u64_out(j, "n_ctx_train", m->n_ctx_train);
    ws_json_u64_out(j, "n_vocab", m->n_vocab);
    ws_json_close(j);
}

static uint64_t gpu_layers(const ws_est_result *r, const ws_est_options *o) {
    return o->n_gpu_layers > r->model->n_layer_all ? r->model->n_layer_all + 1 : o->n_gpu_layers;
}

static void put_options(ws_json_out *j, const ws_est_result *r) {
    const ws_est_options *o = r->options;
    const ws_estimate *e = r->estimate;
    ws_json_text(j, "engine", r->engine);
    ws_json_text(j, "caller", r->caller);
    ws_json_u64_out(j, "ctx", o->n_ctx);
    ws_json_u64_out(j, "n_ctx", e->n_ctx); /* as llama.cpp rounds it */
    ws_json_u64_out(j, "ctx_per_sequence", e->n_ctx_seq);
    ws_json_u64_out(j, "parallel", o->n_seq);
    ws_json_bool(j, "kv_unified", o->unified);
    ws_json_u64_out(j, "batch_size", o->n_batch);
    ws_json_u64_out(j, "ubatch_size", o->n_ubatch);
    ws_json_bool(j, "flash_attn", e->flash_attn);
    ws_json_bool(j, "swa_full", o->swa_full);
    put_type(j, "cache_type_k", o->type_k);
    put_type(j, "cache_type_v", o->type_v);
    ws_json_u64_out(j, "n_gpu_layers", gpu_layers(r, o));
    ws_json_u64_out(j, "n_cpu_moe", o->n_cpu_moe);
}

static void put_memory(ws_json_out *j, const ws_est_memory *m) {
    ws_json_u64_out(j, "weights_bytes", m->weights);
    ws_json_u64_out(j, "kv_cache_bytes", m->kv_cache);
    ws_json_u64_out(j, "compute_bytes", m->compute);
}

static void put_capacity(ws_json_out *j, const ws_device *d) {
    if (d->capacity)
        ws_json_u64_out(j, "capacity_bytes", d->capacity);
    else
        ws_json_text(j, "capacity_bytes", NULL);
}

static void put_devices(ws_json_out *j, const ws_est_result *r) {
    const ws_estimate *e = r->estimate;
    ws_json_open(j, "devices", false, true);
    for (unsigned i = 0; i < e->n_devices; i++) {
        ws_json_open(j, NULL, true, false);
        ws_json_text(j, "name", r->target->device[i].name);
        ws_json_u64_out(j, "layers", e->device[i].n_layers);
        put_memory(j, &e->device[i]);
        ws_json_u64_out(j, "total_bytes", e->device[i].total);
        put_capacity(j, &r->target->device[i]);
        ws_json_bool(j, "fits", ws_device_fits(r, i));
        ws_json_close(j);
    }
    ws_json_close(j);
    ws_json_open(j, "host", true, false);
    ws_json_u64_out(j, "layers", e->host.n_layers);
    put_memory(j, &e->host);
    ws_json_u64_out(j, "output_bytes", e->host.output);
    ws_json_u64_out(j, "total_bytes", e->host.total);
    put_capacity(j, &r->target->host);
    ws_json_close(j);
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

static void put_overhead(ws_json_out *j, const ws_target *t) {
    uint64_t low = 0, high = 0;
    for (unsigned i = 0; i < t->n_devices; i++) low += t->device[i].overhead_low, high += t->device[i].overhead_high;
    ws_json_open(j, "overhead_bytes", true, false);
    ws_json_u64_out(j, "low", low);
    ws_json_u64_out(j, "high", high);
    ws_json_close(j);
}

static void put_rate(ws_json_out *j, const char *key, double v) {
    if (v > 0)
        ws_json_real(j, key, v);
    else
        ws_json_text(j, key, NULL);
}

static void put_speed(ws_json_out *j, const ws_speed *s) {
    ws_json_open(j, "tokens_per_second", true, false);
    put_rate(j, "bound", s->empty);
    put_rate(j, "bound_full_context", s->full);
    put_rate(j, "low", s->empty * WS_SPEED_LOW);
    put_rate(j, "high", s->empty * WS_SPEED_HIGH);
    ws_json_u64_out(j, "weights_bytes_per_token", s->weights);
    ws_json_u64_out(j, "cache_bytes_per_token", s->cache);
    put_rate(j, "host_bytes_per_second", s->host_rate);
    ws_json_bool(j, "host_bandwidth_assumed", s->host_assumed);
    ws_json_text(j, "assumption",
                 "one sequence; every token reads its weights and the cache once at the memory's bandwidth");
    ws_json_close(j);
}

static void put_plan(ws_json_out *j, const ws_est_result *r, const ws_plan *p) {
    const ws_est_options *o = &p->options;
    ws_json_open(j, NULL, true, false);
    ws_json_text(j, "quantization", p->quantization);
    ws_json_bool(j, "as_the_file_is", p->as_is);
    put_type(j, "cache_type_k", o->type_k);
    put_type(j, "cache_type_v", o->type_v);
    ws_json_u64_out(j, "ctx", o->n_ctx);
    ws_json_u64_out(j, "n_gpu_layers", gpu_layers(r, o));
    ws_json_u64_out(j, "n_cpu_moe", o->n_cpu_moe);
    ws_json_bool(j, "all_on_gpus", p->on_gpus);
    ws_json_bool(j, "as_long_as_asked", p->requested);
    ws_json_u64_out(j, "total_bytes", p->estimate.sum.total);
    ws_json_close(j);
}

/* The best first; the rest of the answer is about that one. */
static void put_fit(ws_json_out *j, const ws_est_result *r) {
    ws_json_open(j, "fit", true, true);
    ws_json_open(j, "plans", false, true);
    for (size_t i = 0; i < r->fit->n; i++) put_plan(j, r, &r->fit->plans[i]);
    ws_json_close(j);
    ws_json_close(j);
}

static void put_vllm(ws_json_out *j, const ws_vllm_estimate *v, double utilization) {
    ws_json_open(j, "vllm", true, true);
    ws_json_real(j, "gpu_memory_utilization", utilization);
    ws_json_u64_out(j, "weights_bytes", v->weights);
    ws_json_u64_out(j, "activation_bytes", v->activations);
    ws_json_u64_out(j, "cuda_graph_bytes", v->graphs);
    ws_json_u64_out(j, "kv_pool_bytes", v->pool);
    ws_json_u64_out(j, "kv_bytes_per_token", v->bytes_per_token);
    ws_json_u64_out(j, "block_size", v->block_size);
    ws_json_u64_out(j, "num_gpu_blocks", v->n_blocks);
    ws_json_u64_out(j, "max_tokens", v->max_tokens);
    ws_json_real(j, "max_concurrency", v->max_concurrency);
    ws_json_bool(j, "fits", v->fits);
    ws_json_close(j);
}

static void put_sums(ws_json_out *j, const ws_est_memory *m) {
    put_memory(j, m);
    ws_json_u64_out(j, "total_bytes", m->total);
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
    put_model(&j, r);
    put_options(&j, r);
    put_devices(&j, r);
    ws_json_open(&j, "kv_cache", false, true);
    put_cache(&j, "full", &e->full, true);
    put_cache(&j, "window", &e->sliding, true);
    put_cache(&j, "state", &e->recurrent, false);
    ws_json_close(&j);
    put_sums(&j, &e->sum);
    ws_json_bool(&j, "fits", ws_result_fits(r));
    put_overhead(&j, r->target);
    put_speed(&j, r->speed);
    ws_json_text(&j, "llama_cpp_flags", r->llama_flags);
    ws_json_text(&j, "ollama_flags", r->ollama_flags);
    ws_json_text(&j, "vllm_flags", r->vllm_flags);
    if (r->fit) put_fit(&j, r);
    if (r->vllm) put_vllm(&j, r->vllm, r->vllm_utilization);
    ws_json_close(&j);
    return ws_json_end(&j, err);
}
