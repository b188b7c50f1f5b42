/* The registry of architectures, and the numbers read from a model's metadata. */
#include "arch.h"
#include "model_folder.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

Test(arch, descriptors_are_found_and_sound) {
    for (const ws_arch *const *a = ws_arch_all(); *a; a++) {
        /* Kinds of checkpoints that become the same architecture are the same to all but convert. */
        const ws_arch *same = ws_arch_by_name((*a)->name, strlen((*a)->name));
        cr_assert_not_null(same);
        cr_expect_eq(same->tensors, (*a)->tensors);
        cr_expect(same->rope == (*a)->rope && same->activation == (*a)->activation && same->norm == (*a)->norm);
        for (const char *const *c = (*a)->hf_classes; *c; c++) cr_expect_eq(ws_arch_by_hf_class(*c), *a);
        for (const ws_arch_tensor *t = (*a)->tensors; t->gguf; t++) {
            cr_expect_eq(t->flags & WS_GENERATED, t->hf ? 0 : WS_GENERATED, "%s", t->gguf);
            cr_expect_eq(strstr(t->gguf, "%u") != NULL, (t->flags & WS_PER_LAYER) != 0, "%s", t->gguf);
            cr_expect(!t->hf || (strstr(t->hf, "%u") != NULL) == ((t->flags & WS_PER_LAYER) != 0), "%s", t->gguf);
            cr_expect_neq(t->shape[0], WS_DIM_END, "%s", t->gguf);
        }
    }
    cr_expect_null(ws_arch_by_name("llama2", 6));
    cr_expect_null(ws_arch_by_name("llama", 4));
    cr_expect_null(ws_arch_by_hf_class("UnheardOfForCausalLM"));
}

Test(arch, names_of_other_checkpoints) {
    static const struct {
        const char *arch, *name, *plain;
    } cases[] = {
        {"bert", "distilbert.transformer.layer.3.attention.q_lin.bias", "encoder.layer.3.attention.self.query.bias"},
        {"bert", "bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"},
        {"bert", "encoder.layer.0.output.LayerNorm.beta", "encoder.layer.0.output.LayerNorm.bias"},
        {"bert", "x.bert.y", "x.bert.y"},
        {"llama", "model.language_model.norm.weight", "model.norm.weight"},
        {"llama", "bert.norm.gamma", "bert.norm.gamma"},
    };
    char plain[WS_ARCH_NAME];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_arch_plain_name(ws_arch_by_name(cases[i].arch, strlen(cases[i].arch)), cases[i].name, plain);
        cr_expect_str_eq(plain, cases[i].plain);
    }
    char longest[4 * WS_ARCH_NAME];
    memset(longest, 'x', sizeof longest);
    memcpy(longest + WS_ARCH_NAME - 20, ".gamma", 6); /* would grow beyond the end */
    longest[sizeof longest - 1] = 0;
    ws_arch_plain_name(ws_arch_by_name("bert", 4), longest, plain);
    cr_expect_eq(strlen(plain), WS_ARCH_NAME - 1);
    cr_expect(ws_arch_ignores("model.visual.blocks.0.norm1.weight") && !ws_arch_ignores("model.norm.weight"));
}

typedef void change(ws_gguf_writer *w);

static ws_status read_hparams(ws_hparams *hp, change *apply, ws_error *err) {
    char *folder = make_folder();
    const char *path = in_folder(folder, "m.gguf");
    ws_gguf_writer *w;
    ws_gguf *g;
    cr_assert_eq(ws_gguf_writer_new(&w, err), WS_OK);
    ws_gguf_put_u32(w, "llama.block_count", 2);
    ws_gguf_put_u32(w, "llama.context_length", 2048);
    ws_gguf_put_u32(w, "llama.embedding_length", 64);
    ws_gguf_put_u32(w, "llama.feed_forward_length", 96);
    ws_gguf_put_u32(w, "llama.attention.head_count", 4);
    ws_gguf_put_u32(w, "llama.vocab_size", 100);
    ws_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    if (apply) apply(w);
    cr_assert_eq(ws_gguf_writer_begin(w, path, err), WS_OK, "%s", err->msg);
    cr_assert_eq(ws_gguf_writer_finish(w, err), WS_OK, "%s", err->msg);
    cr_assert_eq(ws_gguf_open(&g, path, err), WS_OK, "%s", err->msg);
    const ws_status st = ws_hparams_read(hp, ws_arch_by_name("llama", 5), g, err);
    ws_gguf_close(g);
    remove_folder(folder);
    return st;
}

static void add_options(ws_gguf_writer *w) {
    ws_gguf_put_u32(w, "llama.attention.head_count_kv", 2);
    ws_gguf_put_u32(w, "llama.attention.key_length", 24);
    ws_gguf_put_u32(w, "llama.attention.value_length", 20);
    ws_gguf_put_u32(w, "llama.rope.dimension_count", 12);
    ws_gguf_put_f32(w, "llama.rope.freq_base", 5e5f);
    ws_gguf_put_str(w, "llama.rope.scaling.type", "linear");
    ws_gguf_put_f32(w, "llama.rope.scaling.factor", 4);
    ws_gguf_put_u32(w, "llama.rope.scaling.original_context_length", 0); /* does not say it; it is divided by */
}

