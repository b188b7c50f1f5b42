/* The rules are those of llama.cpp's ggml-alloc.c: order of placement, reuse in place, best fit among the holes, the
 * last hole only when no other fits. */
#include "allocator.h"

#include "alloc.h"

#include <stdlib.h>

typedef struct {
    uint64_t offset, size;
} hole;

typedef struct {
    hole *holes; /* sorted by offset; the last has no end */
    size_t n, cap;
    uint64_t alignment, peak;
} buffer;

typedef struct {
    ws_graph *g;
    const ws_machine *m;
    buffer buffers[WS_MAX_BACKENDS];
} allocator;

static const uint64_t ENDLESS = UINT64_MAX / 2;

static uint64_t align(uint64_t v, uint64_t a) { return (v + a - 1) & ~(a - 1); }

/* ---- one buffer ---- */

static void remove_hole(buffer *b, size_t i) {
    b->n--;
    for (; i < b->n; i++) b->holes[i] = b->holes[i + 1];
}

static void insert_hole(allocator *al, buffer *b, hole h) {
    if (al->g->failed) return;
    al->g->failed = ws_grow(&b->holes, &b->cap, b->n + 1, sizeof *b->holes, &al->g->err);
    if (al->g->failed) return;
    size_t at = 0;
    while (at < b->n && b->holes[at].offset < h.offset) at++;
    for (size_t i = b->n++; i > at; i--) b->holes[i] = b->holes[i - 1];
    b->holes[at] = h;
}

static uint64_t take(allocator *al, buffer *b, uint64_t size) {
    if (!b->n) insert_hole(al, b, (hole){0, ENDLESS});
    if (!b->n) return 0;
    size = align(size, b->alignment);
    size_t best = b->n - 1;
    uint64_t best_size = UINT64_MAX;
    for (size_t i = 0; i + 1 < b->n; i++)
        if (b->holes[i].size >= size && b->holes[i].size <= best_size) best = i, best_size = b->holes[i].size;
    hole *h = &b->holes[best];
    const uint64_t offset = h->offset;
    h->offset += size, h->size -= size;
    if (!h->size) remove_hole(b, best);
    if (offset + size > b->peak) b->peak = offset + size;
    return offset;
}

static void give_back(allocator *al, buffer *b, uint64_t offset, uint64_t size) {
    size = align(size, b->alignment);
    for (size_t i = 0; i < b->n; i++) {
        hole *h = &b->holes[i];
        if (h->offset + h->size == offset) {
            h->size += size;
            if (i + 1 < b->n && h->offset + h->size == h[1].offset) h->size += h[1].size, remove_hole(b, i + 1);
            return;
        }
        if (offset + size == h->offset) {
            h->offset = offset, h->size += size;
            if (i > 0 && h[-1].offset + h[-1].size == h->offset) h[-1].size += h->size, remove_hole(b, i);
            return;
        }
    }
    insert_hole(al, b, (hole){offset, size});
}

/* ---- nodes ---- */

static uint64_t bytes_of(const allocator *al, const ws_node *n) { return ws_machine_bytes(al->m, n->buffer, n); }

/* Take over the place of `p` and give back what is too much. */
static void take_over(allocator *al, ws_node *n, ws_node *p) {
    buffer *b = &al->buffers[p->buffer];
    n->buffer = p->buffer;
    n->address = p->address;
    p->allocated = false;
    const uint64_t had = align(bytes_of(al, p), b->alignment), need = align(bytes_of(al, n), b->alignment);
    if (had > need) give_back(al, b, n->address + need, had - need);
}

/* Only what the allocator placed itself can be written over; a view never counts as that. */
static bool reuse_source(allocator *al, ws_node *n) {
    if (n->op < WS_OP_ADD || n->op > WS_OP_FILL) return false;
    for (int i = 0; i < WS_MAX_SRC; i++) {
        ws_node *p = n->src[i];
        if (!p || !p->allocated || p->flags & WS_NODE_OUTPUT || p->children != 1 || p->views != 0) continue;
        if (!ws_node_same_layout(n, p)) continue;
        take_over(al, n, p);
        return true;
    }
    return false;
}

static void place(allocator *al, ws_node *n, int b) {
    if (n->home >= 0 || n->allocated || n->base || n == &al->g->dummy) return;
    n->allocated = true;
    if (reuse_source(al, n)) return;
    n->buffer = (int8_t)b;
    n->address = take(al, &al->buffers[b], bytes_of(al, n));
}

static void release(allocator *al, ws_node *n) {
    if (n->flags & WS_NODE_OUTPUT) return;
    give_back(al, &al->buffers[n->buffer], n->address, bytes_of(al, n));
    n->allocated = false;
}

/* Nothing reads `p` any more. */
static void finish(allocator *al, ws_node *p) {
    if (!p->base) {
        if (p->allocated) release(al, p);
        return;
    }
    p->base->views--;
    if (!p->base->views && !p->base->children && p->base->allocated) release(al, p->base);
}

/* Count readers; inputs are placed before everything else, so that nothing overwrites them. */
static void count(allocator *al, const ws_node_list *nodes) {
    for (size_t i = 0; i < nodes->n; i++) {
        ws_node *n = nodes->node[i];
        const int b = n->buffer;
        if (n->base && n->op != WS_OP_NONE) n->base->views++;
        if (n->flags & WS_NODE_INPUT) place(al, n, b);
        for (int j = 0; j < WS_MAX_SRC; j++)
            if (n->src[j]) {
                n->src[j]->children++;
                if (n->src[j]->flags & WS_NODE_INPUT) place(al, n->src[j], b);
            }
    }
}

static void run(allocator *al, const ws_node_list *nodes) {
    for (size_t i = 0; i < nodes->n; i++) {
        ws_node *n = nodes->node[i];
        const int b = n->buffer;
        for (int j = 0; j < WS_MAX_SRC; j++)
            if (n->src[j]) place(al, n->src[j], b);
        place(al, n, b);
        for (int j = 0; j < WS_MAX_SRC; j++) {
            ws_node *p = n->src[j];
            if (p && --p->children == 0 && p->views == 0) finish(al, p);
        }
    }
}

void ws_allocate_graph(ws_graph *g, const ws_node_list *nodes, const ws_node_list *leaves, const ws_machine *m,
                       uint64_t *sizes) {
    allocator al = {.g = g, .m = m};
    for (int i = 0; i < m->n_backends; i++) al.buffers[i].alignment = ws_machine_alignment(m, i);
    for (size_t i = 0; i < leaves->n && !g->failed; i++) place(&al, leaves->node[i], leaves->node[i]->buffer);
    if (!g->failed) count(&al, nodes);
    if (!g->failed) run(&al, nodes);
    for (int i = 0; i < m->n_backends; i++) {
        sizes[i] = al.buffers[i].peak;
        free(al.buffers[i].holes);
    }
}
