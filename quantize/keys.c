#include "keys.h"

#include <stdio.h>

enum { QUANTIZATION_VERSION = 2, GUESSED = 1024, NVFP4 = 39 };

/* The type of most tensors; of two with as many, the one that is complete first in the order of layers. */
static ws_dtype most_frequent_type(const ws_gguf *g) {
    const ws_tensor *last[WS_TYPE_COUNT] = {NULL};
    size_t n[WS_TYPE_COUNT] = {0};
    ws_dtype best = WS_TYPE_F32;
    for (size_t i = 0; i < g->n_tensors; i++) {
        const ws_tensor *t = &g->tensors[i];
        n[t->type]++;
        if (!last[t->type] || ws_tensor_order(last[t->type], t) < 0) last[t->type] = t;
    }
    for (int t = 0; t < WS_TYPE_COUNT; t++)
        if (n[t] > n[best] || (n[t] && n[t] == n[best] && ws_tensor_order(last[t], last[best]) < 0)) best = (ws_dtype)t;
    return best;
}

/* What the reference takes a file for that does not say. */
static uint32_t guess_file_type(const ws_gguf *g) {
    const ws_dtype type = most_frequent_type(g);
    const ws_recipe *r = ws_recipe_by_name(ws_dtype_name(type));
    return GUESSED | (r ? r->file_type : type == WS_TYPE_NVFP4 ? NVFP4 : 0);
}

static uint32_t file_type_of(const ws_keys *k) {
    uint64_t number;
    const ws_kv *kv = ws_gguf_kv(k->source, "general.file_type");
    if (!(k->recipe->flags & WS_RECIPE_COPY)) return k->recipe->file_type;
    return kv && ws_kv_u64(kv, &number) ? (uint32_t)number : guess_file_type(k->source);
}

void ws_keys_put(ws_gguf_writer *w, const ws_keys *k) {
    char key[96];
    for (size_t i = 0; i < k->source->n_kv; i++) ws_gguf_put_kv(w, &k->source->kv[i]);
    ws_gguf_put_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
    ws_gguf_put_u32(w, "general.file_type", file_type_of(k));
    ws_gguf_remove(w, "split.no");
    ws_gguf_remove(w, "split.count");
    ws_gguf_remove(w, "split.tensors.count");
    for (size_t i = 0; i < k->n_overrides; i++) ws_override_put(w, &k->overrides[i]);
    ws_imatrix_put_keys(w, k->imatrix);
    snprintf(key, sizeof key, "%s.block_count", k->facts->arch);
    if (k->pruned) ws_gguf_put_u32(w, key, k->n_layer);
}
