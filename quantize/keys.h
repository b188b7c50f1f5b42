/* keys.h - the metadata of a quantized file: the source's keys, changed and added to as llama-quantize does. */
#ifndef WS_KEYS_H
#define WS_KEYS_H

#include "imatrix.h"
#include "recipe.h"

typedef struct {
    const ws_gguf *source;
    const ws_recipe *recipe;
    const ws_model_facts *facts;
    const ws_override *overrides;
    size_t n_overrides;
    const ws_imatrix *imatrix; /* NULL: none */
    bool pruned;
    uint32_t n_layer; /* when pruned */
} ws_keys;

/* All keys of the only file, or of the first of a split one, whose split keys come after these. */
void ws_keys_put(ws_gguf_writer *w, const ws_keys *k);

#endif
