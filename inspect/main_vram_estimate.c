/* vram-estimate - how much memory a model takes when it runs, from its header alone. */
#include "bandwidth.h"
#include "cheat_sheet.h"
#include "cli.h"
#include "data_file.h"
#include "estimate_print.h"
#include "flags.h"
#include "main_vram_own_engine.h"
#include "model_source.h"
#include "retype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Types that llama.cpp offers for its cache. */
static const char *const cache_types[] = {"f16", "f32", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "iq4_nl", "q4_0", NULL};
static const char *const callers[] = {"server", "cli", "bindings", NULL};
static const char *const engines[] = {"llama.cpp", "vllm", "weightsmith", NULL};
static const char *const formats[] = {"text", "json", "markdown", "html", NULL};
static const char *const switches[] = {"auto", "on", "off", NULL};

/* llama-server shares one cache among this many slots unless it is told how many to use. */
enum { SERVER_SLOTS = 4, MAX_SEQUENCES = 256, EXIT_DOES_NOT_FIT = 3, ALL = 1 << 20, DEFAULT_BATCH = 2048 };

/* --fit without --ctx asks for this much, or what the model was trained on. */
enum { WANTED_CTX = 8192, UNKNOWN_TRAINED = 32768, VLLM_BATCHED = 8192, OWN_BATCH = 512 };

typedef struct {
    int64_t ctx, batch, ubatch, parallel; /* 0: not given */
    int64_t gpu_layers, cpu_moe_layers;   /* -1: not given */
    double bandwidth, host_bandwidth, utilization;
    const char *kv_type, *type_k, *type_v, *flash_attn, *caller, *gpu, *apple, *split, *as, *engine, *format;
    bool unified, not_unified, swa_full, cpu, cpu_moe, must_fit, csv, fit, cheat_sheet, measure;
    bool fits; /* result */
    ws_common_options common;
} options;

/* llama.cpp's short options have several letters. */
static const struct {
    const char *theirs;
    const char *ours;
} spellings[] = {
    {"-ub", "--ubatch-size"},       {"-np", "--parallel"},      {"-fa", "--flash-attn"},   {"-ctk", "--cache-type-k"},
    {"-ctv", "--cache-type-v"},     {"-ngl", "--n-gpu-layers"}, {"-ts", "--tensor-split"}, {"-kvu", "--kv-unified"},
    {"-no-kvu", "--no-kv-unified"}, {"-cmoe", "--cpu-moe"},     {"-ncmoe", "--n-cpu-moe"},
};

static void respell(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        for (size_t s = 0; s < sizeof spellings / sizeof *spellings; s++)
            if (strcmp(argv[i], spellings[s].theirs) == 0) argv[i] = (char *)spellings[s].ours;
}

static ws_dtype cache_type(const char *name, const char *both) {
    ws_dtype type = WS_TYPE_F16;
    const char *given = name ? name : both;
    if (given) ws_dtype_by_name(&type, given); /* one of cache_types */
    return type;
}

/* "3,1" or "3/1". */
static ws_status parse_split(ws_est_options *out, const char *text, ws_error *err) {
    char *end = NULL;
    double sum = 0;
    for (unsigned i = 0; text && i < WS_MAX_DEVICES; i++) {
        const double v = strtod(text, &end);
        if (end == text || !(v >= 0) || v > 1e9 || (*end && *end != ',' && *end != '/'))
            return ws_fail(err, WS_USAGE, "--tensor-split: '%s' is not a list of numbers like 3,1", text);
        sum += out->share[i] = v;
        if (i >= out->n_devices && v > 0)
            return ws_fail(err, WS_USAGE, "--tensor-split has more entries than the %u devices", out->n_devices);
        text = *end ? end + 1 : NULL;
    }
    return sum > 0 ? WS_OK : ws_fail(err, WS_USAGE, "--tensor-split: all shares are zero");
}

