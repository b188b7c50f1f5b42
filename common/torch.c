/* In the zip: PREFIX/data.pkl, PREFIX/data/KEY for each storage, PREFIX/byteorder. A tensor in the pickle is the call
 *   torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, ...)
 * and a storage an external object ("storage", torch.FloatStorage, KEY, device, elements). */
#include "torch.h"

#include "alloc.h"
#include "arena.h"
#include "json.h"
#include "pickle.h"
#include "text.h"
#include "zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PICKLE = 256 << 20, MAX_DEPTH = 32, MAX_NAME = 512, MAX_GLOBALS = 1000 };

struct ws_torch_storage {
    bool borrowed;
    ws_arena names;
    size_t tensors_cap, globals_cap, parts_cap, paths_cap;
};

typedef struct {
    ws_torch *t;
    const ws_map *map;
    const char *path;
    ws_zip zip;
    ws_pickle pickle;
    const char *prefix; /* of the entries: "archive/" */
    size_t prefix_len;
    bool big_endian;
    uint64_t steps; /* left for walking the tree */
    ws_error *err;
} reader;

static bool is_text(const ws_pickle_node *n, const char *text) {
    return n && n->kind == WS_PICKLE_TEXT && n->len == strlen(text) && memcmp(n->text, text, n->len) == 0;
}

static bool is_global(const ws_pickle_node *n, const char *module, const char *name) {
    return n && n->kind == WS_PICKLE_GLOBAL && n->len == strlen(module) && memcmp(n->text, module, n->len) == 0 &&
           n->name_len >= strlen(name) && memcmp(n->name, name, strlen(name)) == 0;
}

/* ---- types ---- */

static const struct {
    const char *storage, *dtype; /* torch.STORAGE, torch.DTYPE */
    ws_st_dtype type;
} types[] = {
    {"FloatStorage", "float32", WS_ST_F32},
    {"HalfStorage", "float16", WS_ST_F16},
    {"BFloat16Storage", "bfloat16", WS_ST_BF16},
    {"DoubleStorage", "float64", WS_ST_F64},
    {"LongStorage", "int64", WS_ST_I64},
    {"IntStorage", "int32", WS_ST_I32},
    {"ShortStorage", "int16", WS_ST_I16},
    {"CharStorage", "int8", WS_ST_I8},
    {"ByteStorage", "uint8", WS_ST_U8},
    {"BoolStorage", "bool", WS_ST_BOOL},
    {"ComplexFloatStorage", "complex64", WS_ST_C64},
    {NULL, "float8_e4m3fn", WS_ST_F8_E4M3},
    {NULL, "float8_e5m2", WS_ST_F8_E5M2},
    {NULL, "float8_e4m3fnuz", WS_ST_F8_E4M3FNUZ},
    {NULL, "float8_e5m2fnuz", WS_ST_F8_E5M2FNUZ},
    {NULL, "float8_e8m0fnu", WS_ST_F8_E8M0},
    {NULL, "uint16", WS_ST_U16},
    {NULL, "uint32", WS_ST_U32},
    {NULL, "uint64", WS_ST_U64},
};

static bool type_of(const ws_pickle_node *n, ws_st_dtype *type) {
    if (!n || n->kind != WS_PICKLE_GLOBAL) return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *names[] = {types[i].storage, types[i].dtype};
        for (int k = 0; k < 2; k++) {
            *type = types[i].type;
            if (names[k] && n->name_len == strlen(names[k]) && memcmp(n->name, names[k], n->name_len) == 0) return true;
        }
    }
    return false;
}

/* ---- tensors ---- */

static ws_status bad_tensor(const reader *r, const char *name, const char *what) {
    return ws_fail(r->err, WS_FORMAT, "'%s': tensor '%s' %s", r->path, ws_show(name, strlen(name)).text, what);
}

