/* A sound little model has no findings; each thing that is wrong has the one that belongs to it. */
#include "fp16.h"
#include "model_file.h"
#include "report.h"
#include "safety.h"
#include "verify.h"

#include <string.h>

static char dir[32], path[64];

static void set_up(void) {
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/model.gguf", dir);
}

static void tear_down(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

enum { EMBD = 64, FF = 96, TOKENS = 6, MAX_TENSORS = 16 };

/* What differs from the sound model. */
typedef struct {
    const char *skip, *add, *reshape; /* tensors */
    const char *tokens[TOKENS];       /* NULL: the sound one */
    const char *merge;
    uint32_t eos, n_scores, file_type, vocab_size;
} defect;

static const char *const sound_tokens[TOKENS] = {"<s>", "</s>", "a", "b", "ab", "c"};

static const test_tensor layout[] = {
    {"token_embd.weight", WS_TYPE_F32, {EMBD, TOKENS}},      {"output_norm.weight", WS_TYPE_F32, {EMBD, 1}},
    {"blk.0.attn_norm.weight", WS_TYPE_F32, {EMBD, 1}},      {"blk.0.attn_q.weight", WS_TYPE_F32, {EMBD, EMBD}},
    {"blk.0.attn_k.weight", WS_TYPE_F32, {EMBD, 32}},        {"blk.0.attn_v.weight", WS_TYPE_F32, {EMBD, 32}},
    {"blk.0.attn_output.weight", WS_TYPE_F32, {EMBD, EMBD}}, {"blk.0.ffn_norm.weight", WS_TYPE_F32, {EMBD, 1}},
    {"blk.0.ffn_gate.weight", WS_TYPE_F32, {EMBD, FF}},      {"blk.0.ffn_up.weight", WS_TYPE_F32, {EMBD, FF}},
    {"blk.0.ffn_down.weight", WS_TYPE_F32, {FF, EMBD}},
};

static void put_keys(ws_gguf_writer *w, const defect *d) {
    static const float scores[TOKENS + 1];
    ws_str tokens[TOKENS], merge = {d->merge, d->merge ? strlen(d->merge) : 0};
    for (int i = 0; i < TOKENS; i++) {
        const char *s = d->tokens[i] ? d->tokens[i] : sound_tokens[i];
        tokens[i] = (ws_str){s, strlen(s)};
    }
    ws_gguf_put_str(w, "general.architecture", "llama");
    ws_gguf_put_u32(w, "general.file_type", d->file_type);
    ws_gguf_put_u32(w, "llama.block_count", 1);
    ws_gguf_put_u32(w, "llama.context_length", 16);
    ws_gguf_put_u32(w, "llama.embedding_length", EMBD);
    ws_gguf_put_u32(w, "llama.feed_forward_length", FF);
    ws_gguf_put_u32(w, "llama.attention.head_count", 2);
    ws_gguf_put_u32(w, "llama.attention.head_count_kv", 1);
    ws_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    ws_gguf_put_u32(w, "llama.vocab_size", d->vocab_size ? d->vocab_size : TOKENS);
    ws_gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
    ws_gguf_put_str_array(w, "tokenizer.ggml.tokens", tokens, TOKENS);
    ws_gguf_put_array(w, "tokenizer.ggml.scores", WS_KV_F32, scores, d->n_scores ? d->n_scores : TOKENS);
    ws_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", d->eos);
    ws_gguf_put_str_array(w, "tokenizer.ggml.merges", &(ws_str){"a b", 3}, 1);
    if (d->merge) ws_gguf_put_str_array(w, "tokenizer.ggml.merges", &merge, 1);
}

static size_t choose_tensors(const defect *d, test_tensor *out) {
    size_t n = 0;
    for (size_t i = 0; i < sizeof layout / sizeof *layout; i++) {
        if (d->skip && strcmp(layout[i].name, d->skip) == 0) continue;
        out[n] = layout[i];
        if (d->reshape && strcmp(layout[i].name, d->reshape) == 0) out[n].ne[1] += 2;
        n++;
    }
    if (d->add) out[n++] = (test_tensor){d->add, WS_TYPE_F32, {8, 1}};
    return n;
}

static void write_model(const defect *d) {
    ws_error err = {0};
    ws_gguf_writer *w;
    test_tensor tensors[MAX_TENSORS];
    const size_t n = choose_tensors(d, tensors);
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    put_keys(w, d);
    for (size_t i = 0; i < n; i++)
        ws_gguf_add_tensor(w, tensors[i].name, tensors[i].type, tensors[i].ne[1] > 1 ? 2 : 1, tensors[i].ne);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++) test_write_tensor(w, &tensors[i], (unsigned)i);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK, "%s", err.msg);
}

