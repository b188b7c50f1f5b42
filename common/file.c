#include "file.h"

#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

ws_status ws_map_open(ws_map *map, const char *path, ws_error *err) {
    *map = (ws_map){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ws_fail_errno(err, "cannot open '%s'", path);
    struct stat st;
    ws_status status = WS_OK;
    if (fstat(fd, &st) != 0)
        status = ws_fail_errno(err, "cannot examine '%s'", path);
    else if (!S_ISREG(st.st_mode))
        status = ws_fail(err, WS_IO, "'%s' is not a regular file", path);
    else if (st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            status = ws_fail_errno(err, "cannot map '%s'", path);
        else
            *map = (ws_map){data, (size_t)st.st_size};
    }
    close(fd);
    return status;
}

void ws_map_close(ws_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (ws_map){0};
}

/* Advise on the pages that lie in [offset, offset + bytes): all that touch it, or only those inside it. */
static void advise(const ws_map *map, size_t offset, size_t bytes, int advice, bool whole_only) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), end = offset + bytes;
    const size_t from = whole_only ? (offset + page - 1) / page * page : offset / page * page;
    const size_t to = whole_only && end < map->size ? end / page * page : end;
    if (map->data && from < to && end <= map->size) madvise((void *)(uintptr_t)(map->data + from), to - from, advice);
}

void ws_map_will_need(const ws_map *map, size_t offset, size_t bytes) {
    advise(map, offset, bytes, MADV_WILLNEED, false);
}

void ws_map_release(const ws_map *map, size_t offset, size_t bytes) { advise(map, offset, bytes, MADV_DONTNEED, true); }

ws_status ws_file_read(char **text, size_t *size, const char *path, size_t limit, ws_error *err) {
    *text = NULL;
    ws_map map;
    WS_TRY(ws_map_open(&map, path, err));
    ws_status status = WS_OK;
    if (map.size > limit)
        status = ws_fail(err, WS_FORMAT, "'%s' has %zu bytes; at most %zu are expected", path, map.size, limit);
    else if (!(*text = ws_strndup((const char *)map.data, map.size, err)))
        status = WS_NOMEM;
    *size = map.size;
    ws_map_close(&map);
    return status;
}

bool ws_file_exists(const char *path) { return access(path, F_OK) == 0; }

