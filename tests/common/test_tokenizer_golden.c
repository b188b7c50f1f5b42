/* Ids of other programs: ../shared/goldens/tokenizer with a SmolLM2 file that WS_SMOLLM2_GGUF names, and
 * llama.cpp's own vocabularies and expected ids when WS_LLAMA_CPP names its source folder. */
#include "file.h"
#include "json.h"
#include "tokenizer.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

static char *read_golden(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/../shared/goldens/tokenizer/%s", WS_SOURCE_DIR, name);
    if (!ws_file_exists(path)) cr_skip_test("%s is not there", path);
    char *text;
    size_t size;
    cr_assert_eq(ws_file_read(&text, &size, path, 1 << 24, NULL), WS_OK);
    return text;
}

typedef struct {
    ws_gguf *g;
    ws_tokenizer *t;
} opened;

static opened open_smollm2(void) {
    opened o;
    ws_error err = {0};
    const char *path = getenv("WS_SMOLLM2_GGUF");
    if (!path) cr_skip_test("WS_SMOLLM2_GGUF names no file");
    cr_assert_eq(ws_gguf_open(&o.g, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_tokenizer_open(&o.t, o.g, &err), WS_OK, "%s", err.msg);
    return o;
}

static void close_all(opened o) {
    ws_tokenizer_close(o.t);
    ws_gguf_close(o.g);
}

static ws_ids ids_from_json(const cJSON *array) {
    ws_ids ids = {.id = malloc((size_t)cJSON_GetArraySize(array) * sizeof *ids.id + 1)};
    const cJSON *item;
    cJSON_ArrayForEach(item, array) ids.id[ids.n++] = item->valueint;
    return ids;
}

static bool same(const ws_ids *a, const ws_ids *b) {
    return a->n == b->n && (a->n == 0 || memcmp(a->id, b->id, a->n * sizeof *a->id) == 0);
}

/* True when the line was compared; cJSON cannot hold the text with a NUL. */
static bool check_line(const ws_tokenizer *t, const char *line, size_t n) {
    if (memmem(line, n, "\\u0000", 6)) return false;
    cJSON *row = ws_json_parse(line, n, "a golden line", NULL);
    const char *text = ws_json_str(row, "text");
    ws_ids wanted = ids_from_json(cJSON_GetObjectItem(row, "ids")), got = {0};
    ws_error err = {0};
    cr_assert_eq(ws_tokenize(t, &got, text, strlen(text), false, true, &err), WS_OK, "%s", err.msg);
    cr_expect(same(&got, &wanted), "ids of '%s' differ", text);
    free(wanted.id);
    free(got.id);
    cJSON_Delete(row);
    return true;
}

Test(tokenizer_golden, smollm2_gives_the_ids_of_hugging_face) {
    const opened o = open_smollm2();
    char *lines = read_golden("smollm2_300.jsonl");
    size_t n = 0;
    for (const char *line = lines; *line; line += strspn(line, "\n")) {
        const size_t len = strcspn(line, "\n");
        n += check_line(o.t, line, len);
        line += len;
    }
    cr_expect_geq(n, 299);
    free(lines);
    close_all(o);
}

Test(tokenizer_golden, wikitext_comes_back_and_gives_the_same_ids) {
    const opened o = open_smollm2();
    char *json = read_golden("wikitext2_test_ids.json");
    cJSON *root = ws_json_parse(json, strlen(json), "a golden file", NULL);
    ws_ids wanted = ids_from_json(cJSON_GetObjectItem(root, "first_10240")), got = {0};
    cr_assert_eq(wanted.n, 10240);
    char *text = malloc(1 << 20);
    size_t n = 0;
    for (size_t i = 0; i < wanted.n; i++) {
        const ws_str piece = ws_token_text(o.t, wanted.id[i]);
        cr_assert_lt(n + piece.len, 1U << 20);
        memcpy(text + n, piece.data, piece.len);
        n += piece.len;
    }
    ws_error err = {0};
    cr_assert_eq(ws_tokenize(o.t, &got, text, n, false, false, &err), WS_OK, "%s", err.msg);
    cr_expect(same(&got, &wanted));
    free(text);
    free(wanted.id);
    free(got.id);
    cJSON_Delete(root);
    free(json);
    close_all(o);
}

/* ---- llama.cpp/models/ggml-vocab-NAME.gguf with .inp (texts) and .out (a line of ids each) ---- */

static ws_ids ids_from_line(const char *line) {
    ws_ids ids = {.id = malloc(strlen(line) * sizeof *ids.id + 1)};
    for (char *end; *line && *line != '\n'; line = end + strspn(end, " ")) {
        const long id = strtol(line, &end, 10);
        if (end == line) break;
        ids.id[ids.n++] = (int32_t)id;
    }
    return ids;
}

static void check_texts(const ws_tokenizer *t, const char *name, const char *texts, const char *lines) {
    static const char separator[] = "\n__ggml_vocab_test__\n";
    for (const char *next; texts; texts = next ? next + strlen(separator) : NULL) {
        next = strstr(texts, separator);
        const size_t n = next ? (size_t)(next - texts) : strlen(texts);
        lines += strspn(lines, " ");
        ws_ids wanted = ids_from_line(lines), got = {0};
        ws_error err = {0};
        cr_assert_eq(ws_tokenize(t, &got, texts, n, false, false, &err), WS_OK, "%s: %s", name, err.msg);
        cr_expect(same(&got, &wanted), "%s: ids of '%.*s' differ", name, (int)n, texts);
        free(wanted.id);
        free(got.id);
        lines += strcspn(lines, "\n");
        lines += *lines == '\n';
    }
}

static char *read_beside(const char *path, const char *ending) {
    char name[512], *text;
    size_t size;
    snprintf(name, sizeof name, "%s%s", path, ending);
    return ws_file_read(&text, &size, name, 1 << 24, NULL) ? NULL : text;
}

/* 1 when the vocabulary was compared, 0 when it has no expected ids or is of a kind that is not supported. */
static size_t check_vocabulary(const char *path) {
    char *texts = read_beside(path, ".inp"), *lines = read_beside(path, ".out");
    opened o = {0};
    ws_error err = {0};
    size_t compared = 0;
    if (texts && lines) {
        cr_assert_eq(ws_gguf_open(&o.g, path, &err), WS_OK, "%s", err.msg);
        const ws_status status = ws_tokenizer_open(&o.t, o.g, &err);
        cr_expect(status == WS_OK || status == WS_UNSUPPORTED, "%s", err.msg);
        if (status == WS_OK) {
            check_texts(o.t, path, texts, lines);
            compared = 1;
        }
    }
    close_all(o);
    free(texts);
    free(lines);
    return compared;
}

Test(tokenizer_golden, vocabularies_of_llama_cpp_give_the_ids_of_llama_cpp, .timeout = 300) {
    const char *folder = getenv("WS_LLAMA_CPP");
    if (!folder) cr_skip_test("WS_LLAMA_CPP names no folder");
    char pattern[512];
    snprintf(pattern, sizeof pattern, "%s/models/ggml-vocab-*.gguf", folder);
    glob_t found;
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s: nothing there", pattern);
    size_t compared = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) compared += check_vocabulary(found.gl_pathv[i]);
    globfree(&found);
    cr_expect_geq(compared, 13, "%zu vocabularies were compared", compared);
}