static ws_report *open_report(void) {
    ws_error err = {0};
    ws_report *r;
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK, "%s", err.msg);
    return r;
}

Test(verify_model, every_defect_has_its_finding, .init = set_up, .fini = tear_down) {
    static const struct {
        defect d;
        ws_severity severity;
        ws_finding_kind kind; /* WS_FINDING_KINDS: none */
        const char *subject, *words;
    } cases[] = {
        {{.eos = 1}, WS_SEVERITY_NOTE, WS_FINDING_KINDS, NULL, NULL},
        {{.skip = "blk.0.ffn_up.weight"}, WS_SEVERITY_ERROR, WS_FINDING_MISSING, NULL, "'blk.0.ffn_up.weight'"},
        {{.add = "blk.0.surprise"}, WS_SEVERITY_WARNING, WS_FINDING_EXTRA, "blk.0.surprise", "no such"},
        {{.add = "blk.1.ffn_up.weight"}, WS_SEVERITY_WARNING, WS_FINDING_EXTRA, "blk.1.ffn_up.weight", "no such"},
        {{.reshape = "blk.0.ffn_gate.weight"},
         WS_SEVERITY_ERROR,
         WS_FINDING_SHAPE,
         "blk.0.ffn_gate.weight",
         "64 x 98; the architecture wants 64 x 96"},
        {{.tokens = {[5] = "a"}}, WS_SEVERITY_WARNING, WS_FINDING_VOCABULARY, "tokenizer.ggml.tokens", "token 5, 'a'"},
        {{.tokens = {[5] = ""}}, WS_SEVERITY_NOTE, WS_FINDING_VOCABULARY, "tokenizer.ggml.tokens", "empty"},
        {{.eos = TOKENS}, WS_SEVERITY_ERROR, WS_FINDING_VOCABULARY, "tokenizer.ggml.eos_token_id", "0 to 5"},
        {{.n_scores = TOKENS + 1}, WS_SEVERITY_ERROR, WS_FINDING_VOCABULARY, "tokenizer.ggml.scores", "7 entries"},
        {{.vocab_size = 9}, WS_SEVERITY_WARNING, WS_FINDING_VOCABULARY, "llama.vocab_size", "6 tokens"},
        {{.merge = "a c"}, WS_SEVERITY_WARNING, WS_FINDING_VOCABULARY, "tokenizer.ggml.merges", "'a c'"},
        {{.merge = "ab"}, WS_SEVERITY_WARNING, WS_FINDING_VOCABULARY, "tokenizer.ggml.merges", "'ab'"},
        {{.file_type = 7}, WS_SEVERITY_WARNING, WS_FINDING_FILE_TYPE, "general.file_type", "says Q8_0"},
        {{.file_type = 999}, WS_SEVERITY_NOTE, WS_FINDING_FILE_TYPE, "general.file_type", "999"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_findings fs;
        ws_error err = {0};
        write_model(&cases[i].d);
        ws_report *r = open_report();
        cr_assert_eq(ws_verify_run(&fs, r, 2, true, &err), WS_OK, "%s", err.msg);
        if (cases[i].kind == WS_FINDING_KINDS) {
            cr_expect_eq(fs.n, 0, "case %zu: %s", i, fs.n ? fs.list[0].text : "");
        } else {
            /* A wrong size of the vocabulary makes the embedding's shape wrong, too. */
            cr_assert_eq(fs.n, cases[i].d.vocab_size ? 2 : 1, "case %zu: %zu findings", i, fs.n);
            const ws_finding *f = &fs.list[fs.n - 1];
            const char *subject = f->tensor ? f->tensor : f->key;
            cr_expect(f->kind == cases[i].kind && f->severity == cases[i].severity, "case %zu: %s", i, f->text);
            cr_expect(strstr(f->text, cases[i].words), "case %zu: %s", i, f->text);
            cr_expect(!cases[i].subject == !subject && (!subject || strcmp(subject, cases[i].subject) == 0), "%zu", i);
        }
        ws_findings_free(&fs);
        ws_report_close(r);
    }
}

/* ---- values ---- */

/* Rows and scales of one tensor "blk.0.t" of `rows` rows of one block each. */
static ws_report *numbers(ws_findings *fs, const char *name, ws_dtype type, const void *data, uint64_t columns,
                          uint64_t rows) {
    ws_error err = {0};
    ws_gguf_writer *w;
    uint64_t bytes;
    cr_assert(ws_dtype_bytes(type, columns * rows, &bytes));
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_add_tensor(w, name, type, 2, (const uint64_t[]){columns, rows});
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_write(w, data, bytes, &err), WS_OK);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK);
    ws_report *r = open_report();
    *fs = (ws_findings){0};
    cr_assert_eq(ws_verify_numbers(fs, r, 2, true, &err), WS_OK);
    return r;
}

