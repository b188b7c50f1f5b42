#include "pickle.h"

#include "alloc.h"
#include "cursor.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_NODES = 1 << 24, MAX_MEMO = 1 << 24, MAX_PROTOCOL = 5 };

typedef struct {
    ws_pickle *p;
    ws_cursor c;
    const uint8_t *start;
    const char *what;
    uint32_t *stack, *memo; /* nodes; memo: node + 1, 0 is free */
    size_t n_stack, stack_cap, n_memo, memo_cap;
    bool done;
    ws_error *err;
} machine;

static ws_status bad(const machine *m, const char *problem) {
    return ws_fail(m->err, WS_FORMAT, "%s: a pickle that cannot be read: %s at byte %zu", m->what, problem,
                   (size_t)(m->c.at - m->start));
}

/* ---- nodes, links, stack ---- */

static ws_status push_index(machine *m, uint32_t node) {
    WS_TRY(ws_grow(&m->stack, &m->stack_cap, m->n_stack + 1, sizeof *m->stack, m->err));
    m->stack[m->n_stack++] = node;
    return WS_OK;
}

static ws_status push(machine *m, ws_pickle_node node) {
    ws_pickle *p = m->p;
    if (p->n_nodes == MAX_NODES) return bad(m, "too many values");
    WS_TRY(ws_grow(&p->nodes, &p->nodes_cap, p->n_nodes + 1, sizeof *p->nodes, m->err));
    p->nodes[p->n_nodes] = node;
    return push_index(m, (uint32_t)p->n_nodes++);
}

static ws_status add_item(machine *m, uint32_t container, uint32_t item) {
    ws_pickle *p = m->p;
    if (p->n_links >= 4 * (size_t)MAX_NODES) return bad(m, "too many items");
    WS_TRY(ws_grow(&p->links, &p->links_cap, p->n_links + 1, sizeof *p->links, m->err));
    const uint32_t link = (uint32_t)p->n_links++;
    p->links[link] = (ws_pickle_link){item, 0};
    ws_pickle_node *node = &p->nodes[container];
    if (node->last)
        p->links[node->last].next = link;
    else
        node->first = link;
    node->last = link;
    return WS_OK;
}

static ws_pickle_kind kind_at(const machine *m, size_t i) { return m->p->nodes[m->stack[i]].kind; }

/* The stack from `n` values below the top; false when there are fewer above the last mark. */
static bool have(const machine *m, size_t n) {
    if (m->n_stack < n) return false;
    for (size_t i = m->n_stack - n; i < m->n_stack; i++)
        if (kind_at(m, i) == WS_PICKLE_MARK) return false;
    return true;
}

static bool find_mark(const machine *m, size_t *at) {
    for (size_t i = m->n_stack; i-- > 0;)
        if (kind_at(m, i) == WS_PICKLE_MARK) {
            *at = i;
            return true;
        }
    return false;
}

/* Replace the values from `at` on by a container of them. */
static ws_status collect(machine *m, ws_pickle_kind kind, size_t at, size_t skip) {
    const size_t n = m->n_stack;
    WS_TRY(push(m, (ws_pickle_node){.kind = kind}));
    const uint32_t container = m->stack[n];
    for (size_t i = at + skip; i < n; i++) WS_TRY(add_item(m, container, m->stack[i]));
    m->stack[at] = container;
    m->n_stack = at + 1;
    return WS_OK;
}

/* Move the values from `at` on (behind the mark: skip) into the container below. */
static ws_status append_to(machine *m, size_t at, size_t skip) {
    if (at == 0) return bad(m, "no container");
    const uint32_t container = m->stack[at - 1];
    if (kind_at(m, at - 1) == WS_PICKLE_MARK) return bad(m, "no container");
    for (size_t i = at + skip; i < m->n_stack; i++) WS_TRY(add_item(m, container, m->stack[i]));
    m->n_stack = at;
    return WS_OK;
}

/* ---- opcodes ---- */

typedef ws_status opcode(machine *m, uint64_t argument);

