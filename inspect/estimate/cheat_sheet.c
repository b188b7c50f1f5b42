#include "cheat_sheet.h"

#include "alloc.h"
#include "hf_blueprint.h"
#include "json.h"
#include "retype.h"
#include "speed.h"

#include <stdlib.h>
#include <string.h>

enum { JSON_LIMIT = 1 << 20, MAX_KINDS = 4, ALL = 1 << 20, SYSTEM_GIB = 4 /* of a CPU's memory for everything else */ };

/* Bits per weight from which on experts in slow memory are not worth having. */
static const double WORTH_IN_RAM = 5;

static const uint64_t GIB = UINT64_C(1) << 30;

/* What a row of the sheet is about. */
static const struct {
    const char *name, *gpus, *apple;
    double cpu_gib, cpu_gb_per_second;
} hardware[] = {
    {"Apple M2, 8 GB", NULL, "m2-8", 0, 0},
    {"Apple M3, 16 GB", NULL, "m3-16", 0, 0},
    {"Apple M4, 24 GB", NULL, "m4-24", 0, 0},
    {"Apple M4, 32 GB", NULL, "m4-32", 0, 0},
    {"Apple M4 Max, 64 GB", NULL, "m4-max-64", 0, 0},
    {"Apple M4 Max, 128 GB", NULL, "m4-max-128", 0, 0},
    {"Apple M3 Ultra, 512 GB", NULL, "m3-ultra-512", 0, 0},
    {"RTX 4060, 8 GB", "rtx-4060", NULL, 0, 0},
    {"RTX 3060, 12 GB", "rtx-3060", NULL, 0, 0},
    {"RTX 4060 Ti, 16 GB", "rtx-4060-ti-16", NULL, 0, 0},
    {"RTX 3090, 24 GB", "rtx-3090", NULL, 0, 0},
    {"RTX 4090, 24 GB", "rtx-4090", NULL, 0, 0},
    {"RTX 5090, 32 GB", "rtx-5090", NULL, 0, 0},
    {"2x RTX 3090, 48 GB", "2xrtx-3090", NULL, 0, 0},
    {"RTX 6000 Ada, 48 GB", "rtx-6000-ada", NULL, 0, 0},
    {"2x RTX 5090, 64 GB", "2xrtx-5090", NULL, 0, 0},
    {"A100, 80 GB", "a100", NULL, 0, 0},
    {"2x H100, 160 GB", "2xh100", NULL, 0, 0},
    {"CPU, 32 GB DDR4-3200", NULL, NULL, 32, 51.2},
    {"CPU, 64 GB DDR5-5600", NULL, NULL, 64, 89.6},
    {"CPU, 256 GB 8x DDR4", NULL, NULL, 256, 204.8},
    {"CPU, 768 GB 12x DDR5", NULL, NULL, 768, 460.8},
};

static const char *const quantizations[] = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M", "Q2_K", NULL};

/* Ways to spread a model that several rows share: one GPU, two, the CPU alone, one GPU without the experts. */
static const struct {
    unsigned n_devices;
    bool experts_on_cpu;
} kinds[MAX_KINDS] = {{1, false}, {2, false}, {0, false}, {1, true}};

/* ---- rows ---- */

static ws_status make_rows(ws_sheet *s, ws_error *err) {
    s->n_rows = sizeof hardware / sizeof *hardware;
    for (size_t i = 0; i < s->n_rows; i++) {
        ws_target *t = &s->rows[i].target;
        snprintf(s->rows[i].name, sizeof s->rows[i].name, "%s", hardware[i].name);
        if (hardware[i].gpus)
            WS_TRY(ws_target_parse_gpus(t, hardware[i].gpus, err));
        else if (hardware[i].apple)
            WS_TRY(ws_target_parse_apple(t, hardware[i].apple, err));
        else
            ws_target_cpu(t);
        if (hardware[i].cpu_gib > 0) {
            t->host.capacity = (uint64_t)(hardware[i].cpu_gib - SYSTEM_GIB) * GIB;
            t->host.bandwidth = hardware[i].cpu_gb_per_second * 1e9;
        }
        for (unsigned d = 0; d < t->n_devices; d++) s->rows[i].capacity += t->device[d].capacity;
        if (!t->n_devices) s->rows[i].capacity = t->host.capacity;
    }
    return WS_OK;
}

/* ---- cells ---- */

