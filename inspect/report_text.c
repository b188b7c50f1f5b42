/* The report as text for people: what one wants to know first comes first, the long list of tensors last. */
#include "escape.h"
#include "kv_text.h"
#include "report.h"
#include "text.h"

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

/* Where text goes, and whether a terminal shows it. */
typedef struct {
    FILE *f;
    bool colour;
} page;

typedef enum { PLAIN, BOLD, DIM, RED, YELLOW, CYAN } paint;

/* What follows is in that colour, until PLAIN. */
static void put_paint(const page *p, paint c) {
    static const char *const codes[] = {
        [PLAIN] = "0", [BOLD] = "1", [DIM] = "2", [RED] = "1;31", [YELLOW] = "33", [CYAN] = "36"};
    if (p->colour) fprintf(p->f, "\x1b[%sm", codes[c]);
}

/* ---- summary ---- */

static void label(const page *p, const char *text) {
    put_paint(p, CYAN);
    fprintf(p->f, "%-*s", LABEL_WIDTH, text);
    put_paint(p, PLAIN);
}

static void title(const page *p, const char *text) {
    put_paint(p, BOLD);
    fputs(text, p->f);
    put_paint(p, PLAIN);
    fputc('\n', p->f);
}

static void line_str(const page *p, const char *name, ws_str s) {
    if (!s.len) return;
    label(p, name);
    ws_escape_put(p->f, s.data, s.len, VALUE_WIDTH);
    fputc('\n', p->f);
}

static void line_path(const page *p, const ws_report *r) {
    label(p, !r->gguf && ws_is_dir(r->path) ? "folder" : "file");
    ws_escape_put(p->f, r->path, strlen(r->path), NO_LIMIT);
    if (r->blob) {
        fputs(" -> ", p->f);
        ws_escape_put(p->f, r->blob, strlen(r->blob), NO_LIMIT);
    }
    if (r->n_parts > 1) fprintf(p->f, " and its parts (%zu files)", r->n_parts);
    fputc('\n', p->f);
}

static void line_format(const page *p, const ws_report *r) {
    label(p, "format");
    if (r->legacy_imatrix)
        fputs("importance matrix (.dat, older than GGUF), by name\n", p->f);
    else if (r->gguf)
        fprintf(p->f, "GGUF version %" PRIu32 ", %salignment %" PRIu32 "%s\n", r->version,
                r->big_endian ? "big-endian, " : "", r->gguf->alignment,
                r->version == 1 ? " (obsolete: llama.cpp does not read it)" : "");
    else
        fprintf(p->f, "%s\n", r->torch ? "PyTorch (zip)" : "safetensors");
}

static void line_file_type(const page *p, const ws_report *r) {
    const ws_kv *kv = r->gguf ? ws_gguf_kv(r->gguf, "general.file_type") : NULL;
    uint64_t number;
    if (!kv || !ws_kv_u64(kv, &number)) return;
    label(p, "file type");
    if (r->file_type)
        fprintf(p->f, "%s%s\n", r->file_type, r->file_type_guessed ? " (guessed by its writer)" : "");
    else
        fprintf(p->f, "%" PRIu64 " (unknown here)\n", number);
}