static ws_status pick_target(ws_target *t, const options *o, ws_error *err) {
    if (o->cpu + (o->gpu != NULL) + (o->apple != NULL) > 1)
        return ws_fail(err, WS_USAGE, "--cpu, --gpu and --apple exclude each other");
    ws_target_default(t);
    if (o->cpu) ws_target_cpu(t);
    if (o->apple) WS_TRY(ws_target_parse_apple(t, o->apple, err));
    if (o->gpu && strcmp(o->gpu, "auto") == 0)
        ws_target_detect(t);
    else if (o->gpu)
        WS_TRY(ws_target_parse_gpus(t, o->gpu, err));
    for (unsigned i = 0; i < t->n_devices && o->bandwidth > 0; i++) t->device[i].bandwidth = o->bandwidth * 1e9;
    if (!t->n_devices && o->bandwidth > 0) t->host.bandwidth = o->bandwidth * 1e9;
    if (o->host_bandwidth > 0) t->host.bandwidth = o->host_bandwidth * 1e9;
    return o->measure ? ws_measure_bandwidth(&t->host.bandwidth, (int)o->common.threads, err) : WS_OK;
}

static ws_status settle(ws_est_options *out, const options *o, const ws_blueprint *bp, const ws_target *t,
                        const char *path, ws_error *err) {
    const bool server = strcmp(o->caller, "server") == 0;
    if (o->unified && o->not_unified)
        return ws_fail(err, WS_USAGE, "--kv-unified and --no-kv-unified exclude each other");
    if (!o->ctx && !bp->n_ctx_train)
        return ws_fail(err, WS_FORMAT, "'%s' does not say what context it was trained on: give --ctx", path);
    *out = (ws_est_options){
        .n_ctx = o->ctx ? (uint64_t)o->ctx : bp->n_ctx_train,
        .n_batch = (uint64_t)o->batch,
        .n_ubatch = (uint64_t)o->ubatch,
        .n_seq = o->parallel ? (uint64_t)o->parallel
                 : server    ? SERVER_SLOTS
                             : 1,
        .unified = o->unified || (server && !o->parallel && !o->not_unified),
        .flash_attn = strcmp(o->flash_attn, "off") != 0,
        .flash_auto = strcmp(o->flash_attn, "auto") == 0,
        .swa_full = o->swa_full,
        .type_k = cache_type(o->type_k, o->kv_type),
        .type_v = cache_type(o->type_v, o->kv_type),
        .n_devices = t->n_devices,
        .n_gpu_layers = o->gpu_layers < 0 ? ALL : (uint64_t)o->gpu_layers,
        .n_cpu_moe = o->cpu_moe              ? ALL
                     : o->cpu_moe_layers < 0 ? 0
                                             : (uint64_t)o->cpu_moe_layers,
    };
    if (server) out->n_outputs = out->n_seq; /* a server wants the logits of each slot's last token only */
    for (unsigned i = 0; i < t->n_devices; i++) out->share[i] = (double)t->device[i].capacity; /* by free memory */
    if (!o->split) return WS_OK;
    memset(out->share, 0, sizeof out->share);
    return parse_split(out, o->split, err);
}

/* Everything that an answer is made of. */
typedef struct {
    ws_est_options settled;
    ws_target target;
    ws_estimate estimate;
    ws_speed speed;
    ws_fit fit;
    ws_vllm_estimate vllm;
    char llama[WS_FLAGS_BYTES], ollama[WS_FLAGS_BYTES], vllm_flags[WS_FLAGS_BYTES];
} answer;

static ws_status report(const ws_est_result *r, options *o, ws_error *err) {
    o->fits = ws_result_fits(r);
    if (o->common.json) return ws_estimate_json(stdout, r, err);
    if (o->csv)
        ws_estimate_csv(stdout, r);
    else
        ws_estimate_print(stdout, r);
    return WS_OK;
}

static bool is_unquantized(const ws_blueprint *bp) {
    const char *t = bp->file_type;
    return t && (strcmp(t, "F16") == 0 || strcmp(t, "BF16") == 0 || strcmp(t, "F32") == 0);
}

/* Plans as the file is; other quantizations of it when it has none yet, or does not fit the GPUs. */
static ws_status solve(answer *a, ws_blueprint *bp, const options *o, ws_error *err) {
    ws_est_options wanted = a->settled;
    const uint64_t trained = bp->n_ctx_train ? bp->n_ctx_train : UNKNOWN_TRAINED;
    if (!o->ctx) wanted.n_ctx = trained < WANTED_CTX ? trained : WANTED_CTX;
    const uint64_t most = o->ctx ? wanted.n_ctx : trained;
    const bool open = is_unquantized(bp) && !o->as;
    if (!open) WS_TRY(ws_fit_solve(&a->fit, bp, &wanted, &a->target, most, false, err));
    const bool whole = a->fit.n && a->fit.plans[0].on_gpus;
    if (open || (!o->as && !whole)) WS_TRY(ws_fit_solve(&a->fit, bp, &wanted, &a->target, most, true, err));
    if (!a->fit.n) return WS_OK;
    a->settled = a->fit.plans[0].options;
    return ws_fit_apply(bp, &a->fit.plans[0], err);
}

