#include "cli.h"

#include "alloc.h"
#include "cpu.h"
#include "escape.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_OPTIONS = 64, FIRST_CODE = 256, HELP_COLUMN = 30 };

/* The tool's rows followed by the rows that every tool has. */
typedef struct {
    ws_option rows[MAX_OPTIONS];
    int n;
    bool help, version;
} table;

static void build_table(table *t, const ws_command *cmd, ws_common_options *common) {
    const ws_option shared[] = {
        {"threads", 't', WS_OPT_INT, &common->threads, "N", "threads to use (default: all processors)", 1, 1024, NULL},
        {"json", 0, WS_OPT_FLAG, &common->json, NULL, "print one JSON value on standard output", 0, 0, NULL},
        {"quiet", 'q', WS_OPT_FLAG, &common->quiet, NULL, "no progress bar, no summary", 0, 0, NULL},
        {"help", 'h', WS_OPT_FLAG, &t->help, NULL, "show this help", 0, 0, NULL},
        {"version", 0, WS_OPT_FLAG, &t->version, NULL, "show the version and the instruction set in use", 0, 0, NULL},
    };
    const int n_shared = sizeof shared / sizeof shared[0];
    for (const ws_option *o = cmd->options; o && o->name && t->n < MAX_OPTIONS - n_shared; o++) t->rows[t->n++] = *o;
    for (int i = 0; i < n_shared; i++) t->rows[t->n++] = shared[i];
}

