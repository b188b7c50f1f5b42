/* The report as text for people: what one wants to know first comes first, the long list of tensors last. */
#include "escape.h"
#include "kv_text.h"
#include "report.h"

#include <inttypes.h>
#include <string.h>

enum {
    LABEL_WIDTH = 17,
    VALUE_WIDTH = 88,    /* columns of a metadata value before it is cut */
    ELEMENT_WIDTH = 24,  /* of a string in an array */
    TEMPLATE_LINES = 12, /* of the chat template, unless it is asked for */
    MAX_NAME_WIDTH = 64, /* a longer name moves its own line only */
};

static const double GIB = 1024.0 * 1024.0 * 1024.0;

static const size_t NO_LIMIT = SIZE_MAX;

/* ---- summary ---- */

static void label(FILE *f, const char *text) { fprintf(f, "%-*s", LABEL_WIDTH, text); }

static void line_str(FILE *f, const char *name, ws_str s) {
    if (!s.len) return;
    label(f, name);
    ws_escape_put(f, s.data, s.len, VALUE_WIDTH);
    fputc('\n', f);
}

static void line_path(FILE *f, const ws_report *r) {
    label(f, r->st && ws_is_dir(r->path) ? "folder" : "file");
    ws_escape_put(f, r->path, strlen(r->path), NO_LIMIT);
    if (r->blob) {
        fputs(" -> ", f);
        ws_escape_put(f, r->blob, strlen(r->blob), NO_LIMIT);
    }
    if (r->n_parts > 1) fprintf(f, " and its parts (%zu files)", r->n_parts);
    fputc('\n', f);
}

static void line_format(FILE *f, const ws_report *r) {
    label(f, "format");
    if (r->gguf)
        fprintf(f, "GGUF version %" PRIu32 ", %salignment %" PRIu32 "%s\n", r->version,
                r->big_endian ? "big-endian, " : "", r->gguf->alignment,
                r->version == 1 ? " (obsolete: llama.cpp does not read it)" : "");
    else
        fprintf(f, "%s\n", r->torch ? "PyTorch (zip)" : "safetensors");
}

static void line_file_type(FILE *f, const ws_report *r) {
    const ws_kv *kv = r->gguf ? ws_gguf_kv(r->gguf, "general.file_type") : NULL;
    uint64_t number;
    if (!kv || !ws_kv_u64(kv, &number)) return;
    label(f, "file type");
    if (r->file_type)
        fprintf(f, "%s%s\n", r->file_type, r->file_type_guessed ? " (guessed by its writer)" : "");
    else
        fprintf(f, "%" PRIu64 " (unknown here)\n", number);
}

static void lines_size(FILE *f, const ws_report *r) {
    char n[32], s[32];
    label(f, "parameters");
    fprintf(f, "%s (%s) in %zu tensors\n", ws_format_count(n, r->n_elements), ws_format_short(s, (double)r->n_elements),
            r->n_tensors);
    label(f, "size");
    fprintf(f, "%.3f GiB (%s bytes)\n", (double)r->file_bytes / GIB, ws_format_count(n, r->file_bytes));
    label(f, "bits per weight");
    fprintf(f, "%.2f\n", r->bits_per_weight);
}

/* Numbers of the architecture that people ask for, as "ARCH.suffix" in the metadata. */
static const struct {
    const char *suffix, *text;
} shape_keys[] = {
    {"block_count", "%s layers"},
    {"embedding_length", "embedding %s"},
    {"feed_forward_length", "feed-forward %s"},
    {"attention.head_count", "%s heads"},
    {"attention.head_count_kv", "%s KV heads"},
    {"expert_count", "%s experts"},
    {"expert_used_count", "%s used"},
    {"context_length", "context %s"},
};

static void line_shape(FILE *f, const ws_report *r) {
    bool any = false;
    for (size_t i = 0; r->gguf && r->architecture.len < 64 && i < sizeof shape_keys / sizeof *shape_keys; i++) {
        char key[128], n[32];
        uint64_t v;
        snprintf(key, sizeof key, "%.*s.%s", (int)r->architecture.len, r->architecture.data, shape_keys[i].suffix);
        const ws_kv *kv = ws_gguf_kv(r->gguf, key);
        if (!kv || !ws_kv_u64(kv, &v)) continue;
        if (any)
            fputs(", ", f);
        else
            label(f, "shape");
        fprintf(f, shape_keys[i].text, ws_format_count(n, v));
        any = true;
    }
    if (any) fputc('\n', f);
}

