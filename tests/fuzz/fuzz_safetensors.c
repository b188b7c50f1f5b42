/* Any bytes: the safetensors reader refuses them or hands out only what lies inside of them. */
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* keeps the reads */

static void require(bool ok) {
    if (!ok) abort();
}

/* Every byte of the data belongs to one tensor: their sum is all there is. */
static void use_tensors(const ws_safetensors *s, const uint8_t *data, size_t size) {
    uint64_t total = 0, sum = 0, header;
    memcpy(&header, data, sizeof header);
    for (size_t i = 0; i < s->n_tensors; i++) {
        const ws_st_tensor *t = &s->tensors[i];
        require(ws_safetensors_tensor(s, t->name) == t);
        require(i == 0 || strcmp(s->tensors[i - 1].name, t->name) < 0);
        require(t->data >= data && t->bytes <= size && (size_t)(t->data - data) <= size - t->bytes);
        require(t->bytes * 8 == t->n_elements * ws_st_dtype_bits(t->dtype));
        for (uint64_t b = 0; b < t->bytes; b++) sum += t->data[b];
        total += t->bytes;
    }
    require(total == size - sizeof header - header);
    sink += sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ws_safetensors *s;
    ws_error err = {0};
    if (ws_safetensors_open_bytes(&s, data, size, "fuzz", &err)) {
        require(!s && err.code && err.msg[0] && !strchr(err.msg, '\n'));
        return 0;
    }
    require(ws_safetensors_probe(data, size));
    use_tensors(s, data, size);
    for (size_t i = 0; i < 2 * s->n_metadata; i++) sink += strlen(s->metadata[i]);
    ws_safetensors_close(s);
    return 0;
}
