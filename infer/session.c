/* session.c - a sequence being run: memory, batches in, logits out. */
#include "session.h"

#include "alloc.h"
#include "fault.h"
#include "rope.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- memory: one function lays it out, once to learn the size, once to set the pointers ---- */

typedef struct {
    uint8_t *base; /* NULL: only count */
    uint64_t used;
    bool overflow;
} carving;

static void *carve(carving *c, uint64_t n, uint64_t size) {
    uint64_t bytes;
    void *p = c->base ? c->base + c->used : NULL;
    if (ws_mul_overflows(n, size, &bytes) || bytes > UINT64_MAX / 4 - c->used) {
        c->overflow = true;
        return NULL;
    }
    c->used += ws_align_up(bytes, 64);
    return p;
}

/* Floats from row to row: room for whole panels, and an odd number of cache lines so that the rows of a column do
 * not all compete for the same places of the cache. */
static size_t row_stride(uint64_t n) { return (n + WS_LANES - 1) / WS_LANES * WS_LANES | WS_LANES; }

static ws_rows carve_rows(carving *c, uint64_t n_rows, uint64_t n_cols) {
    ws_rows r = {.stride = row_stride(n_cols), .n_cols = n_cols};
    r.x = carve(c, n_rows * r.stride, sizeof *r.x);
    r.q = (ws_q8){.n_cols = n_cols, .cells = carve(c, ws_input_cells(n_rows, n_cols), sizeof *r.q.cells)};
    return r;
}

