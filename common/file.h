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

/* Advice for a reader that goes over all of the map again and again: what is not in memory yet is read into huge pages,
 * whose addresses take less looking up. */
void ws_map_in_huge_pages(const ws_map *map);

/* Read a small file whole into *text (NUL added; release with free()); files over `limit` bytes are refused. */
WS_MUST_CHECK ws_status ws_file_read(char **text, size_t *size, const char *path, size_t limit, ws_error *err);

/* The same for what a stream gives until its end; `name` stands for it in messages. */
WS_MUST_CHECK ws_status ws_stream_read(char **text, size_t *size, FILE *f, const char *name, size_t limit,
                                       ws_error *err);

bool ws_file_exists(const char *path);
bool ws_is_dir(const char *path);
bool ws_same_file(const char *a, const char *b); /* same inode, or same path of files that do not exist */
char *ws_path_join(const char *dir, const char *name, ws_error *err); /* release with free() */

/* An output file under construction: written beside the target as "TARGET.part-PID", removed by discard and by
 * SIGINT/SIGTERM/SIGHUP, renamed to the target by finish. A device or pipe is written directly. */
typedef struct ws_outfile ws_outfile;

WS_MUST_CHECK ws_status ws_outfile_open(ws_outfile **out, const char *path, ws_error *err);
WS_MUST_CHECK ws_status ws_outfile_write(ws_outfile *f, const void *data, size_t bytes, ws_error *err);
WS_MUST_CHECK ws_status ws_outfile_zeros(ws_outfile *f, size_t bytes, ws_error *err); /* padding */
uint64_t ws_outfile_size(const ws_outfile *f);                                        /* bytes written so far */

/* A file that SIGINT, SIGTERM and SIGHUP remove, until it is forgotten again. -1: too many, a signal leaves it. */
int ws_remove_on_signal(const char *path);
void ws_forget_on_signal(int handle); /* -1 is fine */

typedef struct {
    bool keep; /* the partial file, on failure */
    bool drop; /* written pages from the page cache */
} ws_partial_options;

/* An output file that a later run can go on with: its temporary name is "TARGET.part" and one process at a time may
 * have it. With `keep`, discard and signals leave it (a killed process does in any case), and what an earlier run
 * left is opened as it is: *found. Without, an earlier one is emptied. */
WS_MUST_CHECK ws_status ws_outfile_open_partial(ws_outfile **out, const char *path, const ws_partial_options *o,
                                                bool *found, ws_error *err);
const char *ws_outfile_temporary(const ws_outfile *f); /* its name; NULL: a device or pipe, written in order only */

/* Writing in any order, by any thread: take the space for `size` bytes at once (a full disk shows here, where the
 * file system can tell), which are zeros until written; then bytes at any place within. What is written goes to the
 * disk while the program works on. `fresh`: what an earlier run left behind the bytes written so far is cut off. */
WS_MUST_CHECK ws_status ws_outfile_reserve(ws_outfile *f, uint64_t size, bool fresh, ws_error *err);
WS_MUST_CHECK ws_status ws_outfile_write_at(ws_outfile *f, uint64_t offset, const void *data, size_t bytes,
                                            ws_error *err);
WS_MUST_CHECK ws_status ws_outfile_sync(ws_outfile *f, ws_error *err); /* what was written is on the disk */
/* Bytes of what an earlier run left; fewer at its end. */
WS_MUST_CHECK ws_status ws_outfile_read_at(ws_outfile *f, uint64_t offset, void *data, size_t bytes, size_t *got,
                                           ws_error *err);

/* Flush, fsync, rename, fsync the folder. Frees f in every case; on failure the temporary file is gone. */
WS_MUST_CHECK ws_status ws_outfile_finish(ws_outfile *f, ws_error *err);
void ws_outfile_discard(ws_outfile *f); /* NULL is fine; cannot fail */

#endif
