/* block_panels.h - every type of blocks into panels: what all products of a family of processors have in common. */
#ifndef WS_BLOCK_PANELS_H
#define WS_BLOCK_PANELS_H

#include "block_table.h"

#define TYPE(name, ID, halves, low, adds)                                                                              \
    static void decode_##name(const ws_block_rows *rows, size_t n_blocks, ws_panel *out) {                             \
        decode(rows, n_blocks, out, block_##name, WS_BYTES_##ID, WS_ELEMENTS_##ID / WS_GROUP, halves, low, adds);      \
    }
EACH_TYPE(TYPE)
#undef TYPE

static void decoding_init(ws_kernels *k) {
#define ROW(name, ID, halves, low, adds) k->panel[WS_TYPE_##ID].decode = decode_##name;
    EACH_TYPE(ROW)
#undef ROW
}

#endif
