#include "bytes.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 16 };

typedef struct {
    uint8_t data[MAX_BYTES];
    size_t n;
} block;

static void put_int(block *b, uint64_t v, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) b->data[b->n++] = (uint8_t)(v >> (8 * i));
}

static void put_text(block *b, const char *text, size_t n) {
    cr_assert_leq(b->n + n, MAX_BYTES);
    if (n) memcpy(b->data + b->n, text, n);
    b->n += n;
}

static void put_piece(block *b, const piece *p) {
    cr_assert_leq(b->n + 8 + (p->kind == PIECE_INT ? 0 : p->value), MAX_BYTES, "a test file is larger than its buffer");
    if (p->kind == PIECE_INT) put_int(b, p->value, p->bytes);
    if (p->kind == PIECE_STRING) put_int(b, p->value, 8);
    if (p->kind == PIECE_STRING || p->kind == PIECE_RAW) put_text(b, p->text, p->value);
    for (uint64_t i = 0; p->kind == PIECE_FILL && i < p->value; i++) b->data[b->n++] = (uint8_t)(i + 1);
    while (p->kind == PIECE_PAD && b->n % p->value) b->data[b->n++] = 0;
}

uint8_t *build(const piece *pieces, size_t *size) {
    block *b = calloc(1, sizeof *b);
    cr_assert_not_null(b);
    while (pieces->kind != PIECE_END) put_piece(b, pieces++);
    uint8_t *exact = malloc(b->n ? b->n : 1);
    cr_assert_not_null(exact);
    memcpy(exact, b->data, b->n);
    *size = b->n;
    free(b);
    return exact;
}

char *make_folder(void) {
    char *folder = strdup("/tmp/ws-test-XXXXXX");
    cr_assert_not_null(folder);
    cr_assert_not_null(mkdtemp(folder));
    return folder;
}

size_t remove_folder(char *folder) {
    size_t n = 0;
    DIR *d = opendir(folder);
    cr_assert_not_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') n += unlink(in_folder(folder, e->d_name)) == 0;
    closedir(d);
    cr_assert_eq(rmdir(folder), 0);
    free(folder);
    return n;
}

const char *in_folder(const char *folder, const char *name) {
    static char buffers[8][512];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    cr_assert_lt(snprintf(buffer, sizeof buffers[0], "%s/%s", folder, name), (int)sizeof buffers[0]);
    return buffer;
}

void write_file(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f, "cannot create %s", path);
    cr_assert_eq(fwrite(data, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

uint8_t *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "cannot open %s", path);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*size ? *size : 1);
    cr_assert_not_null(data);
    cr_assert_eq(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

void expect_error(const char *what, ws_status status, const ws_error *err, ws_status wanted, const char *message) {
    cr_expect_eq(status, wanted, "%s: status %d instead of %d (%s)", what, status, wanted, err->msg);
    cr_expect_eq(err->code, wanted, "%s: the error's code is %d instead of %d", what, err->code, wanted);
    if (message) cr_expect_not_null(strstr(err->msg, message), "%s: '%s' does not say '%s'", what, err->msg, message);
    cr_expect_null(strchr(err->msg, '\n'), "%s: the message is not one line", what);
}
