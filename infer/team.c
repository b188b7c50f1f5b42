#include "team.h"

#include "alloc.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    HELPER_LOOKS = 4000, /* at the claim before going to sleep: some tens of microseconds */
    LEADER_LOOKS = 1000, /* at the pieces still in hand before offering the processor to others */
};

typedef struct {
    ws_team *team;
    pthread_t thread;
    int number;
} helper;

struct ws_team {
    /* Number of the loop in the high half, how many of its pieces are unclaimed in the low half. Claiming a piece is
     * a compare-and-swap, which fails when another thread was quicker; at 0 the loop is closed. */
    _Atomic uint64_t claim;
    _Atomic uint32_t done; /* pieces of the loop that are finished */

    /* The loop. Written before its number appears in `claim` and changed only when all its pieces are done: a thread
     * whose claim succeeds has read those of its loop. */
    _Atomic(ws_parallel_fn *) fn;
    _Atomic(void *) ctx;
    _Atomic size_t n, grain;
    _Atomic uint32_t pieces;

    atomic_int sleeping;
    atomic_bool quit;
    pthread_mutex_t lock;
    pthread_cond_t work;
    int n_threads, n_helpers;
    helper *helpers;
};

static void pause_a_moment(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t loop_number(uint64_t claim) { return (uint32_t)(claim >> 32); }

/* Claim and do one piece of the loop at hand; false when there is none left. */
static bool do_piece(ws_team *t, int thread) {
    uint64_t claim = atomic_load_explicit(&t->claim, memory_order_acquire);
    while ((uint32_t)claim > 0) {
        ws_parallel_fn *fn = atomic_load_explicit(&t->fn, memory_order_relaxed);
        void *ctx = atomic_load_explicit(&t->ctx, memory_order_relaxed);
        const size_t n = atomic_load_explicit(&t->n, memory_order_relaxed);
        const size_t grain = atomic_load_explicit(&t->grain, memory_order_relaxed);
        const size_t begin = (atomic_load_explicit(&t->pieces, memory_order_relaxed) - (uint32_t)claim) * grain;
        if (!atomic_compare_exchange_weak_explicit(&t->claim, &claim, claim - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        fn(ctx, begin, n - begin < grain ? n : begin + grain, thread);
        atomic_fetch_add_explicit(&t->done, 1, memory_order_release);
        return true;
    }
    return false;
}

static void sleep_until_work(ws_team *t, uint32_t seen) {
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->sleeping, 1);
    while (loop_number(atomic_load(&t->claim)) == seen && !atomic_load(&t->quit)) pthread_cond_wait(&t->work, &t->lock);
    atomic_fetch_sub(&t->sleeping, 1);
    pthread_mutex_unlock(&t->lock);
}

static void *help(void *arg) {
    const helper *h = arg;
    ws_team *t = h->team;
    uint32_t seen = 0;
    while (!atomic_load(&t->quit)) {
        int looks = 0;
        while (loop_number(atomic_load_explicit(&t->claim, memory_order_acquire)) == seen && looks < HELPER_LOOKS)
            pause_a_moment(), looks++;
        if (looks == HELPER_LOOKS) sleep_until_work(t, seen);
        seen = loop_number(atomic_load_explicit(&t->claim, memory_order_acquire));
        while (do_piece(t, h->number)) continue;
    }
    return NULL;
}

static void wake_sleepers(ws_team *t) {
    if (atomic_load(&t->sleeping) == 0) return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
}

static void wait_for_pieces(ws_team *t, uint32_t pieces) {
    for (int looks = 0; atomic_load_explicit(&t->done, memory_order_acquire) < pieces; looks++) {
        if (looks < LEADER_LOOKS)
            pause_a_moment();
        else
            sched_yield();
    }
}

void ws_team_for(ws_team *t, size_t n, size_t grain, ws_parallel_fn *fn, void *ctx) {
    if (grain == 0) grain = 1;
    if (n / grain >= INT32_MAX) grain = n / INT32_MAX + 1;
    const uint32_t pieces = (uint32_t)((n + grain - 1) / grain);
    if (pieces <= 1 || t->n_helpers == 0) {
        if (n) fn(ctx, 0, n, 0);
        return;
    }
    const uint32_t loop = loop_number(atomic_load_explicit(&t->claim, memory_order_relaxed)) + 1;
    atomic_store_explicit(&t->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&t->ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&t->n, n, memory_order_relaxed);
    atomic_store_explicit(&t->grain, grain, memory_order_relaxed);
    atomic_store_explicit(&t->done, 0, memory_order_relaxed);
    atomic_store_explicit(&t->pieces, pieces, memory_order_relaxed);
    atomic_store(&t->claim,
                 (uint64_t)loop << 32 | pieces); /* sequentially consistent, as is `sleeping`: nobody is missed */
    wake_sleepers(t);
    while (do_piece(t, 0)) continue;
    wait_for_pieces(t, pieces);
}

int ws_team_threads(const ws_team *t) { return t->n_threads; }

ws_status ws_team_open(ws_team **out, int n_threads, ws_error *err) {
    *out = NULL;
    if (n_threads < 1) return ws_fail(err, WS_USAGE, "%d threads, expected at least 1", n_threads);
    ws_team *t = ws_alloc(1, sizeof *t, "threads", err);
    helper *helpers = ws_alloc((size_t)n_threads, sizeof *helpers, "threads", err);
    if (!t || !helpers) {
        free(t);
        free(helpers);
        return WS_NOMEM;
    }
    t->helpers = helpers;
    t->n_threads = n_threads;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    for (int i = 1; i < n_threads; i++) {
        helper *h = &helpers[t->n_helpers];
        *h = (helper){.team = t, .number = i};
        if (pthread_create(&h->thread, NULL, help, h) != 0) {
            ws_team_close(t);
            return ws_fail(err, WS_NOMEM, "cannot start %d threads", n_threads);
        }
        t->n_helpers++;
    }
    *out = t;
    return WS_OK;
}

void ws_team_close(ws_team *t) {
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->quit, true);
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < t->n_helpers; i++) pthread_join(t->helpers[i].thread, NULL);
    pthread_cond_destroy(&t->work);
    pthread_mutex_destroy(&t->lock);
    free(t->helpers);
    free(t);
}