Test(arch, hparams_have_defaults_and_symbols) {
    ws_hparams hp;
    ws_error err = {0};
    cr_assert_eq(read_hparams(&hp, NULL, &err), WS_OK, "%s", err.msg);
    cr_expect(hp.n_head_kv == 4 && hp.head_k == 16 && hp.head_v == 16 && hp.n_rot == 16);
    cr_expect(hp.rope_base == 10000.0f && hp.rope_scale == 1.0f && hp.norm_eps == 1e-5f && hp.n_vocab == 100);
    cr_assert_eq(read_hparams(&hp, add_options, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(ws_hparams_dim(&hp, WS_DIM_Q), 4 * 24);
    cr_expect_eq(ws_hparams_dim(&hp, WS_DIM_K), 2 * 24);
    cr_expect_eq(ws_hparams_dim(&hp, WS_DIM_V), 2 * 20);
    cr_expect_eq(ws_hparams_dim(&hp, WS_DIM_ATTN_OUT), 4 * 20);
    cr_expect_eq(ws_hparams_dim(&hp, WS_DIM_HALF_ROPE), 6);
    cr_expect(hp.rope_base == 5e5f && hp.rope_scale == 4.0f && hp.n_ctx_original == 2048);
}

static void no_vocab(ws_gguf_writer *w) { ws_gguf_remove(w, "llama.vocab_size"); }
static void no_layers(ws_gguf_writer *w) { ws_gguf_put_u32(w, "llama.block_count", 0); }
static void text_layers(ws_gguf_writer *w) { ws_gguf_put_str(w, "llama.block_count", "two"); }
static void per_layer(ws_gguf_writer *w) {
    ws_gguf_put_array(w, "llama.attention.head_count", WS_KV_U32, (const uint32_t[]){4, 2}, 2);
}
static void uneven_heads(ws_gguf_writer *w) { ws_gguf_put_u32(w, "llama.attention.head_count", 3); }
static void unshared_heads(ws_gguf_writer *w) { ws_gguf_put_u32(w, "llama.attention.head_count_kv", 3); }
static void more_kv_heads(ws_gguf_writer *w) { ws_gguf_put_u32(w, "llama.attention.head_count_kv", 8); }
static void odd_rope(ws_gguf_writer *w) { ws_gguf_put_u32(w, "llama.rope.dimension_count", 15); }
static void wide_rope(ws_gguf_writer *w) { ws_gguf_put_u32(w, "llama.rope.dimension_count", 32); }
static void odd_scaling(ws_gguf_writer *w) { ws_gguf_put_str(w, "llama.rope.scaling.type", "spiral"); }
static void no_eps(ws_gguf_writer *w) { ws_gguf_remove(w, "llama.attention.layer_norm_rms_epsilon"); }
static void huge(ws_gguf_writer *w) { ws_gguf_put_u64(w, "llama.embedding_length", UINT64_C(1) << 60); }

static const struct {
    const char *what;
    change *apply;
    ws_status status;
    const char *message;
} refused[] = {
    {"no vocabulary", no_vocab, WS_FORMAT, "llama.vocab_size"},
    {"no layers", no_layers, WS_FORMAT, "'llama.block_count' is 0, expected 1 to 65536"},
    {"a text", text_layers, WS_FORMAT, "llama.block_count"},
    {"per layer", per_layer, WS_UNSUPPORTED, "'llama.attention.head_count' differs from layer to layer"},
    {"uneven heads", uneven_heads, WS_FORMAT, "llama.attention.key_length"},
    {"unshared heads", unshared_heads, WS_FORMAT, "4 heads cannot share 3 key/value heads"},
    {"more kv heads", more_kv_heads, WS_FORMAT, "'llama.attention.head_count_kv' is 8, expected 1 to 4"},
    {"odd rope", odd_rope, WS_FORMAT, "15 rope dimensions do not fit heads of 16"},
    {"wide rope", wide_rope, WS_FORMAT, "32 rope dimensions do not fit heads of 16"},
    {"odd scaling", odd_scaling, WS_UNSUPPORTED, "rope scaling 'spiral' is not supported"},
    {"no epsilon", no_eps, WS_FORMAT, "llama.attention.layer_norm_rms_epsilon"},
    {"huge", huge, WS_FORMAT, "'llama.embedding_length' is 1152921504606846976, expected 1 to "},
};

Test(arch, numbers_that_make_no_sense_are_refused) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ws_hparams hp;
        ws_error err = {0};
        const ws_status st = read_hparams(&hp, refused[i].apply, &err);
        expect_error(refused[i].what, st, &err, refused[i].status, refused[i].message);
    }
}