static ws_est_options options_of(const ws_sheet *s, int kind) {
    return (ws_est_options){.n_ctx = s->n_ctx,
                            .n_batch = 2048,
                            .n_ubatch = 512,
                            .n_seq = 4,
                            .n_outputs = 4,
                            .unified = true,
                            .flash_attn = true,
                            .type_k = WS_TYPE_F16,
                            .type_v = WS_TYPE_F16,
                            .n_devices = kinds[kind].n_devices,
                            .n_gpu_layers = ALL,
                            .n_cpu_moe = kinds[kind].experts_on_cpu ? ALL : 0};
}

static ws_status fill_cell(ws_sheet_cell *c, const ws_blueprint *bp, const char *name, const ws_est_options *o,
                           const ws_estimate *e, const ws_target *t, uint64_t capacity, ws_error *err) {
    ws_speed speed;
    WS_TRY(ws_speed_bound(&speed, bp, o, e, t, err));
    snprintf(c->quantization, sizeof c->quantization, "%s", name);
    c->experts_on_cpu = o->n_cpu_moe;
    c->total = e->sum.total;
    c->host = o->n_cpu_moe ? e->host.total : 0;
    c->headroom = (int64_t)capacity - (int64_t)e->sum.total;
    c->bound = speed.empty;
    return WS_OK;
}

/* One quantization on all hardware that has no better one yet. */
static ws_status try_quantization(ws_sheet *s, size_t model, const ws_blueprint *bp, const char *name, ws_error *err) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < bp->n_tensors; i++) bytes += bp->tensors[i].bytes;
    const double worth = (double)bytes * 8 / (double)bp->n_params;
    for (int k = 0; k < MAX_KINDS; k++) {
        const ws_est_options o = options_of(s, k);
        ws_estimate e;
        if (kinds[k].experts_on_cpu && (!bp->n_expert || worth > WORTH_IN_RAM)) continue;
        WS_TRY(ws_estimate_run(&e, bp, &o, err));
        for (size_t r = 0; r < s->n_rows; r++) {
            ws_sheet_cell *c = &s->cells[r][model];
            const ws_target *t = &s->rows[r].target;
            const bool better = !*c->quantization || (c->experts_on_cpu && !kinds[k].experts_on_cpu);
            if (t->n_devices != o.n_devices || !better || (t->unified && kinds[k].experts_on_cpu)) continue;
            if (ws_target_holds(t, &e)) WS_TRY(fill_cell(c, bp, name, &o, &e, t, s->rows[r].capacity, err));
        }
    }
    return WS_OK;
}

static ws_status fill_model(ws_sheet *s, size_t model, ws_blueprint *bp, const char *as_is, ws_error *err) {
    s->models[model].n_params = bp->n_params;
    if (as_is) return try_quantization(s, model, bp, as_is, err);
    for (size_t q = 0; quantizations[q]; q++) {
        WS_TRY(ws_blueprint_retype(bp, quantizations[q], err));
        WS_TRY(try_quantization(s, model, bp, quantizations[q], err));
    }
    return WS_OK;
}

static ws_status add_model(ws_sheet *s, const cJSON *item, const char *path, ws_error *err) {
    const char *size = ws_json_str(item, "size"), *name = ws_json_str(item, "name");
    char *config = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(item, "config"));
    ws_blueprint *bp = NULL;
    ws_status status = WS_OK;
    if (!size || !name || !config || s->n_models == WS_SHEET_MODELS)
        status = ws_fail(err, WS_FORMAT, "'%s': a model without size, name or config, or more than %d", path,
                         WS_SHEET_MODELS);
    if (!status) status = ws_blueprint_from_config_text(&bp, config, strlen(config), name, err);
    if (!status) {
        snprintf(s->models[s->n_models].size, sizeof s->models->size, "%s", size);
        snprintf(s->models[s->n_models].name, sizeof s->models->name, "%s", name);
        status = fill_model(s, s->n_models++, bp, ws_json_str(item, "as_is"), err);
    }
    ws_blueprint_close(bp);
    cJSON_free(config);
    return status;
}

static ws_status fill(ws_sheet *s, const char *path, ws_error *err) {
    cJSON *root = ws_json_read(path, JSON_LIMIT, err);
    if (!root) return err->code;
    const cJSON *item;
    ws_status status = make_rows(s, err);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "models")) {
        if (!status) status = add_model(s, item, path, err);
    }
    cJSON_Delete(root);
    return status;
}

ws_status ws_sheet_make(ws_sheet **out, const char *models, uint64_t n_ctx, ws_error *err) {
    *out = NULL;
    ws_sheet *s = ws_alloc(1, sizeof *s, "cheat sheet", err);
    if (!s) return WS_NOMEM;
    s->n_ctx = n_ctx;
    const ws_status status = fill(s, models, err);
    if (status)
        free(s);
    else
        *out = s;
    return status;
}
