/* commands.h - the sub-commands of inspect: one file each (main_inspect_NAME.c) and one row in main_inspect.c. */
#ifndef WS_COMMANDS_H
#define WS_COMMANDS_H

#include "cli.h"

/* A whole program each: argv[0] is the command's name; the result is the exit code. */
typedef int ws_subcommand_fn(int argc, char **argv);

ws_subcommand_fn ws_inspect_diff, ws_inspect_stats, ws_inspect_split, ws_inspect_merge, ws_inspect_get, ws_inspect_set,
    ws_inspect_rm, ws_inspect_hash;

/* What all have in common: parse, call `body` unless only help was wanted, print what failed. */
typedef ws_status ws_command_body(const ws_args *args, const void *options, ws_error *err);
int ws_command_run(const ws_command *cmd, int argc, char **argv, ws_common_options *common, ws_command_body *body,
                   const void *options);

#endif
