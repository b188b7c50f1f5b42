/* Feeds files, and all files of folders, to a fuzz target: its corpus as an ordinary test.
 * Usage: replay_TARGET FILE_OR_FOLDER... */
#include "file.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_files;

/* A copy of exactly the file's size, so that the address sanitizer sees what reads past its end. */
static void replay_file(const char *path) {
    ws_error err = {0};
    ws_map map;
    if (ws_map_open(&map, path, &err)) {
        fprintf(stderr, "replay: %s\n", err.msg);
        exit(1);
    }
    uint8_t *copy = malloc(map.size ? map.size : 1);
    if (!copy) abort();
    if (map.size) memcpy(copy, map.data, map.size);
    fprintf(stderr, "%s (%zu bytes)\n", path, map.size); /* the last line before a crash names the file */
    LLVMFuzzerTestOneInput(copy, map.size);
    free(copy);
    ws_map_close(&map);
    n_files++;
}

static void replay_folder(const char *path) {
    DIR *d = opendir(path);
    if (!d) {
        perror(path);
        exit(1);
    }
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char *file = ws_path_join(path, e->d_name, NULL);
        if (!file) abort();
        replay_file(file);
        free(file);
    }
    closedir(d);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (ws_is_dir(argv[i]))
            replay_folder(argv[i]);
        else
            replay_file(argv[i]);
    }
    printf("%zu files\n", n_files);
    return n_files ? 0 : 1;
}
