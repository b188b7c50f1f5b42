/* estimate_model.h - small models for the tests of vram-estimate, as headers in memory. */
#ifndef WS_TEST_ESTIMATE_MODEL_H
#define WS_TEST_ESTIMATE_MODEL_H

#include "estimate.h"

#include <criterion/criterion.h>

/* A model whose tensors have the names and shapes of a plain decoder with the given numbers. */
typedef struct {
    const char *arch;
    uint32_t layers, embd, ff, heads, kv_heads, vocab, experts, experts_used;
    bool tied;
    ws_dtype type;
    const char *drop; /* leave this tensor out; or NULL */
    /* further numbers, "suffix" and value; ended by NULL */
    struct {
        const char *suffix;
        uint32_t value;
    } more[8];
} test_decoder;

extern const test_decoder test_small;

/* The open model; close with ws_blueprint_close(). Fails the test when the header is refused. */
ws_blueprint *test_decoder_open(const test_decoder *d);
/* The same, for headers that may be refused. */
ws_status test_decoder_try(const test_decoder *d, ws_blueprint **out, ws_error *err);

/* Context 1024, one sequence, flash attention, f16 caches, one GPU. */
extern const ws_est_options test_estimate_options;

#endif
