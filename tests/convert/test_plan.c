/* Plans for checkpoints that exist only as a list of tensors. */
#include "model_folder.h"
#include "plan.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MAX_TENSORS = 32 };

typedef struct {
    ws_st_tensor tensors[MAX_TENSORS];
    ws_safetensors weights;
    ws_hparams hp;
} checkpoint;

static void add(checkpoint *c, const char *name, ws_st_dtype type, uint32_t n_dims, uint64_t rows, uint64_t columns) {
    ws_st_tensor *t = &c->tensors[c->weights.n_tensors++];
    *t = (ws_st_tensor){.name = name, .dtype = type, .n_dims = n_dims, .shape = {rows, columns}};
}

/* One layer: hidden 64, 4 heads of 16, 2 key/value heads, feed-forward 72, 100 tokens. */
static void fill(checkpoint *c) {
    *c = (checkpoint){.hp = {.n_layer = 1,
                             .n_embd = 64,
                             .n_ff = 72,
                             .n_head = 4,
                             .n_head_kv = 2,
                             .n_vocab = 100,
                             .head_k = 16,
                             .head_v = 16,
                             .n_rot = 16}};
    c->weights.tensors = c->tensors;
    add(c, "model.embed_tokens.weight", WS_ST_F32, 2, 100, 64);
    add(c, "model.layers.0.input_layernorm.weight", WS_ST_F32, 1, 64, 0);
    add(c, "model.layers.0.mlp.down_proj.weight", WS_ST_BF16, 2, 64, 72);
    add(c, "model.layers.0.mlp.gate_proj.weight", WS_ST_BF16, 2, 72, 64);
    add(c, "model.layers.0.mlp.up_proj.weight", WS_ST_F16, 2, 72, 64);
    add(c, "model.layers.0.post_attention_layernorm.weight", WS_ST_BF16, 1, 64, 0);
    add(c, "model.layers.0.self_attn.k_proj.bias", WS_ST_BF16, 1, 32, 0);
    add(c, "model.layers.0.self_attn.k_proj.weight", WS_ST_BF16, 2, 32, 64);
    add(c, "model.layers.0.self_attn.o_proj.weight", WS_ST_BF16, 2, 64, 64);
    add(c, "model.layers.0.self_attn.q_proj.weight", WS_ST_BF16, 2, 64, 64);
    add(c, "model.layers.0.self_attn.rotary_emb.inv_freq", WS_ST_F32, 1, 8, 0);
    add(c, "model.layers.0.self_attn.v_proj.weight", WS_ST_BF16, 2, 32, 64);
    add(c, "model.norm.weight", WS_ST_BF16, 1, 64, 0);
}

static size_t n_lines;

static void count_line(void *ctx, const char *line) {
    (void)ctx;
    n_lines += strstr(line, " tensor: model.") != NULL;
}

static ws_status make(ws_plan *plan, const checkpoint *c, const ws_dtype *type, bool rope_freqs, ws_error *err) {
    const ws_plan_request req = {.arch = ws_arch_by_name("llama", 5),
                                 .hp = &c->hp,
                                 .weights = &c->weights,
                                 .dir = "dir",
                                 .type = type,
                                 .generate = rope_freqs ? "rope_freqs" : NULL,
                                 .problem = count_line};
    return ws_plan_make(plan, &req, err);
}

