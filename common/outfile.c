/* Output files: written beside their target, renamed when complete, gone when not. */
#include "alloc.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- temporary files are removed when a signal ends the program ---- */

enum { MAX_PENDING = 256 };
static char pending[MAX_PENDING][PATH_MAX];
static volatile sig_atomic_t pending_used[MAX_PENDING];

static void on_signal(int sig) {
    for (int i = 0; i < MAX_PENDING; i++)
        if (pending_used[i]) unlink(pending[i]);
    signal(sig, SIG_DFL);
    raise(sig);
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

static void catch_signals(void) {
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
    }
}

int ws_remove_on_signal(const char *path) {
    catch_signals();
    for (int i = 0; i < MAX_PENDING; i++)
        if (!pending_used[i] && strlen(path) < PATH_MAX) {
            strcpy(pending[i], path);
            pending_used[i] = 1;
            return i;
        }
    return -1;
}

void ws_forget_on_signal(int handle) {
    if (handle >= 0) pending_used[handle] = 0;
}

/* ---- writing ---- */

enum { BUFFER_BYTES = 1 << 20 };

struct ws_outfile {
    FILE *f;
    char *path, *temporary; /* temporary == NULL: a device or pipe, written directly */
    uint64_t size;
    int pending;  /* row of the table that signals clean up, or -1 */
    bool created; /* the temporary file is ours to remove */

    /* Writing in any order: what lies before `started` is on its way to the disk, before `dropped` out of the cache. */
    pthread_mutex_t lock;
    uint64_t highest, started, dropped;
    bool drop;
};

static void outfile_free(ws_outfile *f) {
    ws_forget_on_signal(f->pending);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f->temporary);
    free(f);
}

/* The file behind a symbolic link is replaced, not the link. */
static char *resolve(const char *path, ws_error *err) {
    char *real = realpath(path, NULL);
    return real ? real : ws_strndup(path, strlen(path), err);
}

/* Path and temporary name; the latter stays NULL for what is no file. */
static ws_status set_names(ws_outfile *f, const char *path, bool partial, ws_error *err) {
    struct stat st;
    const bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return ws_fail(err, WS_IO, "cannot write '%s': it is a folder", path);
    if (!(f->path = resolve(path, err))) return WS_NOMEM;
    if (exists && !S_ISREG(st.st_mode)) return WS_OK;
    f->temporary =
        partial ? ws_sprintf(err, "%s.part", f->path) : ws_sprintf(err, "%s.part-%ld", f->path, (long)getpid());
    return f->temporary ? WS_OK : WS_NOMEM;
}

static ws_status open_stream(ws_outfile *f, int fd, ws_error *err) {
    if (!(f->f = fdopen(fd, "wb"))) {
        close(fd);
        return ws_fail_errno(err, "cannot write '%s'", f->path);
    }
    setvbuf(f->f, NULL, _IOFBF, BUFFER_BYTES);
    return WS_OK;
}

/* Signals wait while a file comes to be and is noted for removal. */
static void hold_signals(bool hold) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaddset(&set, signals[i]);
    pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static ws_status open_new(ws_outfile *f, ws_error *err) {
    const char *name = f->temporary ? f->temporary : f->path;
    const int flags = f->temporary ? O_CREAT | O_EXCL : 0;
    hold_signals(true);
    const int fd = open(name, O_WRONLY | O_CLOEXEC | flags, 0666);
    const ws_status status = fd < 0 ? ws_fail_errno(err, "cannot create '%s'", f->path) : WS_OK;
    f->created = fd >= 0 && f->temporary;
    if (f->created) f->pending = ws_remove_on_signal(name);
    hold_signals(false);
    return status ? status : open_stream(f, fd, err);
}

