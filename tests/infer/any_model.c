#include "any_model.h"

#include "guarded.h"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *suffix;
    uint32_t value;
} sizes[] = {
    {"block_count", 3},
    {"context_length", 64},
    {"embedding_length", 48},
    {"feed_forward_length", 40},
    {"attention.head_count", 4},
    {"rope.dimension_count", 8},
    {"attention.sliding_window", 5},
};
static const ws_hparams plain = {.n_layer = 3,
                                 .n_ctx_train = 64,
                                 .n_embd = 48,
                                 .n_ff = 40,
                                 .n_head = 4,
                                 .n_head_kv = 2,
                                 .n_vocab = ANY_VOCAB,
                                 .n_token_types = 1,
                                 .head_k = 12,
                                 .head_v = 12,
                                 .n_rot = 8};

static bool has_row(const ws_arch *arch, unsigned flag) {
    for (const ws_arch_tensor *t = arch->tensors; t->gguf; t++)
        if (t->flags & flag) return true;
    return false;
}

static void put_u32(ws_gguf_writer *w, const ws_arch *arch, const char *suffix, uint64_t value) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", arch->name, suffix);
    ws_gguf_put_u32(w, key, (uint32_t)value);
}

static void put_numbers(ws_gguf_writer *w, const ws_arch *arch, const ws_hparams *hp, const any_options *o) {
    char key[96];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) put_u32(w, arch, sizes[i].suffix, sizes[i].value);
    put_u32(w, arch, "attention.head_count_kv", hp->n_head_kv);
    put_u32(w, arch, "attention.key_length", hp->head_k);
    put_u32(w, arch, "attention.value_length", hp->head_v);
    put_u32(w, arch, "vocab_size", hp->n_vocab);
    snprintf(key, sizeof key, "%s.attention.layer_norm%s_epsilon", arch->name, arch->norm == WS_NORM_RMS ? "_rms" : "");
    ws_gguf_put_f32(w, key, 1e-5f);
    const struct {
        const char *suffix;
        uint64_t value;
    } more[] = {
        {"expert_count", hp->n_expert},
        {"expert_used_count", hp->n_expert_used},
        {"expert_feed_forward_length", hp->n_ff_expert},
        {"expert_shared_feed_forward_length", hp->n_ff_shared},
        {"leading_dense_block_count", hp->n_dense_lead},
        {"expert_group_count", o->groups},
        {"expert_group_used_count", o->groups_used},
        {"attention.kv_lora_rank", hp->kv_latent},
        {"attention.q_lora_rank", hp->q_latent},
        {"attention.key_length_mla", hp->head_k_mla},
        {"attention.value_length_mla", hp->head_v_mla},
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i].value) put_u32(w, arch, more[i].suffix, more[i].value);
}

static ws_hparams shape_of(const ws_arch *arch, const any_options *o) {
    ws_hparams hp = plain;
    if (has_row(arch, WS_MOE) && !o->dense) {
        hp.n_expert = o->groups ? 6 : 5, hp.n_expert_used = 2, hp.n_ff_expert = o->equal_experts ? hp.n_ff : 24;
        hp.n_dense_lead = has_row(arch, WS_IF_LOW_Q);
        if (has_row(arch, WS_SHARED) || strcmp(arch->name, "qwen2moe") == 0) hp.n_ff_shared = 32;
    }
    if (has_row(arch, WS_IF_LOW_Q)) {
        hp.kv_latent = 24, hp.q_latent = 20, hp.head_k_mla = 18, hp.head_v_mla = 10;
        hp.n_head_kv = 1, hp.head_k = hp.kv_latent + hp.n_rot, hp.head_v = hp.kv_latent;
    }
    return hp;
}

typedef struct {
    char name[64];
    uint32_t n_dims;
    uint64_t ne[WS_MAX_DIMS];
} tensor;

static size_t list_tensors(const ws_arch *arch, const any_options *o, const ws_hparams *hp, tensor *list) {
    size_t n = 0;
    for (const ws_arch_tensor *row = arch->tensors; row->gguf; row++)
        for (uint64_t layer = 0; layer < (row->flags & WS_PER_LAYER ? hp->n_layer : 1); layer++) {
            tensor t = {.ne = {1, 1, 1, 1}};
            if (!ws_arch_row_in_file(row, hp, layer)) continue;
            if (row->flags & WS_PER_LAYER)
                snprintf(t.name, sizeof t.name, "blk.%d%s", (int)layer, strchr(row->gguf, 'u') + 1);
            else
                snprintf(t.name, sizeof t.name, "%s", row->gguf);
            while (t.n_dims < 3 && row->shape[t.n_dims] != WS_DIM_END) {
                t.ne[t.n_dims] = ws_hparams_dim(hp, row->shape[t.n_dims]);
                t.n_dims++;
            }
            if (o->leave_out && strcmp(o->leave_out, t.name) == 0) continue;
            cr_assert_lt(n, 128);
            list[n++] = t;
        }
    return n;
}

static void write_tensor(ws_gguf_writer *w, const any_options *o, const tensor *t, test_random *r) {
    const size_t n = t->ne[0] * t->ne[1] * t->ne[2], one = t->ne[0] * t->ne[1];
    const bool is_norm = strstr(t->name, "norm.weight");
    const float scale = t->n_dims > 1 ? 1.5f / sqrtf((float)t->ne[0]) : 0.2f;
    ws_error err = {0};
    float *x = calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (is_norm ? 1 : 0) + scale * random_float(r);
    for (size_t i = one; i < n && o->equal_experts; i++) x[i] = x[i - one];
    if (strncmp(t->name, "rope_f", 6) == 0)
        for (size_t i = 0; i < n; i++) x[i] = fabsf(x[i]) + 1;
    if (o->poison && strcmp(o->poison, t->name) == 0) x[0] = NAN;
    cr_assert_eq(ws_gguf_write(w, x, n * sizeof *x, &err), WS_OK, "%s", err.msg);
    free(x);
}

void any_write(const ws_arch *arch, const any_options *o, char path[64]) {
    static int number;
    static tensor list[128];
    const ws_hparams hp = shape_of(arch, o);
    ws_gguf_writer *w;
    ws_error err = {0};
    test_random r = {99};
    const size_t n = list_tensors(arch, o, &hp, list);
    snprintf(path, 64, "/tmp/ws-any-%ld-%d.gguf", (long)getpid(), number++);
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.architecture", arch->name);
    put_numbers(w, arch, &hp, o);
    for (size_t i = 0; i < n; i++) ws_gguf_add_tensor(w, list[i].name, WS_TYPE_F32, list[i].n_dims, list[i].ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++) write_tensor(w, o, &list[i], &r);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}
