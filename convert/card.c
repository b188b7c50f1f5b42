#include "card.h"

#include "alloc.h"
#include "text.h"

#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* ---- finding the YAML ---- */

typedef struct {
    char *text;
    size_t len;
} buffer; /* bounded by twice the size of the file: a tab becomes two spaces, "no" gets quotes */

static void append(buffer *b, const char *s, size_t n) {
    memcpy(b->text + b->len, s, n);
    b->len += n;
}

/* The next line of [at, end): its length without the line end; *next is where the following one begins. */
static size_t line_length(const char *at, const char *end, const char **next) {
    const char *stop = at;
    while (stop < end && *stop != '\n' && *stop != '\r') stop++;
    const bool pair = stop + 1 < end && stop[0] == '\r' && stop[1] == '\n';
    *next = stop < end ? stop + (pair ? 2 : 1) : end;
    return (size_t)(stop - at);
}

static void append_spaced(buffer *b, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] == '\t')
            append(b, "  ", 2);
        else
            append(b, s + i, 1);
}

/* Norwegian ("- no") is meant as text, and tabs as indentation, though YAML disagrees. */
static void append_line(buffer *b, const char *line, size_t n) {
    static const char norway[] = "- no";
    const size_t tail = sizeof norway - 1;
    const bool norwegian = n >= tail && memcmp(line + n - tail, norway, tail) == 0;
    append_spaced(b, line, norwegian ? n - 2 : n);
    if (norwegian) append(b, "\"no\"", 4);
    append(b, "\n", 1);
}

/* Is there front matter? Then b holds it. */
static bool take_front_matter(buffer *b, const char *markdown, size_t size) {
    const char *end = markdown + size, *at;
    if (line_length(markdown, end, &at) != 3 || memcmp(markdown, "---", 3) != 0) return false;
    while (at < end) {
        const char *next;
        const size_t n = line_length(at, end, &next);
        if (n == 3 && memcmp(at, "---", 3) == 0) break;
        append_line(b, at, n);
        at = next;
    }
    return b->len > 0;
}

/* ---- YAML to JSON ---- */

/* Aliases make a document a graph: the limits end cycles and stop repetition of repetitions. */
enum { MAX_DEPTH = 16, MAX_NODES = 100000 };

typedef struct {
    yaml_document_t *doc;
    regex_t not_text; /* plain scalars that YAML 1.1 reads as something else than a string */
    size_t n_nodes;   /* made so far */
} reader;

/* From the types that YAML 1.1 defines: bool, int, float, timestamp (yaml.org/type), as PyYAML resolves them. */
static const char not_text_pattern[] =
    "^(yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
    "|[-+]?[0-9][0-9_]*\\.[0-9_]*([eE][-+][0-9]+)?|\\.[0-9][0-9_]*([eE][-+][0-9]+)?"
    "|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\\.[0-9_]*|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)"
    "|[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+"
    "|[0-9]{4}-[0-9]{2}-[0-9]{2}"
    "|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?([Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}(\\.[0-9]*)?"
    "([ \t]*(Z|[-+][0-9][0-9]?(:[0-9]{2})?))?)$";

static bool is_null(const char *s) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(s, nulls[i]) == 0) return true;
    return false;
}

static cJSON *scalar(reader *r, const yaml_node_t *node) {
    const char *text = (const char *)node->data.scalar.value; /* libyaml ends it with NUL */
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return cJSON_CreateString(text);
    if (is_null(text)) return cJSON_CreateNull();
    return regexec(&r->not_text, text, 0, NULL, 0) == 0 ? cJSON_CreateRaw(text) : cJSON_CreateString(text);
}

static cJSON *convert(reader *r, int index, int depth);

static cJSON *sequence(reader *r, const yaml_node_t *node, int depth) {
    cJSON *list = cJSON_CreateArray();
    for (const yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++)
        cJSON_AddItemToArray(list, convert(r, *i, depth + 1));
    return list;
}

/* Of a key that is there twice the last one counts. Keys that are no scalars are left out. */
static cJSON *mapping(reader *r, const yaml_node_t *node, int depth) {
    cJSON *object = cJSON_CreateObject();
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
        if (!key || key->type != YAML_SCALAR_NODE) continue;
        const char *name = (const char *)key->data.scalar.value;
        cJSON_DeleteItemFromObjectCaseSensitive(object, name);
        cJSON_AddItemToObject(object, name, convert(r, p->value, depth + 1));
    }
    return object;
}

static cJSON *convert(reader *r, int index, int depth) {
    const yaml_node_t *node =
        depth < MAX_DEPTH && r->n_nodes++ < MAX_NODES ? yaml_document_get_node(r->doc, index) : NULL;
    if (!node) return cJSON_CreateNull();
    switch (node->type) {
    case YAML_SCALAR_NODE: return scalar(r, node);
    case YAML_SEQUENCE_NODE: return sequence(r, node, depth);
    case YAML_MAPPING_NODE: return mapping(r, node, depth);
    default: return cJSON_CreateNull();
    }
}

static ws_status convert_document(cJSON **out, yaml_document_t *doc, ws_error *err) {
    reader r = {.doc = doc};
    const yaml_node_t *root = yaml_document_get_root_node(doc);
    if (!root || root->type != YAML_MAPPING_NODE) return WS_OK;
    if (regcomp(&r.not_text, not_text_pattern, REG_EXTENDED | REG_NOSUB))
        return ws_fail(err, WS_NOMEM, "out of memory: a pattern");
    *out = mapping(&r, root, 0);
    regfree(&r.not_text);
    return *out ? WS_OK : ws_fail(err, WS_NOMEM, "out of memory: a model card");
}

static ws_status parse_yaml(cJSON **out, const buffer *b, ws_error *err) {
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser)) return ws_fail(err, WS_NOMEM, "out of memory: a YAML parser");
    yaml_parser_set_input_string(&parser, (const unsigned char *)b->text, b->len);
    ws_status st;
    if (!yaml_parser_load(&parser, &doc)) {
        const char *problem = parser.problem ? parser.problem : "unknown error";
        st = ws_fail(err, WS_FORMAT, "front matter, line %zu: %s", parser.problem_mark.line + 2,
                     ws_show(problem, strlen(problem)).text);
    } else {
        st = convert_document(out, &doc, err);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return st;
}

ws_status ws_card_parse(cJSON **out, const char *markdown, size_t size, ws_error *err) {
    *out = NULL;
    uint64_t room;
    if (ws_mul_overflows(size, 2, &room)) return ws_fail(err, WS_NOMEM, "out of memory: a model card");
    buffer b = {ws_alloc(room + 8, 1, "a model card", err), 0};
    if (!b.text) return WS_NOMEM;
    const ws_status st = take_front_matter(&b, markdown, size) ? parse_yaml(out, &b, err) : WS_OK;
    free(b.text);
    return st;
}
