/* inspect - show what is in a model file, and check that it is sound. */
#include "commands.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    ws_subcommand_fn *run;
} commands[] = {
    {"diff", ws_inspect_diff}, {"stats", ws_inspect_stats}, {"get", ws_inspect_get},     {"set", ws_inspect_set},
    {"rm", ws_inspect_rm},     {"hash", ws_inspect_hash},   {"split", ws_inspect_split}, {"merge", ws_inspect_merge},
};

int ws_command_run(const ws_command *cmd, int argc, char **argv, ws_common_options *common, ws_command_body *body,
                   const void *options) {
    ws_args args;
    ws_error err = {0};
    ws_status status = ws_cli_parse(cmd, argc, argv, common, &args, &err);
    if (!status && !args.done) status = body(&args, options, &err);
    return ws_cli_finish(cmd, status, &err);
}

typedef struct {
    bool summary, metadata, chat_template, tensors, verify;
    ws_common_options common;
} options;

/* Which parts of the text? All; only those asked for; with --verify the summary. */
static unsigned parts_to_show(const options *o) {
    const unsigned asked = (o->summary ? WS_SHOW_SUMMARY : 0) | (o->metadata ? WS_SHOW_METADATA : 0) |
                           (o->chat_template ? WS_SHOW_TEMPLATE : 0) | (o->tensors ? WS_SHOW_TENSORS : 0);
    if (asked) return asked;
    const unsigned all = o->verify ? WS_SHOW_SUMMARY : WS_SHOW_ALL;
    return o->common.quiet ? all & ~(unsigned)WS_SHOW_SUMMARY : all;
}

static ws_status print(const ws_report *r, const ws_verify *verify, const options *o, ws_error *err) {
    if (o->common.json) return ws_report_json(stdout, r, verify, err);
    ws_report_print(stdout, r, verify, parts_to_show(o));
    return ferror(stdout) ? ws_fail_errno(err, "cannot write to standard output") : WS_OK;
}

static ws_status inspect(const ws_args *args, const void *options_, ws_error *err) {
    const options *o = options_;
    const char *path = args->arg[0];
    ws_report *r;
    ws_verify verify = {0};
    WS_TRY(ws_report_open(&r, path, err));
    ws_status status = o->verify ? ws_verify_run(&verify, r, (int)o->common.threads, o->common.quiet, err) : WS_OK;
    if (!status) status = print(r, o->verify ? &verify : NULL, o, err);
    if (!status && verify.n_errors)
        status = ws_fail(err, WS_FORMAT, "'%s' is not sound: %zu error%s found", path, verify.n_errors,
                         verify.n_errors == 1 ? "" : "s");
    ws_verify_free(&verify);
    ws_report_close(r);
    return status;
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    options o = {0};
    const ws_option rows[] = {
        {"summary", 0, WS_OPT_FLAG, &o.summary, NULL, "show only the summary and the totals by type", 0, 0, NULL},
        {"metadata", 0, WS_OPT_FLAG, &o.metadata, NULL, "show only the metadata", 0, 0, NULL},
        {"template", 0, WS_OPT_FLAG, &o.chat_template, NULL, "show only the chat template, whole", 0, 0, NULL},
        {"tensors", 0, WS_OPT_FLAG, &o.tensors, NULL, "show only the list of tensors", 0, 0, NULL},
        {"verify", 0, WS_OPT_FLAG, &o.verify, NULL, "check the structure and every number for NaN and infinity", 0, 0,
         NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "inspect",
        .synopsis = "FILE [options]\n       inspect COMMAND ...",
        .summary = "Show what is in a model: a GGUF file (of a split model: the first), a safetensors file, its index "
                   "or a folder.",
        .notes = "Text shortens long values; --json gives everything whole. What a file contains is always escaped.\n\n"
                 "Commands (inspect COMMAND --help tells more; a file of such a name is given as ./NAME):\n"
                 "  diff                        what differs between two models, and by how much\n"
                 "  stats                       how the values of each tensor are distributed\n"
                 "  get, set, rm                read and change metadata\n"
                 "  hash                        fingerprints of tensors and model, manifests\n"
                 "  split, merge                one file into several and back, as llama-gguf-split",
        .examples = "  inspect model.gguf\n"
                    "  inspect model.gguf --json | jq .metadata\n"
                    "  inspect model.safetensors --verify",
        .options = rows,
        .min_args = 1,
        .max_args = 1,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, inspect, &o);
}
