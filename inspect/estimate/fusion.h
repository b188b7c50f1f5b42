/* fusion.h - results that a GPU keeps longer than their readers need, because it computes a group of operations as
 * one: the choice of experts, and the weighted sum of what they give. */
#ifndef WS_FUSION_H
#define WS_FUSION_H

#include "graph.h"

typedef struct {
    struct {
        ws_node *node;
        const ws_node *until; /* computed before `node` may be overwritten */
    } * entry;
    size_t n, cap;
} ws_kept_list;

/* Look through the n nodes of a GPU's part of the graph. The entries come out in the order of `until`. The caller frees
 * kept->entry. */
void ws_find_kept(ws_graph *g, ws_node *const *nodes, size_t n, ws_kept_list *kept);

#endif
