#include "data_file.h"

#include "alloc.h"
#include "file.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

/* Path of the running program; false when the system does not tell. */
static int program_path(char *path, size_t size) {
#ifdef __APPLE__
    uint32_t n = (uint32_t)size;
    return _NSGetExecutablePath(path, &n) == 0;
#else
    const ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n > 0) path[n] = 0;
    return n > 0;
#endif
}

char *ws_data_file(const char *name, ws_error *err) {
    char program[PATH_MAX];
    if (!program_path(program, sizeof program)) {
        ws_fail(err, WS_IO, "cannot tell where this program is installed, so '%s' is not found", name);
        return NULL;
    }
    char *slash = strrchr(program, '/');
    if (slash) *slash = 0;
    char *path = ws_sprintf(err, "%s/../share/weightsmith/%s", program, name);
    if (path && !ws_file_exists(path)) {
        ws_fail(err, WS_IO, "'%s' is missing; it is installed with the tools", path);
        free(path);
        path = NULL;
    }
    return path;
}
