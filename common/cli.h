/* cli.h - command lines as data: a row per option; parsing, --help and usage errors come from the rows. */
#ifndef WS_CLI_H
#define WS_CLI_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    WS_OPT_FLAG,   /* bool *   set to true */
    WS_OPT_INT,    /* int64_t * within [min, max] */
    WS_OPT_REAL,   /* double * within [min, max] */
    WS_OPT_TEXT,   /* const char ** */
    WS_OPT_CHOICE, /* const char ** one of the words in `choices`, any case; the word as listed is stored */
    WS_OPT_MAYBE,  /* const char ** --name or --name=VALUE; without a value "" is stored */
    WS_OPT_MANY,   /* ws_given_list * every value; rows that share a list keep the order of the command line */
} ws_opt_kind;

typedef struct {
    const char *option, *value; /* long name; borrowed */
} ws_given;

/* Starts as {0}; release `list` with free(). */
typedef struct {
    ws_given *list;
    size_t n, cap;
} ws_given_list;

typedef struct {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* short name or 0 */
    ws_opt_kind kind;
    void *where;
    const char *value; /* what the help calls the value: "N", "FILE" */
    const char *help;
    double min, max; /* INT and REAL */
    const char *const *choices;
} ws_option;

typedef struct {
    const char *tool;     /* "convert" */
    const char *synopsis; /* "MODEL_DIR OUT.gguf [options]" */
    const char *summary;  /* one or two sentences */
    const char *notes;    /* further help text, or NULL */
    const char *examples; /* lines */
    const ws_option *options;
    int min_args, max_args;
} ws_command;

/* Options that every tool has; the rows are added to every table. */
typedef struct {
    bool json, quiet;
    int64_t threads; /* 0 when not given; ws_cli_parse() then sets ws_cpu_count() */
} ws_common_options;

enum { WS_MAX_ARGS = 16 };

typedef struct {
    const char *arg[WS_MAX_ARGS]; /* what is left when the options are taken out */
    int n_args;
    bool done; /* --help or --version was printed: leave with exit code 0 */
} ws_args;

/* Parse argv. --help goes to stdout; WS_USAGE with a message when the command line is wrong. */
WS_MUST_CHECK ws_status ws_cli_parse(const ws_command *cmd, int argc, char **argv, ws_common_options *common,
                                     ws_args *args, ws_error *err);

/* What every main returns: prints "TOOL: MESSAGE" (and, after misuse, how to get help) to stderr if there is an
 * error, flushes stdout (a full disk shows there), gives the exit code. */
int ws_cli_finish(const ws_command *cmd, ws_status status, ws_error *err);

#endif