static ws_status fill(answer *a, ws_blueprint *bp, const options *o, const char *path, ws_error *err) {
    WS_TRY(pick_target(&a->target, o, err));
    WS_TRY(settle(&a->settled, o, bp, &a->target, path, err));
    if (o->fit && solve(a, bp, o, err)) return ws_fail_in(err, "'%s'", path);
    if (ws_estimate_run(&a->estimate, bp, &a->settled, err)) return ws_fail_in(err, "'%s'", path);
    WS_TRY(ws_speed_bound(&a->speed, bp, &a->settled, &a->estimate, &a->target, err));
    ws_flags_llama(a->llama, bp, &a->settled, &a->estimate);
    ws_flags_ollama(a->ollama, bp, &a->settled);
    if (!a->target.n_devices || a->target.unified) return WS_OK;
    ws_flags_vllm(a->vllm_flags, &a->settled, o->utilization);
    const ws_vllm_options v = {.utilization = o->utilization,
                               .n_batched = VLLM_BATCHED,
                               .cache_bytes = a->settled.type_k == WS_TYPE_F16 ? 2 : 1};
    return strcmp(o->engine, "vllm") == 0 ? ws_vllm_run(&a->vllm, bp, a->settled.n_ctx, &a->target, &v, err) : WS_OK;
}

/* infer, on the CPU. */
static ws_status fill_own(answer *a, const ws_blueprint *bp, const options *o, const char *path, ws_error *err) {
    options mine = *o;
    if (o->gpu || o->apple || o->fit || o->gpu_layers >= 0)
        return ws_fail(err, WS_USAGE, "--engine weightsmith runs on the CPU: no --gpu, --apple, --fit, --n-gpu-layers");
    mine.cpu = true, mine.caller = "cli", mine.flash_attn = "on";
    WS_TRY(pick_target(&a->target, &mine, err));
    WS_TRY(settle(&a->settled, &mine, bp, &a->target, path, err));
    a->settled.n_batch = a->settled.n_ubatch = o->batch == DEFAULT_BATCH ? OWN_BATCH : (uint64_t)o->batch;
    if (ws_own_engine_run(&a->estimate, bp, &a->settled, a->settled.n_batch, (int)o->common.threads, err))
        return ws_fail_in(err, "'%s'", path);
    a->estimate.flash_attn = true; /* scores are never kept whole */
    return ws_speed_bound(&a->speed, bp, &a->settled, &a->estimate, &a->target, err);
}

static ws_status estimate_model(const char *path, ws_blueprint *bp, options *o, ws_error *err) {
    static answer a; /* large, and there is one */
    const bool vllm = strcmp(o->engine, "vllm") == 0;
    const bool own = strcmp(o->engine, "weightsmith") == 0;
    WS_TRY(own ? fill_own(&a, bp, o, path, err) : fill(&a, bp, o, path, err));
    if (vllm && !a.vllm.block_size)
        return ws_fail(err, WS_USAGE, "--engine vllm needs a GPU with memory of its own (--gpu)");
    const bool retyped = o->as || (o->fit && a.fit.n && !a.fit.plans[0].as_is);
    const ws_est_result result = {
        .path = path,
        .model = bp,
        .options = &a.settled,
        .estimate = &a.estimate,
        .target = &a.target,
        .speed = &a.speed,
        .caller = own ? "cli" : o->caller,
        .engine = o->engine,
        .as = retyped ? bp->file_type : NULL,
        .llama_flags = *a.llama ? a.llama : NULL,
        .ollama_flags = *a.ollama ? a.ollama : NULL,
        .vllm_flags = *a.vllm_flags ? a.vllm_flags : NULL,
        .fit = o->fit ? &a.fit : NULL,
        .vllm = vllm ? &a.vllm : NULL,
        .vllm_utilization = o->utilization,
    };
    return report(&result, o, err);
}