static ws_status read_shape(const reader *r, ws_st_tensor *t, const ws_pickle_node *shape) {
    t->n_elements = 1;
    for (const ws_pickle_node *n; (n = ws_pickle_item(&r->pickle, shape, t->n_dims)); t->n_dims++) {
        if (t->n_dims == WS_ST_MAX_DIMS) return bad_tensor(r, t->name, "has more than 8 dimensions");
        if (n->kind != WS_PICKLE_INT || n->integer < 0) return bad_tensor(r, t->name, "has a bad shape");
        t->shape[t->n_dims] = (uint64_t)n->integer;
        if (ws_mul_overflows(t->n_elements, t->shape[t->n_dims], &t->n_elements) || t->n_elements > INT64_MAX)
            return bad_tensor(r, t->name, "has a shape whose product overflows");
    }
    if (ws_mul_overflows(t->n_elements, ws_st_dtype_bits(t->dtype) / 8, &t->bytes))
        return bad_tensor(r, t->name, "has a shape whose size overflows");
    return WS_OK;
}

/* Row after row without holes? Strides of dimensions of one element do not matter. */
static bool is_contiguous(const reader *r, const ws_st_tensor *t, const ws_pickle_node *strides) {
    uint64_t expected = 1;
    for (uint32_t d = t->n_dims; d-- > 0;) {
        const ws_pickle_node *n = ws_pickle_item(&r->pickle, strides, d);
        if (!n || n->kind != WS_PICKLE_INT) return false;
        if (t->shape[d] != 1 && t->n_elements && (uint64_t)n->integer != expected) return false;
        expected *= t->shape[d]; /* at most n_elements */
    }
    return true;
}

static ws_status find_data(const reader *r, ws_st_tensor *t, const ws_pickle_node *storage, uint64_t first,
                           const ws_pickle_node *strides) {
    const ws_pickle_node *key = ws_pickle_item(&r->pickle, storage, 2);
    char name[MAX_NAME];
    if (!key || key->kind != WS_PICKLE_TEXT || key->len > 64) return bad_tensor(r, t->name, "has a bad storage");
    const int n = snprintf(name, sizeof name, "%.*sdata/%.*s", (int)r->prefix_len, r->prefix, (int)key->len, key->text);
    const ws_zip_entry *e = n < (int)sizeof name ? ws_zip_find(&r->zip, name, (size_t)n) : NULL;
    if (!e) return bad_tensor(r, t->name, "has a storage that is not in the file");
    uint64_t at;
    if (ws_mul_overflows(first, ws_st_dtype_bits(t->dtype) / 8, &at)) return bad_tensor(r, t->name, "has a bad offset");
    if (!is_contiguous(r, t, strides)) return WS_OK;
    if (at > e->size || t->bytes > e->size - at) return bad_tensor(r, t->name, "ends past the end of its storage");
    t->offset = (uint64_t)(e->data - r->map->data) + at;
    if (!e->deflated && !r->big_endian) t->data = e->data + at;
    return WS_OK;
}

/* The arguments of _rebuild_tensor_v2, or of _v3, which carries a dtype. */
static ws_status read_tensor(reader *r, const char *name, const ws_pickle_node *args) {
    ws_torch *t = r->t;
    const ws_pickle_node *external = ws_pickle_item(&r->pickle, args, 0), *first = ws_pickle_item(&r->pickle, args, 1);
    const ws_pickle_node *storage =
        external && external->kind == WS_PICKLE_EXTERN ? ws_pickle_item(&r->pickle, external, 0) : NULL;
    if (!storage || !is_text(ws_pickle_item(&r->pickle, storage, 0), "storage") || !first ||
        first->kind != WS_PICKLE_INT || first->integer < 0)
        return bad_tensor(r, name, "is described in a way that torch.save does not");
    WS_TRY(ws_grow(&t->tensors, &t->storage->tensors_cap, t->n_tensors + 1, sizeof *t->tensors, r->err));
    ws_st_tensor *out = &t->tensors[t->n_tensors];
    *out = (ws_st_tensor){.name = ws_arena_strndup(&t->storage->names, name, strlen(name), r->err),
                          .part = (uint32_t)t->n_parts - 1};
    if (!out->name) return WS_NOMEM;
    if (!type_of(ws_pickle_item(&r->pickle, args, 6), &out->dtype) &&
        !type_of(ws_pickle_item(&r->pickle, storage, 1), &out->dtype))
        return bad_tensor(r, name, "has a type that is not known here");
    const ws_pickle_node *shape = ws_pickle_item(&r->pickle, args, 2), *strides = ws_pickle_item(&r->pickle, args, 3);
    if (!shape || shape->kind != WS_PICKLE_LIST || !strides) return bad_tensor(r, name, "has no shape");
    WS_TRY(read_shape(r, out, shape));
    WS_TRY(find_data(r, out, storage, (uint64_t)first->integer, strides));
    t->n_tensors++;
    return WS_OK;
}

