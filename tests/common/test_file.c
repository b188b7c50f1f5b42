/* Output files appear under their name only when complete; maps and small reads. */
#include "file.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/ws-test-XXXXXX";
static char path[64];

static void make_dir(void) {
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/out", dir);
}

/* Nothing may be left but what the test removes itself. */
static void remove_dir(void) {
    unlink(path);
    cr_assert_eq(rmdir(dir), 0, "a temporary file was left in %s", dir);
}

static void write_text(const char *text) {
    ws_error err = {0};
    ws_outfile *f;
    cr_assert_eq(ws_outfile_open(&f, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_outfile_write(f, text, strlen(text), &err), WS_OK);
    cr_assert_eq(ws_outfile_size(f), strlen(text));
    cr_assert_eq(ws_outfile_finish(f, &err), WS_OK, "%s", err.msg);
}

static void expect_text(const char *text) {
    ws_error err = {0};
    char *content;
    size_t n;
    cr_assert_eq(ws_file_read(&content, &n, path, 1 << 20, &err), WS_OK, "%s", err.msg);
    cr_assert_str_eq(content, text);
    cr_assert_eq(n, strlen(text));
    free(content);
}

Test(file, finished_file_replaces_the_old_one, .init = make_dir, .fini = remove_dir) {
    write_text("first");
    write_text("second");
    expect_text("second");
}

Test(file, discarded_file_leaves_the_old_one, .init = make_dir, .fini = remove_dir) {
    ws_error err = {0};
    ws_outfile *f;
    write_text("old");
    cr_assert_eq(ws_outfile_open(&f, path, &err), WS_OK);
    cr_assert_eq(ws_outfile_write(f, "new", 3, &err), WS_OK);
    expect_text("old");
    ws_outfile_discard(f);
    ws_outfile_discard(NULL);
    expect_text("old");
}

Test(file, signal_removes_the_temporary_file, .init = make_dir, .fini = remove_dir) {
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        ws_outfile *f;
        if (ws_outfile_open(&f, path, NULL) != WS_OK || ws_outfile_zeros(f, 5 << 20, NULL) != WS_OK) _exit(1);
        raise(SIGTERM);
        _exit(2);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "status %x", status);
    cr_assert_not(ws_file_exists(path));
}

Test(file, full_disk_is_an_error) {
    ws_error err = {0};
    ws_outfile *f;
    cr_assert_eq(ws_outfile_open(&f, "/dev/full", &err), WS_OK, "%s", err.msg);
    ws_status status = ws_outfile_zeros(f, 64, &err);
    if (status)
        ws_outfile_discard(f);
    else
        status = ws_outfile_finish(f, &err);
    cr_assert_eq(status, WS_IO);
    cr_assert(strstr(err.msg, "/dev/full"));
    struct stat st;
    cr_assert(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode), "a device must not be replaced");
}

Test(file, missing_folder_and_folder_as_target) {
    ws_error err = {0};
    ws_outfile *f;
    cr_assert_eq(ws_outfile_open(&f, "/nonexistent/folder/x", &err), WS_IO);
    cr_assert_null(f);
    cr_assert(strstr(err.msg, "/nonexistent/folder/x"));
    cr_assert_eq(ws_outfile_open(&f, "/tmp", &err), WS_IO);
}

Test(file, link_stays_a_link, .init = make_dir, .fini = remove_dir) {
    char link_path[80];
    snprintf(link_path, sizeof link_path, "%s/link", dir);
    write_text("old");
    cr_assert_eq(symlink(path, link_path), 0);
    ws_error err = {0};
    ws_outfile *f;
    cr_assert_eq(ws_outfile_open(&f, link_path, &err), WS_OK);
    cr_assert_eq(ws_outfile_write(f, "new", 3, &err), WS_OK);
    cr_assert_eq(ws_outfile_finish(f, &err), WS_OK);
    struct stat st;
    cr_assert(lstat(link_path, &st) == 0 && S_ISLNK(st.st_mode));
    expect_text("new");
    unlink(link_path);
}

