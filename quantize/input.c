#include "input.h"

#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const ws_gguf *g;
    bool drop;
    int fd[]; /* of each part; -1: not open */
} files;

uint64_t ws_bytes_of(ws_dtype type, uint64_t n_elements) {
    const ws_dtype_info *info = ws_dtype_get(type);
    return n_elements / info->block_elements * info->block_bytes;
}

static uint64_t place(const ws_span *s) { return s->tensor->offset + ws_bytes_of(s->tensor->type, s->first); }

static ws_status read_span(void *ctx, const ws_span *s, void *to, ws_error *err) {
    const files *f = ctx;
    char *p = to;
    uint64_t at = place(s);
    for (size_t left = ws_bytes_of(s->tensor->type, s->n); left > 0;) {
        const ssize_t n = pread(f->fd[s->tensor->part], p, left, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        const char *path = f->g->part_paths[s->tensor->part];
        if (n < 0) return ws_fail_errno(err, "cannot read tensor '%s' of '%s'", s->tensor->name, path);
        if (n == 0)
            return ws_fail(err, WS_IO, "'%s' ends inside of tensor '%s': it became shorter while it was read", path,
                           s->tensor->name);
        p += n, at += (uint64_t)n, left -= (size_t)n;
    }
    return WS_OK;
}

static void advise(const files *f, const ws_span *s, bool wanted) {
#ifdef POSIX_FADV_WILLNEED
    posix_fadvise(f->fd[s->tensor->part], (off_t)place(s), (off_t)ws_bytes_of(s->tensor->type, s->n),
                  wanted ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED);
#else
    (void)f, (void)s, (void)wanted;
#endif
}

static void will_need(void *ctx, const ws_span *s) { advise(ctx, s, true); }

static void done_with(void *ctx, const ws_span *s) {
    if (((const files *)ctx)->drop) advise(ctx, s, false);
}

/* The file whose header g read, not another one that has taken its name since. */
static ws_status open_part(files *f, size_t part, ws_error *err) {
    const char *path = f->g->part_paths[part];
    struct stat st;
    f->fd[part] = open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd[part] < 0) return ws_fail_errno(err, "cannot open '%s'", path);
    if (fstat(f->fd[part], &st) != 0) return ws_fail_errno(err, "cannot examine '%s'", path);
    if ((uint64_t)st.st_size != f->g->parts[part].size)
        return ws_fail(err, WS_IO, "'%s' changed while it was opened", path);
    return WS_OK;
}

ws_status ws_input_open_gguf(ws_input *in, const ws_gguf *g, bool drop, ws_error *err) {
    *in = (ws_input){0};
    files *f = ws_alloc(1, sizeof *f + g->n_parts * sizeof f->fd[0], "the input", err);
    if (!f) return WS_NOMEM;
    *f = (files){.g = g, .drop = drop};
    *in = (ws_input){g, read_span, will_need, done_with, f};
    for (size_t i = 0; i < g->n_parts; i++) f->fd[i] = -1;
    ws_status status = WS_OK;
    for (size_t i = 0; i < g->n_parts && !status; i++) status = open_part(f, i, err);
    if (status) ws_input_close_gguf(in);
    return status;
}

void ws_input_close_gguf(ws_input *in) {
    files *f = in->ctx;
    for (size_t i = 0; f && i < f->g->n_parts; i++)
        if (f->fd[i] >= 0) close(f->fd[i]);
    free(f);
    *in = (ws_input){0};
}