static ws_status estimate(const char *model, options *o, ws_error *err) {
    ws_blueprint *bp = NULL;
    char *path = NULL;
    ws_status status = ws_model_source_open(&bp, &path, model, err);
    if (!status && o->as) status = ws_blueprint_retype(bp, o->as, err);
    if (!status) status = estimate_model(path, bp, o, err);
    ws_blueprint_close(bp);
    free(path);
    return status;
}

static ws_status cheat_sheet(const options *o, ws_error *err) {
    char *models = ws_data_file("models.json", err);
    if (!models) return err->code;
    ws_sheet *s;
    ws_status status = ws_sheet_make(&s, models, o->ctx ? (uint64_t)o->ctx : WANTED_CTX, err);
    free(models);
    WS_TRY(status);
    if (o->common.json || strcmp(o->format, "json") == 0)
        status = ws_sheet_json(stdout, s, err);
    else if (strcmp(o->format, "markdown") == 0)
        ws_sheet_markdown(stdout, s);
    else if (strcmp(o->format, "html") == 0)
        ws_sheet_html(stdout, s);
    else
        ws_sheet_text(stdout, s);
    free(s);
    return status;
}

static ws_status run(const ws_args *args, options *o, ws_error *err) {
    if (o->cheat_sheet && args->n_args) return ws_fail(err, WS_USAGE, "--cheat-sheet takes no model");
    if (o->cheat_sheet) return cheat_sheet(o, err);
    if (!args->n_args) return ws_fail(err, WS_USAGE, "no model given");
    return estimate(args->arg[0], o, err);
}

/* ---- the command line ---- */

static options o = {.batch = DEFAULT_BATCH,
                    .ubatch = 512,
                    .flash_attn = "auto",
                    .caller = "server",
                    .engine = "llama.cpp",
                    .format = "text",
                    .utilization = 0.9,
                    .gpu_layers = -1,
                    .cpu_moe_layers = -1,
                    .fits = true};

static const ws_option rows[] = {
    {"ctx", 'c', WS_OPT_INT, &o.ctx, "N", "tokens of context (default: what the model was trained on)", 1, 1LL << 31,
     NULL},
    {"kv-type", 0, WS_OPT_CHOICE, &o.kv_type, "TYPE", "type of the K and V cache: f16 (default), q8_0, q4_0, ...", 0, 0,
     cache_types},
    {"cache-type-k", 0, WS_OPT_CHOICE, &o.type_k, "TYPE", "type of the K cache alone (-ctk)", 0, 0, cache_types},
    {"cache-type-v", 0, WS_OPT_CHOICE, &o.type_v, "TYPE", "type of the V cache alone (-ctv)", 0, 0, cache_types},
    {"parallel", 0, WS_OPT_INT, &o.parallel, "N", "sequences at a time (-np; default: server 4, others 1)", 1,
     MAX_SEQUENCES, NULL},
    {"kv-unified", 0, WS_OPT_FLAG, &o.unified, NULL, "sequences share one cache (default of the server)", 0, 0, NULL},
    {"no-kv-unified", 0, WS_OPT_FLAG, &o.not_unified, NULL, "each sequence has its part of the cache", 0, 0, NULL},
    {"batch-size", 'b', WS_OPT_INT, &o.batch, "N", "tokens handed over at a time (default 2048)", 1, 1 << 24, NULL},
    {"ubatch-size", 0, WS_OPT_INT, &o.ubatch, "N", "tokens computed at a time (-ub; default 512)", 1, 1 << 24, NULL},
    {"flash-attn", 0, WS_OPT_CHOICE, &o.flash_attn, "on|off|auto", "flash attention (-fa; default auto)", 0, 0,
     switches},
    {"swa-full", 0, WS_OPT_FLAG, &o.swa_full, NULL, "sliding-window layers keep the whole context", 0, 0, NULL},
    {"caller", 0, WS_OPT_CHOICE, &o.caller, "WHO", "who runs the model: server (default), cli, bindings", 0, 0,
     callers},
    {"gpu", 0, WS_OPT_TEXT, &o.gpu, "WHAT", "rtx-4090, 24GiB, 2x24GiB, rtx-3090,rtx-3060; auto: what is here", 0, 0,
     NULL},
    {"apple", 0, WS_OPT_TEXT, &o.apple, "CHIP-GB", "Apple silicon: m3-16, m4-max-64", 0, 0, NULL},
    {"cpu", 0, WS_OPT_FLAG, &o.cpu, NULL, "no GPU", 0, 0, NULL},
    {"n-gpu-layers", 0, WS_OPT_INT, &o.gpu_layers, "N", "layers on the GPUs, the output counts as one (-ngl)", 0, ALL,
     NULL},
    {"tensor-split", 0, WS_OPT_TEXT, &o.split, "A,B", "shares of the GPUs (-ts; default: by their memory)", 0, 0, NULL},
    {"cpu-moe", 0, WS_OPT_FLAG, &o.cpu_moe, NULL, "all experts stay on the CPU", 0, 0, NULL},
    {"n-cpu-moe", 0, WS_OPT_INT, &o.cpu_moe_layers, "N", "the experts of the first N layers stay on the CPU", 0, ALL,
     NULL},
    {"bandwidth", 0, WS_OPT_REAL, &o.bandwidth, "GB/S", "memory bandwidth, for the speed", 0, 1e6, NULL},
    {"host-bandwidth", 0, WS_OPT_REAL, &o.host_bandwidth, "GB/S", "the same of the CPU's memory (default 51)", 0, 1e6,
     NULL},
    {"measure", 0, WS_OPT_FLAG, &o.measure, NULL, "measure the bandwidth of this machine's memory and use that", 0, 0,
     NULL},
    {"as", 0, WS_OPT_TEXT, &o.as, "TYPE", "as if it were quantized to this: q4_k_m, iq4_xs, ...", 0, 0, NULL},
    {"fit", 0, WS_OPT_FLAG, &o.fit, NULL, "solve for what fits: context, type of the cache, quantization, layers", 0, 0,
     NULL},
    {"engine", 0, WS_OPT_CHOICE, &o.engine, "WHICH", "llama.cpp (default), vllm, weightsmith (infer)", 0, 0, engines},
    {"gpu-memory-utilization", 0, WS_OPT_REAL, &o.utilization, "X", "vLLM's share of each card (default 0.9)", 0.05, 1,
     NULL},
    {"cheat-sheet", 0, WS_OPT_FLAG, &o.cheat_sheet, NULL, "no MODEL: what fits which hardware, for common model sizes",
     0, 0, NULL},
    {"format", 0, WS_OPT_CHOICE, &o.format, "F", "of the cheat sheet: text (default), json, markdown, html", 0, 0,
     formats},
    {"must-fit", 0, WS_OPT_FLAG, &o.must_fit, NULL, "exit code 3 when it does not fit", 0, 0, NULL},
    {"csv", 0, WS_OPT_FLAG, &o.csv, NULL, "one row per device", 0, 0, NULL},
    {0},
};

