/* inspect split, inspect merge - one GGUF file into several and back. */
#include "commands.h"
#include "escape.h"
#include "json_out.h"
#include "progress.h"
#include "split.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t max_tensors;
    const char *max_size;
    bool no_tensor_first, dry_run;
    ws_common_options common;
} options;

/* "500M", "4G": powers of ten, as llama-gguf-split has them. */
static ws_status parse_size(uint64_t *bytes, const char *text, ws_error *err) {
    char *end;
    const unsigned long long n = strtoull(text, &end, 10);
    const uint64_t unit = strcmp(end, "M") == 0 ? 1000000 : strcmp(end, "G") == 0 ? 1000000000 : 0;
    if (*text < '0' || *text > '9' || !unit || !n || n > INT32_MAX)
        return ws_fail(err, WS_USAGE, "--max-size: '%s' is not a size such as 500M or 4G", text);
    *bytes = n * unit;
    return WS_OK;
}

static uint64_t part_bytes(const ws_gguf *g, const ws_split_plan *plan, size_t no) {
    uint64_t bytes = 0;
    for (size_t i = plan->first[no]; i < plan->first[no + 1]; i++) bytes += g->tensors[i].bytes;
    return bytes;
}

static void print_text(const ws_gguf *g, const ws_split_plan *plan, char *const *paths) {
    for (size_t no = 0; no < plan->n_parts; no++) {
        char size[32];
        ws_escape_put(stdout, paths[no], strlen(paths[no]), SIZE_MAX);
        fprintf(stdout, "  %5zu tensors  %10s\n", plan->first[no + 1] - plan->first[no],
                ws_format_bytes(size, (double)part_bytes(g, plan, no)));
    }
}

static ws_status print_json(const ws_gguf *g, const ws_split_plan *plan, char *const *paths, bool written,
                            ws_error *err) {
    ws_json_out j;
    ws_json_begin(&j, stdout);
    ws_json_open(&j, NULL, true, true);
    ws_json_u64_out(&j, "schema", 1);
    ws_json_bool(&j, "written", written);
    ws_json_open(&j, "parts", false, true);
    for (size_t no = 0; no < plan->n_parts; no++) {
        ws_json_open(&j, NULL, true, false);
        ws_json_text(&j, "file", paths[no]);
        ws_json_u64_out(&j, "tensors", plan->first[no + 1] - plan->first[no]);
        ws_json_u64_out(&j, "tensor_bytes", part_bytes(g, plan, no));
        ws_json_close(&j);
    }
    ws_json_close(&j);
    ws_json_close(&j);
    return ws_json_end(&j, err);
}

static ws_status print_plan(const ws_gguf *g, const ws_split_plan *plan, const char *prefix, const options *o,
                            ws_error *err) {
    char **paths = calloc(plan->n_parts, sizeof *paths);
    ws_status status = paths ? WS_OK : ws_fail(err, WS_NOMEM, "out of memory: the names of %zu parts", plan->n_parts);
    for (size_t no = 0; no < plan->n_parts && !status; no++)
        if (!(paths[no] = ws_split_path(prefix, no, plan->n_parts, err))) status = WS_NOMEM;
    if (!status && o->common.json)
        status = print_json(g, plan, paths, !o->dry_run, err);
    else if (!status && !o->common.quiet)
        print_text(g, plan, paths);
    for (size_t no = 0; paths && no < plan->n_parts; no++) free(paths[no]);
    free(paths);
    return status;
}

static ws_status split(const ws_args *args, const void *options_, ws_error *err) {
    const options *o = options_;
    ws_split_options how = {.max_tensors = (uint64_t)o->max_tensors, .no_tensor_first = o->no_tensor_first};
    if (o->max_size) WS_TRY(parse_size(&how.max_bytes, o->max_size, err));
    ws_gguf *g;
    ws_split_plan plan = {0};
    WS_TRY(ws_gguf_open(&g, args->arg[0], err));
    ws_status status = ws_split_plan_make(&plan, g, &how, err);
    if (!status && !o->dry_run) status = ws_split_run(&plan, g, args->arg[1], o->common.quiet, err);
    if (!status) status = print_plan(g, &plan, args->arg[1], o, err);
    ws_split_plan_free(&plan);
    ws_gguf_close(g);
    return status;
}

int ws_inspect_split(int argc, char **argv) {
    options o = {.max_tensors = 128};
    const ws_option rows[] = {
        {"max-tensors", 0, WS_OPT_INT, &o.max_tensors, "N", "at most N tensors in a part (default: 128)", 1, INT32_MAX,
         NULL},
        {"max-size", 0, WS_OPT_TEXT, &o.max_size, "SIZE", "at most SIZE of tensors in a part: 500M, 4G (powers of ten)",
         0, 0, NULL},
        {"no-tensor-first", 0, WS_OPT_FLAG, &o.no_tensor_first, NULL, "the first part holds the metadata only", 0, 0,
         NULL},
        {"dry-run", 0, WS_OPT_FLAG, &o.dry_run, NULL, "show the parts; write nothing", 0, 0, NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "inspect split",
        .synopsis = "IN.gguf PREFIX [options]",
        .summary = "Split a GGUF file into PREFIX-00001-of-00003.gguf and so on, byte for byte as llama-gguf-split "
                   "does.",
        .examples = "  inspect split model.gguf model --max-size 4G",
        .options = rows,
        .min_args = 2,
        .max_args = 2,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, split, &o);
}

static ws_status merge(const ws_args *args, const void *options_, ws_error *err) {
    const ws_common_options *common = options_;
    ws_gguf *g;
    WS_TRY(ws_gguf_open(&g, args->arg[0], err));
    ws_status status = ws_merge_run(g, args->arg[1], common->quiet, err);
    if (!status && common->json) {
        ws_json_out j;
        ws_json_begin(&j, stdout);
        ws_json_open(&j, NULL, true, true);
        ws_json_u64_out(&j, "schema", 1);
        ws_json_text(&j, "file", args->arg[1]);
        ws_json_u64_out(&j, "parts", g->n_parts);
        ws_json_u64_out(&j, "tensors", g->n_tensors);
        ws_json_close(&j);
        status = ws_json_end(&j, err);
    }
    ws_gguf_close(g);
    return status;
}

int ws_inspect_merge(int argc, char **argv) {
    ws_common_options common = {0};
    const ws_command cmd = {
        .tool = "inspect merge",
        .synopsis = "FIRST.gguf OUT.gguf [options]",
        .summary = "Write a split model (give its first part) as one file, byte for byte as llama-gguf-split does.",
        .examples = "  inspect merge model-00001-of-00003.gguf model.gguf",
        .min_args = 2,
        .max_args = 2,
    };
    return ws_command_run(&cmd, argc, argv, &common, merge, &common);
}