static ws_angles carve_angles(carving *c, uint64_t n_rows, uint64_t n_pairs) {
    ws_angles a;
    a.freq = carve(c, n_pairs, sizeof *a.freq);
    a.cos = carve(c, n_rows * n_pairs, sizeof *a.cos);
    a.sin = carve(c, n_rows * n_pairs, sizeof *a.sin);
    return a;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void lay_out_experts(ws_session *s, const ws_hparams *hp, carving *c) {
    const uint64_t n = s->o.n_batch, n_chosen = n * hp->n_expert_used;
    if (!hp->n_expert) return;
    s->moe.stride = row_stride(hp->n_expert);
    s->moe.score = carve(c, n * s->moe.stride, sizeof *s->moe.score);
    s->moe.weight = carve(c, n_chosen, sizeof *s->moe.weight);
    s->moe.expert = carve(c, n_chosen, sizeof *s->moe.expert);
    s->moe.token = carve(c, n, sizeof *s->moe.token);
    s->moe.factor = carve(c, n, sizeof *s->moe.factor);
    s->moe.in = carve_rows(c, n, hp->n_embd);
    s->moe.out = carve(c, n * s->stride.embd, sizeof *s->moe.out);
}

static void lay_out_latent(ws_session *s, const ws_hparams *hp, carving *c) {
    const uint64_t n = s->o.n_batch, plain = hp->head_k_mla - hp->n_rot;
    if (!hp->kv_latent) return;
    s->latent.stride = row_stride(larger(hp->n_head * hp->head_k_mla, hp->n_head * hp->head_v_mla));
    s->latent.kv_stride = row_stride(hp->head_k);
    s->latent.out_stride = row_stride(larger(hp->kv_latent, hp->head_v_mla));
    s->latent.q = carve_rows(c, n, hp->q_latent);
    s->latent.heads = carve(c, n * s->latent.stride, sizeof *s->latent.heads);
    s->latent.kv = carve(c, n * s->latent.kv_stride, sizeof *s->latent.kv);
    s->latent.in = carve_rows(c, n, larger(plain, larger(hp->kv_latent, hp->n_head * hp->head_v_mla)));
    s->latent.out = carve(c, n * s->latent.out_stride, sizeof *s->latent.out);
}

static uint64_t lay_out(ws_session *s, const ws_hparams *hp, uint8_t *base) {
    carving c = {.base = base};
    const uint64_t n = s->o.n_batch, threads = (uint64_t)s->o.n_threads;
    s->stride.embd = row_stride(hp->n_embd);
    s->stride.q = row_stride(hp->n_head * hp->head_k);
    s->stride.k = row_stride(hp->n_head_kv * hp->head_k);
    s->stride.v = row_stride(hp->n_head_kv * hp->head_v);
    const uint64_t n_ff = larger(hp->n_ff, larger(hp->n_ff_expert, hp->n_ff_shared));
    s->stride.ff = row_stride(n_ff);
    s->x = carve(&c, n * s->stride.embd, sizeof *s->x);
    s->y = carve(&c, n * s->stride.embd, sizeof *s->y);
    s->h = carve_rows(&c, n, hp->n_embd);
    s->q = carve(&c, n * s->stride.q, sizeof *s->q);
    s->k = carve(&c, n * s->stride.k, sizeof *s->k);
    s->v = carve(&c, n * s->stride.v, sizeof *s->v);
    s->att = carve_rows(&c, n, hp->n_head * hp->head_v);
    s->ff = carve_rows(&c, n, n_ff);
    s->up = carve(&c, n * s->stride.ff, sizeof *s->up);
    s->full = carve_angles(&c, n, hp->n_rot / 2);
    if (hp->window) s->sliding = carve_angles(&c, n, hp->n_rot / 2);
    lay_out_experts(s, hp, &c);
    lay_out_latent(s, hp, &c);
    s->scratch = carve(&c, threads * ws_attention_scratch(hp), sizeof *s->scratch);
    s->e.panels = carve(&c, threads * WS_CHUNK, sizeof *s->e.panels);
    return c.overflow ? UINT64_MAX : c.used;
}

uint64_t ws_session_bytes(const ws_hparams *hp, const ws_session_options *o) {
    ws_session s = {.o = *o};
    const uint64_t work = lay_out(&s, hp, NULL), kv = ws_cache_bytes(hp, o->kv_type, o->n_ctx);
    uint64_t sum;
    return work == UINT64_MAX || kv == UINT64_MAX || ws_add_overflows(work, kv, &sum) ? UINT64_MAX : sum;
}

/* ---- opening ---- */

static ws_status check_options(const ws_model *m, const ws_session_options *o, ws_error *err) {
    enum { MAX_BATCH = 1 << 20 };
    if (o->n_ctx < 1 || o->n_batch < 1 || o->n_batch > MAX_BATCH || o->n_threads < 1)
        return ws_fail(err, WS_USAGE, "context %" PRIu64 ", batch %" PRIu64 " and %d threads make no session", o->n_ctx,
                       o->n_batch, o->n_threads);
    if (!ws_cache_can_hold(o->kv_type))
        return ws_fail(err, WS_UNSUPPORTED, "the KV cache cannot be of type %s", ws_dtype_name(o->kv_type));
    if (ws_session_bytes(&m->hp, o) == UINT64_MAX)
        return ws_fail(err, WS_NOMEM, "a context of %" PRIu64 " tokens needs more memory than there is", o->n_ctx);
    return WS_OK;
}

static void choose_functions(ws_session *s) {
    ws_kernels_init(&s->e.k, s->o.cpu_flags);
    rope_fn *const ropes[] = {
        [WS_ROPE_NONE] = NULL,
        [WS_ROPE_INTERLEAVED] = s->e.k.rope_interleaved,
        [WS_ROPE_NEOX] = s->e.k.rope_neox,
    };
    activation_fn *const activations[] = {
        [WS_ACT_SILU] = s->e.k.silu_mul,
        [WS_ACT_GELU] = s->e.k.gelu_mul,
        [WS_ACT_GELU_EXACT] = s->e.k.gelu_exact_mul,
        [WS_ACT_SWIGLU_CLAMPED] = s->e.k.swiglu_clamped,
    };
    s->rope = ropes[s->m->arch->rope];
    s->activate = activations[s->m->arch->activation];
}

ws_status ws_session_open(ws_session **out, const ws_model *m, const ws_session_options *o, ws_error *err) {
    *out = NULL;
    WS_TRY(check_options(m, o, err));
    ws_session *s = ws_alloc(1, sizeof *s, "the session", err);
    if (!s) return WS_NOMEM;
    s->m = m;
    s->o = *o;
    s->work = ws_alloc_aligned(lay_out(s, &m->hp, NULL), 1, "activations", err);
    s->kv = ws_alloc(ws_cache_bytes(&m->hp, o->kv_type, o->n_ctx), 1, "the KV cache", err);
    const ws_status st = s->work && s->kv ? ws_team_open(&s->e.team, o->n_threads, err) : WS_NOMEM;
    if (st) {
        ws_session_close(s);
        return st;
    }
    lay_out(s, &m->hp, s->work);
    choose_functions(s);
    ws_rope_frequencies(s->full.freq, m, false, o->n_ctx);
    if (s->sliding.freq) ws_rope_frequencies(s->sliding.freq, m, true, o->n_ctx);
    ws_cache_init(&s->cache, &m->hp, o->kv_type, o->n_ctx, s->kv, o->cpu_flags);
    *out = s;
    return WS_OK;
}

void ws_session_close(ws_session *s) {
    if (!s) return;
    ws_team_close(s->e.team);
    free(s->work);
    free(s->kv);
    free(s);
}

void ws_session_collect(ws_session *s, ws_collector *c) { s->collector = c; }

ws_team *ws_session_team(const ws_session *s) { return s->e.team; }

size_t ws_session_position(const ws_session *s) { return s->position; }

void ws_session_rewind(ws_session *s, size_t position) {
    if (position < s->position) s->position = position;
    s->n_rows = 0;
}

/* ---- batches ---- */

ws_status ws_session_feed(ws_session *s, const int32_t *tokens, size_t n, ws_error *err) {
    if (n < 1 || n > s->o.n_batch)
        return ws_fail(err, WS_USAGE, "a batch of %zu tokens, expected 1 to %" PRIu64, n, s->o.n_batch);
    if (n > s->o.n_ctx - s->position)
        return ws_fail(err, WS_LIMIT, "%zu tokens do not fit the context of %" PRIu64, s->position + n, s->o.n_ctx);
    const uint64_t n_places = s->m->positions.data ? s->m->positions.n_out : UINT64_MAX;
    if (s->position + n > n_places)
        return ws_fail(err, WS_LIMIT, "'%s' has embeddings for %" PRIu64 " positions, not for %zu tokens",
                       ws_gguf_path(s->m->gguf), n_places, s->position + n);
    if (s->m->arch->traits & WS_ENCODER && s->position > 0)
        return ws_fail(err, WS_UNSUPPORTED, "'%s' is an encoder: its text has to come in one batch",
                       ws_gguf_path(s->m->gguf));
    for (size_t t = 0; t < n; t++)
        if (tokens[t] < 0 || (size_t)tokens[t] >= s->m->embd.n_out)
            return ws_fail(err, WS_FORMAT, "token %d is outside of the vocabulary of %zu", tokens[t], s->m->embd.n_out);
    size_t row, column;
    s->tokens = tokens;
    s->n_rows = n;
    ws_decode(s);
    if (!ws_all_finite(s->h.x, s->h.stride, s->m->hp.n_embd, n, &row, &column)) return ws_fault_report(s, err);
    if (s->collector) ws_collect_rows(s->collector, s->e.team, &s->m->output, &s->h, n);
    s->position += n;
    return WS_OK;
}

/* ---- logits ---- */

const float *ws_session_state(const ws_session *s, size_t row) { return s->h.x + row * s->h.stride; }

size_t ws_logits_stride(const ws_model *m) { return row_stride(m->hp.n_vocab); }

static ws_status check_finite(const ws_session *s, size_t first, size_t n, const float *logits, ws_error *err) {
    size_t row, column;
    if (ws_all_finite(logits, ws_logits_stride(s->m), s->m->hp.n_vocab, n, &row, &column)) return WS_OK;
    const bool nan = isnan(logits[row * ws_logits_stride(s->m) + column]);
    return ws_fail(err, WS_FORMAT, "'%s': the logit of token %zu after position %zu is %s, which arises at '%s'",
                   ws_gguf_path(s->m->gguf), column, s->position - s->n_rows + first + row, nan ? "NaN" : "infinite",
                   s->m->output.name);
}

/* What some models do to their logits. */
static void finish_logits(void *ctx, size_t begin, size_t end, int thread) {
    const ws_step *st = ctx;
    const ws_hparams *hp = &st->s->m->hp;
    const ws_kernels *k = &st->s->e.k;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float *x = st->rows->x + t * st->rows->stride;
        ws_add_bias(st->s, x, st->s->m->output_bias, hp->n_vocab);
        if (hp->logit_scale != 1) k->scale(x, 1 / hp->logit_scale, hp->n_vocab);
        if (hp->logit_softcap > 0) k->soft_cap(x, 1, hp->logit_softcap, hp->n_vocab);
    }
}

ws_status ws_session_logits(ws_session *s, size_t first, size_t n, float *out, ws_error *err) {
    const size_t stride = ws_logits_stride(s->m);
    const ws_hparams *hp = &s->m->hp;
    const ws_product p = {&s->m->output, out, stride};
    const ws_rows logits = {.x = out, .stride = stride};
    ws_rows in = s->h;
    if (s->m->arch->traits & WS_ENCODER)
        return ws_fail(err, WS_UNSUPPORTED, "'%s' is an encoder, which has no logits: use --embed",
                       ws_gguf_path(s->m->gguf));
    if (n < 1 || first >= s->n_rows || n > s->n_rows - first)
        return ws_fail(err, WS_USAGE, "logits of tokens %zu to %zu, but %zu were fed", first, first + n, s->n_rows);
    in.x += first * in.stride;
    ws_matmul(&s->e, &p, 1, &in, n);
    if (s->m->output_bias || hp->logit_scale != 1 || hp->logit_softcap > 0)
        ws_each_row(&(ws_step){.s = s, .rows = &logits}, n, finish_logits);
    return check_finite(s, first, n, out, err);
}
