/* convert - a Hugging Face model folder as a GGUF file. */
#include "cli.h"
#include "convert.h"
#include "cpu.h"
#include "file.h"
#include "json.h"
#include "progress.h"
#include "text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_words[] = {"auto", "f32", "f16", "bf16", "q8_0", NULL};

typedef struct {
    ws_common_options common;
    const char *type, *pre_tokenizer, *name;
    bool dry_run;
} options;

typedef struct {
    const char *dir, *out;
    const options *o;
    ws_conversion c;
    double seconds;
} job;

/* ---- reports ---- */

static const char *transform_name(const ws_plan_item *item) {
    static const char *const names[] = {
        [WS_COPY] = "copy",
        [WS_PERMUTE_HEADS] = "interleave",
        [WS_PERMUTE_KV_HEADS] = "interleave",
        [WS_ADD_ONE] = "add 1",
        [WS_TRANSPOSE] = "transpose",
        [WS_STACK] = "stack",
        [WS_FIRST_HALF] = "first half",
        [WS_SECOND_HALF] = "second half",
        [WS_EVEN_COLUMNS] = "even",
        [WS_ODD_COLUMNS] = "odd",
        [WS_TRANSPOSE_EVEN] = "even",
        [WS_TRANSPOSE_ODD] = "odd",
        [WS_LATENT_KEYS] = "keys",
        [WS_LATENT_VALUES] = "values",
        [WS_MXFP4] = "repack",
        [WS_MXFP4_EVEN] = "even",
        [WS_MXFP4_ODD] = "odd",
    };
    return item->source ? names[item->transform] : "generate";
}

/* Fastest dimension first, as in the file. */
static void print_plan(const job *j) {
    for (size_t i = 0; i < j->c.plan.n; i++) {
        const ws_plan_item *item = &j->c.plan.item[i];
        printf("%-52s -> %-28s %-10s %-4s [", item->from ? item->from : "(none)", item->to, transform_name(item),
               ws_dtype_name(item->type));
        for (uint32_t d = 0; d < item->n_dims; d++) printf("%s%llu", d ? ", " : "", (unsigned long long)item->ne[d]);
        printf("]\n");
    }
}

static void print_summary(const job *j) {
    char size[24], time[24];
    const ws_plan *plan = &j->c.plan;
    if (j->o->dry_run) print_plan(j);
    printf("%s '%s': %s, %s, %zu tensors, %s", j->o->dry_run ? "would write" : "wrote", j->out, j->c.source->arch->name,
           ws_dtype_name(plan->type), plan->n, ws_format_bytes(size, (double)j->c.file_bytes));
    if (!j->o->dry_run) printf(", in %s", ws_format_seconds(time, j->seconds));
    printf("\n");
}

static cJSON *plan_json(const ws_plan *plan) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < plan->n; i++) {
        const ws_plan_item *item = &plan->item[i];
        cJSON *t = cJSON_CreateObject(), *shape = cJSON_CreateArray();
        cJSON_AddItemToObject(t, "from",
                              item->from ? ws_json_bytes(item->from, strlen(item->from)) : cJSON_CreateNull());
        cJSON_AddStringToObject(t, "to", item->to);
        cJSON_AddStringToObject(t, "transform", transform_name(item));
        cJSON_AddStringToObject(t, "type", ws_dtype_name(item->type));
        for (uint32_t d = 0; d < item->n_dims; d++) cJSON_AddItemToArray(shape, ws_json_exact_u64(item->ne[d]));
        cJSON_AddItemToObject(t, "shape", shape);
        cJSON_AddItemToArray(list, t);
    }
    return list;
}

static ws_status print_json(const job *j, ws_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "schema", 1);
    cJSON_AddItemToObject(root, "input", ws_json_bytes(j->dir, strlen(j->dir)));
    cJSON_AddItemToObject(root, "output", ws_json_bytes(j->out, strlen(j->out)));
    cJSON_AddStringToObject(root, "architecture", j->c.source->arch->name);
    cJSON_AddStringToObject(root, "type", ws_dtype_name(j->c.plan.type));
    cJSON_AddBoolToObject(root, "dry_run", j->o->dry_run);
    ws_json_add_u64(root, "n_tensors", j->c.plan.n);
    ws_json_add_u64(root, "n_params", j->c.plan.n_params);
    ws_json_add_u64(root, "bytes", j->c.file_bytes);
    cJSON_AddNumberToObject(root, "seconds", j->seconds);
    if (j->o->dry_run) cJSON_AddItemToObject(root, "tensors", plan_json(&j->c.plan));
    return ws_json_print(root, stdout, err);
}

static void tell_problem(void *ctx, const char *line) {
    (void)ctx;
    fprintf(stderr, "convert: %s\n", line);
}

