/* The rules are those of llama.cpp's ggml-backend.cpp (ggml_backend_sched_split_graph): backends follow the weights,
 * spread from GPU results to their neighbours, and wherever a backend needs what another one has, a copy is made. */
#include "scheduler.h"

#include "alloc.h"
#include "allocator.h"
#include "fusion.h"

#include <stdlib.h>

typedef struct {
    ws_graph *g;
    const ws_machine *m;
    ws_node_list graph_inputs;
    ws_node_list nodes, leaves; /* the graph with its copies, as the allocator sees it */
    ws_node_list split_inputs;  /* of all splits, in order; `splits` says which are whose */
    struct split {
        size_t start, end, inputs_start, inputs_end;
        int backend;
    } * splits;
    size_t n_splits, splits_cap;
} scheduler;

static int cpu(const scheduler *s) { return ws_machine_cpu(s->m); }

/* ---- who computes what ---- */

/* The backend with the memory `home`, if it can compute n. */
static int8_t backend_of_memory(const scheduler *s, int8_t home, const ws_node *n) {
    return home >= 0 && ws_machine_supports(s->m, home, n) ? home : -1;
}

static int8_t follow_weights(const scheduler *s, const ws_node *n) {
    if (n->op == WS_OP_ROPE || n->op == WS_OP_FLASH_ATTN) return -1; /* their weights are too small to decide */
    for (int i = 0; i < WS_MAX_SRC; i++) {
        const ws_node *src = n->src[i];
        if (!src || !src->weight) continue;
        const int8_t b = backend_of_memory(s, src->home, n);
        if (b == cpu(s) && ws_machine_offloads(n))
            for (int8_t gpu = 0; gpu < b; gpu++)
                if (ws_machine_supports(s->m, gpu, n)) return gpu;
        return b;
    }
    return -1;
}

static int8_t initial_backend(const scheduler *s, const ws_node *n) {
    const int8_t home = n->base ? n->base->home : n->home;
    if (home >= 0) return backend_of_memory(s, home, n);
    if (n->flags & WS_NODE_INPUT) return (int8_t)cpu(s);
    return follow_weights(s, n);
}

/* Let chosen backends spread to their undecided neighbours in one direction; `gpus_only`: the CPU stops it. */
static void spread(scheduler *s, bool down, bool gpus_only) {
    const ws_node_list *l = &s->g->nodes;
    int8_t current = -1;
    for (size_t k = 0; k < l->n; k++) {
        ws_node *n = l->node[down ? k : l->n - 1 - k];
        if (ws_node_is_view_op(n)) continue;
        if (n->backend >= 0)
            current = gpus_only && n->backend == cpu(s) ? -1 : n->backend;
        else if (current >= 0 && ws_machine_supports(s->m, current, n))
            n->backend = current;
    }
}

/* Is src in memory that backend b reads directly? */
static bool reads_directly(const ws_node *src, int b) {
    int home = src->base ? src->base->home : src->home;
    if (home < 0) home = src->backend;
    if (home < 0 && src->base) home = src->base->backend;
    return home == b;
}

static void assign_rest(scheduler *s, ws_node *n) {
    if (ws_node_is_view_op(n) || n->backend >= 0) return;
    int best = -1;
    for (int8_t b = 0; b < s->m->n_backends; b++) {
        int readable = 0;
        if (!ws_machine_supports(s->m, b, n)) continue;
        for (int i = 0; i < WS_MAX_SRC; i++) readable += n->src[i] && reads_directly(n->src[i], b);
        if (readable > best) best = readable, n->backend = b;
    }
}

static void assign_sources(scheduler *s, ws_node *n) {
    if (n->base && n->backend < 0) n->backend = n->base->backend;
    for (int i = 0; i < WS_MAX_SRC; i++) {
        ws_node *src = n->src[i];
        if (src && src->backend < 0) src->backend = src->base ? src->base->backend : n->backend;
    }
    for (int8_t b = 0; b < s->m->n_backends && n->backend < 0; b++)
        if (ws_machine_supports(s->m, b, n)) n->backend = b;
}

