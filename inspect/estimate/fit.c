#include "fit.h"

#include "alloc.h"
#include "retype.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 256 };

/* From the best quality down. What is below Q2_K no one should have to use. */
static const char *const quantizations[] = {"Q8_0",   "Q6_K",    "Q5_K_M", "Q4_K_M", "IQ4_XS",
                                            "Q3_K_M", "IQ3_XXS", "Q2_K",   NULL};
static const ws_dtype cache_types[] = {WS_TYPE_F16, WS_TYPE_Q8_0, WS_TYPE_Q4_0};

typedef struct {
    ws_fit *fit;
    const ws_blueprint *bp;
    const ws_target *t;
    bool as_is;
    ws_error *err;
} solver;

bool ws_target_holds(const ws_target *t, const ws_estimate *e) {
    uint64_t all = e->host.total;
    for (unsigned i = 0; i < t->n_devices; i++) {
        const ws_device *d = &t->device[i];
        if (d->capacity && e->device[i].total + d->overhead_high > d->capacity) return false;
        all += t->unified ? e->device[i].total : 0;
    }
    return !t->host.capacity || all <= t->host.capacity;
}

/* False for what does not fit and for what is refused (a cache type that the heads do not allow, ...). */
static bool try_options(const solver *s, const ws_est_options *o, ws_estimate *e) {
    ws_error ignored = {0};
    return !ws_estimate_run(e, s->bp, o, &ignored) && ws_target_holds(s->t, e);
}

/* The longest context up to `most` that fits; 0: not even the least. */
static uint64_t longest(const solver *s, ws_est_options o, uint64_t most) {
    ws_estimate e;
    uint64_t low = WS_LEAST_CTX / STEP, high = most / STEP + 1;
    o.n_ctx = most;
    if (try_options(s, &o, &e)) return most;
    o.n_ctx = WS_LEAST_CTX;
    if (most <= WS_LEAST_CTX || !try_options(s, &o, &e)) return 0;
    while (high - low > 1) {
        const uint64_t mid = low + (high - low) / 2;
        o.n_ctx = mid * STEP;
        if (try_options(s, &o, &e))
            low = mid;
        else
            high = mid;
    }
    return low * STEP;
}

static void put_plan(const solver *s, const ws_est_options *o, bool on_gpus, uint64_t wanted) {
    ws_fit *f = s->fit;
    ws_plan *p = &f->plans[f->n];
    if (f->n == WS_MAX_PLANS || !try_options(s, o, &p->estimate)) return;
    p->quantization = s->bp->file_type;
    p->as_is = s->as_is;
    p->options = *o;
    p->on_gpus = on_gpus;
    p->requested = o->n_ctx >= wanted;
    f->n++;
}

/* All on the GPUs: for each type of cache the longest context; a smaller type only when it gives more. */
static bool plan_on_gpus(solver *s, const ws_est_options *o, uint64_t most, uint64_t wanted) {
    uint64_t before = 0;
    for (size_t i = 0; i < sizeof cache_types / sizeof *cache_types && before < most; i++) {
        ws_est_options c = *o;
        if (i) c.type_k = c.type_v = cache_types[i];
        const uint64_t ctx = longest(s, c, most);
        if (ctx <= before) continue;
        c.n_ctx = before = ctx;
        put_plan(s, &c, true, wanted);
    }
    return before > 0;
}

/* The most layers on the GPUs, or the fewest layers whose experts stay on the CPU, that fit: a search over n in
 * [0, most], where all n up to the answer fit. */
static void most_that_fit(const solver *s, ws_est_options *o, uint64_t most, uint64_t *knob, bool inverse) {
    uint64_t low = 0, high = most + 1;
    ws_estimate e;
    while (high - low > 1) {
        const uint64_t mid = low + (high - low) / 2;
        *knob = inverse ? most - mid : mid;
        if (try_options(s, o, &e))
            low = mid;
        else
            high = mid;
    }
    *knob = inverse ? most - low : low;
}

/* Some stays on the CPU: experts first, since a token reads few of them. */
static void plan_offload(solver *s, const ws_est_options *o, uint64_t wanted) {
    ws_est_options c = *o;
    ws_estimate e;
    if (s->bp->n_expert) {
        most_that_fit(s, &c, s->bp->n_layer, &c.n_cpu_moe, true);
        if (try_options(s, &c, &e)) {
            put_plan(s, &c, false, wanted);
            return;
        }
        c = *o;
    }
    most_that_fit(s, &c, s->bp->n_layer_all + 1, &c.n_gpu_layers, false);
    put_plan(s, &c, false, wanted);
}

/* Best first: on the GPUs before offloaded; as long as asked for before shorter; quality before length. */
static int quality(const ws_plan *p) {
    for (int i = 0; p->quantization && quantizations[i]; i++)
        if (strcmp(quantizations[i], p->quantization) == 0) return i;
    return -1;
}

static int cache_rank(const ws_plan *p) {
    return p->options.type_k == WS_TYPE_F16 ? 0 : p->options.type_k == WS_TYPE_Q8_0 ? 1 : 2;
}

static int compare(const void *a, const void *b) {
    const ws_plan *p = a, *q = b;
    if (p->on_gpus != q->on_gpus) return q->on_gpus - p->on_gpus;
    if (p->requested != q->requested) return q->requested - p->requested;
    if (quality(p) != quality(q)) return quality(p) - quality(q);
    return cache_rank(p) - cache_rank(q);
}

static void solve(solver *s, const ws_est_options *o, bool offload, uint64_t most) {
    const bool fits = plan_on_gpus(s, o, most, o->n_ctx);
    if (!fits && s->t->n_devices && offload) plan_offload(s, o, o->n_ctx);
}

ws_status ws_fit_solve(ws_fit *out, ws_blueprint *bp, const ws_est_options *o, const ws_target *t, uint64_t most,
                       bool free_quantization, ws_error *err) {
    solver s = {.fit = out, .bp = bp, .t = t, .as_is = true, .err = err};
    const char *own = bp->file_type;
    if (!free_quantization) solve(&s, o, true, most);
    s.as_is = false;
    for (size_t i = 0; free_quantization && quantizations[i]; i++) {
        const char *name = quantizations[i];
        if (own && strcmp(own, name) == 0) continue;
        WS_TRY(ws_blueprint_retype(bp, name, err));
        solve(&s, o, strcmp(name, "Q4_K_M") == 0, most);
    }
    qsort(out->plans, out->n, sizeof *out->plans, compare);
    return ws_blueprint_retype(bp, NULL, err);
}

ws_status ws_fit_apply(ws_blueprint *bp, const ws_plan *p, ws_error *err) {
    return ws_blueprint_retype(bp, p->as_is ? NULL : p->quantization, err);
}
