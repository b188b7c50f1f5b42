/* Any bytes as a PyTorch file, as a pickle and as a zip file: refused, or what is handed out lies inside of them. */
#include "pickle.h"
#include "torch.h"
#include "zip.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* keeps the reads */

static void require(bool ok) {
    if (!ok) abort();
}

static void use_tensors(const ws_torch *t, const uint8_t *data, size_t size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < t->n_tensors; i++) {
        const ws_st_tensor *x = &t->tensors[i];
        require(i == 0 || strcmp(t->tensors[i - 1].name, x->name) <= 0);
        require(x->bytes * 8 == x->n_elements * ws_st_dtype_bits(x->dtype));
        if (!x->data) continue;
        require(x->data >= data && x->bytes <= size && (size_t)(x->data - data) <= size - x->bytes);
        for (uint64_t b = 0; b < x->bytes; b++) sum += x->data[b];
    }
    for (size_t i = 0; i < t->n_globals; i++) sum += strlen(t->globals[i].module) + strlen(t->globals[i].name);
    sink += sum;
}

static void use_zip(const uint8_t *data, size_t size) {
    ws_zip z;
    ws_error err = {0};
    if (!ws_zip_open(&z, data, size, "fuzz", &err))
        for (size_t i = 0; i < z.n; i++) {
            const uint8_t *content;
            void *owned;
            require(ws_zip_find(&z, z.entries[i].name, z.entries[i].name_len) == &z.entries[i]);
            if (ws_zip_read(&z.entries[i], 1 << 20, &content, &owned, "fuzz", &err)) continue;
            for (uint64_t b = 0; b < z.entries[i].size; b++) sink += content[b];
            free(owned);
        }
    ws_zip_close(&z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ws_error err = {0};
    ws_pickle p;
    if (!ws_pickle_parse(&p, data, size, "fuzz", &err)) require(p.root < p.n_nodes);
    for (size_t i = 0; i < p.n_nodes; i++)
        if (p.nodes[i].text && p.nodes[i].len)
            require((const uint8_t *)p.nodes[i].text >= data &&
                    (const uint8_t *)p.nodes[i].text + p.nodes[i].len <= data + size);
    ws_pickle_free(&p);
    use_zip(data, size);
    ws_torch *t;
    if (ws_torch_open_bytes(&t, data, size, "fuzz", &err)) {
        require(!t && err.code && err.msg[0]);
        return 0;
    }
    use_tensors(t, data, size);
    ws_torch_close(t);
    return 0;
}
