/* table.c - the conversions of every type in this build's instruction set, from the type list. */
#include "formats.h"
#include "kernels.h"

/* FUNCTION(impl, op): its name, or NULL for types whose implementation column says `none`: only WS_IMPL_none is a
 * macro, and the comma in it moves NULL to where SECOND looks. */
#define WS_IMPL_none               , NULL
#define SECOND(first, second, ...) second
#define SECOND_(...)               SECOND(__VA_ARGS__)
#define FUNCTION(impl, op)         SECOND_(WS_IMPL_##impl, WS_FN(impl, op), )

const ws_format WS_TABLE[WS_TYPE_COUNT] = {
#define WS_DTYPE(ID, number, elements, bytes, impl) [number] = {FUNCTION(impl, from_float), FUNCTION(impl, to_float)},
#include "dtypes.def"
#undef WS_DTYPE
};