Test(verify_numbers, rows_of_one_value, .init = set_up, .fini = tear_down) {
    enum { COLUMNS = 512, ROWS = 4000 }; /* two pieces */
    float *x = malloc(sizeof(float) * COLUMNS * ROWS);
    test_fill(x, COLUMNS * ROWS, 3);
    memset(x + 7 * COLUMNS, 0, COLUMNS * sizeof *x);
    memset(x + 3990 * COLUMNS, 0, COLUMNS * sizeof *x);
    for (int i = 0; i < COLUMNS; i++) x[3000 * COLUMNS + i] = 0.25f;
    memset(x + 9 * COLUMNS, 0, (COLUMNS - 1) * sizeof *x); /* not quite */
    static const char *const names[] = {"blk.0.t", "token_embd.weight"};
    for (int k = 0; k < 2; k++) {
        ws_findings fs;
        ws_report *r = numbers(&fs, names[k], WS_TYPE_F32, x, COLUMNS, ROWS);
        cr_assert_eq(fs.n, 2);
        cr_expect(fs.list[0].kind == WS_FINDING_ZERO_ROWS && fs.list[0].count == 2 && fs.list[0].first == 7);
        cr_expect(fs.list[1].kind == WS_FINDING_CONSTANT_ROWS && fs.list[1].count == 1 && fs.list[1].first == 3000);
        cr_expect_eq(fs.list[0].severity, k ? WS_SEVERITY_NOTE : WS_SEVERITY_WARNING);
        ws_findings_free(&fs);
        ws_report_close(r);
    }
    free(x);
}

Test(verify_numbers, scales_and_rows_of_blocks, .init = set_up, .fini = tear_down) {
    enum { BLOCK = 34, ROWS = 6, PER_ROW = 2 };
    uint8_t data[BLOCK * PER_ROW * ROWS];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7 % 100 + 1);
    static const uint16_t scales[ROWS * PER_ROW] = {0x1400, 0x1400, 0x5400, 0x53ff, 0x000f, 0x0010,
                                                    0x800f, 0x9400, 0,      0,      0x1400, 0x1400};
    for (int b = 0; b < ROWS * PER_ROW; b++) memcpy(data + b * BLOCK, &scales[b], 2);
    memset(data + 8 * BLOCK, 0, 2 * BLOCK);                            /* row 4 is zero */
    for (int b = 10; b < 12; b++) memset(data + b * BLOCK + 2, 5, 32); /* row 5 is constant */
    ws_findings fs;
    ws_report *r = numbers(&fs, "blk.0.t", WS_TYPE_Q8_0, data, 32 * PER_ROW, ROWS);
    cr_assert_eq(fs.n, 4, "%zu", fs.n);
    cr_expect(fs.list[0].kind == WS_FINDING_ZERO_ROWS && fs.list[0].count == 1 && fs.list[0].first == 4);
    cr_expect(fs.list[1].kind == WS_FINDING_CONSTANT_ROWS && fs.list[1].count == 1 && fs.list[1].first == 5);
    cr_expect(fs.list[2].kind == WS_FINDING_LARGE_SCALES && fs.list[2].count == 1 && fs.list[2].first == 2);
    cr_expect(fs.list[3].kind == WS_FINDING_SMALL_SCALES && fs.list[3].count == 2 && fs.list[3].first == 4);
    ws_findings_free(&fs);
    ws_report_close(r);
}

/* ---- structure ---- */