static void warn(void *ctx, const char *text) {
    (void)ctx;
    fprintf(stderr, "convert: warning: %s\n", text);
}

/* ---- the work ---- */

/* The output may lie in the model's folder, and replace an older output, but none of the folder's other files. */
static ws_status check_output(const job *j, ws_error *err) {
    if (ws_is_dir(j->out)) return ws_fail(err, WS_IO, "'%s' is a folder; name the file to write", j->out);
    DIR *dir = opendir(j->dir);
    ws_status st = WS_OK;
    for (const struct dirent *entry; dir && !st && (entry = readdir(dir));) {
        char *path = ws_path_join(j->dir, entry->d_name, err);
        if (!path)
            st = WS_NOMEM;
        else if (ws_same_file(path, j->out) && !ws_ends_with(entry->d_name, ".gguf"))
            st = ws_fail(err, WS_IO, "'%s' is a file of the model that is to be converted", j->out);
        free(path);
    }
    if (dir) closedir(dir);
    return st;
}

static ws_status run(job *j, ws_error *err) {
    uint32_t cpu_flags;
    ws_dtype type;
    const options *o = j->o;
    const ws_convert_options opt = {
        .type = o->type && ws_dtype_by_name(&type, o->type) ? &type : NULL, /* "auto" is no type */
        .pre_tokenizer = o->pre_tokenizer,
        .name = o->name,
        .warn = warn,
        .problem = tell_problem,
    };
    WS_TRY(ws_cpu_flags(&cpu_flags, err));
    WS_TRY(check_output(j, err));
    const double start = ws_now();
    WS_TRY(ws_conversion_open(&j->c, j->dir, &opt, err));
    if (!o->dry_run) {
        const bool quiet = o->common.quiet || o->common.json;
        WS_TRY(ws_conversion_write(&j->c, j->out, cpu_flags, (int)o->common.threads, quiet, err));
    }
    j->seconds = ws_now() - start;
    if (o->common.json) return print_json(j, err);
    if (!o->common.quiet) print_summary(j);
    return WS_OK;
}

/* "Architectures: llama, ...", in lines of the width of the help. */
static const char *architectures(void) {
    enum { WIDTH = 96 };
    static char text[1000] = "Architectures (general.architecture of the file):";
    size_t len = strlen(text), column = len;
    for (const ws_arch *const *a = ws_arch_all(); *a && len < sizeof text; a++) {
        if (ws_arch_by_name((*a)->name, strlen((*a)->name)) != *a) continue;
        const bool wraps = column + strlen((*a)->name) > WIDTH;
        column = wraps ? 0 : column;
        const int n = snprintf(text + len, sizeof text - len, "%c%s%s", wraps ? '\n' : ' ', (*a)->name, ",");
        len += (size_t)n, column += (size_t)n;
    }
    text[strlen(text) - 1] = '.';
    return text;
}

int main(int argc, char **argv) {
    options o = {0};
    const ws_option rows[] = {
        {"type", 0, WS_OPT_CHOICE, &o.type, "TYPE",
         "auto (default: the model's own 16-bit type, else f16), f32, f16, bf16, q8_0", 0, 0, type_words},
        {"model-name", 0, WS_OPT_TEXT, &o.name, "NAME", "general.name of the file, in place of what the model says", 0,
         0, NULL},
        {"pre-tokenizer", 0, WS_OPT_TEXT, &o.pre_tokenizer, "NAME",
         "how text is cut before BPE, where tokenizer.json describes an unknown way", 0, 0, NULL},
        {"dry-run", 0, WS_OPT_FLAG, &o.dry_run, NULL, "show what each tensor would become; write nothing", 0, 0, NULL},
        {0},
    };
    const ws_command cmd = {
        .tool = "convert",
        .synopsis = "MODEL_DIR OUT.gguf [options]",
        .summary = "Write a Hugging Face model folder (safetensors) as a GGUF file. The result is the same, byte for\n"
                   "byte, as that of llama.cpp's convert_hf_to_gguf.py.",
        .notes = architectures(),
        .examples = "  convert SmolLM2-135M-Instruct smollm2.gguf\n"
                    "  convert SmolLM2-135M-Instruct smollm2-q8.gguf --type q8_0",
        .options = rows,
        .min_args = 2,
        .max_args = 2,
    };
    ws_error err = {0};
    ws_args args;
    ws_status status = ws_cli_parse(&cmd, argc, argv, &o.common, &args, &err);
    if (status || args.done) return ws_cli_finish(&cmd, status, &err);
    job j = {.dir = args.arg[0], .out = args.arg[1], .o = &o};
    status = run(&j, &err);
    ws_conversion_close(&j.c);
    return ws_cli_finish(&cmd, status, &err);
}
