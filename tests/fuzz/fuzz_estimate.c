/* Any config.json and any GGUF header: a model is described or refused with one message, and one that is described
 * has an estimate, on the CPU and over two GPUs, or is refused too. A file that starts with "GGUF" is a header. */
#include "estimate.h"
#include "hf_blueprint.h"
#include "retype.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

/* Small sizes keep the graph's arithmetic quick; its nodes grow with layers and GPUs. */
static void estimate(const ws_blueprint *bp, unsigned n_devices, uint64_t n_gpu_layers, bool flash) {
    static ws_estimate e;
    ws_error err = {0};
    const ws_est_options o = {.n_ctx = 600,
                              .n_batch = 64,
                              .n_ubatch = 16,
                              .n_seq = 2,
                              .flash_attn = flash,
                              .type_k = WS_TYPE_F16,
                              .type_v = WS_TYPE_F16,
                              .n_devices = n_devices,
                              .n_gpu_layers = n_gpu_layers};
    const ws_status st = ws_estimate_run(&e, bp, &o, &err);
    require(st == err.code && (st == WS_OK || err.msg[0]));
    if (!st) require(e.sum.total == e.sum.weights + e.sum.kv_cache + e.sum.compute + e.sum.output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ws_blueprint *bp = NULL;
    ws_gguf *g;
    ws_error err = {0};
    ws_status st;
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        if (ws_gguf_open_bytes(&g, data, size, "fuzz", &err)) return 0;
        st = ws_blueprint_from_gguf(&bp, g, &err);
    } else {
        st = ws_blueprint_from_config_text(&bp, (const char *)data, size, "fuzz", &err);
    }
    require(st == err.code && (st ? !bp && err.msg[0] : bp != NULL));
    if (st) return 0;
    if (bp->n_layer <= 64) {
        estimate(bp, 0, 0, true);
        estimate(bp, 1, 1000, false);
        estimate(bp, 2, 2, true);
        if (!ws_blueprint_retype(bp, "q4_k_m", NULL)) estimate(bp, 1, 1, true);
    }
    ws_blueprint_close(bp);
    return 0;
}