/* Is what `fd` has open still what the name leads to? Another process may have finished or removed it. */
static bool still_there(int fd, const char *name) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(name, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The temporary file, locked; -1 with err filled. */
static int lock_partial(const ws_outfile *f, ws_error *err) {
    for (;;) {
        const int fd = open(f->temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) {
            ws_fail_errno(err, "cannot create '%s'", f->path);
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(fd);
            ws_fail(err, WS_IO, "another process is writing '%s'", f->path);
            return -1;
        }
        if (still_there(fd, f->temporary)) return fd;
        close(fd);
    }
}

static ws_status open_partial(ws_outfile *f, const ws_partial_options *o, bool *found, ws_error *err) {
    struct stat st;
    hold_signals(true);
    const int fd = lock_partial(f, err);
    f->created = fd >= 0 && !o->keep;
    f->drop = o->drop;
    if (f->created) f->pending = ws_remove_on_signal(f->temporary);
    hold_signals(false);
    if (fd < 0) return WS_IO;
    *found = o->keep && fstat(fd, &st) == 0 && st.st_size > 0;
    if (!*found && ftruncate(fd, 0) != 0) {
        close(fd);
        return ws_fail_errno(err, "cannot write '%s'", f->path);
    }
    return open_stream(f, fd, err);
}

/* o == NULL: not to be gone on with. */
static ws_status open_outfile(ws_outfile **out, const char *path, const ws_partial_options *o, bool *found,
                              ws_error *err) {
    *out = NULL;
    ws_outfile *f = ws_alloc(1, sizeof *f, "an output file", err);
    if (!f) return WS_NOMEM;
    f->pending = -1;
    pthread_mutex_init(&f->lock, NULL);
    ws_status status = set_names(f, path, o != NULL, err);
    if (!status) status = o && f->temporary ? open_partial(f, o, found, err) : open_new(f, err);
    if (status)
        ws_outfile_discard(f);
    else
        *out = f;
    return status;
}

ws_status ws_outfile_open(ws_outfile **out, const char *path, ws_error *err) {
    return open_outfile(out, path, NULL, NULL, err);
}

ws_status ws_outfile_open_partial(ws_outfile **out, const char *path, const ws_partial_options *o, bool *found,
                                  ws_error *err) {
    *found = false;
    return open_outfile(out, path, o, found, err);
}

const char *ws_outfile_temporary(const ws_outfile *f) { return f->temporary; }

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

/* ---- writing in any order ---- */

enum { WINDOW = 16 << 20 }; /* bytes handed to the disk at a time */

#ifdef __linux__
static int take_space(int fd, uint64_t size) { return fallocate(fd, 0, 0, (off_t)size); }
static void start_writing(int fd, uint64_t from, uint64_t to) {
    sync_file_range(fd, (off_t)from, (off_t)(to - from), SYNC_FILE_RANGE_WRITE);
}
static void drop_written(int fd, uint64_t from, uint64_t to) {
    sync_file_range(fd, (off_t)from, (off_t)(to - from),
                    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    posix_fadvise(fd, (off_t)from, (off_t)(to - from), POSIX_FADV_DONTNEED);
}
#else /* no such calls: the system decides */
static int take_space(int fd, uint64_t size) { return (void)fd, (void)size, 0; }
static void start_writing(int fd, uint64_t from, uint64_t to) { (void)fd, (void)from, (void)to; }
static void drop_written(int fd, uint64_t from, uint64_t to) { (void)fd, (void)from, (void)to; }
#endif

ws_status ws_outfile_reserve(ws_outfile *f, uint64_t size, bool fresh, ws_error *err) {
    const int fd = fileno(f->f);
    if (fflush(f->f) != 0 || (fresh && ftruncate(fd, (off_t)f->size) != 0))
        return ws_fail_errno(err, "cannot write '%s'", f->path);
    /* Not every file system can take space ahead; the size it can always have. */
    if ((take_space(fd, size) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) || ftruncate(fd, (off_t)size) != 0)
        return ws_fail_errno(err, "cannot take %llu bytes for '%s'", (unsigned long long)size, f->path);
    f->size = size;
    return WS_OK;
}

/* Writes come in nearly rising order. All but the last window before `end` is handed to the disk; what lies a window
 * before that has had time to get there. */
static void hand_to_disk(ws_outfile *f, uint64_t end) {
    pthread_mutex_lock(&f->lock);
    if (end > f->highest) f->highest = end;
    const uint64_t from = f->started, old = f->dropped;
    const uint64_t to = f->highest < from + 2 * WINDOW ? from : f->highest - WINDOW;
    const uint64_t gone = f->drop && to > from && from > WINDOW ? from - WINDOW : old;
    f->started = to;
    f->dropped = gone;
    pthread_mutex_unlock(&f->lock);
    const int fd = fileno(f->f);
    if (to > from) start_writing(fd, from, to);
    if (gone > old) drop_written(fd, old, gone);
}

ws_status ws_outfile_write_at(ws_outfile *f, uint64_t offset, const void *data, size_t bytes, ws_error *err) {
    const char *p = data;
    for (uint64_t at = offset; bytes > 0;) {
        const ssize_t n = pwrite(fileno(f->f), p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ws_fail_errno(err, "cannot write '%s'", f->path);
        p += n, at += (uint64_t)n, bytes -= (size_t)n;
    }
    hand_to_disk(f, offset + (uint64_t)(p - (const char *)data));
    return WS_OK;
}

ws_status ws_outfile_sync(ws_outfile *f, ws_error *err) {
    return fdatasync(fileno(f->f)) == 0 ? WS_OK : ws_fail_errno(err, "cannot write '%s'", f->path);
}

ws_status ws_outfile_read_at(ws_outfile *f, uint64_t offset, void *data, size_t bytes, size_t *got, ws_error *err) {
    *got = 0;
    while (*got < bytes) {
        const ssize_t n = pread(fileno(f->f), (char *)data + *got, bytes - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ws_fail_errno(err, "cannot read '%s'", f->temporary);
        if (n == 0) break;
        *got += (size_t)n;
    }
    return WS_OK;
}

/* ---- the end ---- */

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

/* The name changes while the file is open, and so locked: nobody else can take a partial file in between. */
ws_status ws_outfile_finish(ws_outfile *f, ws_error *err) {
    ws_status status = WS_OK;
    if (fflush(f->f) != 0 || (f->temporary && fsync(fileno(f->f)) != 0))
        status = ws_fail_errno(err, "cannot write '%s'", f->path);
    else if (f->temporary && rename(f->temporary, f->path) != 0)
        status = ws_fail_errno(err, "cannot rename '%s' to '%s'", f->temporary, f->path);
    if (status) {
        ws_outfile_discard(f);
        return status;
    }
    f->created = false;
    if (fclose(f->f) != 0) status = ws_fail_errno(err, "cannot write '%s'", f->path);
    f->f = NULL;
    if (f->temporary) sync_folder(f->path);
    outfile_free(f);
    return status;
}

void ws_outfile_discard(ws_outfile *f) {
    if (!f) return;
    if (f->created) unlink(f->temporary);
    if (f->f) fclose(f->f);
    outfile_free(f);
}
