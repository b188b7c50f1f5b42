/* file.h - whole files mapped for reading, and output files that appear under their name only when complete. */
#ifndef WS_FILE_H
#define WS_FILE_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A file mapped read-only; the fields are the interface. A 0-byte file has data == NULL. */
typedef struct {
    const uint8_t *data;
    size_t size;
} ws_map;

WS_MUST_CHECK ws_status ws_map_open(ws_map *map, const char *path, ws_error *err);
void ws_map_close(ws_map *map); /* a zeroed map is fine */

/* Advice for a reader that streams: `bytes` at `offset` will be needed soon / are not needed any more (they
 * leave this process's resident set; whole pages only). */
void ws_map_will_need(const ws_map *map, size_t offset, size_t bytes);
void ws_map_release(const ws_map *map, size_t offset, size_t bytes);

/* Read a small file whole into *text (NUL added; release with free()); files over `limit` bytes are refused. */
WS_MUST_CHECK ws_status ws_file_read(char **text, size_t *size, const char *path, size_t limit, ws_error *err);

bool ws_file_exists(const char *path);
bool ws_is_dir(const char *path);
bool ws_same_file(const char *a, const char *b); /* same inode, or same path of files that do not exist */
char *ws_path_join(const char *dir, const char *name, ws_error *err); /* release with free() */

/* An output file under construction: written beside the target as "TARGET.part-PID", removed by discard and by
 * SIGINT/SIGTERM/SIGHUP, renamed to the target by finish. */
typedef struct ws_outfile ws_outfile;

WS_MUST_CHECK ws_status ws_outfile_open(ws_outfile **out, const char *path, ws_error *err);
WS_MUST_CHECK ws_status ws_outfile_write(ws_outfile *f, const void *data, size_t bytes, ws_error *err);
WS_MUST_CHECK ws_status ws_outfile_zeros(ws_outfile *f, size_t bytes, ws_error *err); /* padding */
uint64_t ws_outfile_size(const ws_outfile *f);                                        /* bytes written so far */

/* Flush, fsync, rename, fsync the folder. Frees f in every case; on failure the temporary file is gone. */
WS_MUST_CHECK ws_status ws_outfile_finish(ws_outfile *f, ws_error *err);
void ws_outfile_discard(ws_outfile *f); /* NULL is fine; cannot fail */

#endif
