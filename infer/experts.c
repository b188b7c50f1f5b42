/* experts.c - feed-forward blocks of which every token uses a few. Expert after expert works on the rows of the tokens
 * that chose it; a token sums their results in the order of the experts, whatever other tokens are in the batch. */
#include "fault.h"
#include "session.h"

#include <math.h>
#include <string.h>

/* ---- choosing ---- */

/* Probabilities of the n experts from the router's scores. */
static void make_probabilities(const ws_hparams *hp, float *p) {
    const size_t n = hp->n_expert;
    double sum = 0;
    float max = p[0];
    for (size_t i = 1; i < n; i++) max = p[i] > max ? p[i] : max;
    for (size_t i = 0; i < n; i++) {
        const double x = (double)p[i];
        p[i] = (float)(hp->experts_sigmoid ? 1 / (1 + exp(-x)) : exp(x - (double)max));
        sum += (double)p[i];
    }
    for (size_t i = 0; i < n && !hp->experts_sigmoid; i++) p[i] = (float)((double)p[i] / sum);
}

/* What a group of n experts is worth: its best one (DeepSeek-V2, arXiv 2405.04434), or its two best together where
 * scores are sigmoids (DeepSeek-V3, arXiv 2412.19437). */
static float group_score(const ws_hparams *hp, const float *p, const float *offset, size_t first, size_t n) {
    float best = -INFINITY, second = -INFINITY;
    for (size_t i = first; i < first + n; i++) {
        const float score = p[i] + (offset ? offset[i] : 0);
        if (score > best)
            second = best, best = score;
        else if (score > second)
            second = score;
    }
    return hp->experts_sigmoid && n > 1 ? best + second : best;
}

/* Experts outside of the best groups cannot be chosen. */
static void drop_groups(const ws_hparams *hp, float *p, const float *offset) {
    const size_t n = hp->n_expert / hp->n_expert_group;
    uint64_t kept = 0; /* a bit per group */
    for (size_t k = 0; k < hp->n_group_used; k++) {
        float best = -INFINITY;
        size_t at = hp->n_expert_group;
        for (size_t g = 0; g < hp->n_expert_group; g++) {
            const float score = group_score(hp, p, offset, g * n, n);
            if (!(kept >> g & 1) && (at == hp->n_expert_group || score > best)) best = score, at = g;
        }
        kept |= UINT64_C(1) << at;
    }
    for (size_t i = 0; i < hp->n_expert; i++)
        if (!(kept >> i / n & 1)) p[i] = -INFINITY;
}

/* The experts with the largest p + offset; of equal ones the first. NaN is never larger: experts stay in range. */
static void choose(const ws_hparams *hp, const float *p, const float *offset, uint32_t *expert, float *weight) {
    for (size_t k = 0; k < hp->n_expert_used; k++) {
        float best = -INFINITY;
        size_t at = hp->n_expert;
        for (size_t i = 0; i < hp->n_expert; i++) {
            bool taken = false;
            for (size_t j = 0; j < k; j++) taken |= expert[j] == i;
            const float score = p[i] + (offset ? offset[i] : 0);
            if (!taken && (at == hp->n_expert || score > best)) best = score, at = i;
        }
        expert[k] = (uint32_t)at;
        weight[k] = p[at];
    }
}

static void route_tokens(void *ctx, size_t begin, size_t end, int thread) {
    static const float SMALLEST_SUM = 6.103515625e-5f; /* of F16's normal numbers, as in the reference */
    const ws_step *st = ctx;
    const ws_session *s = st->s;
    const ws_hparams *hp = &s->m->hp;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *p = s->moe.score + t * s->moe.stride, *weight = s->moe.weight + t * hp->n_expert_used, sum = 0;
        ws_add_bias(s, p, st->layer->router.bias, hp->n_expert);
        make_probabilities(hp, p);
        if (hp->n_expert_group > 1) drop_groups(hp, p, st->layer->router_offset);
        choose(hp, p, st->layer->router_offset, s->moe.expert + t * hp->n_expert_used, weight);
        for (size_t k = 0; k < hp->n_expert_used; k++) sum += weight[k];
        if (sum < SMALLEST_SUM) sum = SMALLEST_SUM;
        for (size_t k = 0; k < hp->n_expert_used; k++)
            weight[k] = (hp->experts_sum_1 ? weight[k] / sum : weight[k]) * hp->expert_scale;
    }
}

