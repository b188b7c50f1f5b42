/* Graphs by shape, the allocator and the scheduler, on graphs small enough to place by hand. */
#include "scheduler.h"

#include <criterion/criterion.h>

enum { KIB = 256 }; /* floats in one KiB */

static const ws_machine cpu = {.n_backends = 1, .n_copies = 1}, gpu = {.n_backends = 2, .n_copies = 1};

static ws_graph g;

static void set_up(void) { ws_graph_init(&g); }
static void tear_down(void) { ws_graph_free(&g); }

TestSuite(estimate_graph, .init = set_up, .fini = tear_down);

static uint64_t compute(const ws_machine *m, int backend) {
    uint64_t sizes[WS_MAX_BACKENDS] = {0};
    ws_error err = {0};
    cr_assert_eq(ws_schedule_graph(&g, m, sizes, &err), WS_OK, "%s", err.msg);
    return sizes[backend];
}

static ws_node *weight(int home, uint64_t ne0, uint64_t ne1) {
    ws_node *n = ws_op_tensor(&g, WS_TYPE_F32, ne0, ne1, 1, 1);
    n->weight = true;
    n->home = (int8_t)home;
    return n;
}

static ws_node *input(uint64_t ne0) { return ws_op_input(&g, WS_TYPE_F32, ne0, 1, 1, 1); }

Test(estimate_graph, results_are_reused_in_place) {
    ws_node *x = ws_op_same(&g, WS_OP_MUL, input(KIB), weight(0, KIB, 1));
    for (int i = 0; i < 5; i++) x = ws_op_same(&g, WS_OP_SCALE, x, NULL);
    ws_graph_expand(&g, x);
    /* the input takes the first result over, and all others follow in its place */
    cr_assert_eq(compute(&cpu, 0), 1024);
}

Test(estimate_graph, a_result_that_is_read_again_stays) {
    ws_node *x = ws_op_same(&g, WS_OP_SCALE, ws_op_same(&g, WS_OP_MUL, input(KIB), weight(0, KIB, 1)), NULL);
    ws_node *y = ws_op_same(&g, WS_OP_SCALE, x, NULL);
    ws_graph_expand(&g, ws_op_same(&g, WS_OP_ADD, y, x));
    cr_assert_eq(compute(&cpu, 0), 2048);
}

Test(estimate_graph, holes_are_filled_best_first) {
    ws_node *x = ws_op_cont(&g, ws_op_same(&g, WS_OP_MUL, input(4 * KIB), weight(0, 4 * KIB, 1)));
    ws_node *half = ws_op_cont(&g, ws_op_view_1d(&g, x, 2 * KIB, 0));
    ws_graph_expand(&g, half);
    /* 4 KiB for the input and, after it is gone, 2 KiB of that hole for the half */
    cr_assert_eq(compute(&cpu, 0), 8192);
}

Test(estimate_graph, outputs_are_never_overwritten) {
    ws_node *x = ws_op_same(&g, WS_OP_MUL, input(KIB), weight(0, KIB, 1));
    x->flags |= WS_NODE_OUTPUT;
    ws_graph_expand(&g, ws_op_same(&g, WS_OP_SCALE, x, NULL));
    cr_assert_eq(compute(&cpu, 0), 2048);
}

Test(estimate_graph, a_view_keeps_its_base) {
    ws_node *x = ws_op_same(&g, WS_OP_MUL, input(KIB), weight(0, KIB, 1));
    ws_node *view = ws_op_view_1d(&g, x, KIB / 2, 0);
    ws_node *y = ws_op_cont(&g, x);
    ws_graph_expand(&g, y);
    ws_graph_expand(&g, ws_op_mul_mat(&g, ws_op_reshape(&g, y, KIB / 2, 2, 1, 1), view));
    cr_assert_eq(compute(&cpu, 0), 1024 + 1024 + 32 /* the product: 2 floats */);
}

Test(estimate_graph, work_follows_the_weights) {
    ws_node *x = ws_op_mul_mat(&g, weight(0, KIB, KIB), input(KIB));
    ws_graph_expand(&g, x);
    uint64_t sizes[2];
    ws_error err = {0};
    cr_assert_eq(ws_schedule_graph(&g, &gpu, sizes, &err), WS_OK);
    cr_assert_eq(x->backend, 0);
    cr_assert_eq(sizes[0], 1024 + 1024, "the copy of the input and the product");
    cr_assert_eq(sizes[1], 1024, "the input arrives on the host");
}