static ws_status op_mark(machine *m, uint64_t a) {
    (void)a;
    return push(m, (ws_pickle_node){.kind = WS_PICKLE_MARK});
}

static ws_status op_stop(machine *m, uint64_t a) {
    (void)a;
    if (!have(m, 1)) return bad(m, "no result");
    m->p->root = m->stack[m->n_stack - 1];
    m->done = true;
    return WS_OK;
}

static ws_status op_skip(machine *m, uint64_t n) { return ws_take(&m->c, n) ? WS_OK : bad(m, "it ends too early"); }

static ws_status op_proto(machine *m, uint64_t a) {
    (void)a;
    return ws_u8(&m->c) <= MAX_PROTOCOL ? WS_OK : bad(m, "an unknown protocol");
}

static ws_status op_empty(machine *m, uint64_t kind) { return push(m, (ws_pickle_node){.kind = (ws_pickle_kind)kind}); }

static ws_status op_constant(machine *m, uint64_t v) {
    return push(m, (ws_pickle_node){.kind = v == 2 ? WS_PICKLE_NONE : WS_PICKLE_BOOL, .integer = (int64_t)(v & 1)});
}

/* Little-endian, of `bytes` bytes; four are signed. */
static ws_status op_int(machine *m, uint64_t bytes) {
    const uint64_t v = ws_take_le(&m->c, bytes);
    return push(m, (ws_pickle_node){.kind = WS_PICKLE_INT, .integer = bytes == 4 ? (int32_t)v : (int64_t)v});
}

static ws_status op_long(machine *m, uint64_t length_bytes) {
    const uint64_t n = ws_take_le(&m->c, length_bytes);
    const uint8_t *p = ws_take(&m->c, n);
    if (!p) return bad(m, "an integer ends too early");
    if (n > 8) return push(m, (ws_pickle_node){.kind = WS_PICKLE_BIG, .text = (const char *)p, .len = (size_t)n});
    uint64_t v = n && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint64_t i = n; i-- > 0;) v = v << 8 | p[i];
    return push(m, (ws_pickle_node){.kind = WS_PICKLE_INT, .integer = (int64_t)v});
}

static ws_status op_real(machine *m, uint64_t a) {
    (void)a;
    const uint8_t *p = ws_take(&m->c, 8);
    uint64_t bits = 0;
    for (int i = 0; p && i < 8; i++) bits = bits << 8 | p[i]; /* big-endian */
    ws_pickle_node node = {.kind = WS_PICKLE_REAL};
    memcpy(&node.real, &bits, sizeof bits);
    return push(m, node);
}

static ws_status op_text(machine *m, uint64_t length_bytes) {
    const uint64_t n = ws_take_le(&m->c, length_bytes);
    const uint8_t *p = ws_take(&m->c, n);
    if (!p) return bad(m, "a string ends too early");
    return push(m, (ws_pickle_node){.kind = WS_PICKLE_TEXT, .text = (const char *)p, .len = (size_t)n});
}

static ws_status op_tuple(machine *m, uint64_t n) {
    return have(m, n) ? collect(m, WS_PICKLE_LIST, m->n_stack - n, 0) : bad(m, "too few values");
}

static ws_status op_collect(machine *m, uint64_t kind) {
    size_t at;
    return find_mark(m, &at) ? collect(m, (ws_pickle_kind)kind, at, 1) : bad(m, "no mark");
}

static ws_status op_append(machine *m, uint64_t n) {
    return have(m, n + 1) ? append_to(m, m->n_stack - n, 0) : bad(m, "too few values");
}

static ws_status op_appends(machine *m, uint64_t a) {
    (void)a;
    size_t at;
    return find_mark(m, &at) ? append_to(m, at, 1) : bad(m, "no mark");
}

/* Function and arguments (CALL), or an identity (EXTERN): the top n values become one. */
static ws_status op_wrap(machine *m, uint64_t kind_and_n) {
    const size_t n = kind_and_n & 15;
    return have(m, n) ? collect(m, (ws_pickle_kind)(kind_and_n >> 4), m->n_stack - n, 0) : bad(m, "too few values");
}

