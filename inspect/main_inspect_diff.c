/* inspect diff - what differs between two models. */
#include "commands.h"
#include "diff.h"
#include "escape.h"
#include "json_out.h"
#include "kv_text.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
    bool exit_code;
    ws_common_options common;
} options;

/* ---- text ---- */

static void put_side(const char *mark, const ws_kv *kv) {
    if (!kv) return;
    fprintf(stdout, "  %s ", mark);
    ws_kv_print(stdout, kv, false);
    fputc('\n', stdout);
}

static void print_keys(const ws_diff *d) {
    for (size_t i = 0; i < d->n_keys; i++) {
        const ws_key_difference *k = &d->keys[i];
        const char *key = k->a ? k->a->key : k->b->key;
        ws_escape_put(stdout, key, strlen(key), SIZE_MAX);
        fprintf(stdout, "%s\n", !k->b ? " (only in A)" : !k->a ? " (only in B)" : "");
        put_side("-", k->a);
        put_side("+", k->b);
    }
    if (d->n_keys) fputc('\n', stdout);
}

static const char *name_of(const ws_tensor_difference *t) { return t->pair.a ? t->pair.a->name : t->pair.b->name; }
static const char *type_of(const ws_report_tensor *t) { return t ? t->type : "-"; }

static void put_shape(const char *before, const ws_report *r, const ws_report_tensor *t) {
    char shape[WS_ST_MAX_DIMS * 24];
    ws_report_shape(shape, sizeof shape, r, t);
    fprintf(stdout, "%s%s", before, shape);
}

static void put_tensor(const ws_tensor_difference *t, size_t width, const ws_report *a, const ws_report *b) {
    const ws_distance *d = &t->distance;
    ws_escape_pad(stdout, name_of(t), width);
    fprintf(stdout, "  %-8s %-8s", type_of(t->pair.a), type_of(t->pair.b));
    if (t->kind == WS_VALUES) {
        fprintf(stdout, " %10.4g %8.2f %10.7f %10.4g", d->rmse, d->sqnr, d->cosine, d->max_error);
        if (d->n_bad) fprintf(stdout, "  %" PRIu64 " not finite", d->n_bad);
    } else if (t->kind == WS_SHAPES) {
        put_shape("  shapes ", a, t->pair.a);
        put_shape(" and ", b, t->pair.b);
    } else {
        fprintf(stdout, "  %s%s%s", ws_diff_kind_name(t->kind), t->why ? ": " : "", t->why ? t->why : "");
    }
    fputc('\n', stdout);
}

static void print_tensors(const ws_diff *d, const ws_report *a, const ws_report *b) {
    size_t width = strlen("tensor"), shown = 0;
    for (size_t i = 0; i < d->n_tensors; i++) {
        const char *name = name_of(&d->tensors[i]);
        const size_t w = ws_escape_width(name, strlen(name));
        if (d->tensors[i].kind != WS_SAME && w > width && w <= 64) width = w;
    }
    for (size_t i = 0; i < d->n_tensors && d->tensors[i].kind != WS_SAME; i++) {
        if (shown++ == 0)
            fprintf(stdout, "%-*s  %-8s %-8s %10s %8s %10s %10s\n", (int)width, "tensor", "A", "B", "RMSE", "SQNR dB",
                    "cosine", "max error");
        put_tensor(&d->tensors[i], width, a, b);
    }
    if (shown) fputc('\n', stdout);
}

static void print_summary(const ws_diff *d) {
    fprintf(stdout, "%zu keys differ; %zu tensors:", d->n_keys, d->n_tensors);
    const char *comma = " ";
    for (int k = 0; k < WS_DIFF_KINDS; k++)
        if (d->counts[k]) {
            fprintf(stdout, "%s%zu %s", comma, d->counts[k], ws_diff_kind_name((ws_diff_kind)k));
            comma = ", ";
        }
    fputc('\n', stdout);
    if (d->counts[WS_VALUES]) fprintf(stdout, "SQNR of all values compared by value: %.2f dB\n", d->sqnr);
}

/* ---- JSON ---- */

static void json_side(ws_json_out *j, const char *side, const ws_kv *kv) {
    if (!kv) return;
    ws_kv named = *kv;
    named.key = side;
    ws_json_kv(j, &named);
}