Test(plan, tensors_keep_their_order_behind_generated_ones) {
    static const char *const order[] = {"rope_freqs.weight",        "token_embd.weight",     "blk.0.attn_norm.weight",
                                        "blk.0.ffn_down.weight",    "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight",
                                        "blk.0.ffn_norm.weight",    "blk.0.attn_k.bias",     "blk.0.attn_k.weight",
                                        "blk.0.attn_output.weight", "blk.0.attn_q.weight",   "blk.0.attn_v.weight",
                                        "output_norm.weight"};
    checkpoint c;
    ws_plan plan;
    ws_error err = {0};
    fill(&c);
    cr_assert_eq(make(&plan, &c, NULL, true, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(plan.n, sizeof order / sizeof *order);
    for (size_t i = 0; i < plan.n; i++) cr_expect_str_eq(plan.item[i].to, order[i]);
    cr_expect_eq(plan.n_params, 8 + 100 * 64 + 3 * 64 + 3 * 72 * 64 + 2 * 64 * 64 + 2 * 32 * 64 + 32);
    cr_expect(plan.tied);
    const ws_plan_item *k = &plan.item[8];
    cr_expect(k->transform == WS_PERMUTE_KV_HEADS && k->view.n_heads == 2 && k->ne[0] == 64 && k->ne[1] == 32 &&
              k->n_dims == 2);
    cr_expect(plan.item[10].transform == WS_PERMUTE_HEADS && plan.item[10].view.n_heads == 4);
    cr_expect(plan.item[0].n_dims == 1 && plan.item[0].ne[0] == 8 && !plan.item[0].source);
    ws_plan_free(&plan);
}

Test(plan, types_follow_the_checkpoint_the_wish_and_the_shape) {
    checkpoint c;
    ws_plan plan;
    ws_error err = {0};
    const ws_dtype q8_0 = WS_TYPE_Q8_0;
    fill(&c);
    cr_assert_eq(make(&plan, &c, NULL, false, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(plan.type, WS_TYPE_BF16, "the first 16-bit matrix, not the F32 embedding");
    ws_plan_free(&plan);
    c.tensors[2].dtype = WS_ST_F16;
    cr_assert_eq(make(&plan, &c, NULL, false, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(plan.type, WS_TYPE_F16);
    ws_plan_free(&plan);
    cr_assert_eq(make(&plan, &c, &q8_0, false, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(plan.item[0].type, WS_TYPE_Q8_0);
    cr_expect_eq(plan.item[1].type, WS_TYPE_F32, "a norm");
    cr_expect_eq(plan.item[2].type, WS_TYPE_F16, "rows of 72 are no whole blocks");
    cr_expect_eq(plan.item[6].type, WS_TYPE_F32, "a bias");
    ws_plan_free(&plan);
}

Test(plan, all_problems_are_told_at_once) {
    checkpoint c;
    ws_plan plan;
    ws_error err = {0};
    fill(&c);
    c.tensors[0].name = "model.embed_tokens.bias";
    c.tensors[3].shape[0] = 71;
    c.tensors[4].dtype = WS_ST_I8;
    c.tensors[8].name = "model.layers.1.self_attn.o_proj.weight";
    c.tensors[12].n_dims = 2;
    const ws_status st = make(&plan, &c, NULL, false, &err);
    expect_error("five problems", st, &err, WS_FORMAT,
                 "2 missing (model.embed_tokens.weight, model.layers.0.self_attn.o_proj.weight); 2 unexpected "
                 "(model.embed_tokens.bias, model.layers.1.self_attn.o_proj.weight); 3 misshapen ");
    cr_expect_not_null(strstr(err.msg, "model.layers.0.mlp.gate_proj.weight [71, 64], not [72, 64]"), "%s", err.msg);
    cr_expect_not_null(strstr(err.msg, "mlp.up_proj.weight of type I8"), "%s", err.msg);
    cr_expect_eq(n_lines, 7);
}

/* What sees and hears is left out, and what reads text is found behind its longer name. */
Test(plan, models_of_several_parts) {
    checkpoint c;
    ws_plan plan;
    ws_error err = {0};
    fill(&c);
    c.tensors[0].name = "model.language_model.embed_tokens.weight";
    c.tensors[12].name = "language_model.model.norm.weight";
    add(&c, "model.visual.blocks.0.norm1.weight", WS_ST_BF16, 1, 7, 0);
    add(&c, "vision_tower.patch_conv.weight", WS_ST_BF16, 2, 7, 7);
    cr_assert_eq(make(&plan, &c, NULL, false, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(plan.n, 12);
    cr_expect_str_eq(plan.item[0].to, "token_embd.weight");
    cr_expect_str_eq(plan.item[11].to, "output_norm.weight");
    ws_plan_free(&plan);
}

/* Blocks without scales, and blocks that are no bytes. */
Test(plan, packed_tensors_need_both_parts) {
    const ws_hparams hp = {.n_layer = 1,
                           .n_embd = 64,
                           .n_ff = 32,
                           .n_head = 2,
                           .n_head_kv = 2,
                           .n_vocab = 8,
                           .head_k = 32,
                           .head_v = 32,
                           .n_rot = 32,
                           .n_expert = 2,
                           .n_ff_expert = 32};
    static const struct {
        const char *name;
        ws_st_dtype type;
        uint32_t n_dims;
        uint64_t shape[4];
        size_t bytes;
    } tensors[] = {{"model.layers.0.mlp.experts.down_proj_blocks", WS_ST_U8, 4, {2, 64, 1, 16}, 2048},
                   {"model.layers.0.mlp.experts.gate_up_proj_blocks", WS_ST_I8, 4, {2, 64, 2, 16}, 4096},
                   {"model.layers.0.mlp.experts.gate_up_proj_scales", WS_ST_U8, 3, {2, 64, 2}, 256}};
    static const uint8_t zeros[4096];
    ws_safetensors_writer *w;
    ws_safetensors *weights;
    ws_plan plan;
    ws_error err = {0};
    char *folder = make_folder();
    const char *path = in_folder(folder, "model.safetensors");
    cr_assert_eq(ws_safetensors_writer_new(&w, &err), WS_OK);
    for (int i = 0; i < 3; i++)
        ws_safetensors_add(w, tensors[i].name, tensors[i].type, tensors[i].n_dims, tensors[i].shape);
    cr_assert_eq(ws_safetensors_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (int i = 0; i < 3; i++) cr_assert_eq(ws_safetensors_write(w, zeros, tensors[i].bytes, &err), WS_OK);
    cr_assert_eq(ws_safetensors_writer_finish(w, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_safetensors_open(&weights, path, &err), WS_OK, "%s", err.msg);
    const ws_plan_request req = {
        .arch = ws_arch_by_name("gpt-oss", 7), .hp = &hp, .weights = weights, .dir = "dir", .problem = count_line};
    cr_assert_eq(ws_plan_make(&plan, &req, &err), WS_FORMAT);
    cr_expect_not_null(strstr(err.msg, "missing (model.layers.0.mlp.experts.down_proj_scales, "), "%s", err.msg);
    cr_expect_not_null(strstr(err.msg, "2 misshapen (model.layers.0.mlp.experts.gate_up_proj_blocks of type I8"), "%s",
                       err.msg);
    cr_expect_null(strstr(err.msg, "unexpected"), "%s", err.msg);
    ws_safetensors_close(weights);
    remove_folder(folder);
}

Test(plan, layers_are_numbers_without_ornaments) {
    static const char *const names[] = {"model.layers.00.self_attn.v_proj.weight",
                                        "model.layers.+0.self_attn.v_proj.weight",
                                        "model.layers. 0.self_attn.v_proj.weight",
                                        "model.layers..self_attn.v_proj.weight",
                                        "model.layers.18446744073709551616.self_attn.v_proj.weight",
                                        "model.layers.0.self_attn.v_proj.weight2",
                                        "%u",
                                        ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        checkpoint c;
        ws_plan plan;
        ws_error err = {0};
        fill(&c);
        c.tensors[11].name = names[i];
        expect_error(names[i], make(&plan, &c, NULL, false, &err), &err, WS_FORMAT, "1 missing");
    }
}
