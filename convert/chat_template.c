#include "chat_template.h"

#include "alloc.h"
#include "file.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEMPLATE_BYTES = 16 << 20 };

/* Line ends of other systems become "\n". */
static void unify_lines(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '\r' && from[1] == '\n') continue;
        *to++ = *from == '\r' ? '\n' : *from;
    }
    *to = 0;
}

static ws_status read_template(char **out, const char *path, ws_error *err) {
    size_t size;
    *out = NULL;
    WS_TRY(ws_file_read(out, &size, path, MAX_TEMPLATE_BYTES, err));
    unify_lines(*out);
    return WS_OK;
}

/* ---- a list of named templates: [{"name": ..., "template": ...}, ...] ---- */

static cJSON *named(const char *name, const char *template) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", name);
    cJSON_AddStringToObject(item, "template", template);
    return item;
}

static bool has_ending(const char *name, const char *ending) {
    const size_t n = strlen(name), n_ending = strlen(ending);
    return n > n_ending && strcmp(name + n - n_ending, ending) == 0;
}

static int is_jinja(const struct dirent *entry) { return has_ending(entry->d_name, ".jinja"); }

static ws_status add_file(cJSON *list, const char *dir, const char *file, ws_error *err) {
    char *path = ws_path_join(dir, file, err), *text = NULL;
    const ws_status st = path ? read_template(&text, path, err) : WS_NOMEM;
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - strlen(".jinja")), file);
    if (!st) cJSON_AddItemToArray(list, named(name, text));
    free(path);
    free(text);
    return st;
}

/* chat_template.jinja is the default one; the files in additional_chat_templates follow by name. */
static ws_status read_jinja(cJSON **out, const ws_source *s, const char *path, ws_error *err) {
    char *text;
    WS_TRY(read_template(&text, path, err));
    *out = cJSON_CreateArray();
    cJSON_AddItemToArray(*out, named("default", text));
    free(text);
    char *dir = ws_source_path(s, "additional_chat_templates", err);
    if (!dir) return WS_NOMEM;
    struct dirent **entries;
    const int n = scandir(dir, &entries, is_jinja, alphasort);
    ws_status st = WS_OK;
    for (int i = 0; i < n; i++) {
        if (!st) st = add_file(*out, dir, entries[i]->d_name, err);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    free(dir);
    return st;
}

/* Letters, digits and "_" remain; others become "_". */
static void key_name(char *out, size_t size, const char *name) {
    snprintf(out, size, "%s", name);
    for (char *c = out; *c; c++)
        if (!isascii((unsigned char)*c) || !isalnum((unsigned char)*c)) *c = '_';
}

static void put_list(ws_pairs *p, const cJSON *list) {
    enum { MAX_TEMPLATES = 64, NAME_BYTES = 64 };
    char names[MAX_TEMPLATES][NAME_BYTES], key[NAME_BYTES + 32];
    ws_str listed[MAX_TEMPLATES];
    size_t n = 0;
    const char *by_default = NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        const char *name = ws_json_str(item, "name"), *text = ws_json_str(item, "template");
        if (!name || !*name || !text || n == MAX_TEMPLATES) continue;
        key_name(names[n], NAME_BYTES, name);
        if (strcmp(names[n], "default") == 0) {
            by_default = text;
            continue;
        }
        snprintf(key, sizeof key, "tokenizer.chat_template.%s", names[n]);
        if (!ws_pairs_find(p, key)) {
            listed[n] = (ws_str){names[n], strlen(names[n])};
            n++;
        }
        ws_pairs_put_str(p, key, text);
    }
    ws_pairs_put_str_array(p, "tokenizer.chat_templates", listed, n);
    ws_pairs_put_str(p, "tokenizer.chat_template", by_default);
}

static void put(ws_pairs *p, const cJSON *templates) {
    if (cJSON_IsArray(templates))
        put_list(p, templates);
    else
        ws_pairs_put_str(p, "tokenizer.chat_template", cJSON_GetStringValue(templates));
}

ws_status ws_chat_template_put(ws_pairs *p, const ws_source *s, ws_error *err) {
    if (!s->tokenizer_config || !s->tokenizer_config->child) return WS_OK;
    const cJSON *configured = cJSON_GetObjectItemCaseSensitive(s->tokenizer_config, "chat_template");
    if (configured) {
        put(p, configured);
        return WS_OK;
    }
    char *path = ws_source_path(s, "chat_template.jinja", err);
    if (!path) return WS_NOMEM;
    cJSON *root = NULL;
    ws_status st;
    if (ws_file_exists(path)) {
        st = read_jinja(&root, s, path, err);
        if (!st) put(p, root);
    } else {
        st = ws_source_json(&root, s, "chat_template.json", err);
        if (!st) put(p, cJSON_GetObjectItemCaseSensitive(root, "chat_template"));
    }
    cJSON_Delete(root);
    free(path);
    return st;
}
