/* Products as the decoder asks for them: every type that quantize can read, in batches of any size, against the
 * format's own numbers in double precision. */
#include "blocks_data.h"
#include "formats.h"
#include "matmul.h"

#include <math.h>

enum { N_IN = 4864, N_OUT = 21, MAX_TOKENS = 70, Y_STRIDE = 32 };

typedef struct {
    ws_engine e;
    ws_rows x;
} setup;

static setup make_setup(test_random *r) {
    setup s = {.x = {.stride = N_IN, .n_cols = N_IN, .q = {.n_cols = N_IN}}};
    ws_error err;
    ws_kernels_init(&s.e.k, ws_cpu_detect());
    cr_assert_eq(ws_team_open(&s.e.team, 2, &err), WS_OK);
    s.e.panels = guarded(2 * WS_CHUNK * sizeof *s.e.panels);
    s.x.x = guarded(MAX_TOKENS * N_IN * sizeof *s.x.x);
    s.x.q.cells = guarded(ws_input_cells(MAX_TOKENS, N_IN) * sizeof *s.x.q.cells);
    random_floats(r, s.x.x, MAX_TOKENS * N_IN);
    return s;
}

static ws_matrix make_matrix(ws_dtype type, test_random *r) {
    const ws_dtype_info *info = ws_dtype_get(type);
    const size_t row_bytes = N_IN / info->block_elements * info->block_bytes;
    uint8_t *data = guarded(N_OUT * row_bytes);
    const ws_format *f = ws_format_get(type, ws_cpu_detect());
    static float row[N_IN], ones[N_IN];
    for (size_t i = 0; i < N_IN; i++) ones[i] = 1;
    for (size_t i = 0; i < N_OUT; i++) {
        random_floats(r, row, N_IN);
        if (f->from_float)
            f->from_float(row, data + i * row_bytes, N_IN / info->block_elements);
        else
            f->from_float_weighted(row, ones, data + i * row_bytes, 1, N_IN / info->block_elements);
    }
    return (ws_matrix){.data = data, .type = type, .n_in = N_IN, .n_out = N_OUT, .row_bytes = row_bytes};
}

/* Activations of 8 bits are off by 1/508 of a group's largest number on average; sums are over N_IN products. */
static void check_type(const setup *s, ws_dtype type, size_t n_tokens, double allowed, test_random *r) {
    const ws_matrix w = make_matrix(type, r);
    const size_t n_blocks = N_IN / ws_dtype_get(type)->block_elements;
    static float row[N_IN];
    float *y = guarded(n_tokens * Y_STRIDE * sizeof *y);
    ws_matmul(&s->e, &(ws_product){&w, y, Y_STRIDE}, 1, &s->x, n_tokens);
    for (size_t i = 0; i < N_OUT; i++) {
        ws_format_get(type, 0)->to_float(w.data + i * w.row_bytes, row, n_blocks);
        for (size_t t = 0; t < n_tokens; t++) {
            double want = 0, squares = 0;
            for (size_t c = 0; c < N_IN; c++) {
                const double term = (double)row[c] * s->x.x[t * N_IN + c];
                want += term, squares += term * term;
            }
            cr_assert_leq(fabs(y[t * Y_STRIDE + i] - want), allowed * sqrt(squares), "%s, %zu tokens, row %zu",
                          ws_dtype_name(type), n_tokens, i);
        }
    }
}

Test(matmul, multiplies_every_type_there_is) {
    test_random r = {14};
    const setup s = make_setup(&r);
    for (int type = 0; type < WS_TYPE_COUNT; type++) {
        const ws_format *f = ws_format_get((ws_dtype)type, 0);
        cr_assert_eq(ws_can_multiply((ws_dtype)type), f != NULL);
        if (f) check_type(&s, (ws_dtype)type, type % 3 ? 1 + type % 2 : MAX_TOKENS, 0.03, &r);
    }
    ws_team_close(s.e.team);
}