static void json_keys(ws_json_out *j, const ws_diff *d) {
    ws_json_open(j, "keys", false, true);
    for (size_t i = 0; i < d->n_keys; i++) {
        const ws_key_difference *k = &d->keys[i];
        ws_json_open(j, NULL, true, false);
        ws_json_text(j, "key", k->a ? k->a->key : k->b->key);
        json_side(j, "a", k->a);
        json_side(j, "b", k->b);
        ws_json_close(j);
    }
    ws_json_close(j);
}

static void json_tensor(ws_json_out *j, const ws_tensor_difference *t) {
    ws_json_open(j, NULL, true, false);
    ws_json_text(j, "name", name_of(t));
    ws_json_text(j, "kind", ws_diff_kind_name(t->kind));
    ws_json_text(j, "type_a", t->pair.a ? t->pair.a->type : NULL);
    ws_json_text(j, "type_b", t->pair.b ? t->pair.b->type : NULL);
    if (t->pair.a && t->pair.b && strcmp(t->pair.a->name, t->pair.b->name) != 0)
        ws_json_text(j, "name_b", t->pair.b->name);
    if (t->why) ws_json_text(j, "why", t->why);
    if (t->kind == WS_VALUES) {
        ws_json_real(j, "rmse", t->distance.rmse);
        ws_json_real(j, "sqnr", t->distance.sqnr);
        ws_json_real(j, "cosine", t->distance.cosine);
        ws_json_real(j, "max_error", t->distance.max_error);
        ws_json_u64_out(j, "max_at", t->distance.max_at);
        ws_json_u64_out(j, "not_finite", t->distance.n_bad);
    }
    ws_json_close(j);
}

static ws_status print_json(const ws_diff *d, ws_error *err) {
    ws_json_out j;
    ws_json_begin(&j, stdout);
    ws_json_open(&j, NULL, true, true);
    ws_json_u64_out(&j, "schema", 1);
    ws_json_bool(&j, "differ", ws_diff_any(d));
    for (int k = 0; k < WS_DIFF_KINDS; k++) ws_json_u64_out(&j, ws_diff_kind_name((ws_diff_kind)k), d->counts[k]);
    ws_json_real(&j, "sqnr", d->sqnr);
    json_keys(&j, d);
    ws_json_open(&j, "tensors", false, true);
    for (size_t i = 0; i < d->n_tensors; i++) json_tensor(&j, &d->tensors[i]);
    ws_json_close(&j);
    ws_json_close(&j);
    return ws_json_end(&j, err);
}

static ws_status print(const ws_diff *d, const ws_report *a, const ws_report *b, const options *o, ws_error *err) {
    if (o->common.json) return print_json(d, err);
    print_keys(d);
    print_tensors(d, a, b);
    if (!o->common.quiet) print_summary(d);
    return WS_OK;
}

static ws_status diff(const ws_args *args, const void *options_, ws_error *err) {
    const options *o = options_;
    ws_report *a, *b = NULL;
    ws_diff d = {0};
    WS_TRY(ws_report_open(&a, args->arg[0], err));
    ws_status status = ws_report_open(&b, args->arg[1], err);
    if (!status) status = ws_diff_run(&d, a, b, (int)o->common.threads, o->common.quiet, err);
    if (!status) status = print(&d, a, b, o, err);
    if (!status && o->exit_code && ws_diff_any(&d))
        status = ws_fail(err, WS_LIMIT, "'%s' and '%s' differ", args->arg[0], args->arg[1]);
    ws_diff_free(&d);
    ws_report_close(b);
    ws_report_close(a);
    return status;
}

int ws_inspect_diff(int argc, char **argv) {
    options o = {0};
    const ws_option rows[] = {
        {"exit-code", 0, WS_OPT_FLAG, &o.exit_code, NULL, "exit with 1 when anything but types differs", 0, 0, NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "inspect diff",
        .synopsis = "A B [options]",
        .summary = "Show what differs between two models: metadata, tensors, and how far B's values are from A's.",
        .notes =
            "Tensors of different types are compared by their decoded values, the most damaged first. A GGUF file\n"
            "and a checkpoint (safetensors) are matched through the names of the architecture.",
        .examples = "  inspect diff model-f16.gguf model-q4_k.gguf\n"
                    "  inspect diff SmolLM2-135M-Instruct model-f16.gguf",
        .options = rows,
        .min_args = 2,
        .max_args = 2,
    };
    return ws_command_run(&cmd, argc, argv, &o.common, diff, &o);
}
