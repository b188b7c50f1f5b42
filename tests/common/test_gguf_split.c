/* Split models: all parts are one model, and parts that do not belong together are refused. */
#include "bytes.h"
#include "gguf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static ws_error err;

static void begin_test(void) {
    folder = make_folder();
    err = (ws_error){0};
}

static void end_test(void) { remove_folder(folder); }

TestSuite(gguf_split, .init = begin_test, .fini = end_test);

typedef struct {
    const char *file, *tensor;
    uint16_t no, count;
    int32_t n_tensors;
} part;

/* One tensor of 4 bytes that hold the part's number. */
static void write_part(const part *p) {
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    if (p->no == 0) ws_gguf_put_str(w, "general.architecture", "llama");
    ws_gguf_put_u16(w, "split.no", p->no);
    ws_gguf_put_u16(w, "split.count", p->count);
    ws_gguf_put_i32(w, "split.tensors.count", p->n_tensors);
    ws_gguf_add_tensor(w, p->tensor, WS_TYPE_I32, 1, (uint64_t[]){1});
    cr_assert_eq(ws_gguf_writer_begin(w, in_folder(folder, p->file), &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_write(w, &(int32_t){p->no}, 4, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

#define FIRST  "m-00001-of-00003.gguf"
#define SECOND "m-00002-of-00003.gguf"
#define THIRD  "m-00003-of-00003.gguf"

static const part good[3] = {{FIRST, "a", 0, 3, 3}, {SECOND, "c", 1, 3, 3}, {THIRD, "b", 2, 3, 3}};

static void write_good(void) {
    for (int i = 0; i < 3; i++) write_part(&good[i]);
}

Test(gguf_split, parts_are_one_model) {
    write_good();
    ws_gguf *g;
    cr_assert_eq(ws_gguf_open(&g, in_folder(folder, FIRST), &err), WS_OK, "%s", err.msg);
    cr_expect_eq(g->n_parts, 3);
    cr_expect_eq(g->n_tensors, 3);
    cr_expect_eq(g->n_kv, 4);
    for (int i = 0; i < 3; i++) {
        const ws_tensor *t = ws_gguf_tensor(g, good[i].tensor);
        cr_assert_not_null(t);
        cr_expect_eq(t, &g->tensors[i]);
        cr_expect_eq(t->part, (uint32_t)i);
        cr_expect_eq(t->data, g->parts[i].data + t->offset);
        cr_expect_eq(*(const int32_t *)t->data, i);
        cr_expect_str_eq(g->part_paths[i], in_folder(folder, good[i].file));
    }
    cr_expect_not_null(ws_gguf_kv(g, "general.architecture"));
    ws_gguf_close(g);
}

static void expect_refused(const char *what, const char *file, ws_status status, const char *message) {
    ws_gguf *g;
    expect_error(what, ws_gguf_open(&g, in_folder(folder, file), &err), &err, status, message);
    cr_expect_null(g);
}

Test(gguf_split, later_part_names_the_first) {
    write_good();
    expect_refused("second", SECOND, WS_FORMAT, "give its first part, '");
    cr_expect_not_null(strstr(err.msg, "part 2 of 3"));
    cr_expect_not_null(strstr(err.msg, in_folder(folder, FIRST)), "%s", err.msg);
}

Test(gguf_split, missing_part) {
    write_good();
    cr_assert_eq(remove(in_folder(folder, SECOND)), 0);
    expect_refused("missing", FIRST, WS_IO, SECOND);
    cr_expect_not_null(strstr(err.msg, "part 2 of 3"), "%s", err.msg);
}

Test(gguf_split, name_without_numbers) {
    write_good();
    cr_assert_eq(rename(in_folder(folder, FIRST), in_folder(folder, "model.gguf")), 0);
    expect_refused("renamed", "model.gguf", WS_FORMAT, "its name must end in '-00001-of-00003.gguf'");
}

Test(gguf_split, part_of_another_place) {
    write_good();
    write_part(&(part){SECOND, "c", 2, 3, 3});
    expect_refused("wrong number", FIRST, WS_FORMAT, "says it is part 3 of 3");
    write_part(&(part){SECOND, "c", 1, 4, 3});
    expect_refused("wrong count", FIRST, WS_FORMAT, "says it is part 2 of 4");
    write_part(&(part){SECOND, "c", 5, 3, 3});
    expect_refused("impossible number", FIRST, WS_FORMAT, "part 5 (from 0) of 3");
}

Test(gguf_split, tensors_do_not_add_up) {
    for (int i = 0; i < 3; i++) write_part(&(part){good[i].file, good[i].tensor, good[i].no, 3, 4});
    expect_refused("count", FIRST, WS_FORMAT, "hold 3 tensors; split.tensors.count says 4");
}

Test(gguf_split, name_in_two_parts) {
    write_good();
    write_part(&(part){SECOND, "b", 1, 3, 3});
    expect_refused("twice", FIRST, WS_FORMAT, "the tensor 'b' twice");
}

Test(gguf_split, broken_part) {
    write_good();
    write_file(in_folder(folder, THIRD), "GGUF\3\0\0", 7);
    expect_refused("broken", FIRST, WS_FORMAT, THIRD "' ends inside its header");
}
