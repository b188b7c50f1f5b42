/* inspect - show what is in a model file, and check that it is sound. */
#include "commands.h"
#include "report.h"
#include "safety.h"
#include "verify.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    bool summary, metadata, chat_template, tensors, verify, safety, html, no_pager;
    ws_common_options common;
} options;

/* Which parts of the text? All; only those asked for; with a check the summary. */
static unsigned parts_to_show(const options *o) {
    const unsigned asked = (o->summary ? WS_SHOW_SUMMARY : 0) | (o->metadata ? WS_SHOW_METADATA : 0) |
                           (o->chat_template ? WS_SHOW_TEMPLATE : 0) | (o->tensors ? WS_SHOW_TENSORS : 0);
    if (asked) return asked;
    const unsigned all = o->verify || o->safety ? WS_SHOW_SUMMARY : WS_SHOW_ALL;
    return o->common.quiet ? all & ~(unsigned)WS_SHOW_SUMMARY : all;
}

/* ---- terminals ---- */

static bool is_terminal(void) {
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

/* The user's pager, or less as git calls it: colours pass, and what fits the screen stays there. */
static FILE *open_pager(void) {
    const char *pager = getenv("PAGER");
    if (pager && (!*pager || strcmp(pager, "cat") == 0)) return NULL;
    setenv("LESS", "FRX", 0);
    signal(SIGPIPE, SIG_IGN); /* who has seen enough leaves the pager */
    FILE *f = popen(pager ? pager : "command -v less > /dev/null && exec less || exec cat", "w");
    return f;
}

static ws_status print(const ws_report *r, const ws_checks *checks, const options *o, ws_error *err) {
    if (o->common.json) return ws_report_json(stdout, r, checks, err);
    if (o->html) return ws_report_html(stdout, r, err);
    const bool terminal = is_terminal(), checked = checks->verify || checks->safety;
    const unsigned colour = terminal && !getenv("NO_COLOR") ? WS_SHOW_COLOUR : 0;
    FILE *pager = terminal && !checked && !o->no_pager ? open_pager() : NULL;
    ws_report_print(pager ? pager : stdout, r, checks, parts_to_show(o) | colour);
    if (pager) {
        pclose(pager);
        return WS_OK;
    }
    return ferror(stdout) ? ws_fail_errno(err, "cannot write to standard output") : WS_OK;
}

static ws_status judge(const char *path, const char *what, size_t n_errors, ws_error *err) {
    if (!n_errors) return WS_OK;
    return ws_fail(err, WS_FORMAT, "'%s' is not %s: %zu error%s found", path, what, n_errors, n_errors == 1 ? "" : "s");
}

static ws_status inspect(const ws_args *args, const void *options_, ws_error *err) {
    const options *o = options_;
    const char *path = args->arg[0];
    ws_report *r;
    ws_findings verify = {0}, safety = {0};
    WS_TRY(ws_report_open(&r, path, err));
    ws_status status = o->verify ? ws_verify_run(&verify, r, (int)o->common.threads, o->common.quiet, err) : WS_OK;
    if (!status && o->safety) status = ws_safety_run(&safety, r, err);
    const ws_checks checks = {o->verify ? &verify : NULL, o->safety ? &safety : NULL};
    if (!status) status = print(r, &checks, o, err);
    if (!status) status = judge(path, "sound", verify.n_errors, err);
    if (!status) status = judge(path, "safe", safety.n_errors, err);
    ws_findings_free(&verify);
    ws_findings_free(&safety);
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
        {"verify", 0, WS_OPT_FLAG, &o.verify, NULL, "check structure, shapes, every number, vocabulary and types", 0, 0,
         NULL},
        {"safety", 0, WS_OPT_FLAG, &o.safety, NULL,
         "look for templates, characters, addresses that do not belong there", 0, 0, NULL},
        {"html", 0, WS_OPT_FLAG, &o.html, NULL, "print one HTML page: a map of the tensors, bits per weight by layer",
         0, 0, NULL},
        {"no-pager", 0, WS_OPT_FLAG, &o.no_pager, NULL, "do not page long output on a terminal", 0, 0, NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "inspect",
        .synopsis = "FILE [options]\n       inspect COMMAND ...",
        .summary =
            "Show what is in a model: a GGUF file (of a split model: the first), a safetensors file, its index or a\n"
            "folder, a PyTorch file, a manifest of Ollama's store, an importance matrix.",
        .notes = "Text shortens long values; --json gives everything whole. What a file contains is always escaped.\n"
                 "--verify and --safety list what they find; errors make the exit code 1, warnings and notes do not.\n"
                 "On a terminal output is coloured (NO_COLOR=1: it is not) and paged (by $PAGER, or less).\n\n"
                 "Commands (inspect COMMAND --help tells more; a file of such a name is given as ./NAME):\n"
                 "  diff                        what differs between two models, and by how much\n"
                 "  stats                       how the values of each tensor are distributed\n"
                 "  get, set, rm                read and change metadata\n"
                 "  hash                        fingerprints of tensors and model, manifests\n"
                 "  split, merge                one file into several and back, as llama-gguf-split",
        .examples = "  inspect model.gguf\n"
                    "  inspect model.gguf --json | jq .metadata\n"
                    "  inspect model.safetensors --verify\n"
                    "  inspect model.gguf --safety\n"
                    "  inspect model.gguf --html > model.html",
        .options = rows,
        .min_args = 1,
        .max_args = 1,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, inspect, &o);
}