/* ---- the tree ---- */

static ws_status walk(reader *r, const ws_pickle_node *n, char *name, size_t len, int depth);

/* "name.KEY" in name; false when there is no room. */
static bool extend(char *name, size_t len, const ws_pickle_node *key, uint64_t index) {
    const char *dot = len ? "." : "";
    int n;
    if (!key)
        n = snprintf(name + len, MAX_NAME - len, "%s%" PRIu64, dot, index);
    else if (key->kind == WS_PICKLE_INT)
        n = snprintf(name + len, MAX_NAME - len, "%s%" PRId64, dot, key->integer);
    else if (key->kind == WS_PICKLE_TEXT && key->len < MAX_NAME && !memchr(key->text, 0, key->len))
        n = snprintf(name + len, MAX_NAME - len, "%s%.*s", dot, (int)key->len, key->text);
    else
        return false;
    return (size_t)n < MAX_NAME - len;
}

static ws_status walk_dict(reader *r, const ws_pickle_node *dict, char *name, size_t len, int depth) {
    const ws_pickle *p = &r->pickle;
    for (uint32_t link = dict->first; link && p->links[link].next;) {
        const ws_pickle_node *key = &p->nodes[p->links[link].node];
        link = p->links[link].next;
        if (extend(name, len, key, 0)) WS_TRY(walk(r, &p->nodes[p->links[link].node], name, strlen(name), depth + 1));
        name[len] = 0;
        link = p->links[link].next;
    }
    return WS_OK;
}

static ws_status walk_list(reader *r, const ws_pickle_node *list, char *name, size_t len, int depth) {
    const ws_pickle *p = &r->pickle;
    uint64_t i = 0;
    for (uint32_t link = list->first; link; link = p->links[link].next, i++) {
        if (extend(name, len, NULL, i)) WS_TRY(walk(r, &p->nodes[p->links[link].node], name, strlen(name), depth + 1));
        name[len] = 0;
    }
    return WS_OK;
}

/* A tensor, a parameter around one, or an object: its dictionaries hold what it has. */
static ws_status walk_call(reader *r, const ws_pickle_node *call, char *name, size_t len, int depth) {
    const ws_pickle_node *function = ws_pickle_item(&r->pickle, call, 0), *args = ws_pickle_item(&r->pickle, call, 1);
    if (is_global(function, "torch._utils", "_rebuild_tensor")) return read_tensor(r, name, args);
    if (is_global(function, "torch._utils", "_rebuild_parameter")) {
        const ws_pickle_node *inner = args ? ws_pickle_item(&r->pickle, args, 0) : NULL;
        return inner ? walk(r, inner, name, len, depth + 1) : WS_OK;
    }
    /* collections.OrderedDict(): what was put in follows as items behind function and arguments. */
    const ws_pickle *p = &r->pickle;
    uint32_t link = call->first;
    for (int i = 0; i < 2 && link; i++) link = p->links[link].next;
    const bool ordered = is_global(function, "collections", "OrderedDict");
    const ws_pickle_node rest = {.kind = ordered ? WS_PICKLE_DICT : WS_PICKLE_LIST, .first = link};
    if (ordered) return walk_dict(r, &rest, name, len, depth);
    for (; link; link = p->links[link].next) {
        const ws_pickle_node *state = &p->nodes[p->links[link].node];
        if (state->kind == WS_PICKLE_DICT) WS_TRY(walk(r, state, name, len, depth + 1));
    }
    return WS_OK;
}

