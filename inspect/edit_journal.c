/* An edit in place is written twice: first to FILE.edit, synced, then to FILE. Whatever stops the second write, the
 * next command finishes it. The journal, little-endian: its magic, the size of FILE, the end of its header, the offset
 * and number of the new bytes, a hash of the header's other bytes, the new bytes, a hash of all that. */
#include "edit_journal.h"

#include "alloc.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { MAGIC, FILE_SIZE, HEADER_END, FROM, COUNT, OTHERS, N_FIELDS };
enum { FIELDS_BYTES = N_FIELDS * 8, HASH_BYTES = 8 };

static const uint64_t MAGIC_NUMBER = UINT64_C(0x3154494445535757); /* "WWSEDIT1" */

static uint64_t hash_others(const uint8_t *header, uint64_t end, uint64_t from, uint64_t count) {
    return XXH3_64bits(header, from) ^ XXH3_64bits_withSeed(header + from + count, end - from - count, 1);
}

static ws_status write_at(const char *path, const uint8_t *data, uint64_t n, uint64_t at, ws_error *err) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return ws_fail_errno(err, "cannot open '%s' for writing", path);
    ws_status status = WS_OK;
    while (n > 0 && !status) {
        const ssize_t done = pwrite(fd, data, n, (off_t)at);
        if (done < 0 && errno != EINTR) status = ws_fail_errno(err, "cannot write '%s'", path);
        if (done > 0) data += done, n -= (uint64_t)done, at += (uint64_t)done;
    }
    if (!status && fsync(fd) != 0) status = ws_fail_errno(err, "cannot write '%s'", path);
    if (close(fd) != 0 && !status) status = ws_fail_errno(err, "cannot write '%s'", path);
    return status;
}

static ws_status write_journal(const char *name, const uint8_t *record, size_t n, ws_error *err) {
    const uint64_t hash = XXH3_64bits(record, n);
    ws_outfile *f;
    WS_TRY(ws_outfile_open(&f, name, err));
    ws_status status = ws_outfile_write(f, record, n, err);
    if (!status) status = ws_outfile_write(f, &hash, sizeof hash, err);
    if (!status) return ws_outfile_finish(f, err);
    ws_outfile_discard(f);
    return status;
}

ws_status ws_journaled_write(const char *path, uint64_t file_size, const uint8_t *header, uint64_t end, uint64_t from,
                             uint64_t count, ws_error *err) {
    const size_t n = FIELDS_BYTES + (size_t)count;
    char *name = ws_sprintf(err, "%s.edit", path);
    uint8_t *record = ws_alloc(n, 1, "journal", err);
    ws_status status = name && record ? WS_OK : WS_NOMEM;
    if (!status) {
        const uint64_t fields[N_FIELDS] = {MAGIC_NUMBER, file_size, end,
                                           from,         count,     hash_others(header, end, from, count)};
        memcpy(record, fields, sizeof fields);
        memcpy(record + FIELDS_BYTES, header + from, count);
        status = write_journal(name, record, n, err);
    }
    if (!status) status = write_at(path, header + from, count, from, err);
    if (!status && unlink(name) != 0) status = ws_fail_errno(err, "cannot remove '%s'", name);
    free(record);
    free(name);
    return status;
}

/* ---- after an interruption ---- */

/* Whole, and of this file as it is now but for the bytes that the edit changes? */
static bool belongs(const ws_map *journal, const ws_map *file, uint64_t *f) {
    uint64_t hash;
    if (journal->size < FIELDS_BYTES + HASH_BYTES) return false;
    memcpy(f, journal->data, FIELDS_BYTES);
    memcpy(&hash, journal->data + journal->size - HASH_BYTES, HASH_BYTES);
    return f[MAGIC] == MAGIC_NUMBER && hash == XXH3_64bits(journal->data, journal->size - HASH_BYTES) &&
           f[FILE_SIZE] == file->size && f[COUNT] == journal->size - FIELDS_BYTES - HASH_BYTES &&
           f[HEADER_END] <= file->size && f[FROM] <= f[HEADER_END] && f[COUNT] <= f[HEADER_END] - f[FROM] &&
           f[OTHERS] == hash_others(file->data, f[HEADER_END], f[FROM], f[COUNT]);
}

static ws_status finish(const char *path, const char *name, ws_error *err) {
    ws_map journal, file;
    uint64_t fields[N_FIELDS];
    WS_TRY(ws_map_open(&journal, name, err));
    ws_status status = ws_map_open(&file, path, err);
    if (!status) {
        if (belongs(&journal, &file, fields))
            status = write_at(path, journal.data + FIELDS_BYTES, fields[COUNT], fields[FROM], err);
        else
            status = ws_fail(err, WS_FORMAT, "'%s' is an interrupted edit, but not of '%s' as it is now: remove it",
                             name, path);
        ws_map_close(&file);
    }
    ws_map_close(&journal);
    if (!status && unlink(name) != 0) status = ws_fail_errno(err, "cannot remove '%s'", name);
    return status;
}

ws_status ws_edit_finish_interrupted(const char *path, bool *finished, ws_error *err) {
    char *name = ws_sprintf(err, "%s.edit", path);
    if (!name) return WS_NOMEM;
    *finished = ws_file_exists(name) && !ws_is_dir(name) && ws_file_exists(path) && !ws_is_dir(path);
    const ws_status status = *finished ? finish(path, name, err) : WS_OK;
    free(name);
    return status;
}