/* The tokens that chose an expert, and their weights; returns their number. */
static size_t list_tokens(const ws_session *s, size_t expert) {
    const size_t used = s->m->hp.n_expert_used;
    size_t n = 0;
    for (size_t i = 0; i < s->n_rows * used; i++) {
        if (s->moe.expert[i] != expert) continue;
        s->moe.token[n] = (uint32_t)(i / used);
        s->moe.factor[n++] = s->moe.weight[i];
    }
    return n;
}

/* ---- working ---- */

static void gather_rows(void *ctx, size_t begin, size_t end, int thread) {
    const ws_session *s = ((const ws_step *)ctx)->s;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        memcpy(s->moe.in.x + i * s->moe.in.stride, s->h.x + s->moe.token[i] * s->h.stride,
               s->m->hp.n_embd * sizeof(float));
}

static void scatter_rows(void *ctx, size_t begin, size_t end, int thread) {
    const ws_session *s = ((const ws_step *)ctx)->s;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        s->e.k.add_scaled(s->y + s->moe.token[i] * s->stride.embd, s->moe.out + i * s->stride.embd, s->moe.factor[i],
                          s->m->hp.n_embd);
}

static ws_linear one_of(const ws_linear *stack, size_t i) {
    return (ws_linear){ws_matrix_in_stack(&stack->w, i), stack->bias ? stack->bias + i * stack->w.n_out : NULL};
}

static void run_expert(ws_session *s, const ws_layer *l, size_t expert) {
    const ws_step st = {.s = s};
    const size_t n = list_tokens(s, expert);
    if (n == 0) return;
    const ws_feed_forward ff = {one_of(&l->experts.gate, expert), one_of(&l->experts.up, expert),
                                one_of(&l->experts.down, expert)};
    ws_each_row(&st, n, gather_rows);
    ws_feed_forward_run(s, &ff, &s->moe.in, n, s->moe.out);
    ws_each_row(&st, n, scatter_rows);
}

/* The shared experts are one block for all tokens; some models let a sigmoid of h weigh it. */
static void add_shared(void *ctx, size_t begin, size_t end, int thread) {
    const ws_step *st = ctx;
    const ws_session *s = st->s;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        const double score = (double)s->moe.score[t * s->moe.stride];
        const float weight = st->layer->shared_router.w.data ? (float)(1 / (1 + exp(-score))) : 1;
        s->e.k.add_scaled(s->y + t * s->stride.embd, s->moe.out + t * s->stride.embd, weight, s->m->hp.n_embd);
    }
}

void ws_experts_run(ws_session *s, const ws_layer *l) {
    const ws_product router = {&l->router.w, s->moe.score, s->moe.stride};
    ws_project(s, &s->h, s->n_rows, &router, 1);
    ws_each_row(&(ws_step){.s = s, .layer = l}, s->n_rows, route_tokens);
    memset(s->y, 0, s->n_rows * s->stride.embd * sizeof *s->y);
    for (size_t i = 0; i < s->m->hp.n_expert; i++) run_expert(s, l, i);
    if (!l->shared.up.w.data) return;
    ws_feed_forward_run(s, &l->shared, &s->h, s->n_rows, s->moe.out);
    const ws_product gate = {&l->shared_router.w, s->moe.score, s->moe.stride};
    if (gate.w->data) ws_project(s, &s->h, s->n_rows, &gate, 1);
    ws_each_row(&(ws_step){.s = s, .layer = l}, s->n_rows, add_shared);
}
