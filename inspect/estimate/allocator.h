/* allocator.h - how much memory a graph takes when ggml's graph allocator places its results: each is given the
 * smallest hole that holds it and freed after its last reader; operations that can write over a source do. */
#ifndef WS_ALLOCATOR_H
#define WS_ALLOCATOR_H

#include "graph.h"
#include "machine.h"

/* `nodes` and `leaves` in ggml's order with the buffer of each node chosen (node->buffer for nodes and leaves);
 * writes the size of every backend's buffer to sizes[m->n_backends]. Failures go to g. */
void ws_allocate_graph(ws_graph *g, const ws_node_list *nodes, const ws_node_list *leaves, const ws_machine *m,
                       uint64_t *sizes);

#endif
