/* inspect get, set, rm - the metadata of a GGUF file, key by key. */
#include "commands.h"
#include "edit.h"
#include "edit_journal.h"
#include "escape.h"
#include "json_out.h"
#include "kv_text.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *out;
    bool raw;
    ws_common_options common;
} options;

/* An edit that was interrupted is finished first. */
static ws_status open_edited(ws_gguf **g, const char *path, ws_error *err) {
    bool finished;
    WS_TRY(ws_edit_finish_interrupted(path, &finished, err));
    if (finished) fprintf(stderr, "inspect: an edit of this file that was interrupted is finished\n");
    return ws_gguf_open(g, path, err);
}

/* ---- get ---- */

static ws_status find_keys(const ws_gguf *g, const ws_args *args, ws_error *err) {
    for (int i = 1; i < args->n_args; i++)
        if (!ws_gguf_kv(g, args->arg[i]))
            return ws_fail(err, WS_FORMAT, "'%s' has no key '%s'", args->arg[0], args->arg[i]);
    return WS_OK;
}

/* Strings keep their lines; --raw keeps every byte. Other values are as in the list of metadata, whole. */
static void print_value(const ws_kv *kv, bool raw) {
    ws_str s;
    if (!ws_kv_str(kv, &s)) {
        ws_kv_print(stdout, kv, true);
        fputc('\n', stdout);
    } else if (raw) {
        fwrite(s.data, 1, s.len, stdout);
    } else {
        ws_escape_block(stdout, s.data, s.len, 0, SIZE_MAX);
    }
}

static ws_status print_json(const ws_gguf *g, const ws_args *args, ws_error *err) {
    ws_json_out j;
    ws_json_begin(&j, stdout);
    ws_json_open(&j, NULL, true, true);
    for (int i = 1; i < args->n_args; i++) ws_json_kv(&j, ws_gguf_kv(g, args->arg[i]));
    ws_json_close(&j);
    return ws_json_end(&j, err);
}

static ws_status get(const ws_args *args, const void *options_, ws_error *err) {
    const options *o = options_;
    ws_gguf *g;
    WS_TRY(open_edited(&g, args->arg[0], err));
    ws_status status = find_keys(g, args, err);
    if (!status && o->common.json) status = print_json(g, args, err);
    for (int i = 1; i < args->n_args && !status && !o->common.json; i++)
        print_value(ws_gguf_kv(g, args->arg[i]), o->raw);
    ws_gguf_close(g);
    return status;
}

int ws_inspect_get(int argc, char **argv) {
    options o = {0};
    const ws_option rows[] = {
        {"raw", 0, WS_OPT_FLAG, &o.raw, NULL, "strings byte for byte, not escaped", 0, 0, NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "inspect get",
        .synopsis = "FILE.gguf KEY... [options]",
        .summary = "Print the values of metadata keys, whole, one after the other.",
        .examples = "  inspect get model.gguf general.name llama.context_length\n"
                    "  inspect get model.gguf tokenizer.chat_template --raw > template.jinja",
        .options = rows,
        .min_args = 2,
        .max_args = WS_MAX_ARGS,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, get, &o);
}

/* ---- set and rm ---- */

static ws_status print_result(const ws_edit_result *r, const char *path, const ws_common_options *common,
                              ws_error *err) {
    char size[32];
    if (common->json) {
        ws_json_out j;
        ws_json_begin(&j, stdout);
        ws_json_open(&j, NULL, true, true);
        ws_json_u64_out(&j, "schema", 1);
        ws_json_text(&j, "file", path);
        ws_json_bool(&j, "in_place", r->in_place);
        ws_json_u64_out(&j, "bytes_written", r->bytes_written);
        ws_json_close(&j);
        return ws_json_end(&j, err);
    }
    if (common->quiet) return WS_OK;
    ws_escape_put(stdout, path, strlen(path), SIZE_MAX);
    fprintf(stdout, ": %s written, %s\n", ws_format_bytes(size, (double)r->bytes_written),
            r->in_place ? "in place" : "as a copy");
    return WS_OK;
}

typedef ws_status parse_fn(ws_edit *e, const ws_gguf *g, const char *text, ws_error *err);

static ws_status edit(const ws_args *args, const options *o, parse_fn *parse, ws_error *err) {
    ws_edit edits[WS_MAX_ARGS] = {0};
    ws_edit_result result = {0};
    ws_gguf *g;
    const char *out = o->out ? o->out : args->arg[0];
    const size_t n = (size_t)args->n_args - 1;
    WS_TRY(open_edited(&g, args->arg[0], err));
    ws_status status = WS_OK;
    for (size_t i = 0; i < n && !status; i++) status = parse(&edits[i], g, args->arg[i + 1], err);
    if (status)
        ws_gguf_close(g);
    else
        status = ws_edit_apply(g, o->out, edits, n, &result, err);
    for (size_t i = 0; i < n; i++) ws_edit_free(&edits[i]);
    return status ? status : print_result(&result, out, &o->common, err);
}

static ws_status set(const ws_args *args, const void *o, ws_error *err) { return edit(args, o, ws_edit_parse, err); }
static ws_status rm(const ws_args *args, const void *o, ws_error *err) { return edit(args, o, ws_edit_removal, err); }

static ws_option out_row(options *o) {
    return (ws_option){"output", 'o', WS_OPT_TEXT, &o->out, "OUT", "write OUT; leave FILE as it is", 0, 0, NULL};
}

int ws_inspect_set(int argc, char **argv) {
    options o = {0};
    const ws_option rows[] = {out_row(&o), {0}};
    const ws_command cmd = {
        .tool = "inspect set",
        .synopsis = "FILE.gguf KEY=VALUE... [options]",
        .summary = "Change metadata, in place where the padding allows it, else by a copy that replaces the file.",
        .notes = "KEY:TYPE=VALUE gives the type: u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 bool string, or [TYPE] for an\n"
                 "array (1,2,3 or JSON). Without it a key keeps its type; a new one gets bool, u32, i32, f32 or\n"
                 "string, whatever the value looks like. @FILE reads a string from a file. Of a split model, the\n"
                 "first file holds the metadata.",
        .examples = "  inspect set model.gguf general.name='My model' llama.context_length=8192\n"
                    "  inspect set model.gguf tokenizer.chat_template=@template.jinja\n"
                    "  inspect set model.gguf general.tags:[string]='[\"chat\", \"small\"]' -o tagged.gguf",
        .options = rows,
        .min_args = 2,
        .max_args = WS_MAX_ARGS,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, set, &o);
}

int ws_inspect_rm(int argc, char **argv) {
    options o = {0};
    const ws_option rows[] = {out_row(&o), {0}};
    const ws_command cmd = {
        .tool = "inspect rm",
        .synopsis = "FILE.gguf KEY... [options]",
        .summary = "Remove metadata, in place where the padding allows it, else by a copy that replaces the file.",
        .examples = "  inspect rm model.gguf general.url general.source.url",
        .options = rows,
        .min_args = 2,
        .max_args = WS_MAX_ARGS,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, rm, &o);
}
