/* inspect hash - fingerprints of tensors and of the model. */
#include "commands.h"
#include "escape.h"
#include "hash.h"
#include "json_out.h"

#include <string.h>
#include <strings.h>

typedef struct {
    const char *algorithm, *manifest, *check;
    ws_common_options common;
} options;

typedef struct {
    const ws_model_hash *hash;
    const options *o;
    ws_json_out *j; /* NULL: text */
} printer;

static const char *const problem_names[] = {
    [WS_MANIFEST_CHANGED] = "changed", [WS_MANIFEST_MISSING] = "missing", [WS_MANIFEST_EXTRA] = "extra"};

static void print_problem(void *ctx, ws_manifest_problem problem, const char *name) {
    const printer *p = ctx;
    if (p->j) {
        ws_json_open(p->j, NULL, true, false);
        ws_json_text(p->j, "problem", problem_names[problem]);
        ws_json_text(p->j, "tensor", name);
        ws_json_close(p->j);
        return;
    }
    fprintf(stdout, "%-8s ", problem_names[problem]);
    ws_escape_put(stdout, name, strlen(name), SIZE_MAX);
    fputc('\n', stdout);
}

static ws_status check(const printer *p, size_t *n_problems, ws_error *err) {
    if (p->j) ws_json_open(p->j, "problems", false, true);
    const ws_status status =
        ws_manifest_check(p->hash, p->o->check, print_problem, (void *)(uintptr_t)p, n_problems, err);
    if (p->j) ws_json_close(p->j);
    if (!status && !p->j && *n_problems == 0 && !p->o->common.quiet)
        fprintf(stdout, "all %zu tensors are as in the manifest\n", p->hash->n);
    return status;
}

static void print_hashes(const ws_model_hash *h) {
    for (size_t i = 0; i < h->n; i++) {
        fprintf(stdout, "%s  ", h->tensors[i].hex);
        const char *name = h->tensors[i].tensor->name;
        ws_escape_put(stdout, name, strlen(name), SIZE_MAX);
        fputc('\n', stdout);
    }
    fprintf(stdout, "%s  (model)\n", h->model);
}

static void json_hashes(ws_json_out *j, const ws_model_hash *h) {
    ws_json_u64_out(j, "schema", 1);
    ws_json_text(j, "algorithm", ws_hash_name(h->kind));
    ws_json_text(j, "model", h->model);
    ws_json_open(j, "tensors", false, true);
    for (size_t i = 0; i < h->n; i++) {
        ws_json_open(j, NULL, true, false);
        ws_json_text(j, "name", h->tensors[i].tensor->name);
        ws_json_text(j, "hash", h->tensors[i].hex);
        ws_json_close(j);
    }
    ws_json_close(j);
}

static ws_status print_all(const ws_model_hash *h, const options *o, size_t *n_problems, ws_error *err) {
    ws_json_out j;
    if (!o->common.json) {
        if (o->check) return check(&(printer){h, o, NULL}, n_problems, err);
        if (!o->manifest) print_hashes(h);
        return WS_OK;
    }
    ws_json_begin(&j, stdout);
    ws_json_open(&j, NULL, true, true);
    json_hashes(&j, h);
    if (o->check) WS_TRY(check(&(printer){h, o, &j}, n_problems, err));
    ws_json_close(&j);
    return ws_json_end(&j, err);
}

static ws_status hash(const ws_args *args, const void *options_, ws_error *err) {
    const options *o = options_;
    ws_hash_kind kind = strcasecmp(o->algorithm, "sha256") == 0 ? WS_HASH_SHA256 : WS_HASH_XXH3;
    if (o->check) WS_TRY(ws_manifest_kind(&kind, o->check, err));
    ws_report *r;
    ws_model_hash h = {0};
    size_t n_problems = 0;
    WS_TRY(ws_report_open(&r, args->arg[0], err));
    ws_status status = ws_model_hash_run(&h, r, kind, (int)o->common.threads, o->common.quiet, err);
    if (!status && o->manifest) status = ws_manifest_write(&h, o->manifest, err);
    if (!status) status = print_all(&h, o, &n_problems, err);
    if (!status && n_problems)
        status = ws_fail(err, WS_FORMAT, "'%s' is not as in '%s': %zu difference%s", args->arg[0], o->check, n_problems,
                         n_problems == 1 ? "" : "s");
    ws_model_hash_free(&h);
    ws_report_close(r);
    return status;
}

int ws_inspect_hash(int argc, char **argv) {
    static const char *const algorithms[] = {"xxh3", "sha256", NULL};
    options o = {.algorithm = "xxh3"};
    const ws_option rows[] = {
        {"algorithm", 'a', WS_OPT_CHOICE, &o.algorithm, "NAME", "xxh3 (128 bits, default) or sha256", 0, 0, algorithms},
        {"manifest", 0, WS_OPT_TEXT, &o.manifest, "OUT", "write the hashes to a file for a later --check", 0, 0, NULL},
        {"check", 0, WS_OPT_TEXT, &o.check, "MANIFEST", "compare with a manifest; exit code 1 when anything differs", 0,
         0, NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "inspect hash",
        .synopsis = "FILE [options]",
        .summary = "Hash every tensor, and the model: names, types, shapes and weights, whatever the metadata and the\n"
                   "layout. It is the same for a split and an unsplit file.",
        .examples = "  inspect hash model.gguf --manifest model.hashes\n"
                    "  inspect hash model-00001-of-00003.gguf --check model.hashes",
        .options = rows,
        .min_args = 1,
        .max_args = 1,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, hash, &o);
}