static void lines_size(const page *p, const ws_report *r) {
    char n[32], s[32];
    label(p, "parameters");
    fprintf(p->f, "%s (%s) in %zu tensors\n", ws_format_count(n, r->n_elements),
            ws_format_short(s, (double)r->n_elements), r->n_tensors);
    label(p, "size");
    fprintf(p->f, "%.3f GiB (%s bytes)\n", (double)r->file_bytes / GIB, ws_format_count(n, r->file_bytes));
    label(p, "bits per weight");
    fprintf(p->f, "%.2f\n", r->bits_per_weight);
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

static void line_shape(const page *p, const ws_report *r) {
    bool any = false;
    for (size_t i = 0; r->gguf && r->architecture.len < 64 && i < sizeof shape_keys / sizeof *shape_keys; i++) {
        char key[128], n[32];
        uint64_t v;
        snprintf(key, sizeof key, "%.*s.%s", (int)r->architecture.len, r->architecture.data, shape_keys[i].suffix);
        const ws_kv *kv = ws_gguf_kv(r->gguf, key);
        if (!kv || !ws_kv_u64(kv, &v)) continue;
        if (any)
            fputs(", ", p->f);
        else
            label(p, "shape");
        fprintf(p->f, shape_keys[i].text, ws_format_count(n, v));
        any = true;
    }
    if (any) fputc('\n', p->f);
}

static void line_vocabulary(const page *p, const ws_report *r) {
    const ws_kv *tokens = r->gguf ? ws_gguf_kv(r->gguf, "tokenizer.ggml.tokens") : NULL;
    if (!tokens || tokens->type != WS_KV_ARRAY) return;
    char n[32];
    label(p, "vocabulary");
    fprintf(p->f, "%s tokens", ws_format_count(n, tokens->n));
    static const char *const keys[] = {"tokenizer.ggml.model", "tokenizer.ggml.pre"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const ws_kv *kv = ws_gguf_kv(r->gguf, keys[i]);
        ws_str s;
        if (!kv || !ws_kv_str(kv, &s)) continue;
        fputs(", ", p->f);
        ws_escape_put(p->f, s.data, s.len, ELEMENT_WIDTH);
    }
    fputc('\n', p->f);
}

static bool number_at(const ws_report *r, const char *key, double *v) {
    const ws_kv *kv = r->gguf ? ws_gguf_kv(r->gguf, key) : NULL;
    return kv && ws_kv_f64(kv, v);
}

/* What files that are no models hold: adapters (rank: the second dimension of A), importance matrices. */
static void line_parts(const page *p, const ws_report *r) {
    double v, size;
    if (number_at(r, "adapter.lora.alpha", &v)) {
        label(p, "adapter");
        fprintf(p->f, "LoRA, alpha %g", v);
        for (size_t i = 0; i < r->n_tensors; i++)
            if (ws_ends_with(r->tensors[i].name, ".lora_a")) {
                fprintf(p->f, ", rank %" PRIu64, r->tensors[i].shape[1]);
                break;
            }
        fputc('\n', p->f);
    }
    if (number_at(r, "imatrix.chunk_count", &v)) {
        label(p, "imatrix");
        fprintf(p->f, "%zu entries, %.0f chunks", r->n_tensors / 2, v);
        if (number_at(r, "imatrix.chunk_size", &size)) fprintf(p->f, " of %.0f tokens", size);
        fputc('\n', p->f);
    }
}

static void print_summary(const page *p, const ws_report *r) {
    line_path(p, r);
    line_format(p, r);
    line_str(p, "architecture", r->architecture);
    line_str(p, "name", r->name);
    line_file_type(p, r);
    lines_size(p, r);
    line_shape(p, r);
    line_vocabulary(p, r);
    line_parts(p, r);
}

static void print_types(const page *p, const ws_report *r) {
    fputc('\n', p->f);
    put_paint(p, BOLD);
    fprintf(p->f, "%-14s %8s %20s %20s %8s\n", "type", "tensors", "elements", "bytes", "share");
    put_paint(p, PLAIN);
    for (size_t i = 0; i < r->n_types; i++) {
        const ws_type_total *t = &r->types[i];
        char n[32], b[32];
        fprintf(p->f, "%-14s %8zu %20s %20s %6.1f %%\n", t->type, t->n_tensors, ws_format_count(n, t->n_elements),
                ws_format_count(b, t->bytes), r->tensor_bytes ? 100 * (double)t->bytes / (double)r->tensor_bytes : 0);
    }
}

/* ---- metadata ---- */

static void put_type(const page *p, const ws_kv *kv) {
    char text[48];
    if (kv->type == WS_KV_ARRAY)
        snprintf(text, sizeof text, "%s[%" PRIu64 "]", ws_kv_type_name(kv->elem_type), kv->n);
    else
        snprintf(text, sizeof text, "%s", ws_kv_type_name(kv->type));
    fprintf(p->f, "  %-14s  ", text);
}

static size_t wider(size_t width, const char *name) {
    const size_t w = ws_escape_width(name, strlen(name));
    return w > width && w <= MAX_NAME_WIDTH ? w : width;
}

static void print_gguf_metadata(const page *p, const ws_gguf *g) {
    size_t width = 0;
    for (size_t i = 0; i < g->n_kv; i++) width = wider(width, g->kv[i].key);
    for (size_t i = 0; i < g->n_kv; i++) {
        const ws_kv *kv = &g->kv[i];
        put_paint(p, CYAN);
        ws_escape_pad(p->f, kv->key, width);
        put_paint(p, PLAIN);
        put_type(p, kv);
        ws_kv_print(p->f, kv, false);
        fputc('\n', p->f);
    }
}

static void print_st_metadata(const page *p, const ws_safetensors *st) {
    size_t width = 0;
    for (size_t i = 0; i < st->n_metadata; i++) width = wider(width, st->metadata[2 * i]);
    for (size_t i = 0; i < st->n_metadata; i++) {
        const char *value = st->metadata[2 * i + 1];
        ws_escape_pad(p->f, st->metadata[2 * i], width);
        fputs("  \"", p->f);
        ws_escape_put(p->f, value, strlen(value), VALUE_WIDTH);
        fputs("\"\n", p->f);
    }
}

/* What the pickle would call, were it run. */
static void print_globals(const page *p, const ws_torch *t) {
    for (size_t i = 0; i < t->n_globals; i++) {
        const ws_torch_global *g = &t->globals[i];
        fputs("pickle names  ", p->f);
        ws_escape_put(p->f, g->module, strlen(g->module), VALUE_WIDTH);
        fputc('.', p->f);
        ws_escape_put(p->f, g->name, strlen(g->name), VALUE_WIDTH);
        fputs(g->known ? "\n" : "  (not needed for tensors)\n", p->f);
    }
}

static void print_metadata(const page *p, const ws_report *r) {
    if (r->gguf) print_gguf_metadata(p, r->gguf);
    if (r->st) print_st_metadata(p, r->st);
    if (r->torch) print_globals(p, r->torch);
}

static void print_template(const page *p, const ws_report *r, bool whole) {
    if (!r->chat_template.len) {
        fputs("(no chat template)\n", p->f);
        return;
    }
    const size_t limit = whole ? NO_LIMIT : TEMPLATE_LINES;
    const size_t lines = ws_escape_block(p->f, r->chat_template.data, r->chat_template.len, whole ? 0 : 2, limit);
    if (lines > limit) fprintf(p->f, "  ... %zu more lines (--template shows them)\n", lines - limit);
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

static void print_tensors(const page *p, const ws_report *r) {
    size_t width = strlen("tensor"), shape_width = strlen("shape");
    char shape[WS_ST_MAX_DIMS * 24];
    for (size_t i = 0; i < r->n_tensors; i++) {
        shape_text(shape, sizeof shape, &r->tensors[i]);
        width = wider(width, r->tensors[i].name);
        if (strlen(shape) > shape_width) shape_width = strlen(shape);
    }
    const bool split = r->n_parts > 1;
    put_paint(p, BOLD);
    fprintf(p->f, "%-*s  %-8s  %-*s  %14s  %14s%s\n", (int)width, "tensor", "type", (int)shape_width, "shape", "offset",
            "bytes", split ? "   part" : "");
    put_paint(p, PLAIN);
    for (size_t i = 0; i < r->n_tensors; i++) {
        const ws_report_tensor *t = &r->tensors[i];
        shape_text(shape, sizeof shape, t);
        ws_escape_pad(p->f, t->name, width);
        fprintf(p->f, "  %-8s  %-*s  %14" PRIu64 "  %14" PRIu64, t->type, (int)shape_width, shape, t->offset, t->bytes);
        if (split) fprintf(p->f, "  %5" PRIu32, t->part + 1);
        fputc('\n', p->f);
    }
}

/* ---- findings ---- */

static void put_name(const page *p, const char *name) {
    if (!name) return;
    ws_escape_put(p->f, name, strlen(name), NO_LIMIT);
    fputs(": ", p->f);
}

static void put_plural(const page *p, size_t n, const char *what, const char *end) {
    fprintf(p->f, "%zu %s%s%s", n, what, n == 1 ? "" : "s", end);
}

static void print_findings(const page *p, const char *title, const ws_findings *fs) {
    for (size_t i = 0; i < fs->n; i++) {
        const ws_finding *finding = &fs->list[i];
        static const paint paints[] = {
            [WS_SEVERITY_NOTE] = DIM, [WS_SEVERITY_WARNING] = YELLOW, [WS_SEVERITY_ERROR] = RED};
        put_paint(p, paints[finding->severity]);
        fprintf(p->f, "%-8s ", ws_severity_name(finding->severity));
        put_paint(p, PLAIN);
        put_name(p, finding->tensor ? finding->tensor : finding->key);
        ws_escape_put(p->f, finding->text, strlen(finding->text), NO_LIMIT);
        fputc('\n', p->f);
    }
    fprintf(p->f, "%s: ", title);
    put_plural(p, fs->n_errors, "error", ", ");
    put_plural(p, fs->n_warnings, "warning", ", ");
    put_plural(p, fs->n_notes, "note", "");
    char n[32];
    if (fs->n_bytes) fprintf(p->f, " in %s bytes of numbers", ws_format_count(n, fs->n_bytes));
    fputc('\n', p->f);
}

void ws_report_print(FILE *f, const ws_report *r, const ws_checks *checks, unsigned show) {
    const page p = {f, show & WS_SHOW_COLOUR};
    show &= WS_SHOW_ALL;
    const bool titled = show & (show - 1); /* more than one part */
    if (show & WS_SHOW_SUMMARY) {
        print_summary(&p, r);
        print_types(&p, r);
    }
    if (show && (checks->verify || checks->safety)) fputc('\n', f);
    if (checks->verify) print_findings(&p, "verified", checks->verify);
    if (checks->safety) print_findings(&p, "safety", checks->safety);
    if (show & WS_SHOW_METADATA) {
        if (titled) {
            fputc('\n', f);
            title(&p, "metadata");
        }
        print_metadata(&p, r);
    }
    if (show & WS_SHOW_TEMPLATE && (r->chat_template.len || !titled)) {
        if (titled) {
            fputc('\n', f);
            title(&p, "chat template");
        }
        print_template(&p, r, show == WS_SHOW_TEMPLATE);
    }
    if (show & WS_SHOW_TENSORS) {
        if (titled) fputc('\n', f);
        print_tensors(&p, r);
    }
}
