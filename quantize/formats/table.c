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
#define TO_FLOAT(ID, impl)         SECOND_(WS_IMPL_##impl, ID##_to_float, )
#define PLAIN(ID, impl, imatrix)   SECOND_(WS_IMPL_##impl, SECOND_(WS_PLAIN_##imatrix, ID##_from_float, ), )
#define WEIGHTED(ID, impl, imatrix)                                                                                    \
    SECOND_(WS_IMPL_##impl, SECOND_(WS_WEIGHTED_##imatrix, ID##_from_float_weighted, ), )

/* gcc 12 does not always leave wide code with vzeroupper; without it, all older code that follows in the thread waits
 * for the upper halves of its registers, and was seen to take five times as long. */
static inline void leave_wide_code(void) {
#ifdef __AVX__
    __builtin_ia32_vzeroupper();
#endif
}

/* What the table points to; only what is in the table is compiled. */
#define WS_DTYPE(ID, number, elements, bytes, impl, imatrix)                                                           \
    static inline void ID##_from_float(const float *x, void *y, size_t n_blocks) {                                     \
        WS_FN(impl, from_float)(x, y, n_blocks);                                                                       \
        leave_wide_code();                                                                                             \
    }                                                                                                                  \
    static inline void ID##_to_float(const void *x, float *y, size_t n_blocks) {                                       \
        WS_FN(impl, to_float)(x, y, n_blocks);                                                                         \
        leave_wide_code();                                                                                             \
    }                                                                                                                  \
    static inline void ID##_from_float_weighted(const float *x, const float *weights, void *y, size_t n_rows,          \
                                                size_t row_blocks) {                                                   \
        WS_FN(impl, from_float_weighted)(x, weights, y, n_rows, row_blocks);                                           \
        leave_wide_code();                                                                                             \
    }
#include "dtypes.def"
#undef WS_DTYPE

const ws_format WS_TABLE[WS_TYPE_COUNT] = {
#define WS_DTYPE(ID, number, elements, bytes, impl, imatrix)                                                           \
    [number] = {PLAIN(ID, impl, imatrix), TO_FLOAT(ID, impl), WEIGHTED(ID, impl, imatrix)},
#include "dtypes.def"
#undef WS_DTYPE
};