Test(verify_structure, padding_and_gaps, .init = set_up, .fini = tear_down) {
    static const test_tensor tensors[] = {{"a", WS_TYPE_F32, {3, 1}}, {"b", WS_TYPE_F32, {8, 1}}};
    test_write_model(path, "llama", 1, 1, 1, 0, tensors, 2);
    ws_report *r = open_report();
    const long a = (long)r->tensors[0].offset, end = (long)r->parts[0].size;
    ws_report_close(r);
    FILE *f = fopen(path, "r+b");
    char header[8192];
    const size_t n = fread(header, 1, (size_t)a, f);
    fseek(f, a + 20, SEEK_SET);
    fputc(1, f); /* padding of a */
    fseek(f, end, SEEK_SET);
    for (int i = 0; i < 32; i++) fputc(0, f); /* room to move b by 32 */
    for (size_t i = 0; i + 9 < n; i++) {
        if (memcmp(header + i, "\1\0\0\0\0\0\0\0b", 9) != 0) continue;
        uint32_t n_dims;
        const uint64_t offset = 64;
        memcpy(&n_dims, header + i + 9, 4);
        fseek(f, (long)(i + 13 + 8 * n_dims + 4), SEEK_SET);
        cr_assert_eq(fwrite(&offset, 8, 1, f), 1);
    }
    fclose(f);
    ws_findings fs = {0};
    ws_error err = {0};
    r = open_report();
    cr_assert_eq(ws_verify_structure(&fs, r, &err), WS_OK);
    cr_assert_eq(fs.n, 3);
    cr_expect(fs.list[0].kind == WS_FINDING_ORDER && fs.list[0].bytes == 32 && strcmp(fs.list[0].tensor, "b") == 0);
    cr_expect(fs.list[1].kind == WS_FINDING_GAP && fs.list[1].bytes == 32 && strcmp(fs.list[1].tensor, "a") == 0);
    cr_expect(fs.list[2].kind == WS_FINDING_PADDING && fs.list[2].bytes == 20);
    ws_findings_free(&fs);
    ws_report_close(r);
}

/* ---- adapters and importance matrices ---- */

static size_t parts_findings(const char *type, const char *const *names, const uint64_t (*ne)[2], size_t n,
                             ws_finding_kind *first) {
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    ws_gguf_put_str(w, "general.type", type);
    ws_gguf_put_f32(w, "adapter.lora.alpha", 16);
    for (size_t i = 0; i < n; i++) ws_gguf_add_tensor(w, names[i], WS_TYPE_F32, 2, ne[i]);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++) {
        const test_tensor t = {names[i], WS_TYPE_F32, {ne[i][0], ne[i][1]}};
        test_write_tensor(w, &t, (unsigned)i);
    }
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK);
    ws_findings fs;
    ws_report *r = open_report();
    cr_assert_eq(ws_verify_run(&fs, r, 1, true, &err), WS_OK);
    const size_t found = fs.n;
    if (found) *first = fs.list[0].kind;
    ws_findings_free(&fs);
    ws_report_close(r);
    return found;
}

Test(verify_parts, halves_belong_together, .init = set_up, .fini = tear_down) {
    static const char *const lora[] = {"blk.0.x.weight.lora_a", "blk.0.x.weight.lora_b", "blk.0.y"};
    static const char *const imatrix[] = {"blk.0.x.weight.in_sum2", "blk.0.x.weight.counts"};
    static const uint64_t good[3][2] = {{64, 8}, {8, 32}, {4, 2}}, other_rank[2][2] = {{64, 8}, {4, 32}};
    ws_finding_kind kind = WS_FINDING_KINDS;
    cr_expect_eq(parts_findings("adapter", lora, good, 2, &kind), 0);
    cr_expect(parts_findings("adapter", lora, other_rank, 2, &kind) == 1 && kind == WS_FINDING_SHAPE);
    cr_expect(parts_findings("adapter", lora, good, 1, &kind) == 1 && kind == WS_FINDING_MISSING);
    cr_expect(parts_findings("adapter", lora, good, 3, &kind) == 1 && kind == WS_FINDING_EXTRA);
    cr_expect_eq(parts_findings("imatrix", imatrix, good, 2, &kind), 0);
    cr_expect(parts_findings("imatrix", imatrix + 1, good, 1, &kind) == 1 && kind == WS_FINDING_MISSING);
}

/* ---- safety ---- */

