#include "generate.h"

#include "alloc.h"
#include "forward.h"
#include "progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const ws_model *m;
    const ws_tokenizer *t;
    const ws_generate_options *o;
    ws_ids prompt;
    ws_session *session;
    ws_sampler *sampler;
    float *logits, *raw; /* raw: as the model gave them; only for logprobs */
    uint64_t ctx;
    size_t logprobs_cap;
    ws_candidate *best;
    ws_kernels k;
    char held[8]; /* the beginning of a character, not emitted yet */
    size_t n_held;
    ws_error emit_err; /* the receiver's, of the first text that it could not take */
} generation;

/* Bytes of a character by its first byte; 1 also for bytes that cannot be first. */
static size_t character_bytes(unsigned char first) {
    return first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? first < 0xf0 ? 3 : 1 : first >= 0xc2 ? 2 : 1;
}

size_t ws_utf8_whole(const char *text, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char c = (unsigned char)text[n - back];
        if ((c & 0xc0) == 0x80) continue;
        return character_bytes(c) > back ? n - back : n;
    }
    return n;
}

static void emit(generation *g, const char *text, size_t n) {
    if (g->o->emit && n && !g->emit_err.code) (void)g->o->emit(g->o->arg, text, n, &g->emit_err);
}

static ws_status emitted(const generation *g, ws_error *err) {
    if (g->emit_err.code) *err = g->emit_err;
    return g->emit_err.code;
}

/* A token's text behind what was held back: at most the first characters of it complete a character. */
static void emit_token(generation *g, ws_str text) {
    if (text.len == 0) return;
    while (g->n_held && text.len) {
        g->held[g->n_held++] = *text.data++, text.len--;
        if (ws_utf8_whole(g->held, g->n_held) != g->n_held) continue;
        emit(g, g->held, g->n_held);
        g->n_held = 0;
    }
    const size_t whole = ws_utf8_whole(text.data, text.len);
    emit(g, text.data, whole);
    memcpy(g->held + g->n_held, text.data + whole, text.len - whole);
    g->n_held += text.len - whole;
}

/* A character that was never completed is shown as U+FFFD. */
static void emit_rest(generation *g) {
    if (g->n_held) emit(g, "\xef\xbf\xbd", 3);
    g->n_held = 0;
}

static ws_status read_prompt(generation *g, ws_error *err) {
    const uint64_t trained = g->m->hp.n_ctx_train;
    WS_TRY(ws_tokenize(g->t, &g->prompt, g->o->prompt, g->o->prompt_bytes, true, true, err));
    if (g->prompt.n == 0)
        return ws_fail(err, WS_USAGE, "the prompt is empty, and the model has no token to begin with");
    const uint64_t need = g->prompt.n + g->o->n_predict;
    g->ctx = g->o->ctx ? g->o->ctx : need < trained ? need : trained;
    if (g->prompt.n >= g->ctx)
        return ws_fail(err, WS_LIMIT, "the prompt has %zu tokens, which leave no room in a context of %" PRIu64,
                       g->prompt.n, g->ctx);
    return WS_OK;
}

static ws_status set_up_logprobs(generation *g, ws_generated *out, ws_error *err) {
    const size_t n = g->m->hp.n_vocab;
    ws_kernels_init(&g->k, g->o->cpu_flags);
    out->n_best = g->o->n_logprobs < n ? g->o->n_logprobs : n;
    g->raw = ws_alloc(n, sizeof *g->raw, "logits", err);
    g->best = ws_alloc(out->n_best, sizeof *g->best, "the best tokens", err);
    return g->raw && g->best ? WS_OK : WS_NOMEM;
}

static ws_status set_up(generation *g, ws_generated *out, ws_error *err) {
    const ws_session_options so = {
        .n_ctx = g->ctx,
        .n_batch = g->prompt.n < g->o->n_batch ? g->prompt.n : g->o->n_batch,
        .n_threads = g->o->n_threads,
        .kv_type = g->o->kv_type,
        .cpu_flags = g->o->cpu_flags,
    };
    WS_TRY(ws_session_open(&g->session, g->m, &so, err));
    WS_TRY(ws_sampler_open(&g->sampler, &g->o->sample, g->m->hp.n_vocab, err));
    g->logits = ws_alloc_aligned(ws_logits_stride(g->m), sizeof *g->logits, "logits", err);
    out->session_bytes = ws_session_bytes(&g->m->hp, &so);
    if (!g->logits) return WS_NOMEM;
    if (g->o->logprobs) WS_TRY(set_up_logprobs(g, out, err));
    for (size_t i = 0; i < g->prompt.n; i++) ws_sampler_saw(g->sampler, g->prompt.id[i]);
    return WS_OK;
}