static void assign(scheduler *s) {
    const ws_node_list *leaves = &s->g->leaves, *nodes = &s->g->nodes;
    for (size_t i = 0; i < leaves->n; i++)
        if (leaves->node[i]->backend < 0) leaves->node[i]->backend = initial_backend(s, leaves->node[i]);
    for (size_t i = 0; i < nodes->n; i++)
        if (nodes->node[i]->backend < 0) nodes->node[i]->backend = initial_backend(s, nodes->node[i]);
    spread(s, true, true);
    spread(s, false, true);
    spread(s, true, false);
    spread(s, false, false);
    for (size_t i = 0; i < nodes->n; i++) assign_rest(s, nodes->node[i]);
    for (size_t i = 0; i < nodes->n; i++) assign_sources(s, nodes->node[i]);
}

/* ---- splits and copies ---- */

static ws_node *copy_on(const ws_node *n, int b, unsigned index) {
    for (ws_node *c = n->copies; c; c = c->next_copy)
        if (c->copy_backend == b && c->copy_index == index) return c;
    return NULL;
}

static void chain_copy(ws_node *of, ws_node *copy, int b, unsigned index) {
    copy->copy_backend = (int8_t)b;
    copy->copy_index = (uint8_t)index;
    copy->next_copy = of->copies;
    of->copies = copy;
}

static void make_copies(scheduler *s, ws_node *src, int b) {
    for (unsigned c = 0; c < s->m->n_copies && !s->g->failed; c++) {
        ws_node *copy = ws_node_duplicate(s->g, src);
        if (copy == &s->g->dummy) return;
        if (s->m->n_copies > 1) copy->flags |= WS_NODE_INPUT | WS_NODE_OUTPUT; /* never overwritten */
        copy->backend = (int8_t)b;
        chain_copy(src, copy, b, c);
    }
}

static struct split *add_split(scheduler *s, size_t start, int backend) {
    if (s->n_splits) {
        s->splits[s->n_splits - 1].end = start;
        s->splits[s->n_splits - 1].inputs_end = s->split_inputs.n;
    }
    s->g->failed = ws_grow(&s->splits, &s->splits_cap, s->n_splits + 1, sizeof *s->splits, &s->g->err);
    if (s->g->failed) return NULL;
    struct split *split = &s->splits[s->n_splits++];
    *split = (struct split){.start = start, .inputs_start = s->split_inputs.n, .backend = backend};
    return split;
}

/* A weight from elsewhere: a new split frees the room of the weights that were copied for this one. */
static bool needs_other_weights(const ws_node *n, int b) {
    for (int i = 0; i < WS_MAX_SRC; i++)
        if (n->src[i] && n->src[i]->weight && n->src[i]->backend != b && !reads_directly(n->src[i], b)) return true;
    return false;
}

static void copy_sources(scheduler *s, ws_node *n, int b) {
    for (int i = 0; i < WS_MAX_SRC; i++) {
        ws_node *src = n->src[i];
        if (!src || src->backend == b || reads_directly(src, b)) continue;
        if (!copy_on(src, b, 0)) {
            make_copies(s, src, b);
            ws_list_add(s->g, &s->split_inputs, src);
        }
        if (s->g->failed) return;
        n->src[i] = copy_on(src, b, 0);
    }
}

static void split_graph(scheduler *s) {
    const ws_node_list *nodes = &s->g->nodes;
    int current = -1;
    for (size_t i = 0; i < nodes->n && !s->g->failed; i++) {
        ws_node *n = nodes->node[i];
        if (ws_node_is_view_op(n)) continue;
        const bool has_inputs = s->n_splits && s->split_inputs.n > s->splits[s->n_splits - 1].inputs_start;
        if (n->backend != current || (has_inputs && needs_other_weights(n, current))) {
            if (!add_split(s, s->n_splits ? i : 0, n->backend)) return;
            current = n->backend;
        }
        copy_sources(s, n, current);
    }
    if (!s->n_splits) return;
    s->splits[s->n_splits - 1].end = nodes->n;
    s->splits[s->n_splits - 1].inputs_end = s->split_inputs.n;
}

/* Pipelined batches: every input exists n_copies times where it arrives, too. */
static void copy_graph_inputs(scheduler *s) {
    for (size_t i = 0; i < s->g->leaves.n && s->m->n_copies > 1; i++) {
        ws_node *leaf = s->g->leaves.node[i];
        if (!(leaf->flags & WS_NODE_INPUT)) continue;
        for (unsigned c = 1; c < s->m->n_copies && !s->g->failed; c++) {
            ws_node *copy = ws_node_duplicate(s->g, leaf);
            if (copy == &s->g->dummy) return;
            copy->flags |= WS_NODE_INPUT | WS_NODE_OUTPUT;
            chain_copy(leaf, copy, leaf->backend, c);
        }
        leaf->flags |= WS_NODE_INPUT | WS_NODE_OUTPUT;
        ws_list_add(s->g, &s->graph_inputs, leaf);
    }
}