static ws_report *safety(ws_findings *fs, const char *key, const char *value) {
    ws_error err = {0};
    ws_gguf_writer *w;
    cr_assert_eq(ws_gguf_writer_new(&w, &err), WS_OK);
    if (strcmp(key, "tokenizer.ggml.tokens") == 0)
        ws_gguf_put_str_array(w, key, (const ws_str[]){{"a", 1}, {value, strlen(value)}}, 2);
    else
        ws_gguf_put_str(w, key, value);
    cr_assert_eq(ws_gguf_writer_begin(w, path, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_writer_finish(w, &err), WS_OK);
    ws_report *r = open_report();
    cr_assert_eq(ws_safety_run(fs, r, &err), WS_OK);
    return r;
}

#define TEMPLATE "tokenizer.chat_template"

Test(safety, what_is_found_and_what_is_not, .init = set_up, .fini = tear_down) {
    static const struct {
        const char *key, *value;
        ws_finding_kind kind; /* WS_FINDING_KINDS: nothing */
        ws_severity severity;
    } cases[] = {
        {TEMPLATE, "{% for m in messages %}{{ m['role'] + m.content | trim }}{% endfor %}", WS_FINDING_KINDS, 0},
        {TEMPLATE, "import os; __class__ in plain text, eval it 1000000 times", WS_FINDING_KINDS, 0},
        {TEMPLATE, "{{ raise_exception('attr') }}{% set ns = namespace(x=1) %}", WS_FINDING_KINDS, 0},
        {TEMPLATE, "{{ ''.__class__ }}", WS_FINDING_TEMPLATE, WS_SEVERITY_ERROR},
        {TEMPLATE, "{{ x['__globals__'] }}", WS_FINDING_TEMPLATE, WS_SEVERITY_ERROR},
        {TEMPLATE, "{{ x|attr('a') }}", WS_FINDING_TEMPLATE, WS_SEVERITY_ERROR},
        {TEMPLATE, "{%- import 'x' as y %}", WS_FINDING_TEMPLATE, WS_SEVERITY_ERROR},
        {TEMPLATE, "{% include 'x' %}", WS_FINDING_TEMPLATE, WS_SEVERITY_ERROR},
        {TEMPLATE, "{{ lipsum() }}", WS_FINDING_TEMPLATE, WS_SEVERITY_ERROR},
        {TEMPLATE, "{% for i in range(99999999) %}{% endfor %}", WS_FINDING_TEMPLATE, WS_SEVERITY_WARNING},
        {TEMPLATE, "{{ 'a' * 99999999999999999999999999 }}", WS_FINDING_TEMPLATE, WS_SEVERITY_WARNING},
        {TEMPLATE, "unfinished {{ x.__init__", WS_FINDING_TEMPLATE, WS_SEVERITY_ERROR},
        {TEMPLATE, "hi \xf3\xa0\x81\x81", WS_FINDING_CHARACTERS, WS_SEVERITY_ERROR},
        {TEMPLATE, "hi \xe2\x80\xae", WS_FINDING_CHARACTERS, WS_SEVERITY_ERROR},
        {TEMPLATE, "see https://example.com/x", WS_FINDING_URL, WS_SEVERITY_WARNING},
        {"general.name", "a\x1b[2J", WS_FINDING_CHARACTERS, WS_SEVERITY_WARNING},
        {"general.name", "\xff", WS_FINDING_CHARACTERS, WS_SEVERITY_WARNING},
        {"general.url", "https://example.com", WS_FINDING_KINDS, 0},
        {"general.name", "L\xc3\xa9o \xe6\x97\xa5", WS_FINDING_KINDS, 0},
        {"x.y", "https://example.com", WS_FINDING_URL, WS_SEVERITY_NOTE},
        {"tokenizer.ggml.tokens", "https://example.com", WS_FINDING_TOKEN, WS_SEVERITY_NOTE},
        {"tokenizer.ggml.tokens", "x\x1b]0;", WS_FINDING_TOKEN, WS_SEVERITY_NOTE},
        {"tokenizer.ggml.tokens", "https://", WS_FINDING_KINDS, 0},
        {"tokenizer.ggml.tokens", "\xe2\x80\xae", WS_FINDING_KINDS, 0}, /* a character of its own */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_findings fs;
        ws_report *r = safety(&fs, cases[i].key, cases[i].value);
        const bool none = cases[i].kind == WS_FINDING_KINDS;
        cr_expect_eq(fs.n, none ? 0 : 1, "case %zu: %zu findings", i, fs.n);
        if (!none && fs.n)
            cr_expect(fs.list[0].kind == cases[i].kind && fs.list[0].severity == cases[i].severity, "case %zu: %s", i,
                      fs.list[0].text);
        ws_findings_free(&fs);
        ws_report_close(r);
    }
}
