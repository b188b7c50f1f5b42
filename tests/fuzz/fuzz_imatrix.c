/* Any bytes: the reader of importance matrices refuses them or gives finite weights that are not negative, for as many
 * columns as it says. */
#include "imatrix.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

/* A tensor of the name and with as many columns as an entry: every weight of its stack can be asked for. */
static void use_entry(const ws_imatrix *m, const char *name, uint64_t columns, uint64_t stack) {
    enum { MOST = 1 << 16 };
    ws_error err = {0};
    ws_tensor t = {.name = name, .type = WS_TYPE_F32, .n_dims = 3, .ne = {columns, 1, stack, 1}};
    ws_choice c = {.tensor = &t, .name = name, .type = WS_TYPE_Q4_K};
    ws_choices list = {.list = &c, .n = 1};
    if (columns > MOST || ws_imatrix_bind(m, &list, &err) || !c.weights) return;
    float *row = malloc(columns * sizeof *row);
    if (!row) abort();
    for (uint64_t k = 0; k < stack; k++) {
        ws_imatrix_row(c.weights, k, columns, row);
        for (uint64_t i = 0; i < columns; i++) require(row[i] >= 0 && row[i] <= FLT_MAX);
    }
    free(row);
}

static void use(const ws_imatrix *m) {
    for (uint64_t columns = 1; columns <= 8; columns++) {
        use_entry(m, "a", columns, 1);
        use_entry(m, "blk.0.attn_q.weight", columns, 2);
        use_entry(m, "", columns, 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"attn"};
    const ws_imatrix_filter filters[] = {{0}, {.include = names, .n_include = 1}, {.exclude = names, .n_exclude = 1}};
    size_t n[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        ws_imatrix *m;
        ws_error err = {0};
        if (ws_imatrix_open_bytes(&m, data, size, "fuzz", &filters[i], &err)) {
            require(!m && err.code && err.msg[0] && !strchr(err.msg, '\n'));
            continue;
        }
        n[i] = ws_imatrix_entries(m);
        use(m);
        ws_imatrix_close(m);
    }
    require(n[0] == 0 || n[0] == n[1] + n[2]);
    return 0;
}
