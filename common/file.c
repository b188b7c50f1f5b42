#include "file.h"

#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
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

void ws_map_in_huge_pages(const ws_map *map) {
#ifdef MADV_HUGEPAGE
    advise(map, 0, map->size, MADV_HUGEPAGE, false);
#else
    (void)map;
#endif
}

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

ws_status ws_stream_read(char **text, size_t *size, FILE *f, const char *name, size_t limit, ws_error *err) {
    enum { STEP = 1 << 16 };
    size_t cap = 0, got;
    *text = NULL;
    *size = 0;
    do {
        ws_status st = ws_grow(text, &cap, *size + STEP + 1, 1, err);
        got = st ? 0 : fread(*text + *size, 1, STEP, f);
        *size += got;
        if (!st && ferror(f)) st = ws_fail_errno(err, "cannot read '%s'", name);
        if (!st && *size > limit) st = ws_fail(err, WS_FORMAT, "'%s' has more than %zu bytes", name, limit);
        if (st) {
            free(*text);
            *text = NULL;
            return st;
        }
    } while (got > 0);
    (*text)[*size] = '\0';
    return WS_OK;
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