static const ws_command cmd = {
    .tool = "vram-estimate",
    .synopsis = "MODEL [options]",
    .summary =
        "Tell how much memory a model takes when llama.cpp runs it: weights, KV cache, compute buffers, for\n"
        "each GPU and the host. MODEL is a GGUF file, a folder with a config.json, a config.json, or a name that\n"
        "Ollama, LM Studio or Jan knows. Only headers are read.",
    .notes = "Without --gpu, --apple or --cpu: one CUDA GPU without limit that holds all layers. Options carry\n"
             "llama.cpp's names, short ones too (-c, -b, -ub, -np, -fa, -ctk, -ctv, -ngl, -ts), and its defaults.\n"
             "Exit code 3: --must-fit was given and it does not fit.",
    .examples = "  vram-estimate model.gguf --ctx 8192\n"
                "  vram-estimate llama3:8b --gpu rtx-3060 --fit\n"
                "  vram-estimate model.gguf --engine weightsmith --measure\n"
                "  vram-estimate ~/models/Qwen3-8B --as q4_k_m --ctx 16384\n"
                "  vram-estimate --cheat-sheet --format html > sheet.html\n"
                "  vram-estimate model.gguf --ctx 32768 --kv-type q8_0 --gpu rtx-3060 --must-fit --json",
    .options = rows,
    .min_args = 0,
    .max_args = 1,
};

int main(int argc, char **argv) {
    ws_args args;
    ws_error err = {0};
    respell(argc, argv);
    ws_status status = ws_cli_parse(&cmd, argc, argv, &o.common, &args, &err);
    if (!status && !args.done) status = run(&args, &o, &err);
    const int code = ws_cli_finish(&cmd, status, &err);
    return code == WS_EXIT_OK && o.must_fit && !o.fits ? EXIT_DOES_NOT_FIT : code;
}