static ws_status op_pop(machine *m, uint64_t a) {
    (void)a;
    if (!m->n_stack) return bad(m, "nothing to drop");
    m->n_stack--;
    return WS_OK;
}

static ws_status op_pop_mark(machine *m, uint64_t a) {
    (void)a;
    return find_mark(m, &m->n_stack) ? WS_OK : bad(m, "no mark");
}

static ws_status op_dup(machine *m, uint64_t a) {
    (void)a;
    return have(m, 1) ? push_index(m, m->stack[m->n_stack - 1]) : bad(m, "too few values");
}

/* Up to the end of the line. */
static bool take_line(machine *m, const char **line, size_t *n) {
    const uint8_t *end = ws_left(&m->c) ? memchr(m->c.at, '\n', ws_left(&m->c)) : NULL;
    if (!end) return false;
    *line = (const char *)m->c.at, *n = (size_t)(end - m->c.at);
    m->c.at = end + 1;
    return true;
}

static ws_status op_global(machine *m, uint64_t a) {
    (void)a;
    ws_pickle_node node = {.kind = WS_PICKLE_GLOBAL};
    if (!take_line(m, &node.text, &node.len) || !take_line(m, &node.name, &node.name_len))
        return bad(m, "a name ends too early");
    return push(m, node);
}

static ws_status op_stack_global(machine *m, uint64_t a) {
    (void)a;
    if (!have(m, 2) || kind_at(m, m->n_stack - 1) != WS_PICKLE_TEXT || kind_at(m, m->n_stack - 2) != WS_PICKLE_TEXT)
        return bad(m, "a name that is no text");
    const ws_pickle_node *module = &m->p->nodes[m->stack[m->n_stack - 2]],
                         *name = &m->p->nodes[m->stack[m->n_stack - 1]];
    const ws_pickle_node node = {
        .kind = WS_PICKLE_GLOBAL, .text = module->text, .len = module->len, .name = name->text, .name_len = name->len};
    m->n_stack -= 2;
    return push(m, node);
}

static ws_status put_memo(machine *m, uint64_t i) {
    if (!have(m, 1)) return bad(m, "nothing to remember");
    if (i >= MAX_MEMO || i > m->n_memo + (size_t)(m->c.end - m->start)) return bad(m, "a memo that is out of bounds");
    const size_t before = m->memo_cap;
    WS_TRY(ws_grow(&m->memo, &m->memo_cap, (size_t)i + 1, sizeof *m->memo, m->err));
    if (m->memo_cap > before) memset(m->memo + before, 0, (m->memo_cap - before) * sizeof *m->memo);
    m->memo[i] = m->stack[m->n_stack - 1] + 1;
    if (i >= m->n_memo) m->n_memo = (size_t)i + 1;
    return WS_OK;
}

static ws_status op_put(machine *m, uint64_t bytes) {
    const uint64_t i = ws_take_le(&m->c, bytes);
    return put_memo(m, i);
}

static ws_status op_memoize(machine *m, uint64_t a) {
    (void)a;
    return put_memo(m, m->n_memo);
}

static ws_status op_get(machine *m, uint64_t bytes) {
    const uint64_t i = ws_take_le(&m->c, bytes);
    if (m->c.bad || i >= m->n_memo || !m->memo[i]) return bad(m, "a memo that was not set");
    return push_index(m, m->memo[i] - 1);
}

#define WRAP(kind, n) ((uint64_t)(kind) << 4 | (n))

