/* vram-estimate - how much memory llama.cpp takes for a model, from the model's header alone. */
#include "cli.h"
#include "estimate_print.h"

#include <stdio.h>
#include <string.h>

/* Types that llama.cpp offers for its cache. */
static const char *const cache_types[] = {"f16", "f32", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "iq4_nl", "q4_0", NULL};
static const char *const callers[] = {"server", "cli", "bindings", NULL};
static const char *const switches[] = {"auto", "on", "off", NULL};

/* llama-server shares one cache among this many slots unless it is told how many to use. */
enum { SERVER_SLOTS = 4, MAX_SEQUENCES = 256 };

typedef struct {
    int64_t ctx, batch, ubatch, parallel; /* 0: not given */
    const char *kv_type, *type_k, *type_v, *flash_attn, *caller;
    bool unified, not_unified, swa_full;
    ws_common_options common;
} options;

static ws_dtype cache_type(const char *name, const char *both) {
    ws_dtype type = WS_TYPE_F16;
    const char *given = name ? name : both;
    if (given) ws_dtype_by_name(&type, given); /* one of cache_types */
    return type;
}

static ws_status settle(ws_est_options *out, const options *o, const ws_model_sizes *s, ws_error *err) {
    const bool server = strcmp(o->caller, "server") == 0;
    if (o->unified && o->not_unified)
        return ws_fail(err, WS_USAGE, "--kv-unified and --no-kv-unified exclude each other");
    if (!o->ctx && !s->model.n_ctx_train)
        return ws_fail(err, WS_USAGE, "'%s' does not tell its context: give --ctx", s->path);
    *out = (ws_est_options){
        .n_ctx = o->ctx ? (uint64_t)o->ctx : s->model.n_ctx_train,
        .n_batch = (uint64_t)o->batch,
        .n_ubatch = (uint64_t)o->ubatch,
        .n_seq = o->parallel ? (uint64_t)o->parallel
                 : server    ? SERVER_SLOTS
                             : 1,
        .unified = o->unified || (server && !o->parallel && !o->not_unified),
        .flash_attn = strcmp(o->flash_attn, "off") != 0, /* auto turns it on for CUDA */
        .swa_full = o->swa_full,
        .type_k = cache_type(o->type_k, o->kv_type),
        .type_v = cache_type(o->type_v, o->kv_type),
    };
    if (server) out->n_outputs = out->n_seq; /* a server wants the logits of each slot's last token only */
    return WS_OK;
}

static ws_status estimate(const char *path, const options *o, ws_error *err) {
    ws_model_sizes *s;
    ws_est_options settled;
    ws_estimate e;
    WS_TRY(ws_model_sizes_open(&s, path, err));
    const ws_est_result result = {s, &settled, &e, o->caller};
    ws_status status = settle(&settled, o, s, err);
    if (!status && (status = ws_estimate_run(&e, &s->model, &settled, err))) ws_fail_in(err, "'%s'", path);
    if (!status && o->common.json)
        status = ws_estimate_json(stdout, &result, err);
    else if (!status)
        ws_estimate_print(stdout, &result);
    ws_model_sizes_close(s);
    return status;
}

int main(int argc, char **argv) {
    options o = {.batch = 2048, .ubatch = 512, .flash_attn = "auto", .caller = "server"};
    const ws_option rows[] = {
        {"ctx", 'c', WS_OPT_INT, &o.ctx, "N", "tokens of context (default: what the model was trained on)", 1,
         1LL << 31, NULL},
        {"kv-type", 0, WS_OPT_CHOICE, &o.kv_type, "TYPE", "type of the K and V cache: f16 (default), q8_0, q4_0, ...",
         0, 0, cache_types},
        {"cache-type-k", 0, WS_OPT_CHOICE, &o.type_k, "TYPE", "type of the K cache alone", 0, 0, cache_types},
        {"cache-type-v", 0, WS_OPT_CHOICE, &o.type_v, "TYPE", "type of the V cache alone", 0, 0, cache_types},
        {"parallel", 0, WS_OPT_INT, &o.parallel, "N", "sequences at a time (default: server 4, others 1)", 1,
         MAX_SEQUENCES, NULL},
        {"kv-unified", 0, WS_OPT_FLAG, &o.unified, NULL, "sequences share one cache (default of the server)", 0, 0,
         NULL},
        {"no-kv-unified", 0, WS_OPT_FLAG, &o.not_unified, NULL, "each sequence has its part of the cache", 0, 0, NULL},
        {"batch-size", 'b', WS_OPT_INT, &o.batch, "N", "tokens handed over at a time (default 2048)", 1, 1 << 24, NULL},
        {"ubatch-size", 0, WS_OPT_INT, &o.ubatch, "N", "tokens computed at a time (default 512)", 1, 1 << 24, NULL},
        {"flash-attn", 0, WS_OPT_CHOICE, &o.flash_attn, "on|off|auto", "flash attention (default auto: on)", 0, 0,
         switches},
        {"swa-full", 0, WS_OPT_FLAG, &o.swa_full, NULL, "sliding-window layers keep the whole context", 0, 0, NULL},
        {"caller", 0, WS_OPT_CHOICE, &o.caller, "WHO", "who runs the model: server (default), cli, bindings", 0, 0,
         callers},
        {0},
    };
    const ws_command cmd = {
        .tool = "vram-estimate",
        .synopsis = "MODEL.gguf [options]",
        .summary = "Tell how much memory llama.cpp takes for a model on one GPU that holds all layers: weights, KV "
                   "cache,\ncompute buffers. Only the header of the file is read.",
        .notes = "Weights and KV cache are exact. Compute buffers are approximate, mostly within 1 % for llama.\n"
                 "Options carry llama.cpp's names and defaults.",
        .examples = "  vram-estimate model.gguf --ctx 8192\n"
                    "  vram-estimate model.gguf --ctx 32768 --kv-type q8_0 --json",
        .options = rows,
        .min_args = 1,
        .max_args = 1,
    };
    ws_args args;
    ws_error err = {0};
    ws_status status = ws_cli_parse(&cmd, argc, argv, &o.common, &args, &err);
    if (!status && !args.done) status = estimate(args.arg[0], &o, &err);
    return ws_cli_finish(&cmd, status, &err);
}
