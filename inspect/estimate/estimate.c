/* Sources: llama.cpp 0c1e570 (llama-context, llama-model-loader, llama-kv-cache, llama-kv-cache-iswa,
 * llama-memory-recurrent), checked against what it allocates (tests/conformance/check_vram.py). */
#include "estimate.h"

#include "alloc.h"
#include "builder.h"
#include "placement.h"
#include "scheduler.h"

#include <inttypes.h>
#include <string.h>

enum { CTX_PAD = 256, FLOAT = 4 };

/* Sums that notice overflow; `bad` sticks. */
typedef struct {
    const ws_blueprint *bp;
    const ws_est_options *o;
    ws_estimate *e;
    ws_placement place;
    bool bad;
} sizes;

static uint64_t add(sizes *s, uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    s->bad |= ws_add_overflows(a, b, &sum);
    return sum;
}

static uint64_t mul(sizes *s, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    s->bad |= ws_mul_overflows(a, b, &product);
    return product;
}

static uint64_t pad(sizes *s, uint64_t v, uint64_t to) { return add(s, v, to - 1) & ~(to - 1); }
static uint64_t max(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t min(uint64_t a, uint64_t b) { return a < b ? a : b; }

static ws_est_memory *memory(sizes *s, int backend) {
    return backend == ws_machine_cpu(&s->place.machine) ? &s->e->host : &s->e->device[backend];
}

/* Bytes of a stored tensor with its padding. */
static uint64_t stored(sizes *s, int backend, ws_dtype type, uint64_t row_elements, uint64_t bytes) {
    const ws_machine *m = &s->place.machine;
    return pad(s, ws_machine_stored_bytes(m, backend, type, row_elements, bytes), ws_machine_alignment(m, backend));
}

/* ---- weights ---- */

static void put_weight(sizes *s, const ws_tensor *t, int backend) {
    ws_est_memory *m = memory(s, backend);
    m->weights = add(s, m->weights, stored(s, backend, t->type, t->ne[0], t->bytes));
}

/* One copy for every backend that holds a layer. */
static void put_shared(sizes *s, const ws_tensor *t) {
    for (int b = 0; b < s->place.machine.n_backends; b++)
        if (memchr(s->place.layer, b, s->bp->n_layer)) put_weight(s, t, b);
}

static void add_weights(sizes *s) {
    for (size_t i = 0; i < s->bp->n_tensors; i++) {
        const ws_tensor *t = &s->bp->tensors[i];
        if (ws_is_shared_tensor(t->name))
            put_shared(s, t);
        else if (s->place.tensor[i] >= 0)
            put_weight(s, t, s->place.tensor[i]);
    }
    if (ws_blueprint_tensor(s->bp, "output.weight") || s->bp->style->traits & WS_ONE_EMBEDDING) return;
    /* Tied: the token embedding is the output matrix, too; on its own backend it is there already (Gemma 3n and 4 load
     * the output first, and so has it twice). */
    const bool twice = s->bp->style->family == WS_FAMILY_GEMMA3N || s->bp->style->family == WS_FAMILY_GEMMA4;
    if (s->place.output != ws_machine_cpu(&s->place.machine) || twice)
        put_weight(s, ws_blueprint_tensor(s->bp, "token_embd.weight"), s->place.output);
}

/* ---- KV cache ---- */

static void round_context(sizes *s) {
    const ws_est_options *o = s->o;
    ws_estimate *e = s->e;
    const bool split = !o->unified && o->n_seq > 1;
    e->n_ctx = pad(s, o->n_ctx, CTX_PAD);
    e->n_streams = split ? o->n_seq : 1;
    e->n_ctx_seq = split ? pad(s, e->n_ctx / o->n_seq, CTX_PAD) : e->n_ctx;
    if (split) e->n_ctx = mul(s, e->n_ctx_seq, o->n_seq);
}

/* Batches end with the context, which is meant as given, before it is rounded; not for models that see the whole text.
 */
static uint64_t batch(const sizes *s) { return s->bp->causal ? min(s->o->n_batch, s->o->n_ctx) : s->o->n_batch; }
static uint64_t ubatch(const sizes *s) { return min(s->o->n_ubatch, batch(s)); }

/* Sliding layers keep the window of every sequence that shares the cache, and the tokens being computed. */
static uint64_t sliding_cells(sizes *s) {
    if (s->o->swa_full) return s->e->n_ctx_seq;
    const uint64_t windows = mul(s, s->bp->window, s->o->unified ? s->o->n_seq : 1);
    return pad(s, min(s->e->n_ctx_seq, add(s, windows, ubatch(s))), CTX_PAD);
}

static uint64_t widest_v(const ws_blueprint *bp) {
    uint64_t widest = 0;
    for (size_t i = 0; i < bp->n_layer_all; i++) widest = max(widest, bp->layers[i].n_head_kv * bp->layers[i].head_v);
    return widest;
}

static bool has_v(const ws_blueprint *bp) { return bp->style->family != WS_FAMILY_LATENT || !bp->key_mla; }

/* K or V of one layer. A width of whole heads is a multiple of the block (checked). */
static uint64_t plane(sizes *s, int backend, ws_dtype type, uint64_t width, uint64_t cells) {
    const ws_dtype_info *info = ws_dtype_get(type);
    const uint64_t row = mul(s, width / info->block_elements, info->block_bytes);
    return width ? stored(s, backend, type, width, mul(s, row, mul(s, cells, s->e->n_streams))) : 0;
}

static uint64_t attention_cache(sizes *s, size_t i, uint64_t cells) {
    const ws_bp_layer *l = &s->bp->layers[i];
    const int b = s->place.layer[i];
    const uint64_t v = s->e->v_transposed ? widest_v(s->bp) : l->n_head_kv * l->head_v;
    const uint64_t k = plane(s, b, s->o->type_k, l->n_head_kv * l->head_k, cells);
    return has_v(s->bp) ? add(s, k, plane(s, b, s->o->type_v, v, cells)) : k;
}

static uint64_t state_cache(sizes *s, size_t i) {
    const int b = s->place.layer[i];
    const uint64_t conv = s->bp->conv_width, state = s->bp->state_width, one = mul(s, FLOAT, max(s->o->n_seq, 1));
    return add(s, stored(s, b, WS_TYPE_F32, conv, mul(s, conv, one)),
               stored(s, b, WS_TYPE_F32, state, mul(s, state, one)));
}

static void put_cache(sizes *s, ws_est_cache *c, size_t layer, uint64_t bytes) {
    ws_est_memory *m = memory(s, s->place.layer[layer]);
    c->n_layers++;
    c->bytes = add(s, c->bytes, bytes);
    m->kv_cache = add(s, m->kv_cache, bytes);
}

static void add_cache(sizes *s) {
    ws_estimate *e = s->e;
    e->full.cells = e->n_ctx_seq;
    e->sliding.cells = sliding_cells(s);
    for (size_t i = 0; i < s->bp->n_layer; i++) {
        const ws_bp_layer *l = &s->bp->layers[i];
        ws_est_cache *c = l->sliding ? &e->sliding : &e->full;
        if (l->recurrent) put_cache(s, &e->recurrent, i, state_cache(s, i));
        const bool cached = ws_layer_attends(s->bp, i) || s->bp->style->traits & WS_IDLE_CACHE;
        if (cached && l->cache_of == (int32_t)i) put_cache(s, c, i, attention_cache(s, i, c->cells));
    }
}

/* ---- compute buffers ---- */

static ws_pass pass_of(sizes *s) {
    const uint64_t n = min(ubatch(s), s->e->n_ctx), seqs = max(s->o->n_seq, 1);
    const uint64_t wanted = s->o->n_outputs ? s->o->n_outputs : batch(s);
    return (ws_pass){
        .n_tokens = mul(s, (n + seqs - 1) / seqs, seqs),
        .n_seqs = seqs,
        .n_outputs = min(n, wanted),
        .n_streams = s->e->n_streams,
        .full_cells = s->e->n_ctx_seq,
        .sliding_cells = s->e->sliding.cells,
        .n_states = seqs,
        .flash_attn = s->e->flash_attn,
        .v_transposed = s->e->v_transposed,
        .any_sliding = s->e->sliding.n_layers,
        .type_k = s->o->type_k,
        .type_v = s->o->type_v,
        .widest_v = widest_v(s->bp),
        .output_backend = s->place.output,
        .layer_backend = s->place.layer,
        .tensor_backend = s->place.tensor,
    };
}

/* For architectures that are not described and differ so much from a plain decoder that no graph can be built: the
 * largest of the feed-forward's results, the scores without flash attention, and the logits, beside the mask. */
static void guess_compute(sizes *s, const ws_pass *p) {
    uint64_t ff = 0, heads = 0;
    for (size_t i = 0; i < s->bp->n_layer; i++) {
        const ws_bp_layer *l = &s->bp->layers[i];
        ff = max(ff, max(l->n_ff, mul(s, l->n_ff_expert, l->n_expert_used)));
        heads = max(heads, l->n_head);
    }
    const uint64_t mask = mul(s, mul(s, p->full_cells, p->n_tokens), p->flash_attn ? 2 : FLOAT);
    uint64_t row = add(s, mul(s, 3, ff), mul(s, 3, s->bp->n_embd));
    if (!p->flash_attn) row = max(row, mul(s, heads, p->full_cells));
    const uint64_t body = add(s, mask, mul(s, mul(s, row, p->n_tokens), FLOAT));
    const uint64_t logits = mul(s, mul(s, add(s, s->bp->n_vocab, s->bp->n_embd), p->n_outputs), FLOAT);
    const uint64_t host = add(s, mask, mul(s, mul(s, 2 * s->bp->n_embd, p->n_tokens), FLOAT));
    for (int b = 0; b < s->place.machine.n_backends; b++) memory(s, b)->compute = max(body, logits);
    if (s->e->n_devices) s->e->host.compute = host;
}

/* llama.cpp tries it with one token per sequence: flash attention is given up when that of a layer would run elsewhere
 * than the layer, because a GPU has no kernel for it or its neighbours draw it to another one. */
static ws_status give_up_flash(sizes *s, ws_error *err) {
    ws_graph g;
    ws_pass p = pass_of(s);
    p.n_tokens = p.n_outputs = p.n_seqs;
    ws_graph_init(&g);
    ws_build_graph(&g, s->bp, &p, &s->place.machine);
    ws_assign_backends(&g, &s->place.machine);
    for (size_t i = 0; i < g.nodes.n && !g.failed; i++) {
        const ws_node *n = g.nodes.node[i];
        if (n->op == WS_OP_FLASH_ATTN && n->backend != s->place.layer[n->layer]) s->e->flash_attn = false;
    }
    const ws_status status = g.failed == WS_NOMEM ? ws_fail(err, WS_NOMEM, "%s", g.err.msg) : WS_OK;
    ws_graph_free(&g);
    return status;
}

static ws_status add_compute(sizes *s, ws_error *err) {
    if (s->bad) return WS_OK;
    /* a quantized V cache needs it */
    const bool choice = s->o->flash_auto && s->e->flash_attn && !ws_dtype_is_quantized(s->o->type_v);
    if (choice) WS_TRY(give_up_flash(s, err));
    ws_graph g;
    uint64_t bytes[WS_MAX_BACKENDS] = {0};
    const ws_pass p = pass_of(s);
    ws_graph_init(&g);
    ws_build_graph(&g, s->bp, &p, &s->place.machine);
    ws_status status = WS_OK;
    const bool guess = g.failed == WS_FORMAT && s->bp->guessed;
    if (g.failed && !guess)
        status = ws_fail(err, g.failed, "%s", g.err.msg);
    else if (!guess)
        status = ws_schedule_graph(&g, &s->place.machine, bytes, err);
    for (int b = 0; b < s->place.machine.n_backends; b++) memory(s, b)->compute = bytes[b];
    if (guess) guess_compute(s, &p);
    ws_graph_free(&g);
    return status;
}

/* ---- what llama.cpp refuses ---- */

/* Flash attention reads heads, which must be whole blocks; without it a row of all heads must be. */
static ws_status check_blocks(const char *what, ws_dtype type, uint64_t head, uint64_t n_heads, ws_error *err) {
    const ws_dtype_info *info = ws_dtype_get(type);
    if (head * n_heads % info->block_elements == 0) return WS_OK;
    return ws_fail(err, WS_UNSUPPORTED,
                   "heads of %" PRIu64 " elements cannot be stored as %s: its blocks have %" PRIu32 " (%s cache)", head,
                   info->name, info->block_elements, what);
}

static ws_status check(const ws_blueprint *bp, const ws_est_options *o, bool flash_attn, ws_error *err) {
    if (!has_v(bp) && o->type_k != o->type_v)
        return ws_fail(err, WS_UNSUPPORTED,
                       "the K cache (%s) and the V cache (%s) of this model are one: their types must agree",
                       ws_dtype_name(o->type_k), ws_dtype_name(o->type_v));
    if (ws_dtype_is_quantized(o->type_v) && !flash_attn)
        return ws_fail(err, WS_UNSUPPORTED, "a V cache of type %s needs flash attention", ws_dtype_name(o->type_v));
    for (size_t i = 0; i < bp->n_layer; i++) {
        const ws_bp_layer *l = &bp->layers[i];
        if (!ws_layer_attends(bp, i)) continue;
        const uint64_t n = flash_attn ? 1 : l->n_head_kv;
        WS_TRY(check_blocks("K", o->type_k, l->head_k, n, err));
        if (has_v(bp)) WS_TRY(check_blocks("V", o->type_v, l->head_v, n, err));
    }
    return WS_OK;
}

/* ---- the whole ---- */

static void add_totals(sizes *s) {
    ws_estimate *e = s->e;
    e->host.output = mul(s, mul(s, s->bp->n_vocab, FLOAT), max(s->o->n_seq, 1));
    for (int b = 0; b < s->place.machine.n_backends; b++) {
        ws_est_memory *m = memory(s, b);
        m->total = add(s, add(s, add(s, m->weights, m->kv_cache), m->compute), m->output);
        if (m == &e->host && e->n_devices) continue;
        e->sum.weights = add(s, e->sum.weights, m->weights);
        e->sum.kv_cache = add(s, e->sum.kv_cache, m->kv_cache);
        e->sum.compute = add(s, e->sum.compute, m->compute);
        e->sum.output = add(s, e->sum.output, m->output);
        e->sum.total = add(s, e->sum.total, m->total);
    }
    for (size_t i = 0; i < s->bp->n_layer; i++) memory(s, s->place.layer[i])->n_layers++;
}

static ws_status run(sizes *s, ws_error *err) {
    WS_TRY(check(s->bp, s->o, !s->e->v_transposed, err));
    WS_TRY(ws_placement_make(&s->place, s->bp, s->o, err));
    round_context(s);
    add_weights(s);
    add_cache(s);
    WS_TRY(add_compute(s, err));
    add_totals(s);
    return s->bad ? ws_fail(err, WS_FORMAT, "the sizes of this model do not fit 64 bits") : WS_OK;
}

ws_status ws_estimate_run(ws_estimate *out, const ws_blueprint *bp, const ws_est_options *o, ws_error *err) {
    const bool flash = o->flash_attn && !(bp->style->traits & WS_NO_FLASH);
    *out = (ws_estimate){.n_devices = o->n_devices, .flash_attn = flash, .v_transposed = !flash};
    sizes s = {.bp = bp, .o = o, .e = out};
    const ws_status status = run(&s, err);
    ws_placement_free(&s.place);
    return status;
}
