/* Checkpoints by path: one file, an index with shards, a folder of either. */
#include "bytes.h"
#include "safetensors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder;
static ws_error err;
static ws_safetensors *s;

static void begin_test(void) {
    folder = make_folder();
    err = (ws_error){0};
}

static void end_test(void) { remove_folder(folder); }

TestSuite(safetensors_open, .init = begin_test, .fini = end_test);

/* A file with the given tensors of two bytes each, which hold the file's mark. */
static void write_shard(const char *file, char mark, const char *const *names) {
    ws_safetensors_writer *w;
    cr_assert_eq(ws_safetensors_writer_new(&w, &err), WS_OK);
    ws_safetensors_put_metadata(w, "mark", (char[]){mark, 0});
    for (const char *const *n = names; *n; n++) ws_safetensors_add(w, *n, WS_ST_U8, 1, (uint64_t[]){2});
    cr_assert_eq(ws_safetensors_writer_begin(w, in_folder(folder, file), &err), WS_OK, "%s", err.msg);
    for (const char *const *n = names; *n; n++)
        cr_assert_eq(ws_safetensors_write(w, (char[]){mark, mark}, 2, &err), WS_OK);
    cr_assert_eq(ws_safetensors_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

#define NAMES(...)                                                                                                     \
    (const char *const[]) { __VA_ARGS__, NULL }
#define INDEX "model.safetensors.index.json"
#define ONE   "model-00001-of-00002.safetensors"
#define TWO   "model-00002-of-00002.safetensors"

static void write_index(const char *json) { write_file(in_folder(folder, INDEX), json, strlen(json)); }

static void write_sharded(void) {
    write_shard(ONE, '1', NAMES("layers.2", "layers.10"));
    write_shard(TWO, '2', NAMES("embed", "layers.1"));
    write_index("{\"metadata\":{\"total_size\":8},\"weight_map\":{\"layers.1\":\"" TWO "\",\"layers.2\":\"" ONE
                "\",\"embed\":\"" TWO "\",\"layers.10\":\"" ONE "\"}}");
}

static void expect_sharded(const char *path) {
    static const char *const order[] = {"layers.10", "layers.2", "embed", "layers.1"};
    cr_assert_eq(ws_safetensors_open(&s, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(s->n_tensors, 4);
    cr_assert_eq(s->n_parts, 2);
    for (size_t i = 0; i < 4; i++) {
        const ws_st_tensor *t = &s->tensors[i];
        cr_expect_str_eq(t->name, order[i]);
        cr_expect_eq(t->part, i / 2);
        cr_expect_eq(t->data[1], '1' + i / 2);
        cr_expect_eq(ws_safetensors_tensor(s, order[i]), t);
    }
    cr_expect_eq(s->n_metadata, 1);
    cr_expect_str_eq(s->metadata[1], "1");
    cr_expect_str_eq(s->part_paths[0], in_folder(folder, ONE));
    ws_safetensors_close(s);
}

static void expect_refused(const char *what, const char *path, ws_status status, const char *message) {
    expect_error(what, ws_safetensors_open(&s, path, &err), &err, status, message);
    cr_expect_null(s, "%s", what);
}

Test(safetensors_open, shards) {
    write_sharded();
    expect_sharded(folder);
    expect_sharded(in_folder(folder, INDEX));
    expect_sharded(in_folder(folder, "")); /* the folder's name with a slash */
    cr_assert_eq(chdir(folder), 0);
    cr_expect_eq(ws_safetensors_open(&s, INDEX, &err), WS_OK, "%s", err.msg);
    ws_safetensors_close(s);
}

Test(safetensors_open, shards_without_an_index) {
    write_sharded();
    cr_assert_eq(remove(in_folder(folder, INDEX)), 0);
    expect_sharded(folder);
}

Test(safetensors_open, files_come_in_the_order_of_their_names) {
    for (const char *c = "dgbface"; *c; c++) {
        const char name[] = {'m', 'o', 'd', 'e', 'l', '-', *c, 0};
        char file[32];
        snprintf(file, sizeof file, "%s.safetensors", name);
        write_shard(file, *c, NAMES(name));
    }
    cr_assert_eq(ws_safetensors_open(&s, folder, &err), WS_OK, "%s", err.msg);
    for (uint32_t i = 0; i < 7; i++) cr_expect_eq(s->tensors[i].data[0], 'a' + i);
    ws_safetensors_close(s);
}

Test(safetensors_open, single_file) {
    write_shard("model.safetensors", '0', NAMES("a"));
    write_shard("other.safetensors", '9', NAMES("b"));
    cr_assert_eq(ws_safetensors_open(&s, folder, &err), WS_OK, "%s", err.msg);
    cr_expect(s->n_tensors == 1 && ws_safetensors_tensor(s, "a"));
    ws_safetensors_close(s);
    cr_assert_eq(ws_safetensors_open(&s, in_folder(folder, "other.safetensors"), &err), WS_OK, "%s", err.msg);
    cr_expect(s->n_tensors == 1 && ws_safetensors_tensor(s, "b"));
    ws_safetensors_close(s);
}

Test(safetensors_open, index_goes_first) {
    write_sharded();
    write_shard("model.safetensors", '0', NAMES("a"));
    expect_sharded(folder);
}

Test(safetensors_open, nothing_there) {
    expect_refused("empty folder", folder, WS_IO, "holds no model.safetensors.index.json");
    expect_refused("missing file", in_folder(folder, "x.safetensors"), WS_IO, "x.safetensors");
    expect_refused("missing index", in_folder(folder, INDEX), WS_IO, INDEX);
}

Test(safetensors_open, missing_shard) {
    write_sharded();
    cr_assert_eq(remove(in_folder(folder, TWO)), 0);
    expect_refused("missing", folder, WS_IO, INDEX "' names the shard '" TWO "', which is missing");
}

Test(safetensors_open, broken_indexes) {
    write_sharded();
    static const struct {
        const char *json, *message;
    } rows[] = {
        {"", "not valid JSON"},
        {"{\"weight_map\":", "not valid JSON"},
        {"{}", "no object 'weight_map'"},
        {"[]", "no object 'weight_map'"},
        {"{\"weight_map\":[]}", "no object 'weight_map'"},
        {"{\"weight_map\":{}}", "names no tensors"},
        {"{\"weight_map\":{\"embed\":1}}", "not the name of a file"},
        {"{\"weight_map\":{\"embed\":\"\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"embed\":\"..\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"embed\":\"../" TWO "\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"embed\":\"/etc/passwd\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"embed\":\"" TWO "\",\"layers.2\":\"" TWO "\"}}", "but it is in no shard"},
        {"{\"weight_map\":{\"embed\":\"" TWO "\",\"layers.1\":\"" ONE "\"}}", "but it is in " TWO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_index(rows[i].json);
        expect_refused(rows[i].json, folder, WS_FORMAT, rows[i].message);
        cr_expect_not_null(strstr(err.msg, INDEX), "%s", err.msg);
    }
}

Test(safetensors_open, broken_shard) {
    write_sharded();
    write_file(in_folder(folder, TWO), "\2\0\0\0\0\0\0\0{}x", 11);
    expect_refused("broken", folder, WS_FORMAT, TWO "' has 1 bytes that belong to no tensor");
}

Test(safetensors_open, tensor_in_two_shards) {
    write_sharded();
    write_shard(TWO, '2', NAMES("embed", "layers.1", "layers.2"));
    expect_refused("twice", folder, WS_FORMAT, "'layers.2' is there twice: in '");
    cr_expect(strstr(err.msg, ONE) && strstr(err.msg, TWO), "%s", err.msg);
}