static void print_option(const ws_option *o) {
    char left[80];
    const char *eq = o->kind == WS_OPT_MAYBE ? "[=" : " ", *close = o->kind == WS_OPT_MAYBE ? "]" : "";
    const char dash[] = {'-', o->letter, ',', ' ', 0};
    snprintf(left, sizeof left, "  %s--%s%s%s%s", o->letter ? dash : "    ", o->name, o->value ? eq : "",
             o->value ? o->value : "", o->value ? close : "");
    if (strlen(left) >= HELP_COLUMN)
        printf("%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
    else
        printf("%-*s%s\n", HELP_COLUMN, left, o->help);
}

static void print_help(const ws_command *cmd, const table *t) {
    printf("Usage: %s %s\n\n%s\n\nOptions:\n", cmd->tool, cmd->synopsis, cmd->summary);
    for (int i = 0; i < t->n; i++) print_option(&t->rows[i]);
    if (cmd->notes) printf("\n%s\n", cmd->notes);
    printf("\nExamples:\n%s\n\nExit codes: 0 done, 1 failed, 2 wrong arguments.\n", cmd->examples);
}

static ws_status parse_number(const ws_option *o, const char *text, ws_error *err) {
    char *end;
    errno = 0;
    const bool whole = o->kind == WS_OPT_INT;
    const long long integer = whole ? strtoll(text, &end, 10) : 0;
    const double value = whole ? (double)integer : strtod(text, &end);
    if (end == text || *end || errno)
        return ws_fail(err, WS_USAGE, "--%s: '%s' is not a %snumber", o->name, text, whole ? "whole " : "");
    if (!(value >= o->min && value <= o->max))
        return ws_fail(err, WS_USAGE, whole ? "--%s: %s is outside of %.0f to %.0f" : "--%s: %s is outside of %g to %g",
                       o->name, text, o->min, o->max);
    if (whole)
        *(int64_t *)o->where = integer;
    else
        *(double *)o->where = value;
    return WS_OK;
}

static ws_status parse_choice(const ws_option *o, const char *text, ws_error *err) {
    char list[400] = "";
    for (const char *const *c = o->choices; *c; c++) {
        if (strcasecmp(*c, text) == 0) {
            *(const char **)o->where = *c;
            return WS_OK;
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", *c);
    }
    return ws_fail(err, WS_USAGE, "--%s: '%s' is not one of %s", o->name, text, list);
}

static ws_status add_given(const ws_option *o, const char *text, ws_error *err) {
    ws_given_list *l = o->where;
    WS_TRY(ws_grow(&l->list, &l->cap, l->n + 1, sizeof *l->list, err));
    l->list[l->n++] = (ws_given){o->name, text};
    return WS_OK;
}

static ws_status apply(const ws_option *o, const char *text, ws_error *err) {
    switch (o->kind) {
    case WS_OPT_FLAG: *(bool *)o->where = true; return WS_OK;
    case WS_OPT_INT:
    case WS_OPT_REAL: return parse_number(o, text, err);
    case WS_OPT_TEXT: *(const char **)o->where = text; return WS_OK;
    case WS_OPT_CHOICE: return parse_choice(o, text, err);
    case WS_OPT_MAYBE: *(const char **)o->where = text ? text : ""; return WS_OK;
    case WS_OPT_MANY: return add_given(o, text, err);
    }
    return WS_OK;
}

static int argument_kind(const ws_option *o) {
    if (o->kind == WS_OPT_FLAG) return no_argument;
    return o->kind == WS_OPT_MAYBE ? optional_argument : required_argument;
}

static ws_status parse_options(const table *t, int argc, char **argv, ws_error *err) {
    struct option longs[MAX_OPTIONS + 1] = {0};
    char shorts[MAX_OPTIONS * 2 + 2] = ":";
    for (int i = 0; i < t->n; i++) {
        const ws_option *o = &t->rows[i];
        longs[i] = (struct option){o->name, argument_kind(o), NULL, FIRST_CODE + i};
        if (o->letter) sprintf(shorts + strlen(shorts), "%c%s", o->letter, o->kind == WS_OPT_FLAG ? "" : ":");
    }
    opterr = 0;
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (code == ':') return ws_fail(err, WS_USAGE, "option '%s' needs a value", argv[optind - 1]);
        if (code == '?') {
            if (optopt && optopt < FIRST_CODE) return ws_fail(err, WS_USAGE, "unknown option '-%c'", optopt);
            if (optopt) return ws_fail(err, WS_USAGE, "option '%s' takes no value", argv[optind - 1]);
            return ws_fail(err, WS_USAGE, "unknown option '%s'", argv[optind - 1]);
        }
        int row = code - FIRST_CODE;
        for (int i = 0; code < FIRST_CODE && i < t->n; i++)
            if (t->rows[i].letter == code) row = i;
        WS_TRY(apply(&t->rows[row], optarg, err));
    }
    return WS_OK;
}

ws_status ws_cli_parse(const ws_command *cmd, int argc, char **argv, ws_common_options *common, ws_args *args,
                       ws_error *err) {
    table t = {.n = 0};
    *args = (ws_args){.n_args = 0};
    build_table(&t, cmd, common);
    WS_TRY(parse_options(&t, argc, argv, err));
    uint32_t flags;
    WS_TRY(ws_cpu_flags(&flags, err)); /* a wrong WS_CPU is misuse, whatever the tool then does */
    if (common->threads == 0) common->threads = ws_cpu_count();
    if (t.help) print_help(cmd, &t);
    if (t.version) printf("%s (weightsmith) %s, kernels: %s\n", cmd->tool, WS_VERSION, ws_cpu_name(flags));
    args->done = t.help || t.version;
    if (args->done) return WS_OK;
    for (int i = optind; i < argc && args->n_args < WS_MAX_ARGS; i++) args->arg[args->n_args++] = argv[i];
    if (argc - optind < cmd->min_args)
        return ws_fail(err, WS_USAGE, "%d argument%s given, %d needed", argc - optind, argc - optind == 1 ? "" : "s",
                       cmd->min_args);
    if (argc - optind > cmd->max_args)
        return ws_fail(err, WS_USAGE, "unexpected argument '%s'", argv[optind + cmd->max_args]);
    return WS_OK;
}

int ws_cli_finish(const ws_command *cmd, ws_status status, ws_error *err) {
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == WS_OK)
        status = ws_fail_errno(err, "cannot write to standard output");
    if (status) {
        fprintf(stderr, "%s: ", cmd->tool);
        ws_escape_put(stderr, err->msg, strlen(err->msg), SIZE_MAX); /* names in it may come from a file */
        fputc('\n', stderr);
    }
    if (status == WS_USAGE)
        fprintf(stderr, "Usage: %s %s\n'%s --help' tells more.\n", cmd->tool, cmd->synopsis, cmd->tool);
    return ws_exit_code(status);
}
