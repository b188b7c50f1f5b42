/* Source: llama.cpp's llama-model.cpp (load_tensors) and llama-arch.cpp (which part of a model a tensor belongs to). */
#include "placement.h"

#include "alloc.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const char *const input_tensors[] = {"token_embd.weight", "position_embd.weight", "token_types.weight",
                                            "per_layer_token_embd.weight", NULL};
static const char *const output_tensors[] = {"output.",  "output_norm.", "enc.output_norm.",   "cls.", "dense_2.",
                                             "dense_3.", "altup_proj.",  "altup_unembd_proj.", NULL};
static const char *const shared_tensors[] = {"rope_freqs.", "rope_factors_", NULL};
static const char *const expert_infixes[] = {
    ".ffn_up_exps",   ".ffn_down_exps",   ".ffn_gate_exps",   ".ffn_gate_up_exps",
    ".ffn_up_chexps", ".ffn_down_chexps", ".ffn_gate_chexps", NULL};

static bool starts_with_one(const char *name, const char *const *list) {
    for (; *list; list++)
        if (strncmp(name, *list, strlen(*list)) == 0) return true;
    return false;
}

bool ws_is_shared_tensor(const char *name) { return starts_with_one(name, shared_tensors); }

bool ws_is_expert_tensor(const char *name) {
    for (const char *const *i = expert_infixes; *i; i++)
        if (strstr(name, *i)) return true;
    return false;
}

/* The device whose cumulative share of the layers reaches beyond layer i of n. */
static int8_t device_of_layer(const ws_est_options *o, uint64_t i, uint64_t n) {
    float ends[WS_MAX_DEVICES], sum = 0;
    double given = 0;
    for (unsigned d = 0; d < o->n_devices; d++) given += o->share[d];
    for (unsigned d = 0; d < o->n_devices; d++) ends[d] = sum += given > 0 ? (float)o->share[d] : 1.0F;
    const float at = (float)i / (float)n;
    for (unsigned d = 0; d < o->n_devices; d++)
        if (ends[d] / sum > at) return (int8_t)d;
    return (int8_t)(o->n_devices - 1);
}

static int8_t layer_backend(const ws_blueprint *bp, const ws_est_options *o, uint64_t layer) {
    const uint64_t n = bp->n_layer_all + 1, on_gpus = o->n_gpu_layers < n ? o->n_gpu_layers : n;
    if (!o->n_devices || layer + on_gpus < n) return (int8_t)o->n_devices;
    return device_of_layer(o, layer - (n - on_gpus), on_gpus);
}

static bool gpu_can_use(const ws_blueprint *bp, const ws_tensor *t) {
    if (ws_ends_with(t->name, ".ssm_conv1d.weight") || ws_ends_with(t->name, ".shortconv.conv.weight"))
        return ws_gpu_convolves(t->ne[1]);
    if (ws_ends_with(t->name, ".ssm_a") && bp->style->family != WS_FAMILY_DELTA_NET) {
        const bool mamba2 = t->ne[0] == 1;
        return t->ne[1] && ws_gpu_scans(mamba2, mamba2 ? bp->d_state : t->ne[0], bp->d_inner / t->ne[1], t->ne[1],
                                        bp->n_groups ? bp->n_groups : 1);
    }
    return t->n_dims < 2 || ws_gpu_multiplies(t->type);
}

/* Where the layer of a tensor is; layer < 0: in front of the layers or behind them. */
static int8_t home_of(const ws_placement *p, const ws_blueprint *bp, const char *name, int64_t layer) {
    if (layer >= 0) return p->layer[layer];
    if (starts_with_one(name, input_tensors)) return (int8_t)ws_machine_cpu(&p->machine);
    /* LFM2's output norm */
    if (bp->style->traits & WS_SHORT_CONV && bp->style->family == WS_FAMILY_HYBRID && strstr(name, "token_embd_norm"))
        return p->output_layer;
    return starts_with_one(name, output_tensors) ? p->output_layer : p->layer[0];
}

static int8_t tensor_backend(const ws_placement *p, const ws_blueprint *bp, const ws_est_options *o,
                             const ws_tensor *t) {
    const int64_t layer = ws_tensor_layer(t->name);
    if (layer >= (int64_t)bp->n_layer) return -1; /* multi-token prediction is not loaded */
    const bool on_cpu = layer >= 0 && (uint64_t)layer < o->n_cpu_moe && ws_is_expert_tensor(t->name);
    return on_cpu || !gpu_can_use(bp, t) ? (int8_t)ws_machine_cpu(&p->machine) : home_of(p, bp, t->name, layer);
}

ws_status ws_placement_make(ws_placement *out, const ws_blueprint *bp, const ws_est_options *o, ws_error *err) {
    *out = (ws_placement){.machine = {.n_backends = (int)o->n_devices + 1, .n_copies = 1}};
    out->layer = ws_alloc(bp->n_layer_all, 1, "layers", err);
    out->tensor = ws_alloc(bp->n_tensors, 1, "tensors", err);
    if (!out->layer || !out->tensor) {
        ws_placement_free(out);
        return WS_NOMEM;
    }
    for (uint64_t i = 0; i < bp->n_layer_all; i++) out->layer[i] = layer_backend(bp, o, i);
    out->output = out->output_layer = layer_backend(bp, o, bp->n_layer_all);
    const ws_tensor *matrix = ws_blueprint_tensor(bp, "output.weight");
    if (!matrix) matrix = ws_blueprint_tensor(bp, "token_embd.weight");
    if (!ws_gpu_multiplies(matrix->type)) out->output = (int8_t)ws_machine_cpu(&out->machine);
    const bool all = o->n_gpu_layers > bp->n_layer_all;
    if (o->n_devices > 1 && all && !o->n_cpu_moe) out->machine.n_copies = 4; /* GGML_SCHED_MAX_COPIES */
    for (size_t i = 0; i < bp->n_tensors; i++) out->tensor[i] = tensor_backend(out, bp, o, &bp->tensors[i]);
    return WS_OK;
}

void ws_placement_free(ws_placement *p) {
    free(p->layer);
    free(p->tensor);
    *p = (ws_placement){0};
}
