/* Command lines: what is accepted, what is misuse. */
#include "cli.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

typedef struct {
    bool flag;
    int64_t count;
    double rate;
    const char *text, *kind, *check;
} values;

static ws_status parse(values *v, ws_common_options *common, ws_args *args, ws_error *err, char **argv) {
    static const char *const kinds[] = {"f16", "q8_0", NULL};
    const ws_option rows[] = {
        {"flag", 'f', WS_OPT_FLAG, &v->flag, NULL, "a flag", 0, 0, NULL},
        {"count", 'n', WS_OPT_INT, &v->count, "N", "a count", 1, 10, NULL},
        {"rate", 0, WS_OPT_REAL, &v->rate, "R", "a rate", 0, 1, NULL},
        {"text", 0, WS_OPT_TEXT, &v->text, "TEXT", "a text", 0, 0, NULL},
        {"kind", 0, WS_OPT_CHOICE, &v->kind, "KIND", "a kind", 0, 0, kinds},
        {"check", 0, WS_OPT_MAYBE, &v->check, "FILE", "a check", 0, 0, NULL},
        {0},
    };
    const ws_command cmd = {"tool", "IN OUT", "Does things.", NULL, "  tool a b", rows, 1, 2};
    int argc = 0;
    while (argv[argc]) argc++;
    return ws_cli_parse(&cmd, argc, argv, common, args, err);
}

#define PARSE(...) parse(&v, &common, &args, &err, (char *[]){"tool", __VA_ARGS__, NULL})
#define SETUP                                                                                                          \
    values v = {0};                                                                                                    \
    ws_common_options common = {0};                                                                                    \
    ws_args args;                                                                                                      \
    ws_error err = {0}

Test(cli, options_and_arguments_in_any_order) {
    SETUP;
    cr_assert_eq(
        PARSE("in", "-f", "--count", "7", "out", "--rate=0.5", "--kind", "Q8_0", "--check=x", "-t", "3", "--json"),
        WS_OK, "%s", err.msg);
    cr_assert(v.flag && v.count == 7 && v.rate == 0.5 && common.threads == 3 && common.json);
    cr_assert_str_eq(v.kind, "q8_0");
    cr_assert_str_eq(v.check, "x");
    cr_assert(args.n_args == 2 && strcmp(args.arg[0], "in") == 0 && strcmp(args.arg[1], "out") == 0);
}

Test(cli, optional_value_may_be_missing) {
    SETUP;
    cr_assert_eq(PARSE("in", "--check", "out"), WS_OK);
    cr_assert_str_eq(v.check, "");
    cr_assert_eq(args.n_args, 2);
    cr_assert_geq(common.threads, 1, "all processors");
}

Test(cli, misuse) {
    char *lines[][4] = {
        {"tool", NULL},                     /* too few */
        {"tool", "a", "b", NULL},           /* fine, the control */
        {"tool", "a", "--what", NULL},      /* unknown long */
        {"tool", "a", "-x", NULL},          /* unknown short */
        {"tool", "a", "--count=11", NULL},  /* out of range */
        {"tool", "a", "--count=2.5", NULL}, /* not whole */
        {"tool", "a", "--count=", NULL},    /* empty */
        {"tool", "a", "--count", NULL},     /* value missing */
        {"tool", "a", "--rate=nan", NULL},  /* not in [0, 1] */
        {"tool", "a", "--kind=q9", NULL},   /* no such word */
        {"tool", "a", "--flag=1", NULL},    /* takes none */
        {"tool", "a", "--count=99999999999999999999", NULL},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        SETUP;
        const ws_status status = parse(&v, &common, &args, &err, lines[i]);
        cr_assert_eq(status, i == 1 ? WS_OK : WS_USAGE, "row %zu: %d '%s'", i, status, err.msg);
        if (i != 1) cr_assert_neq(err.msg[0], 0);
    }
    SETUP;
    cr_assert_eq(PARSE("a", "b", "c"), WS_USAGE, "too many");
}

Test(cli, help_names_every_option, .init = cr_redirect_stdout) {
    SETUP;
    cr_assert_eq(PARSE("--help"), WS_OK);
    cr_assert(args.done);
    fflush(stdout);
    char text[4096] = "";
    FILE *f = cr_get_redirected_stdout();
    const size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    const char *const expected[] = {"Usage: tool IN OUT", "--flag",      "--count N",
                                    "--check[=FILE]",     "--threads N", "--json"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        cr_assert(strstr(text, expected[i]), "help lacks '%s':\n%s", expected[i], text);
}