Test(file, maps, .init = make_dir, .fini = remove_dir) {
    ws_error err = {0};
    ws_map map;
    write_text("");
    cr_assert_eq(ws_map_open(&map, path, &err), WS_OK);
    cr_assert(map.data == NULL && map.size == 0);
    ws_map_close(&map);
    write_text("content");
    cr_assert_eq(ws_map_open(&map, path, &err), WS_OK);
    ws_map_will_need(&map, 0, 7);
    ws_map_release(&map, 0, 7);
    ws_map_release(&map, 5, 1000);
    cr_assert_eq(memcmp(map.data, "content", 7), 0);
    ws_map_close(&map);
    cr_assert_eq(ws_map_open(&map, dir, &err), WS_IO);
    cr_assert_eq(ws_map_open(&map, "/nonexistent", &err), WS_IO);
    char *text;
    size_t n;
    cr_assert_eq(ws_file_read(&text, &n, path, 3, &err), WS_FORMAT, "over the limit");
}

Test(file, same_file, .init = make_dir, .fini = remove_dir) {
    char other[96];
    snprintf(other, sizeof other, "%s/../%s/out", dir, dir + 5);
    write_text("x");
    cr_assert(ws_same_file(path, other));
    cr_assert_not(ws_same_file(path, "/dev/null"));
    cr_assert(ws_same_file("/nonexistent/a", "/nonexistent/a"));
}

/* ---- partial files ---- */

static ws_outfile *open_partial(bool keep, bool expect_found) {
    ws_error err = {0};
    ws_outfile *f;
    bool found = !expect_found;
    cr_assert_eq(ws_outfile_open_partial(&f, path, &(ws_partial_options){.keep = keep}, &found, &err), WS_OK, "%s",
                 err.msg);
    cr_assert_eq(found, expect_found);
    return f;
}

static void write_at(ws_outfile *f, uint64_t offset, const char *text) {
    cr_assert_eq(ws_outfile_write_at(f, offset, text, strlen(text), NULL), WS_OK);
}

Test(file, writing_in_any_order, .init = make_dir, .fini = remove_dir) {
    ws_outfile *f = open_partial(false, false);
    cr_assert_eq(ws_outfile_write(f, "head", 4, NULL), WS_OK);
    cr_assert_eq(ws_outfile_reserve(f, 12, true, NULL), WS_OK);
    write_at(f, 8, "tail");
    write_at(f, 4, "body");
    cr_assert_eq(ws_outfile_finish(f, NULL), WS_OK);
    expect_text("headbodytail");
}

Test(file, a_kept_partial_file_is_found_again, .init = make_dir, .fini = remove_dir) {
    char there[16] = "";
    size_t got;
    ws_outfile *f = open_partial(true, false);
    cr_assert_eq(ws_outfile_reserve(f, 8, true, NULL), WS_OK);
    write_at(f, 0, "half");
    ws_outfile_discard(f);
    cr_assert_not(ws_file_exists(path));
    f = open_partial(true, true);
    cr_assert_eq(ws_outfile_reserve(f, 8, false, NULL), WS_OK);
    cr_assert_eq(ws_outfile_read_at(f, 0, there, sizeof there, &got, NULL), WS_OK);
    cr_assert(got == 8 && memcmp(there, "half\0\0\0\0", 8) == 0);
    write_at(f, 4, "done");
    cr_assert_eq(ws_outfile_finish(f, NULL), WS_OK);
    expect_text("halfdone");
}

Test(file, a_partial_file_not_asked_for_is_emptied, .init = make_dir, .fini = remove_dir) {
    ws_outfile *f = open_partial(true, false);
    cr_assert_eq(ws_outfile_write(f, "old old old", 11, NULL), WS_OK);
    ws_outfile_discard(f);
    f = open_partial(false, false);
    cr_assert_eq(ws_outfile_reserve(f, 3, true, NULL), WS_OK);
    write_at(f, 0, "new");
    cr_assert_eq(ws_outfile_finish(f, NULL), WS_OK);
    expect_text("new");
}

Test(file, one_writer_of_a_partial_file_at_a_time, .init = make_dir, .fini = remove_dir) {
    ws_error err = {0};
    ws_outfile *f = open_partial(false, false), *other;
    bool found;
    cr_assert_eq(ws_outfile_open_partial(&other, path, &(ws_partial_options){.keep = true}, &found, &err), WS_IO);
    cr_assert(strstr(err.msg, "another process"), "%s", err.msg);
    ws_outfile_discard(f);
}

Test(file, space_that_is_not_there_is_told_at_once, .init = make_dir, .fini = remove_dir) {
    ws_error err = {0};
    ws_outfile *f = open_partial(false, false);
    cr_assert_eq(ws_outfile_reserve(f, (uint64_t)1 << 62, true, &err), WS_IO);
    cr_assert(strstr(err.msg, "cannot take"), "%s", err.msg);
    ws_outfile_discard(f);
}
