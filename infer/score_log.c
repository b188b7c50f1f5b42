#include "score_log.h"

#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <zlib.h>

struct ws_score_log {
    char *path;
    FILE *f;
    size_t n_scores;
    bool reading, broken; /* broken: what was incomplete could not be cut off */
};

/* The file's beginning is title and fingerprint; an empty file gets them. */
static ws_status check_header(ws_score_log *l, const char *fingerprint, ws_error *err) {
    char *header = ws_sprintf(err, "weightsmith scores 1\n%s\n", fingerprint);
    if (!header) return WS_NOMEM;
    const size_t n = strlen(header);
    ws_status st = WS_OK;
    char *found = ws_alloc(n, 1, "a log", err);
    const size_t got = found ? fread(found, 1, n, l->f) : 0;
    if (!found)
        st = WS_NOMEM;
    else if (got == 0 && (fwrite(header, 1, n, l->f) != n || fflush(l->f) != 0))
        st = ws_fail_errno(err, "cannot write '%s'", l->path);
    else if (got != 0 && (got != n || memcmp(found, header, n) != 0))
        st = ws_fail(err, WS_FORMAT,
                     "'%s' is the state of another run (other model, text or options): remove it, or name another file "
                     "with --resume=FILE",
                     l->path);
    free(found);
    free(header);
    return st;
}

ws_status ws_score_log_open(ws_score_log **out, const char *path, const char *fingerprint, size_t n_scores,
                            ws_error *err) {
    ws_score_log *l = ws_alloc(1, sizeof *l, "a log", err);
    *out = NULL;
    if (!l || !(l->path = ws_strndup(path, strlen(path), err))) {
        free(l);
        return WS_NOMEM;
    }
    l->n_scores = n_scores;
    l->reading = true;
    l->f = fopen(path, "a+");
    ws_status st = WS_OK;
    if (!l->f)
        st = ws_fail_errno(err, "cannot open '%s'", path);
    else if (flock(fileno(l->f), LOCK_EX | LOCK_NB) != 0)
        st = ws_fail_errno(err, "another run is using '%s'", path);
    else if (fseek(l->f, 0, SEEK_SET) == 0)
        st = check_header(l, fingerprint, err);
    if (st)
        ws_score_log_close(l, false);
    else
        *out = l;
    return st;
}

static uint32_t checksum(const ws_score *scores, size_t n) {
    return (uint32_t)crc32_z(0, (const Bytef *)scores, n * sizeof *scores);
}

bool ws_score_log_next(ws_score_log *l, ws_score *scores) {
    uint32_t sum;
    if (!l->reading) return false;
    const long at = ftell(l->f);
    l->reading = at >= 0 && fread(scores, sizeof *scores, l->n_scores, l->f) == l->n_scores &&
                 fread(&sum, sizeof sum, 1, l->f) == 1 && sum == checksum(scores, l->n_scores);
    if (!l->reading) l->broken = at < 0 || fflush(l->f) != 0 || ftruncate(fileno(l->f), at) != 0;
    return l->reading;
}

ws_status ws_score_log_add(ws_score_log *l, const ws_score *scores, ws_error *err) {
    const uint32_t sum = checksum(scores, l->n_scores);
    if (l->broken || fseek(l->f, 0, SEEK_END) != 0 ||
        fwrite(scores, sizeof *scores, l->n_scores, l->f) != l->n_scores || fwrite(&sum, sizeof sum, 1, l->f) != 1 ||
        fflush(l->f) != 0)
        return ws_fail_errno(err, "cannot write '%s'", l->path);
    return WS_OK;
}

void ws_score_log_close(ws_score_log *l, bool remove) {
    if (!l) return;
    if (l->f) fclose(l->f);
    if (remove) unlink(l->path);
    free(l->path);
    free(l);
}