/* Run the prompt; leaves the logits after its last token. */
static ws_status run_prompt(generation *g, ws_error *err) {
    size_t last = 0;
    for (size_t at = 0; at < g->prompt.n; at += last + 1) {
        const size_t left = g->prompt.n - at, n = left < g->o->n_batch ? left : g->o->n_batch;
        WS_TRY(ws_session_feed(g->session, g->prompt.id + at, n, err));
        last = n - 1;
    }
    return ws_session_logits(g->session, last, 1, g->logits, err);
}

/* The chosen token's probability and the best ones, for the place that the next token will have. */
static ws_status note_logprobs(generation *g, ws_generated *out, const float *logits, int32_t id, ws_error *err) {
    const size_t n = 1 + out->n_best, at = out->ids.n * n;
    size_t top;
    if (!g->o->logprobs) return WS_OK;
    WS_TRY(ws_grow(&out->logprobs, &g->logprobs_cap, at + n, sizeof *out->logprobs, err));
    const double sum = g->k.log_sum_exp(logits, g->m->hp.n_vocab, &top);
    ws_best_candidates(logits, g->m->hp.n_vocab, out->n_best, g->best);
    out->logprobs[at] = (ws_logprob){id, (double)logits[id] - sum};
    for (size_t i = 0; i < out->n_best; i++)
        out->logprobs[at + 1 + i] = (ws_logprob){g->best[i].token, (double)g->best[i].logit - sum};
    return WS_OK;
}

/* The next token; its probability is that of the logits as the model gave them. */
static ws_status choose(generation *g, ws_generated *out, int32_t *id, ws_error *err) {
    const size_t n = g->m->hp.n_vocab;
    if (g->raw) memcpy(g->raw, g->logits, n * sizeof *g->raw);
    *id = ws_sample(g->sampler, g->logits);
    return ws_token_ends_generation(g->t, *id) ? WS_OK : note_logprobs(g, out, g->raw, *id, err);
}

static ws_status run_tokens(generation *g, ws_generated *out, ws_error *err) {
    while (out->ids.n < g->o->n_predict) {
        int32_t id;
        WS_TRY(choose(g, out, &id, err));
        if (ws_token_ends_generation(g->t, id)) {
            out->stop = WS_STOP_END;
            return WS_OK;
        }
        WS_TRY(ws_grow(&out->ids.id, &out->ids.cap, out->ids.n + 1, sizeof *out->ids.id, err));
        out->ids.id[out->ids.n++] = id;
        ws_sampler_saw(g->sampler, id);
        emit_token(g, ws_token_text(g->t, id));
        WS_TRY(emitted(g, err));
        if (out->ids.n == g->o->n_predict) break;
        if (ws_session_position(g->session) == g->ctx) {
            out->stop = WS_STOP_CONTEXT;
            return WS_OK;
        }
        WS_TRY(ws_session_feed(g->session, &id, 1, err));
        WS_TRY(ws_session_logits(g->session, 0, 1, g->logits, err));
        out->n_decoded++;
    }
    out->stop = WS_STOP_COUNT;
    return WS_OK;
}

static ws_status run(generation *g, ws_generated *out, ws_error *err) {
    WS_TRY(read_prompt(g, err));
    WS_TRY(set_up(g, out, err));
    const double start = ws_now();
    WS_TRY(run_prompt(g, err));
    const double begin = ws_now();
    const ws_status st = run_tokens(g, out, err);
    emit_rest(g);
    out->n_prompt = g->prompt.n;
    out->prompt_seconds = begin - start;
    out->generate_seconds = ws_now() - begin;
    return st ? st : emitted(g, err);
}

ws_status ws_generate(const ws_model *m, const ws_tokenizer *t, const ws_generate_options *o, ws_generated *out,
                      ws_error *err) {
    generation g = {.m = m, .t = t, .o = o};
    *out = (ws_generated){0};
    const ws_status st = run(&g, out, err);
    ws_session_close(g.session);
    ws_sampler_close(g.sampler);
    free(g.logits);
    free(g.raw);
    free(g.best);
    free(g.prompt.id);
    if (st) {
        free(out->ids.id);
        free(out->logprobs);
        *out = (ws_generated){0};
    }
    return st;
}
