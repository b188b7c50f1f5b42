/* bytes.h - files for tests, written down as lists of pieces: {R("GGUF"), U32(3), S("name"), PAD(32)}. */
#ifndef WS_TEST_BYTES_H
#define WS_TEST_BYTES_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum { PIECE_END, PIECE_INT, PIECE_STRING, PIECE_RAW, PIECE_FILL, PIECE_PAD } piece_kind;

typedef struct {
    piece_kind kind;
    uint64_t value; /* the number; the length of a string; how many bytes of filling; the alignment */
    size_t bytes;   /* of an INT */
    const char *text;
} piece;

#define U8(v)                                                                                                          \
    { PIECE_INT, (uint64_t)(v), 1, NULL }
#define U16(v)                                                                                                         \
    { PIECE_INT, (uint64_t)(v), 2, NULL }
#define U32(v)                                                                                                         \
    { PIECE_INT, (uint64_t)(v), 4, NULL }
#define U64(v)                                                                                                         \
    { PIECE_INT, (uint64_t)(v), 8, NULL }
#define S(s)                                                                                                           \
    { PIECE_STRING, sizeof(s) - 1, 0, s } /* as GGUF has them: u64 length, bytes */
#define R(s)                                                                                                           \
    { PIECE_RAW, sizeof(s) - 1, 0, s }
#define FILL(n)                                                                                                        \
    { PIECE_FILL, n, 0, NULL } /* n bytes 1, 2, 3, ... */
#define PAD(a)                                                                                                         \
    { PIECE_PAD, a, 0, NULL } /* zeros up to a multiple of a */

/* The bytes of a list that ends with a PIECE_END (zero) piece, in a block of exactly *size bytes: reading past it
 * is an error that the address sanitizer sees. Release with free(). */
uint8_t *build(const piece *pieces, size_t *size);

/* A folder of its own for a test; remove_folder() takes its files along and says how many there were. */
char *make_folder(void);
size_t remove_folder(char *folder);

/* "folder/name" in one of a few static buffers. */
const char *in_folder(const char *folder, const char *name);

void write_file(const char *path, const void *data, size_t size);
uint8_t *read_file(const char *path, size_t *size);

/* status and message are as wanted, or the test fails naming `what`. `message` NULL: any. */
void expect_error(const char *what, ws_status status, const ws_error *err, ws_status wanted, const char *message);

#endif
