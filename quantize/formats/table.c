/* table.c - the conversions of every type in this build's instruction set, from the type list. */
#include "formats.h"
#include "kernels.h"

/* A function's name, or NULL where the columns `implementation` and `imatrix` say that there is none: only these
 * words are macros, and the comma in them moves NULL to where SECOND looks. */
#define WS_IMPL_none               , NULL
#define WS_PLAIN_needs             , NULL
#define WS_WEIGHTED_ignores        , NULL
#define SECOND(first, second, ...) second
#define SECOND_(...)               SECOND(__VA_ARGS__)
#define TO_FLOAT(impl)             SECOND_(WS_IMPL_##impl, WS_FN(impl, to_float), )
#define PLAIN(impl, imatrix)       SECOND_(WS_IMPL_##impl, SECOND_(WS_PLAIN_##imatrix, WS_FN(impl, from_float), ), )
#define WEIGHTED(impl, imatrix)                                                                                        \
    SECOND_(WS_IMPL_##impl, SECOND_(WS_WEIGHTED_##imatrix, WS_FN(impl, from_float_weighted), ), )

const ws_format WS_TABLE[WS_TYPE_COUNT] = {
#define WS_DTYPE(ID, number, elements, bytes, impl, imatrix)                                                           \
    [number] = {PLAIN(impl, imatrix), TO_FLOAT(impl), WEIGHTED(impl, imatrix)},
#include "dtypes.def"
#undef WS_DTYPE
};
