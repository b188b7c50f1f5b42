#include "flags.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void append(char out[WS_FLAGS_BYTES], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(char out[WS_FLAGS_BYTES], const char *fmt, ...) {
    const size_t used = strlen(out);
    va_list args;
    va_start(args, fmt);
    vsnprintf(out + used, WS_FLAGS_BYTES - used, fmt, args);
    va_end(args);
}

static void lower(char out[16], ws_dtype type) {
    snprintf(out, 16, "%s", ws_dtype_name(type));
    for (char *c = out; *c; c++) *c = (char)tolower((unsigned char)*c);
}

static uint64_t gpu_layers(const ws_blueprint *bp, const ws_est_options *o) {
    if (!o->n_devices) return 0;
    return o->n_gpu_layers > bp->n_layer_all ? bp->n_layer_all + 1 : o->n_gpu_layers;
}

void ws_flags_llama(char out[WS_FLAGS_BYTES], const ws_blueprint *bp, const ws_est_options *o, const ws_estimate *e) {
    char type[16];
    out[0] = 0;
    append(out, "-c %" PRIu64 " -ngl %" PRIu64 " -fa %s", o->n_ctx, gpu_layers(bp, o), e->flash_attn ? "on" : "off");
    lower(type, o->type_k);
    if (o->type_k != WS_TYPE_F16) append(out, " -ctk %s", type);
    lower(type, o->type_v);
    if (o->type_v != WS_TYPE_F16) append(out, " -ctv %s", type);
    if (o->n_cpu_moe >= bp->n_layer)
        append(out, " --cpu-moe");
    else if (o->n_cpu_moe)
        append(out, " --n-cpu-moe %" PRIu64, o->n_cpu_moe);
    if (!o->unified && o->n_seq > 1) append(out, " -np %" PRIu64 " --no-kv-unified", o->n_seq);
    if (o->n_ubatch != 512) append(out, " -ub %" PRIu64, o->n_ubatch);
    if (o->swa_full) append(out, " --swa-full");
}

void ws_flags_ollama(char out[WS_FLAGS_BYTES], const ws_blueprint *bp, const ws_est_options *o) {
    char type[16];
    out[0] = 0;
    lower(type, o->type_k);
    if (o->type_k != WS_TYPE_F16) append(out, "OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=%s; ", type);
    append(out, "PARAMETER num_ctx %" PRIu64 ", PARAMETER num_gpu %" PRIu64, o->n_ctx, gpu_layers(bp, o));
}

void ws_flags_vllm(char out[WS_FLAGS_BYTES], const ws_est_options *o, double utilization) {
    out[0] = 0;
    append(out, "--max-model-len %" PRIu64 " --gpu-memory-utilization %.2f", o->n_ctx, utilization);
    if (o->n_devices > 1) append(out, " --tensor-parallel-size %u", o->n_devices);
    if (o->type_k != WS_TYPE_F16) append(out, " --kv-cache-dtype fp8");
}