Test(estimate_graph, large_batches_are_computed_on_the_gpu_with_copied_weights) {
    ws_node *batch = ws_op_input(&g, WS_TYPE_F32, KIB, WS_OFFLOAD_TOKENS, 1, 1);
    ws_node *x = ws_op_mul_mat(&g, weight(1, KIB, KIB), batch);
    ws_graph_expand(&g, x);
    const uint64_t activations = WS_OFFLOAD_TOKENS * 1024;
    cr_assert_eq(compute(&gpu, 0), KIB * 1024 + 2 * activations);
    cr_assert_eq(x->backend, 0);
}

Test(estimate_graph, small_batches_are_computed_where_the_weights_are) {
    ws_node *x = ws_op_mul_mat(&g, weight(1, KIB, KIB), input(KIB));
    ws_graph_expand(&g, x);
    cr_assert_eq(compute(&gpu, 0), 0);
    cr_assert_eq(x->backend, 1);
}

Test(estimate_graph, pipelined_batches_have_four_copies_of_inputs) {
    const ws_machine two = {.n_backends = 3, .n_copies = 4};
    ws_node *x = ws_op_mul_mat(&g, weight(0, KIB, KIB), input(KIB));
    ws_graph_expand(&g, ws_op_mul_mat(&g, weight(1, KIB, KIB), x));
    uint64_t sizes[3];
    ws_error err = {0};
    cr_assert_eq(ws_schedule_graph(&g, &two, sizes, &err), WS_OK);
    cr_assert_eq(sizes[0], 4 * 1024 + 1024);
    cr_assert_eq(sizes[1], 4 * 1024 + 1024);
    cr_assert_eq(sizes[2], 4 * 1024);
}

Test(estimate_graph, quantized_rows_are_padded_on_the_gpu) {
    cr_assert_eq(ws_machine_stored_bytes(&gpu, 0, WS_TYPE_Q4_0, 64, 36), 36 + (512 - 64) / 32 * 18);
    cr_assert_eq(ws_machine_stored_bytes(&gpu, 0, WS_TYPE_Q4_0, 512, 288), 288);
    cr_assert_eq(ws_machine_stored_bytes(&gpu, 1, WS_TYPE_Q4_0, 64, 36), 36);
    cr_assert_eq(ws_machine_stored_bytes(&gpu, 0, WS_TYPE_F16, 64, 128), 128);
}

static ws_node *attention(ws_dtype type, uint64_t head, uint64_t heads_kv, uint64_t tokens) {
    ws_node *q = ws_op_tensor(&g, WS_TYPE_F32, head, tokens, 8, 1);
    ws_node *k = ws_op_tensor(&g, type, head, 256, heads_kv, 1), *v = ws_op_tensor(&g, type, head, 256, heads_kv, 1);
    return ws_op_flash_attn(&g, q, k, v, ws_op_tensor(&g, WS_TYPE_F16, 256, tokens, 1, 1), NULL);
}

Test(estimate_graph, flash_attention_reads_quantized_caches_as_f16) {
    const uint64_t out = 128 * 8 * 64 * 4, cache = 128 * 256 * 4 * 2;
    cr_assert_eq(ws_machine_bytes(&gpu, 0, attention(WS_TYPE_F16, 128, 4, 64)), out);
    cr_assert_eq(ws_machine_bytes(&gpu, 0, attention(WS_TYPE_Q8_0, 128, 4, 64)), out + 2 * cache);
    cr_assert_eq(ws_machine_bytes(&gpu, 1, attention(WS_TYPE_Q8_0, 128, 4, 64)), out);
}

Test(estimate_graph, not_every_head_has_a_flash_attention_kernel) {
    cr_assert(ws_machine_supports(&gpu, 0, attention(WS_TYPE_F16, 128, 8, 64)));
    cr_assert_not(ws_machine_supports(&gpu, 0, attention(WS_TYPE_F16, 160, 8, 64)));
    cr_assert(ws_machine_supports(&gpu, 1, attention(WS_TYPE_F16, 160, 8, 64)));
    cr_assert_not(ws_machine_supports(&gpu, 0, attention(WS_TYPE_IQ4_NL, 128, 8, 64)));
    cr_assert_not(ws_machine_supports(&gpu, 0, attention(WS_TYPE_F16, 512, 8, 64)), "512 needs grouped queries");
    cr_assert(ws_machine_supports(&gpu, 0, attention(WS_TYPE_F16, 512, 4, 64)));
}

Test(estimate_graph, sizes_that_overflow_are_a_failure) {
    ws_op_tensor(&g, WS_TYPE_F32, UINT64_C(1) << 40, UINT64_C(1) << 40, 1, 1);
    cr_assert_eq(g.failed, WS_FORMAT);
    uint64_t sizes[2];
    ws_error err = {0};
    ws_graph_expand(&g, ws_op_same(&g, WS_OP_SCALE, input(4), NULL));
    cr_assert_eq(ws_schedule_graph(&g, &gpu, sizes, &err), WS_FORMAT);
}
