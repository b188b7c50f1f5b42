/* pickle.h - what a Python pickle would build, as a tree of plain values. Nothing in it is run or imported: a call is a
 * node that names a function. Enough of the format (protocols 2 to 5) for what torch.save writes.
 * Source of the opcodes: Lib/pickletools.py of CPython. */
#ifndef WS_PICKLE_H
#define WS_PICKLE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum {
    WS_PICKLE_NONE,
    WS_PICKLE_BOOL,   /* integer: 0 or 1 */
    WS_PICKLE_INT,    /* integer */
    WS_PICKLE_BIG,    /* an integer over 64 bits: text, little-endian two's complement */
    WS_PICKLE_REAL,   /* real */
    WS_PICKLE_TEXT,   /* text: UTF-8, or bytes */
    WS_PICKLE_LIST,   /* items; tuples and sets too */
    WS_PICKLE_DICT,   /* items: key, value, key, value, ... */
    WS_PICKLE_GLOBAL, /* text: "module name", as two lines or words */
    WS_PICKLE_CALL,   /* items: function, arguments (a list), ... what was set on the result */
    WS_PICKLE_EXTERN, /* items: what identifies an object outside of the pickle */
    WS_PICKLE_MARK,   /* never in a result */
} ws_pickle_kind;

/* Items are chained: `first` is the head of the list, each link names a node. */
typedef struct {
    ws_pickle_kind kind;
    uint32_t first, last; /* links; 0: none */
    int64_t integer;
    double real;
    const char *text; /* borrowed from the input */
    size_t len;       /* GLOBAL: of the module */
    const char *name; /* GLOBAL */
    size_t name_len;
} ws_pickle_node;

typedef struct {
    uint32_t node, next; /* next 0: the end */
} ws_pickle_link;

typedef struct {
    ws_pickle_node *nodes;
    ws_pickle_link *links; /* links[0] is not used */
    size_t n_nodes, nodes_cap, n_links, links_cap;
    uint32_t root;
} ws_pickle;

/* Parse `size` bytes, which are borrowed until free; `what` names them in messages. Memory is bounded by a multiple of
 * the size. Containers may hold themselves: whoever walks them limits the depth and the number of steps. Release with
 * ws_pickle_free(), also after failure. */
WS_MUST_CHECK ws_status ws_pickle_parse(ws_pickle *p, const uint8_t *data, size_t size, const char *what,
                                        ws_error *err);
void ws_pickle_free(ws_pickle *p);

/* Item i of a node (which may be NULL); NULL when there are not so many. */
const ws_pickle_node *ws_pickle_item(const ws_pickle *p, const ws_pickle_node *node, size_t i);

#endif
