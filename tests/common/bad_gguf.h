/* bad_gguf.h - broken GGUF files and what must be said of them. */
#ifndef WS_TEST_BAD_GGUF_H
#define WS_TEST_BAD_GGUF_H

#include "bytes.h"

typedef struct {
    const char *name;
    const piece *pieces;
    ws_status status;
    const char *message; /* must be in the error's text */
} bad_file;

extern const bad_file bad_ggufs[]; /* ended by a row without name */

#endif
