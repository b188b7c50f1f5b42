#include "dtype.h"

#include <stddef.h>
#include <strings.h>

static const ws_dtype_info table[WS_TYPE_COUNT] = {
#define WS_DTYPE(ID, number, elements, bytes, impl, imatrix) [number] = {#ID, elements, bytes, WS_IMATRIX_##imatrix},
#include "dtypes.def"
#undef WS_DTYPE
};

const ws_dtype_info *ws_dtype_get(uint32_t number) {
    return number < WS_TYPE_COUNT && table[number].block_elements ? &table[number] : NULL;
}

const char *ws_dtype_name(ws_dtype type) {
    const ws_dtype_info *info = ws_dtype_get(type);
    return info ? info->name : "unknown";
}

bool ws_dtype_by_name(ws_dtype *type, const char *name) {
    for (uint32_t i = 0; i < WS_TYPE_COUNT; i++)
        if (table[i].name && strcasecmp(table[i].name, name) == 0) {
            *type = (ws_dtype)i;
            return true;
        }
    return false;
}

bool ws_dtype_bytes(ws_dtype type, uint64_t n_elements, uint64_t *bytes) {
    const ws_dtype_info *info = ws_dtype_get(type);
    return info && n_elements % info->block_elements == 0 &&
           !__builtin_mul_overflow(n_elements / info->block_elements, info->block_bytes, bytes);
}

bool ws_dtype_is_quantized(ws_dtype type) {
    const ws_dtype_info *info = ws_dtype_get(type);
    return info && info->block_elements > 1;
}