static const struct {
    opcode *run; /* NULL: not an opcode that is read here */
    uint64_t argument;
} opcodes[256] = {
    ['('] = {op_mark, 0},
    ['.'] = {op_stop, 0},
    [0x80] = {op_proto, 0},
    [0x95] = {op_skip, 8}, /* the length of a frame */
    ['}'] = {op_empty, WS_PICKLE_DICT},
    [']'] = {op_empty, WS_PICKLE_LIST},
    [')'] = {op_empty, WS_PICKLE_LIST},
    [0x8f] = {op_empty, WS_PICKLE_LIST},
    ['N'] = {op_constant, 2},
    [0x88] = {op_constant, 1},
    [0x89] = {op_constant, 0},
    ['J'] = {op_int, 4},
    ['K'] = {op_int, 1},
    ['M'] = {op_int, 2},
    [0x8a] = {op_long, 1},
    [0x8b] = {op_long, 4},
    ['G'] = {op_real, 0},
    ['X'] = {op_text, 4},
    [0x8c] = {op_text, 1},
    [0x8d] = {op_text, 8},
    ['T'] = {op_text, 4},
    ['U'] = {op_text, 1},
    ['B'] = {op_text, 4},
    ['C'] = {op_text, 1},
    [0x8e] = {op_text, 8},
    [0x96] = {op_text, 8},
    [0x85] = {op_tuple, 1},
    [0x86] = {op_tuple, 2},
    [0x87] = {op_tuple, 3},
    ['t'] = {op_collect, WS_PICKLE_LIST},
    ['l'] = {op_collect, WS_PICKLE_LIST},
    [0x91] = {op_collect, WS_PICKLE_LIST},
    ['d'] = {op_collect, WS_PICKLE_DICT},
    ['o'] = {op_collect, WS_PICKLE_CALL},
    ['a'] = {op_append, 1},
    ['s'] = {op_append, 2},
    ['e'] = {op_appends, 0},
    ['u'] = {op_appends, 0},
    [0x90] = {op_appends, 0},
    ['b'] = {op_append, 1}, /* BUILD: what is set on the object */
    ['R'] = {op_wrap, WRAP(WS_PICKLE_CALL, 2)},
    [0x81] = {op_wrap, WRAP(WS_PICKLE_CALL, 2)},
    [0x92] = {op_wrap, WRAP(WS_PICKLE_CALL, 3)},
    ['Q'] = {op_wrap, WRAP(WS_PICKLE_EXTERN, 1)},
    ['0'] = {op_pop, 0},
    ['1'] = {op_pop_mark, 0},
    ['2'] = {op_dup, 0},
    ['c'] = {op_global, 0},
    [0x93] = {op_stack_global, 0},
    ['q'] = {op_put, 1},
    ['r'] = {op_put, 4},
    [0x94] = {op_memoize, 0},
    ['h'] = {op_get, 1},
    ['j'] = {op_get, 4},
};

static ws_status run(machine *m) {
    while (!m->done) {
        const uint8_t code = ws_u8(&m->c);
        if (m->c.bad) return bad(m, "it ends too early");
        if (!opcodes[code].run) {
            char problem[48];
            snprintf(problem, sizeof problem, "the opcode 0x%02x", code);
            return bad(m, problem);
        }
        WS_TRY(opcodes[code].run(m, opcodes[code].argument));
        if (m->c.bad) return bad(m, "it ends too early");
    }
    return WS_OK;
}

ws_status ws_pickle_parse(ws_pickle *p, const uint8_t *data, size_t size, const char *what, ws_error *err) {
    *p = (ws_pickle){0};
    machine m = {.p = p, .c = {data, data + size, false}, .start = data, .what = what, .err = err};
    ws_status status = ws_grow(&p->links, &p->links_cap, 1, sizeof *p->links, err);
    p->n_links = 1;
    if (!status) status = run(&m);
    free(m.stack);
    free(m.memo);
    return status;
}

void ws_pickle_free(ws_pickle *p) {
    free(p->nodes);
    free(p->links);
    *p = (ws_pickle){0};
}

const ws_pickle_node *ws_pickle_item(const ws_pickle *p, const ws_pickle_node *node, size_t i) {
    uint32_t link = node ? node->first : 0;
    while (link && i-- > 0) link = p->links[link].next;
    return link ? &p->nodes[p->links[link].node] : NULL;
}