/* ---- the graph as the allocator sees it ---- */

static void put(scheduler *s, ws_node_list *l, ws_node *n, int b) {
    if (n == &s->g->dummy) return;
    n->buffer = (int8_t)b;
    ws_list_add(s->g, l, n);
}

/* A node without an operation reads what must be kept until here. *at walks through the list. */
static void put_kept(scheduler *s, const ws_kept_list *kept, size_t *at, const ws_node *until, int b) {
    ws_node *dep = NULL;
    for (int n = 0; *at < kept->n && kept->entry[*at].until == until && !s->g->failed; n++) {
        ws_node *node = kept->entry[(*at)++].node;
        if (n % WS_MAX_SRC == 0) put(s, &s->nodes, dep = ws_node_view_of(s->g, node), b);
        if (!s->g->failed) dep->src[n % WS_MAX_SRC] = node;
    }
}

/* The copies that a split reads are placed when it starts, and what they are copied from stays until then. */
static void put_split(scheduler *s, const struct split *split) {
    ws_kept_list kept = {0};
    size_t kept_at = 0;
    const bool gpu = split->backend != cpu(s);
    for (size_t i = split->inputs_start; i < split->inputs_end && !s->g->failed; i++) {
        ws_node *src = s->split_inputs.node[i], *keep = ws_node_view_of(s->g, src);
        if (s->g->failed) break;
        keep->src[0] = src;
        put(s, &s->nodes, keep, src->backend);
        put(s, &s->nodes, copy_on(src, split->backend, 0), split->backend);
    }
    if (gpu) ws_find_kept(s->g, &s->g->nodes.node[split->start], split->end - split->start, &kept);
    for (size_t i = split->start; i < split->end && !s->g->failed; i++) {
        ws_node *n = s->g->nodes.node[i];
        put(s, &s->nodes, n, n->backend);
        if (kept.n) put_kept(s, &kept, &kept_at, n, split->backend);
    }
    free(kept.entry);
}

static void put_leaves(scheduler *s) {
    for (size_t i = 0; i < s->graph_inputs.n; i++) {
        ws_node *leaf = s->graph_inputs.node[i];
        put(s, &s->leaves, leaf, leaf->backend);
        for (unsigned c = 1; c < s->m->n_copies; c++)
            put(s, &s->leaves, copy_on(leaf, leaf->backend, c), leaf->backend);
    }
    for (size_t k = 0; k < s->n_splits && s->m->n_copies > 1; k++)
        for (size_t i = s->splits[k].inputs_start; i < s->splits[k].inputs_end; i++)
            for (unsigned c = 0; c < s->m->n_copies; c++)
                put(s, &s->leaves, copy_on(s->split_inputs.node[i], s->splits[k].backend, c), s->splits[k].backend);
    for (size_t i = 0; i < s->g->leaves.n; i++) put(s, &s->leaves, s->g->leaves.node[i], s->g->leaves.node[i]->backend);
}

void ws_assign_backends(ws_graph *g, const ws_machine *m) {
    scheduler s = {.g = g, .m = m};
    if (!g->failed) assign(&s);
}

ws_status ws_schedule_graph(ws_graph *g, const ws_machine *m, uint64_t *sizes, ws_error *err) {
    scheduler s = {.g = g, .m = m};
    if (!g->failed) assign(&s);
    if (!g->failed) split_graph(&s);
    if (!g->failed) copy_graph_inputs(&s);
    for (size_t i = 0; i < s.n_splits && !g->failed; i++) put_split(&s, &s.splits[i]);
    if (!g->failed) put_leaves(&s);
    if (!g->failed) ws_allocate_graph(g, &s.nodes, &s.leaves, m, sizes);
    free(s.graph_inputs.node);
    free(s.split_inputs.node);
    free(s.nodes.node);
    free(s.leaves.node);
    free(s.splits);
    return g->failed ? ws_fail(err, g->failed, "%s", g->err.msg) : WS_OK;
}