static void line_vocabulary(FILE *f, const ws_report *r) {
    const ws_kv *tokens = r->gguf ? ws_gguf_kv(r->gguf, "tokenizer.ggml.tokens") : NULL;
    if (!tokens || tokens->type != WS_KV_ARRAY) return;
    char n[32];
    label(f, "vocabulary");
    fprintf(f, "%s tokens", ws_format_count(n, tokens->n));
    static const char *const keys[] = {"tokenizer.ggml.model", "tokenizer.ggml.pre"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const ws_kv *kv = ws_gguf_kv(r->gguf, keys[i]);
        ws_str s;
        if (!kv || !ws_kv_str(kv, &s)) continue;
        fputs(", ", f);
        ws_escape_put(f, s.data, s.len, ELEMENT_WIDTH);
    }
    fputc('\n', f);
}

static void print_summary(FILE *f, const ws_report *r) {
    line_path(f, r);
    line_format(f, r);
    line_str(f, "architecture", r->architecture);
    line_str(f, "name", r->name);
    line_file_type(f, r);
    lines_size(f, r);
    line_shape(f, r);
    line_vocabulary(f, r);
}

static void print_types(FILE *f, const ws_report *r) {
    fprintf(f, "\n%-14s %8s %20s %20s %8s\n", "type", "tensors", "elements", "bytes", "share");
    for (size_t i = 0; i < r->n_types; i++) {
        const ws_type_total *t = &r->types[i];
        char n[32], b[32];
        fprintf(f, "%-14s %8zu %20s %20s %6.1f %%\n", t->type, t->n_tensors, ws_format_count(n, t->n_elements),
                ws_format_count(b, t->bytes), r->tensor_bytes ? 100 * (double)t->bytes / (double)r->tensor_bytes : 0);
    }
}

/* ---- metadata ---- */

static void put_type(FILE *f, const ws_kv *kv) {
    char text[48];
    if (kv->type == WS_KV_ARRAY)
        snprintf(text, sizeof text, "%s[%" PRIu64 "]", ws_kv_type_name(kv->elem_type), kv->n);
    else
        snprintf(text, sizeof text, "%s", ws_kv_type_name(kv->type));
    fprintf(f, "  %-14s  ", text);
}

static size_t wider(size_t width, const char *name) {
    const size_t w = ws_escape_width(name, strlen(name));
    return w > width && w <= MAX_NAME_WIDTH ? w : width;
}

static void print_gguf_metadata(FILE *f, const ws_gguf *g) {
    size_t width = 0;
    for (size_t i = 0; i < g->n_kv; i++) width = wider(width, g->kv[i].key);
    for (size_t i = 0; i < g->n_kv; i++) {
        const ws_kv *kv = &g->kv[i];
        ws_escape_pad(f, kv->key, width);
        put_type(f, kv);
        ws_kv_print(f, kv, false);
        fputc('\n', f);
    }
}

static void print_st_metadata(FILE *f, const ws_safetensors *st) {
    size_t width = 0;
    for (size_t i = 0; i < st->n_metadata; i++) width = wider(width, st->metadata[2 * i]);
    for (size_t i = 0; i < st->n_metadata; i++) {
        const char *value = st->metadata[2 * i + 1];
        ws_escape_pad(f, st->metadata[2 * i], width);
        fputs("  \"", f);
        ws_escape_put(f, value, strlen(value), VALUE_WIDTH);
        fputs("\"\n", f);
    }
}

/* What the pickle would call, were it run. */
static void print_globals(FILE *f, const ws_torch *t) {
    for (size_t i = 0; i < t->n_globals; i++) {
        const ws_torch_global *g = &t->globals[i];
        fputs("pickle names  ", f);
        ws_escape_put(f, g->module, strlen(g->module), VALUE_WIDTH);
        fputc('.', f);
        ws_escape_put(f, g->name, strlen(g->name), VALUE_WIDTH);
        fputs(g->known ? "\n" : "  (not needed for tensors)\n", f);
    }
}

static void print_metadata(FILE *f, const ws_report *r) {
    if (r->gguf) print_gguf_metadata(f, r->gguf);
    if (r->st) print_st_metadata(f, r->st);
    if (r->torch) print_globals(f, r->torch);
}

