/* zip.h - the entries of a zip file in memory (zip64 too). Nothing in it is trusted. */
#ifndef WS_ZIP_H
#define WS_ZIP_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name; /* not NUL-terminated; borrowed from the file */
    size_t name_len;
    bool deflated;         /* else stored as it is */
    const uint8_t *data;   /* as it lies in the file */
    uint64_t packed, size; /* bytes there, and unpacked */
} ws_zip_entry;

typedef struct {
    ws_zip_entry *entries; /* sorted by name */
    size_t n;
} ws_zip;

bool ws_zip_probe(const uint8_t *data, size_t size); /* does it begin like a zip file? */

/* `data` is borrowed until close; `path` names it in messages. Encrypted entries and other methods than stored and
 * deflated are refused. Release with ws_zip_close(), also after failure. */
WS_MUST_CHECK ws_status ws_zip_open(ws_zip *z, const uint8_t *data, size_t size, const char *path, ws_error *err);
void ws_zip_close(ws_zip *z);

const ws_zip_entry *ws_zip_find(const ws_zip *z, const char *name, size_t len); /* NULL: none */

/* The content, unpacked: borrowed from the file when it is stored; else *owned is its storage, to be freed. Over
 * `limit` bytes it is refused. */
WS_MUST_CHECK ws_status ws_zip_read(const ws_zip_entry *e, size_t limit, const uint8_t **data, void **owned,
                                    const char *path, ws_error *err);

#endif