static ws_status walk(reader *r, const ws_pickle_node *n, char *name, size_t len, int depth) {
    if (depth > MAX_DEPTH || r->steps-- == 0)
        return ws_fail(r->err, WS_FORMAT, "'%s': its pickle is nested too deeply, or holds itself", r->path);
    switch (n->kind) {
    case WS_PICKLE_DICT: return walk_dict(r, n, name, len, depth);
    case WS_PICKLE_LIST: return walk_list(r, n, name, len, depth);
    case WS_PICKLE_CALL: return walk_call(r, n, name, len, depth);
    default: r->t->n_plain++; return WS_OK;
    }
}

/* ---- the functions that the pickle names ---- */

static bool listed(const char *word, const char *const *list, bool prefixes) {
    for (; *list; list++) {
        const size_t n = strlen(*list);
        if (strncmp(word, *list, n) == 0 && (!word[n] || (prefixes && (word[n] == '.' || (*list)[n - 1] == '.'))))
            return true;
    }
    return false;
}

/* "MODULE.NAME" of what state dictionaries are made of. */
static bool is_known(const char *module, const char *name) {
    static const char *const utils[] = {"_rebuild_tensor",
                                        "_rebuild_tensor_v2",
                                        "_rebuild_tensor_v3",
                                        "_rebuild_parameter",
                                        "_rebuild_parameter_with_state",
                                        NULL};
    static const char *const plain[] = {"set", "frozenset", "list",    "dict",  "tuple", "int",       "float", "bool",
                                        "str", "bytes",     "complex", "slice", "range", "bytearray", NULL};
    if (strcmp(module, "builtins") == 0 || strcmp(module, "__builtin__") == 0) return listed(name, plain, false);
    if (strcmp(module, "torch._utils") == 0) return listed(name, utils, false);
    if (strcmp(module, "collections") == 0) return strcmp(name, "OrderedDict") == 0 || strcmp(name, "defaultdict") == 0;
    if (strcmp(module, "torch.storage") == 0) return strstr(name, "Storage") != NULL;
    if (strcmp(module, "torch") != 0) return false;
    const size_t n = strlen(name);
    if (n > 7 && strcmp(name + n - 7, "Storage") == 0) return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].dtype) == 0) return true;
    return strcmp(name, "Size") == 0 || strcmp(name, "device") == 0;
}

static bool is_dangerous(const char *module) {
    static const char *const modules[] = {"os",     "posix",     "nt",     "subprocess", "sys",      "builtins",
                                          "runpy",  "importlib", "socket", "shutil",     "ctypes",   "__builtin__",
                                          "pty",    "commands",  "code",   "webbrowser", "requests", "urllib",
                                          "pickle", "marshal",   "types",  "functools",  "operator", NULL};
    return listed(module, modules, true);
}

static ws_status add_global(reader *r, const ws_pickle_node *n) {
    ws_torch *t = r->t;
    char *module = ws_arena_strndup(&t->storage->names, n->text, n->len, r->err);
    char *name = ws_arena_strndup(&t->storage->names, n->name, n->name_len, r->err);
    if (!module || !name) return WS_NOMEM;
    for (size_t i = 0; i < t->n_globals; i++)
        if (strcmp(t->globals[i].module, module) == 0 && strcmp(t->globals[i].name, name) == 0) return WS_OK;
    if (t->n_globals == MAX_GLOBALS)
        return ws_fail(r->err, WS_FORMAT, "'%s': its pickle names more than %d functions", r->path, MAX_GLOBALS);
    WS_TRY(ws_grow(&t->globals, &t->storage->globals_cap, t->n_globals + 1, sizeof *t->globals, r->err));
    t->globals[t->n_globals++] = (ws_torch_global){module, name, is_known(module, name), is_dangerous(module)};
    return WS_OK;
}

/* ---- the file ---- */

static const ws_zip_entry *find_pickle(reader *r) {
    static const char tail[] = "/data.pkl";
    const size_t n = sizeof tail - 1;
    for (size_t i = 0; i < r->zip.n; i++) {
        const ws_zip_entry *e = &r->zip.entries[i];
        if (e->name_len <= n || e->name_len > 256 || memcmp(e->name + e->name_len - n, tail, n) != 0) continue;
        r->prefix = e->name, r->prefix_len = e->name_len - n + 1;
        return e;
    }
    return NULL;
}

