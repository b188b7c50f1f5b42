#include "estimate_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const test_decoder test_small = {.arch = "llama",
                                 .layers = 4,
                                 .embd = 256,
                                 .ff = 512,
                                 .heads = 4,
                                 .kv_heads = 2,
                                 .vocab = 1000,
                                 .type = WS_TYPE_F16};

const ws_est_options test_estimate_options = {.n_ctx = 1024,
                                              .n_batch = 2048,
                                              .n_ubatch = 512,
                                              .n_seq = 1,
                                              .flash_attn = true,
                                              .type_k = WS_TYPE_F16,
                                              .type_v = WS_TYPE_F16,
                                              .n_devices = 1,
                                              .n_gpu_layers = 999};

typedef struct {
    ws_gguf_writer *w;
    const test_decoder *d;
    uint64_t bytes[256]; /* of each tensor */
    size_t n;
} maker;

static void add(maker *m, const char *name, ws_dtype type, uint64_t ne0, uint64_t ne1, uint64_t ne2) {
    const uint64_t ne[3] = {ne0, ne1, ne2};
    if (m->d->drop && strcmp(m->d->drop, name) == 0) return;
    cr_assert(m->n < sizeof m->bytes / sizeof *m->bytes && ws_dtype_bytes(type, ne0 * ne1 * ne2, &m->bytes[m->n++]));
    ws_gguf_add_tensor(m->w, name, type, ne2 > 1 ? 3 : ne1 > 1 ? 2 : 1, ne);
}

static void add_layer(maker *m, unsigned i) {
    const test_decoder *d = m->d;
    const uint64_t kv = (uint64_t)d->embd / d->heads * d->kv_heads;
    const struct {
        const char *name;
        ws_dtype type;
        uint64_t ne[3];
        bool dense, routed;
    } tensors[] = {
        {"attn_norm", WS_TYPE_F32, {d->embd, 1, 1}, true, true},
        {"attn_q", d->type, {d->embd, d->embd, 1}, true, true},
        {"attn_k", d->type, {d->embd, kv, 1}, true, true},
        {"attn_v", d->type, {d->embd, kv, 1}, true, true},
        {"attn_output", d->type, {d->embd, d->embd, 1}, true, true},
        {"ffn_norm", WS_TYPE_F32, {d->embd, 1, 1}, true, true},
        {"ffn_gate", d->type, {d->embd, d->ff, 1}, true, false},
        {"ffn_up", d->type, {d->embd, d->ff, 1}, true, false},
        {"ffn_down", d->type, {d->ff, d->embd, 1}, true, false},
        {"ffn_gate_inp", WS_TYPE_F32, {d->embd, d->experts, 1}, false, true},
        {"ffn_gate_exps", d->type, {d->embd, d->ff, d->experts}, false, true},
        {"ffn_up_exps", d->type, {d->embd, d->ff, d->experts}, false, true},
        {"ffn_down_exps", d->type, {d->ff, d->embd, d->experts}, false, true},
    };
    for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", i, tensors[t].name);
        if (d->experts ? tensors[t].routed : tensors[t].dense)
            add(m, name, tensors[t].type, tensors[t].ne[0], tensors[t].ne[1], tensors[t].ne[2]);
    }
}

static void put_number(const maker *m, const char *suffix, uint32_t v) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", m->d->arch, suffix);
    if (v) ws_gguf_put_u32(m->w, key, v);
}

static void put_numbers(const maker *m) {
    const test_decoder *d = m->d;
    ws_gguf_put_str(m->w, "general.architecture", d->arch);
    put_number(m, "block_count", d->layers);
    put_number(m, "embedding_length", d->embd);
    put_number(m, "feed_forward_length", d->ff);
    put_number(m, "attention.head_count", d->heads);
    put_number(m, "attention.head_count_kv", d->kv_heads);
    put_number(m, "expert_count", d->experts);
    put_number(m, "expert_used_count", d->experts_used);
    put_number(m, "context_length", 4096);
    for (size_t i = 0; d->more[i].suffix; i++) put_number(m, d->more[i].suffix, d->more[i].value);
}

static void write_zeros(ws_gguf_writer *w, uint64_t left) {
    static const char zeros[1 << 16];
    ws_error err = {0};
    for (; left > 0; left -= left < sizeof zeros ? left : sizeof zeros)
        cr_assert_eq(ws_gguf_write(w, zeros, left < sizeof zeros ? left : sizeof zeros, &err), WS_OK, "%s", err.msg);
}

static void write_model(const test_decoder *d, const char *path) {
    ws_error err = {0};
    maker m = {.d = d};
    cr_assert_eq(ws_gguf_writer_new(&m.w, &err), WS_OK);
    put_numbers(&m);
    add(&m, "token_embd.weight", d->type, d->embd, d->vocab, 1);
    add(&m, "output_norm.weight", WS_TYPE_F32, d->embd, 1, 1);
    if (!d->tied) add(&m, "output.weight", d->type, d->embd, d->vocab, 1);
    for (unsigned i = 0; i < d->layers; i++) add_layer(&m, i);
    cr_assert_eq(ws_gguf_writer_begin(m.w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < m.n; i++) write_zeros(m.w, m.bytes[i]);
    cr_assert_eq(ws_gguf_writer_finish(m.w, &err), WS_OK, "%s", err.msg);
}

ws_status test_decoder_try(const test_decoder *d, ws_blueprint **out, ws_error *err) {
    char path[] = "/tmp/ws-test-XXXXXX.gguf";
    const int fd = mkstemps(path, 5);
    cr_assert(fd >= 0);
    close(fd);
    write_model(d, path);
    ws_gguf *g;
    cr_assert_eq(ws_gguf_open(&g, path, err), WS_OK, "%s", err->msg);
    const ws_status status = ws_blueprint_from_gguf(out, g, err);
    unlink(path);
    return status;
}

ws_blueprint *test_decoder_open(const test_decoder *d) {
    ws_blueprint *bp;
    ws_error err = {0};
    cr_assert_eq(test_decoder_try(d, &bp, &err), WS_OK, "%s", err.msg);
    return bp;
}