static void print_template(FILE *f, const ws_report *r, bool whole) {
    if (!r->chat_template.len) {
        fputs("(no chat template)\n", f);
        return;
    }
    const size_t limit = whole ? NO_LIMIT : TEMPLATE_LINES;
    const size_t lines = ws_escape_block(f, r->chat_template.data, r->chat_template.len, whole ? 0 : 2, limit);
    if (lines > limit) fprintf(f, "  ... %zu more lines (--template shows them)\n", lines - limit);
}

/* ---- tensors ---- */

/* "576 x 49152", into buf. */
static void shape_text(char *buf, size_t size, const ws_report_tensor *t) {
    snprintf(buf, size, "%s", t->n_dims ? "" : "scalar");
    for (uint32_t d = 0; d < t->n_dims; d++) {
        const size_t used = strlen(buf);
        snprintf(buf + used, size - used, "%s%" PRIu64, d ? " x " : "", t->shape[d]);
    }
}

static void print_tensors(FILE *f, const ws_report *r) {
    size_t width = strlen("tensor"), shape_width = strlen("shape");
    char shape[WS_ST_MAX_DIMS * 24];
    for (size_t i = 0; i < r->n_tensors; i++) {
        shape_text(shape, sizeof shape, &r->tensors[i]);
        width = wider(width, r->tensors[i].name);
        if (strlen(shape) > shape_width) shape_width = strlen(shape);
    }
    const bool split = r->n_parts > 1;
    fprintf(f, "%-*s  %-8s  %-*s  %14s  %14s%s\n", (int)width, "tensor", "type", (int)shape_width, "shape", "offset",
            "bytes", split ? "   part" : "");
    for (size_t i = 0; i < r->n_tensors; i++) {
        const ws_report_tensor *t = &r->tensors[i];
        shape_text(shape, sizeof shape, t);
        ws_escape_pad(f, t->name, width);
        fprintf(f, "  %-8s  %-*s  %14" PRIu64 "  %14" PRIu64, t->type, (int)shape_width, shape, t->offset, t->bytes);
        if (split) fprintf(f, "  %5" PRIu32, t->part + 1);
        fputc('\n', f);
    }
}

/* ---- findings ---- */

static void put_name(FILE *f, const char *name) {
    if (!name) return;
    ws_escape_put(f, name, strlen(name), NO_LIMIT);
    fputs(": ", f);
}

static void put_plural(FILE *f, size_t n, const char *what, const char *end) {
    fprintf(f, "%zu %s%s%s", n, what, n == 1 ? "" : "s", end);
}

static void print_findings(FILE *f, const char *title, const ws_findings *fs) {
    for (size_t i = 0; i < fs->n; i++) {
        const ws_finding *finding = &fs->list[i];
        fprintf(f, "%-8s ", ws_severity_name(finding->severity));
        put_name(f, finding->tensor ? finding->tensor : finding->key);
        ws_escape_put(f, finding->text, strlen(finding->text), NO_LIMIT);
        fputc('\n', f);
    }
    fprintf(f, "%s: ", title);
    put_plural(f, fs->n_errors, "error", ", ");
    put_plural(f, fs->n_warnings, "warning", ", ");
    put_plural(f, fs->n_notes, "note", "");
    char n[32];
    if (fs->n_bytes) fprintf(f, " in %s bytes of numbers", ws_format_count(n, fs->n_bytes));
    fputc('\n', f);
}

void ws_report_print(FILE *f, const ws_report *r, const ws_checks *checks, unsigned show) {
    const bool titled = show & (show - 1); /* more than one part */
    if (show & WS_SHOW_SUMMARY) {
        print_summary(f, r);
        print_types(f, r);
    }
    if (show && (checks->verify || checks->safety)) fputc('\n', f);
    if (checks->verify) print_findings(f, "verified", checks->verify);
    if (checks->safety) print_findings(f, "safety", checks->safety);
    if (show & WS_SHOW_METADATA) {
        if (titled) fputs("\nmetadata\n", f);
        print_metadata(f, r);
    }
    if (show & WS_SHOW_TEMPLATE && (r->chat_template.len || !titled)) {
        if (titled) fputs("\nchat template\n", f);
        print_template(f, r, show == WS_SHOW_TEMPLATE);
    }
    if (show & WS_SHOW_TENSORS) {
        if (titled) fputc('\n', f);
        print_tensors(f, r);
    }
}
