#include "journal.h"

#include "alloc.h"
#include "file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 20 };
static const char title[] = "weightsmith journal 1\n";

struct ws_journal {
    char *path;
    FILE *f;
    int on_signal; /* handle, or -1 */
};

bool ws_journal_read(const char *text, const char *fingerprint, size_t *n_done) {
    const size_t n_title = strlen(title), n_print = strlen(fingerprint);
    if (strncmp(text, title, n_title) != 0) return false;
    text += n_title;
    if (strncmp(text, fingerprint, n_print) != 0 || text[n_print] != '\n') return false;
    text += n_print + 1;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        char *stop;
        const unsigned long long value = strtoull(text, &stop, 10);
        if (*text < '0' || *text > '9' || stop != end || value > SIZE_MAX) return false;
        *n_done = (size_t)value;
    }
    return true;
}

static bool read_earlier(const char *path, const char *fingerprint, size_t *n_done) {
    char *text;
    size_t n;
    if (ws_file_read(&text, &n, path, MAX_BYTES, NULL)) return false;
    const bool ours = ws_journal_read(text, fingerprint, n_done);
    free(text);
    return ours;
}

ws_status ws_journal_open(ws_journal **out, const char *path, const char *fingerprint, bool keep, bool go_on,
                          size_t *n_done, ws_error *err) {
    *out = NULL;
    *n_done = 0;
    ws_journal *j = ws_alloc(1, sizeof *j, "a journal", err);
    if (!j || !(j->path = ws_strndup(path, strlen(path), err))) {
        free(j);
        return WS_NOMEM;
    }
    j->on_signal = keep ? -1 : ws_remove_on_signal(path);
    const bool ours = go_on && read_earlier(path, fingerprint, n_done);
    if (!ours) *n_done = 0;
    j->f = fopen(path, ours ? "a" : "w");
    if (!j->f || (!ours && fprintf(j->f, "%s%s\n", title, fingerprint) < 0) || fflush(j->f) != 0) {
        ws_fail_errno(err, "cannot write '%s'", path);
        ws_journal_close(j, true);
        return WS_IO;
    }
    *out = j;
    return WS_OK;
}

ws_status ws_journal_note(ws_journal *j, size_t n_done, ws_error *err) {
    if (fprintf(j->f, "%zu\n", n_done) < 0 || fflush(j->f) != 0 || fdatasync(fileno(j->f)) != 0)
        return ws_fail_errno(err, "cannot write '%s'", j->path);
    return WS_OK;
}

void ws_journal_close(ws_journal *j, bool remove) {
    if (!j) return;
    if (j->f) fclose(j->f);
    if (remove) unlink(j->path);
    ws_forget_on_signal(j->on_signal);
    free(j->path);
    free(j);
}