static void read_byte_order(reader *r) {
    char name[300];
    const int n = snprintf(name, sizeof name, "%.*sbyteorder", (int)r->prefix_len, r->prefix);
    const ws_zip_entry *e = ws_zip_find(&r->zip, name, (size_t)n);
    r->big_endian = e && !e->deflated && e->size == 3 && memcmp(e->data, "big", 3) == 0;
}

static ws_status read_pickle(reader *r, const uint8_t *data, size_t size) {
    char name[MAX_NAME] = "", what[700];
    snprintf(what, sizeof what, "'%s'", r->path);
    WS_TRY(ws_pickle_parse(&r->pickle, data, size, what, r->err));
    for (size_t i = 0; i < r->pickle.n_nodes; i++)
        if (r->pickle.nodes[i].kind == WS_PICKLE_GLOBAL) WS_TRY(add_global(r, &r->pickle.nodes[i]));
    r->steps = 4 * (uint64_t)r->pickle.n_nodes + 64;
    return walk(r, &r->pickle.nodes[r->pickle.root], name, 0, 0);
}

static ws_status read_file(reader *r) {
    WS_TRY(ws_zip_open(&r->zip, r->map->data, r->map->size, r->path, r->err));
    const ws_zip_entry *e = find_pickle(r);
    if (!e) return ws_fail(r->err, WS_FORMAT, "'%s' is a zip file, but not one that torch.save wrote", r->path);
    read_byte_order(r);
    const uint8_t *data;
    void *owned;
    WS_TRY(ws_zip_read(e, MAX_PICKLE, &data, &owned, r->path, r->err));
    const ws_status status = read_pickle(r, data, (size_t)e->size);
    ws_pickle_free(&r->pickle); /* names were copied */
    free(owned);
    return status;
}

static ws_torch *new_torch(bool borrowed, ws_error *err) {
    ws_torch *t = ws_alloc(1, sizeof *t, "a checkpoint", err);
    if (t && !(t->storage = ws_alloc(1, sizeof *t->storage, "a checkpoint", err))) {
        free(t);
        return NULL;
    }
    if (t) t->storage->borrowed = borrowed;
    return t;
}

/* Take over `path` (which may be NULL: memory was out), and the map unless it is borrowed. */
static ws_status read_part(ws_torch *t, char *path, const ws_map *borrowed, ws_error *err) {
    struct ws_torch_storage *m = t->storage;
    if (!path || ws_grow(&t->parts, &m->parts_cap, t->n_parts + 1, sizeof *t->parts, err) ||
        ws_grow(&t->part_paths, &m->paths_cap, t->n_parts + 1, sizeof *t->part_paths, err)) {
        free(path);
        return WS_NOMEM;
    }
    ws_map *map = &t->parts[t->n_parts];
    t->part_paths[t->n_parts++] = path;
    *map = borrowed ? *borrowed : (ws_map){0};
    if (!borrowed) WS_TRY(ws_map_open(map, path, err));
    reader r = {.t = t, .map = map, .path = path, .err = err};
    const ws_status status = read_file(&r);
    ws_zip_close(&r.zip);
    return status;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const ws_st_tensor *)a)->name, ((const ws_st_tensor *)b)->name);
}

/* The end of opening: hands out what was read, or releases it. */
static ws_status finish(ws_torch **out, ws_torch *t, ws_status status) {
    if (status) {
        ws_torch_close(t);
        return status;
    }
    if (t->n_tensors) qsort(t->tensors, t->n_tensors, sizeof *t->tensors, compare_names);
    *out = t;
    return WS_OK;
}

/* ---- files, indexes, folders ---- */

#define SINGLE_NAME "pytorch_model.bin"
#define INDEX_TAIL  ".bin.index.json"

enum { MAX_INDEX = 100 << 20 };

