/* Names of models: Ollama's store, folders of GGUF files. */
#include "model_source.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[32];

static void shell(const char *fmt, const char *arg) {
    char command[600];
    snprintf(command, sizeof command, fmt, dir, arg);
    cr_assert_eq(system(command), 0);
}

static void set_up(void) {
    snprintf(dir, sizeof dir, "/tmp/ws-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void tear_down(void) { shell("rm -r %s%s", ""); }

TestSuite(model_source, .init = set_up, .fini = tear_down);

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void put_manifest(const char *path, const char *text) {
    char file[300];
    snprintf(file, sizeof file, "%s/manifests/%s", dir, path);
    shell("mkdir -p $(dirname %s/manifests/%s)", path);
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
}

static const char *const manifest =
    "{\"layers\": [{\"mediaType\": \"application/vnd.ollama.image.license\", \"digest\": "
    "\"sha256:00\"}, {\"mediaType\": \"application/vnd.ollama.image.model\", "
    "\"digest\": \"sha256:" HEX "\"}]}";

static void expect_blob(const char *name, bool there) {
    char *path, want[200];
    ws_error err = {0};
    cr_assert_eq(ws_ollama_find(&path, dir, name, &err), WS_OK, "%s", err.msg);
    snprintf(want, sizeof want, "%s/blobs/sha256-" HEX, dir);
    if (there)
        cr_assert(path && strcmp(path, want) == 0, "%s: %s", name, path ? path : "nothing");
    else
        cr_assert_null(path, "%s", name);
    free(path);
}

Test(model_source, ollama_names_have_defaults) {
    put_manifest("registry.ollama.ai/library/llama3/latest", manifest);
    put_manifest("registry.ollama.ai/library/llama3/8b-instruct-q4_K_M", manifest);
    put_manifest("registry.ollama.ai/someone/model/latest", manifest);
    put_manifest("hf.co/someone/repo/Q4_K_M", manifest);
    expect_blob("llama3", true);
    expect_blob("llama3:8b-instruct-q4_K_M", true);
    expect_blob("llama3:70b", false);
    expect_blob("someone/model", true);
    expect_blob("hf.co/someone/repo:Q4_K_M", true);
    expect_blob("llama4", false);
}

Test(model_source, names_do_not_leave_the_store) {
    put_manifest("registry.ollama.ai/library/llama3/latest", manifest);
    expect_blob("../library/llama3", false);
    expect_blob("/llama3", false);
    expect_blob("llama3;x", false);
    expect_blob("", false);
}

static void expect_bad_manifest(const char *text) {
    char *path;
    ws_error err = {0};
    put_manifest("registry.ollama.ai/library/bad/latest", text);
    cr_assert_eq(ws_ollama_find(&path, dir, "bad", &err), WS_FORMAT);
    cr_assert_null(path);
}

Test(model_source, broken_manifests_are_errors) {
    expect_bad_manifest("{");
    expect_bad_manifest("{\"layers\": []}");
    expect_bad_manifest("{\"layers\": [{\"mediaType\": \"application/vnd.ollama.image.model\", \"digest\": "
                        "\"sha256:../../etc/passwd\"}]}");
}

static void expect_file(const char *name, const char *end) {
    char *path;
    ws_error err = {0};
    cr_assert_eq(ws_folder_find(&path, dir, name, &err), WS_OK, "%s", err.msg);
    if (end)
        cr_assert(path && strstr(path, end), "%s: %s", name, path ? path : "nothing");
    else
        cr_assert_null(path);
    free(path);
}

Test(model_source, folders_are_searched_by_part_of_the_path) {
    shell("mkdir -p %s/pub/Repo-GGUF%s", "");
    shell("touch %s/pub/Repo-GGUF/model-Q4_K_M.gguf%s", "");
    shell("touch %s/pub/Repo-GGUF/mmproj-model.gguf%s", "");
    shell("touch %s/pub/Repo-GGUF/big-00001-of-00002.gguf %s", "");
    shell("touch %s/pub/Repo-GGUF/big-00002-of-00002.gguf %s", "");
    expect_file("model-q4_k_m", "model-Q4_K_M.gguf");
    expect_file("pub/repo-gguf/model", "model-Q4_K_M.gguf");
    expect_file("big", "00001-of-00002.gguf");
    expect_file("nothing", NULL);
    char *path;
    ws_error err = {0};
    cr_assert_eq(ws_folder_find(&path, dir, "repo", &err), WS_USAGE);
    cr_assert(strstr(err.msg, "more than one"), "%s", err.msg);
}

Test(model_source, what_is_no_model_is_an_error) {
    ws_blueprint *bp;
    char *path;
    ws_error err = {0};
    setenv("HOME", dir, 1);
    unsetenv("OLLAMA_MODELS");
    cr_assert_eq(ws_model_source_open(&bp, &path, "nonsense:7b", &err), WS_IO);
    cr_assert(strstr(err.msg, "nonsense:7b"), "%s", err.msg);
    free(path);
    cr_assert_eq(ws_model_source_open(&bp, &path, "/nowhere/model.gguf", &err), WS_IO);
    free(path);
    cr_assert_eq(ws_model_source_open(&bp, &path, dir, &err), WS_FORMAT, "an empty folder");
    free(path);
}
