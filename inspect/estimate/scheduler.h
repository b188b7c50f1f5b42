/* scheduler.h - which processor computes which part of a graph, and what is copied between them: ggml's scheduler.
 * Weights and caches lie where ws_node.home says; everything else follows from that. */
#ifndef WS_SCHEDULER_H
#define WS_SCHEDULER_H

#include "graph.h"
#include "machine.h"

/* Which backend computes a node: ws_node.backend of all of them. */
void ws_assign_backends(ws_graph *g, const ws_machine *m);

/* Sizes of the compute buffers of all backends (bytes, m->n_backends entries). Uses up the graph: nodes get copies
 * of their sources. */
WS_MUST_CHECK ws_status ws_schedule_graph(ws_graph *g, const ws_machine *m, uint64_t *sizes, ws_error *err);

#endif