/* "FOLDER/NAME" when there is such a file; else NULL. */
static char *existing(const char *folder, const char *name) {
    char *path = ws_path_join(folder, name, NULL);
    if (path && ws_file_exists(path)) return path;
    free(path);
    return NULL;
}

/* The file that stands for a folder; NULL when there is none. Release with free(). */
static char *main_file(const char *folder) {
    char *path = existing(folder, "pytorch_model" INDEX_TAIL);
    return path ? path : existing(folder, SINGLE_NAME);
}

bool ws_torch_probe_path(const char *path) {
    if (ws_ends_with(path, INDEX_TAIL)) return true;
    if (!ws_is_dir(path)) return false;
    static const char *const others[] = {"model.safetensors", "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char *other = existing(path, others[i]);
        free(other);
        if (other) return false;
    }
    char *main = main_file(path);
    free(main);
    return main != NULL;
}

static bool was_read(const ws_torch *t, const char *path) {
    for (size_t i = 0; i < t->n_parts; i++)
        if (strcmp(t->part_paths[i], path) == 0) return true;
    return false;
}

/* Every shard that the index names lies beside it. */
static ws_status read_shards(ws_torch *t, const char *path, const cJSON *index, ws_error *err) {
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(index, "weight_map"), *item;
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
    if (!cJSON_IsObject(map)) return ws_fail(err, WS_FORMAT, "'%s' has no object 'weight_map'", path);
    cJSON_ArrayForEach(item, map) {
        const char *shard = cJSON_GetStringValue(item);
        if (!shard || !*shard || strchr(shard, '/'))
            return ws_fail(err, WS_FORMAT, "'%s': the shard of '%s' is not the name of a file beside it", path,
                           ws_show(item->string, strlen(item->string)).text);
        char *name = ws_sprintf(err, "%.*s%s", (int)folder, path, shard);
        if (name && was_read(t, name))
            free(name);
        else
            WS_TRY(read_part(t, name, NULL, err));
    }
    return WS_OK;
}

static ws_status read_index(ws_torch *t, const char *path, ws_error *err) {
    cJSON *index = ws_json_read(path, MAX_INDEX, err);
    if (!index) return err ? err->code : WS_FORMAT;
    const ws_status status = read_shards(t, path, index, err);
    cJSON_Delete(index);
    return status;
}

ws_status ws_torch_open(ws_torch **out, const char *path, ws_error *err) {
    *out = NULL;
    char *file = ws_is_dir(path) ? main_file(path) : ws_strndup(path, strlen(path), err);
    if (!file) return ws_fail(err, WS_IO, "'%s' holds no " SINGLE_NAME " and no index of one", path);
    ws_torch *t = new_torch(false, err);
    ws_status status = WS_NOMEM;
    if (t && ws_ends_with(file, INDEX_TAIL))
        status = read_index(t, file, err);
    else if (t)
        status = read_part(t, ws_strndup(file, strlen(file), err), NULL, err);
    free(file);
    return finish(out, t, status);
}

ws_status ws_torch_open_bytes(ws_torch **out, const void *data, size_t size, const char *name, ws_error *err) {
    *out = NULL;
    ws_torch *t = new_torch(true, err);
    if (!t) return WS_NOMEM;
    return finish(out, t, read_part(t, ws_strndup(name, strlen(name), err), &(ws_map){data, size}, err));
}

void ws_torch_close(ws_torch *t) {
    if (!t) return;
    for (size_t i = 0; i < t->n_parts; i++) {
        if (!t->storage->borrowed) ws_map_close(&t->parts[i]);
        free(t->part_paths[i]);
    }
    ws_arena_free(&t->storage->names);
    free(t->storage);
    free(t->tensors);
    free(t->globals);
    free(t->parts);
    free(t->part_paths);
    free(t);
}

static int compare_name_to(const void *name, const void *item) {
    return strcmp(name, ((const ws_st_tensor *)item)->name);
}

const ws_st_tensor *ws_torch_tensor(const ws_torch *t, const char *name) {
    return t->n_tensors ? bsearch(name, t->tensors, t->n_tensors, sizeof *t->tensors, compare_name_to) : NULL;
}