bool ws_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool ws_same_file(const char *a, const char *b) {
    struct stat sa, sb;
    if (stat(a, &sa) != 0 || stat(b, &sb) != 0) return strcmp(a, b) == 0;
    return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

char *ws_path_join(const char *dir, const char *name, ws_error *err) {
    const size_t n = strlen(dir);
    return ws_sprintf(err, "%s%s%s", dir, n && dir[n - 1] != '/' ? "/" : "", name);
}

/* ---- temporary files are removed when a signal ends the program ---- */

enum { MAX_PENDING = 16 };
static char pending[MAX_PENDING][PATH_MAX];
static volatile sig_atomic_t pending_used[MAX_PENDING];

static void on_signal(int sig) {
    for (int i = 0; i < MAX_PENDING; i++)
        if (pending_used[i]) unlink(pending[i]);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void catch_signals(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
    }
}

/* -1 when the table is full or the name too long: then a signal leaves the file behind, nothing worse. */
static int pending_add(const char *path) {
    catch_signals();
    for (int i = 0; i < MAX_PENDING; i++)
        if (!pending_used[i] && strlen(path) < PATH_MAX) {
            strcpy(pending[i], path);
            pending_used[i] = 1;
            return i;
        }
    return -1;
}

/* ---- writing ---- */

enum { BUFFER_BYTES = 1 << 20 };

struct ws_outfile {
    FILE *f;
    char *path, *temporary; /* temporary == NULL: a device or pipe, written directly */
    uint64_t size;
    int pending;  /* row of the table that signals clean up, or -1 */
    bool created; /* the temporary file is ours to remove */
};

static void outfile_free(ws_outfile *f) {
    if (f->pending >= 0) pending_used[f->pending] = 0;
    free(f->path);
    free(f->temporary);
    free(f);
}

/* The file behind a symbolic link is replaced, not the link. */
static char *resolve(const char *path, ws_error *err) {
    char *real = realpath(path, NULL);
    return real ? real : ws_strndup(path, strlen(path), err);
}

static ws_status open_stream(ws_outfile *f, const char *path, ws_error *err) {
    struct stat st;
    const bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return ws_fail(err, WS_IO, "cannot write '%s': it is a folder", path);
    if (!(f->path = resolve(path, err))) return WS_NOMEM;
    if (!exists || S_ISREG(st.st_mode)) {
        f->temporary = ws_sprintf(err, "%s.part-%ld", f->path, (long)getpid());
        if (!f->temporary) return WS_NOMEM;
    }
    const char *name = f->temporary ? f->temporary : f->path;
    const int flags = f->temporary ? O_CREAT | O_EXCL : 0;
    const int fd = open(name, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (fd < 0) return ws_fail_errno(err, "cannot create '%s'", path);
    f->created = f->temporary != NULL;
    if (f->created) f->pending = pending_add(name);
    if (!(f->f = fdopen(fd, "wb"))) {
        close(fd);
        return ws_fail_errno(err, "cannot write '%s'", path);
    }
    setvbuf(f->f, NULL, _IOFBF, BUFFER_BYTES);
    return WS_OK;
}

ws_status ws_outfile_open(ws_outfile **out, const char *path, ws_error *err) {
    *out = NULL;
    ws_outfile *f = ws_alloc(1, sizeof *f, "an output file", err);
    if (!f) return WS_NOMEM;
    f->pending = -1;
    const ws_status status = open_stream(f, path, err);
    if (status)
        ws_outfile_discard(f);
    else
        *out = f;
    return status;
}

ws_status ws_outfile_write(ws_outfile *f, const void *data, size_t bytes, ws_error *err) {
    if (bytes && fwrite(data, 1, bytes, f->f) != bytes) return ws_fail_errno(err, "cannot write '%s'", f->path);
    f->size += bytes;
    return WS_OK;
}

ws_status ws_outfile_zeros(ws_outfile *f, size_t bytes, ws_error *err) {
    static const char zeros[4096];
    while (bytes > 0) {
        const size_t n = bytes < sizeof zeros ? bytes : sizeof zeros;
        WS_TRY(ws_outfile_write(f, zeros, n, err));
        bytes -= n;
    }
    return WS_OK;
}

uint64_t ws_outfile_size(const ws_outfile *f) { return f->size; }

/* A rename is on the disk when its folder is; not every file system can sync one, so failure is ignored. */
static void sync_folder(const char *path) {
    char *dir = strdup(path);
    if (!dir) return;
    char *slash = strrchr(dir, '/');
    if (slash) slash[slash == dir] = 0;
    const int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

ws_status ws_outfile_finish(ws_outfile *f, ws_error *err) {
    ws_status status = WS_OK;
    if (fflush(f->f) != 0 || (f->temporary && fsync(fileno(f->f)) != 0))
        status = ws_fail_errno(err, "cannot write '%s'", f->path);
    const bool closed = fclose(f->f) == 0;
    f->f = NULL;
    if (!status && !closed) status = ws_fail_errno(err, "cannot write '%s'", f->path);
    if (!status && f->temporary && rename(f->temporary, f->path) != 0)
        status = ws_fail_errno(err, "cannot rename '%s' to '%s'", f->temporary, f->path);
    if (status) {
        ws_outfile_discard(f);
        return status;
    }
    if (f->temporary) sync_folder(f->path);
    outfile_free(f);
    return WS_OK;
}

void ws_outfile_discard(ws_outfile *f) {
    if (!f) return;
    if (f->f) fclose(f->f);
    if (f->created) unlink(f->temporary);
    outfile_free(f);
}
