#include "team.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

enum { N = 1000 };

typedef struct {
    int counts[N];
    atomic_int calls, threads_seen[8];
} work;

static void count(void *ctx, size_t begin, size_t end, int thread) {
    work *w = ctx;
    for (size_t i = begin; i < end; i++) w->counts[i]++;
    atomic_fetch_add(&w->calls, 1);
    atomic_fetch_add(&w->threads_seen[thread], 1);
}

Test(team, every_item_is_done_once) {
    static const int threads[] = {1, 2, 3, 8};
    static const size_t grains[] = {0, 1, 7, N, 2 * N}, lengths[] = {0, 1, 2, 999, N};
    for (size_t t = 0; t < 4; t++) {
        ws_error err = {0};
        ws_team *team;
        cr_assert_eq(ws_team_open(&team, threads[t], &err), WS_OK);
        cr_assert_eq(ws_team_threads(team), threads[t]);
        for (size_t g = 0; g < 5; g++)
            for (size_t l = 0; l < 5; l++) {
                work w;
                memset(&w, 0, sizeof w);
                ws_team_for(team, lengths[l], grains[g], count, &w);
                for (size_t i = 0; i < N; i++) cr_assert_eq(w.counts[i], i < lengths[l]);
                for (int i = threads[t]; i < 8; i++) cr_assert_eq(w.threads_seen[i], 0);
            }
        ws_team_close(team);
    }
}

static void add_one(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    for (size_t i = begin; i < end; i++) ((int *)ctx)[i]++;
}

/* Loops in a row: each must see what the one before it wrote, whichever thread that was. */
Test(team, loops_follow_each_other) {
    enum { LOOPS = 20000, ITEMS = 16 };
    ws_error err = {0};
    ws_team *team;
    int counts[ITEMS] = {0};
    cr_assert_eq(ws_team_open(&team, 3, &err), WS_OK);
    for (int i = 0; i < LOOPS; i++) {
        ws_team_for(team, ITEMS, 1, add_one, counts);
        cr_assert_eq(counts[i % ITEMS], i + 1);
    }
    ws_team_close(team);
}

Test(team, refuses_no_threads) {
    ws_error err = {0};
    ws_team *team;
    cr_assert_eq(ws_team_open(&team, 0, &err), WS_USAGE);
    cr_assert_null(team);
    ws_team_close(NULL);
}
