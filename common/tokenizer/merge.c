#include "merge.h"

#include "alloc.h"

#include <stdlib.h>

/* A pair that can be merged. It is out of date when either side has been merged since. */
struct ws_candidate {
    uint64_t key;   /* rank above, index of the left symbol below: the order of the heap */
    uint32_t right; /* symbol */
    uint32_t len;   /* bytes of both */
};

static const uint32_t NO_SYMBOL = UINT32_MAX;

/* ---- heap of candidates, smallest key on top ---- */

static ws_status push(ws_merger *m, struct ws_candidate c, ws_error *err) {
    WS_TRY(ws_grow(&m->heap, &m->cap_heap, m->n_heap + 1, sizeof *m->heap, err));
    size_t i = m->n_heap++;
    for (; i > 0 && m->heap[(i - 1) / 2].key > c.key; i = (i - 1) / 2) m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = c;
    return WS_OK;
}

static struct ws_candidate pop(ws_merger *m) {
    const struct ws_candidate top = m->heap[0], last = m->heap[--m->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < m->n_heap; i = child) {
        if (child + 1 < m->n_heap && m->heap[child + 1].key < m->heap[child].key) child++;
        if (last.key <= m->heap[child].key) break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return top;
}

/* ---- symbols ---- */

static ws_status split(ws_merger *m, size_t n, ws_error *err) {
    m->n_symbols = 0;
    for (size_t at = 0; at < n;) {
        const size_t announced = ws_utf8_announced(m->text[at]), len = announced < n - at ? announced : n - at;
        WS_TRY(ws_grow(&m->symbols, &m->cap_symbols, m->n_symbols + 1, sizeof *m->symbols, err));
        const uint32_t i = (uint32_t)m->n_symbols++;
        m->symbols[i] = (ws_symbol){(uint32_t)at, (uint32_t)len, i ? i - 1 : NO_SYMBOL, i + 1};
        at += len;
    }
    if (m->n_symbols) m->symbols[m->n_symbols - 1].next = NO_SYMBOL;
    return WS_OK;
}

static ws_status consider(ws_merger *m, uint32_t left, uint32_t right, ws_error *err) {
    if (left == NO_SYMBOL || right == NO_SYMBOL) return WS_OK;
    const ws_symbol *l = &m->symbols[left], *r = &m->symbols[right];
    uint32_t rank;
    if (!m->pair(m->ctx, (ws_str){m->text + l->at, l->len}, (ws_str){m->text + r->at, r->len}, &rank)) return WS_OK;
    return push(m, (struct ws_candidate){(uint64_t)rank << 32 | left, right, l->len + r->len}, err);
}

ws_status ws_merge(ws_merger *m, const char *text, size_t n, ws_pair_fn *pair, const void *ctx, ws_error *err) {
    m->text = text;
    m->pair = pair;
    m->ctx = ctx;
    m->n_heap = 0;
    WS_TRY(split(m, n, err));
    for (size_t i = 1; i < m->n_symbols; i++) WS_TRY(consider(m, (uint32_t)i - 1, (uint32_t)i, err));
    while (m->n_heap) {
        const struct ws_candidate c = pop(m);
        const uint32_t left = (uint32_t)c.key;
        ws_symbol *l = &m->symbols[left], *r = &m->symbols[c.right];
        if (l->len == 0 || r->len == 0 || l->len + r->len != c.len) continue;
        l->len = c.len;
        r->len = 0;
        l->next = r->next;
        if (r->next != NO_SYMBOL) m->symbols[r->next].prev = left;
        WS_TRY(consider(m, l->prev, left, err));
        WS_TRY(consider(m, left, l->next, err));
    }
    return WS_OK;
}

void ws_merger_free(ws_merger *m) {
    free(m->symbols);
    free(m->heap);
    *m = (ws_merger){0};
}
