/* Metadata edits: what is written is what a reader finds, tensors stay, and the file is whole whatever fails. */
#include "edit.h"
#include "edit_journal.h"
#include "hash.h"
#include "model_file.h"
#include "split.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static char dir[32], path[64];
static const test_tensor tensors[] = {
    {"a", WS_TYPE_F32, {40, 3}}, {"b", WS_TYPE_F32, {7, 1}}, {"c", WS_TYPE_F32, {64, 2}}, {"d", WS_TYPE_F32, {5, 5}}};
enum { N_TENSORS = sizeof tensors / sizeof *tensors };

static void set_up(void) {
    test_temp_dir(dir);
    snprintf(path, sizeof path, "%s/model.gguf", dir);
    test_write_model(path, "llama", 2, 4, 2, 0, tensors, N_TENSORS);
}

static void tear_down(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

static ws_gguf *open_model(const char *name) {
    ws_error err = {0};
    ws_gguf *g;
    cr_assert_eq(ws_gguf_open(&g, name, &err), WS_OK, "%s", err.msg);
    return g;
}

static ws_status apply(const char *text, ws_edit_result *result, ws_error *err) {
    ws_gguf *g = open_model(path);
    ws_edit e;
    ws_status status = ws_edit_parse(&e, g, text, err);
    if (status)
        ws_gguf_close(g);
    else
        status = ws_edit_apply(g, NULL, &e, 1, result, err);
    ws_edit_free(&e);
    return status;
}

static void model_hash(const char *name, char *hex) {
    ws_error err = {0};
    ws_report *r;
    ws_model_hash h;
    cr_assert_eq(ws_report_open(&r, name, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_model_hash_run(&h, r, WS_HASH_XXH3, 2, true, &err), WS_OK);
    strcpy(hex, h.model);
    ws_model_hash_free(&h);
    ws_report_close(r);
}

Test(edit, every_type, .init = set_up, .fini = tear_down) {
    static const struct {
        const char *text;
        ws_kv_type type;
        double value;
    } cases[] = {
        {"k:u8=255", WS_KV_U8, 255},
        {"k:i8=-128", WS_KV_I8, -128},
        {"k:u16=65535", WS_KV_U16, 65535},
        {"k:i16=-32768", WS_KV_I16, -32768},
        {"k:u32=4294967295", WS_KV_U32, 4294967295.0},
        {"k:i32=-5", WS_KV_I32, -5},
        {"k:u64=7", WS_KV_U64, 7},
        {"k:i64=-7", WS_KV_I64, -7},
        {"k:f32=0.5", WS_KV_F32, 0.5},
        {"k:f64=1e300", WS_KV_F64, 1e300},
        {"k:bool=true", WS_KV_BOOL, 1},
        {"k=12", WS_KV_BOOL, 1} /* keeps its type */,
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_edit_result result;
        ws_error err = {0};
        const ws_status status = apply(cases[i].text, &result, &err);
        if (i == sizeof cases / sizeof *cases - 1) {
            cr_expect_eq(status, WS_USAGE, "12 is no bool");
            continue;
        }
        cr_assert_eq(status, WS_OK, "%s: %s", cases[i].text, err.msg);
        ws_gguf *g = open_model(path);
        const ws_kv *kv = ws_gguf_kv(g, "k");
        double v = 0;
        cr_assert(kv && kv->type == cases[i].type, "%s", cases[i].text);
        cr_expect(ws_kv_f64(kv, &v) && v == cases[i].value, "%s gives %g", cases[i].text, v);
        ws_gguf_close(g);
    }
}

Test(edit, guesses_types_of_new_keys, .init = set_up, .fini = tear_down) {
    static const struct {
        const char *text;
        ws_kv_type type;
    } cases[] = {{"a=false", WS_KV_BOOL}, {"b=3", WS_KV_U32},        {"c=-3", WS_KV_I32},
                 {"d=1.5", WS_KV_F32},    {"e=x = y", WS_KV_STRING}, {"f=", WS_KV_STRING}};
    ws_gguf *g = open_model(path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_edit e;
        ws_error err = {0};
        cr_assert_eq(ws_edit_parse(&e, g, cases[i].text, &err), WS_OK, "%s", err.msg);
        cr_expect_eq(e.type, cases[i].type, "%s", cases[i].text);
        ws_edit_free(&e);
    }
    ws_gguf_close(g);
}

Test(edit, refuses_what_does_not_suit, .init = set_up, .fini = tear_down) {
    static const char *const bad[] = {
        "novalue",
        "=x",
        "k:u8=256",
        "k:u8=-1",
        "k:i8=-129",
        "k:i8=128",
        "k:u32=1.5",
        "k:u32=",
        "k:u64=18446744073709551616",
        "k:f32=abc",
        "k:bool=maybe",
        "k:[u8]=1,300",
        "k:[u8]=1,x",
        "k:[string]=plain",
        "k:[string]=[1]",
        "k:complex=1",
        "k:[array]=1",
        "general.alignment=64",
        "split.count=1",
        "k:string=@/nonexistent/file",
    };
    char before[WS_HASH_HEX], after[WS_HASH_HEX];
    model_hash(path, before);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ws_edit_result result;
        ws_error err = {0};
        cr_expect_neq(apply(bad[i], &result, &err), WS_OK, "%s", bad[i]);
        cr_expect(err.msg[0], "%s", bad[i]);
    }
    model_hash(path, after);
    cr_expect_str_eq(before, after);
}

/* The write into the model stops in the middle, as a crash would stop it. */
Test(edit, an_interrupted_edit_in_place_is_finished, .init = set_up, .fini = tear_down) {
    enum { BEFORE = 4000, TORN = 10 };
    static char long_name[BEFORE + 40], value[2][40];
    ws_error err = {0};
    ws_edit_result result;
    bool finished;
    snprintf(long_name, sizeof long_name, "first=%0*d", BEFORE, 0);
    cr_assert_eq(apply(long_name, &result, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(apply("second=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &result, &err), WS_OK);
    ws_gguf *g = open_model(path);
    const ws_kv *second = ws_gguf_kv(g, "second");
    const long at = second->raw + 8 - g->parts[0].data;
    ws_gguf_close(g);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit small = {(rlim_t)at + TORN, limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    cr_expect_eq(apply("second=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", &result, &err), WS_IO);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    g = open_model(path);
    ws_str s;
    cr_assert(ws_kv_str(ws_gguf_kv(g, "second"), &s));
    snprintf(value[0], sizeof value[0], "%.32s", s.data);
    ws_gguf_close(g);
    cr_expect_str_eq(value[0], "bbbbbbbbbbaaaaaaaaaaaaaaaaaaaaaa", "the file is torn");
    cr_assert_eq(ws_edit_finish_interrupted(path, &finished, &err), WS_OK, "%s", err.msg);
    cr_expect(finished);
    g = open_model(path);
    cr_assert(ws_kv_str(ws_gguf_kv(g, "second"), &s));
    snprintf(value[1], sizeof value[1], "%.32s", s.data);
    ws_gguf_close(g);
    cr_expect_str_eq(value[1], "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    cr_assert_eq(ws_edit_finish_interrupted(path, &finished, &err), WS_OK);
    cr_expect(!finished, "once");
}

/* A journal that is damaged, or of another file, changes nothing. */
Test(edit, a_journal_of_something_else_is_refused, .init = set_up, .fini = tear_down) {
    char journal[80];
    ws_error err = {0};
    bool finished;
    snprintf(journal, sizeof journal, "%s.edit", path);
    for (size_t n = 0; n < 200; n += 7) {
        FILE *f = fopen(journal, "wb");
        cr_assert(f);
        for (size_t i = 0; i < n; i++) fputc("WWSEDIT1"[i % 8], f);
        fclose(f);
        cr_expect_eq(ws_edit_finish_interrupted(path, &finished, &err), WS_FORMAT);
        cr_expect(strstr(err.msg, journal) && strstr(err.msg, "remove it"), "%s", err.msg);
    }
    ws_gguf_close(open_model(path));
}

Test(edit, in_place_when_it_fits_and_a_copy_when_not, .init = set_up, .fini = tear_down) {
    ws_edit_result result = {0};
    ws_error err = {0};
    char before[WS_HASH_HEX], after[WS_HASH_HEX];
    model_hash(path, before);
    cr_assert_eq(apply("llama.block_count=77", &result, &err), WS_OK, "%s", err.msg);
    cr_expect(result.in_place && result.bytes_written == 1, "one byte differs: %d", (int)result.bytes_written);
    cr_assert_eq(apply("general.architecture=a-name-of-more-than-thirty-two-bytes-in-all", &result, &err), WS_OK);
    cr_expect(!result.in_place);
    cr_assert_eq(apply("llama.block_count=77", &result, &err), WS_OK);
    cr_expect(result.in_place && result.bytes_written == 0, "nothing differs");
    model_hash(path, after);
    cr_expect_str_eq(before, after, "tensors are as before");
    ws_gguf *g = open_model(path);
    cr_expect_str_eq(g->kv[0].key, "general.architecture", "keys keep their places");
    ws_gguf_close(g);
}

Test(edit, arrays_and_files, .init = set_up, .fini = tear_down) {
    ws_edit_result result;
    ws_error err = {0};
    char text[128], file[64];
    snprintf(file, sizeof file, "%s/template", dir);
    FILE *f = fopen(file, "wb");
    fputs("{{ line }}\nnext", f);
    fclose(f);
    snprintf(text, sizeof text, "t:string=@%s", file);
    cr_assert_eq(apply(text, &result, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(apply("n:[i16]=[-1, 2,3]", &result, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(apply("s:[string]=[\"a\", \"b c\", \"\"]", &result, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(apply("at=@@home", &result, &err), WS_OK, "%s", err.msg);
    ws_gguf *g = open_model(path);
    ws_str s;
    int64_t v = 0;
    cr_expect(ws_kv_str(ws_gguf_kv(g, "t"), &s) && s.len == 15 && memcmp(s.data, "{{ line }}\nnext", 15) == 0);
    cr_expect(ws_kv_str(ws_gguf_kv(g, "at"), &s) && s.len == 5 && memcmp(s.data, "@home", 5) == 0);
    const ws_kv *n = ws_gguf_kv(g, "n"), *words = ws_gguf_kv(g, "s");
    cr_assert(n->elem_type == WS_KV_I16 && n->n == 3 && words->elem_type == WS_KV_STRING && words->n == 3);
    cr_expect(ws_kv_elem_i64(n, 0, &v) && v == -1);
    const uint8_t *it = words->elems;
    ws_kv_next_str(&it);
    s = ws_kv_next_str(&it);
    cr_expect(s.len == 3 && memcmp(s.data, "b c", 3) == 0);
    ws_gguf_close(g);
}

Test(edit, removal, .init = set_up, .fini = tear_down) {
    ws_edit_result result;
    ws_error err = {0};
    ws_edit e;
    ws_gguf *g = open_model(path);
    cr_expect_eq(ws_edit_removal(&e, g, "no.such.key", &err), WS_FORMAT);
    ws_edit_free(&e);
    cr_assert_eq(ws_edit_removal(&e, g, "llama.block_count", &err), WS_OK);
    cr_assert_eq(ws_edit_apply(g, NULL, &e, 1, &result, &err), WS_OK, "%s", err.msg);
    ws_edit_free(&e);
    g = open_model(path);
    cr_expect_null(ws_gguf_kv(g, "llama.block_count"));
    cr_expect_not_null(ws_gguf_kv(g, "llama.attention.head_count"));
    ws_gguf_close(g);
}

/* ---- split, merge, hash ---- */

static ws_status plan_of(const ws_gguf *g, ws_split_plan *plan, ws_split_options o) {
    ws_error err = {0};
    return ws_split_plan_make(plan, g, &o, &err);
}

Test(split, plans, .init = set_up, .fini = tear_down) {
    ws_gguf *g = open_model(path); /* padded: 480, 32, 512, 128 bytes */
    static const struct {
        ws_split_options o;
        size_t n_parts, first[6];
    } cases[] = {
        {{.max_tensors = 3}, 2, {0, 3, 4}},
        {{.max_tensors = 4}, 1, {0, 4}},
        {{.max_tensors = 3, .no_tensor_first = true}, 3, {0, 0, 3, 4}},
        {{.max_bytes = 512}, 3, {0, 2, 3, 4}},
        {{.max_bytes = 511}, 4, {0, 1, 2, 3, 4}}, /* one tensor may be larger */
        {{.max_bytes = 479}, 0, {0}},             /* but not the first: no part is empty */
        {{.max_bytes = 640}, 2, {0, 2, 4}},
        {{.max_bytes = 1 << 20}, 1, {0, 4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_split_plan plan;
        const ws_status status = plan_of(g, &plan, cases[i].o);
        cr_expect_eq(status == WS_OK, cases[i].n_parts > 0, "case %zu", i);
        for (size_t p = 0; !status && p <= cases[i].n_parts; p++)
            cr_expect_eq(plan.first[p], cases[i].first[p], "case %zu, part %zu: %zu", i, p, plan.first[p]);
        ws_split_plan_free(&plan);
    }
    ws_gguf_close(g);
}

Test(split, parts_merge_into_the_same_model, .init = set_up, .fini = tear_down) {
    ws_error err = {0};
    ws_split_plan plan;
    ws_split_options o = {.max_tensors = 1};
    char prefix[64], first[96], merged[96], before[WS_HASH_HEX], hash[WS_HASH_HEX];
    snprintf(prefix, sizeof prefix, "%s/part", dir);
    snprintf(first, sizeof first, "%s-00001-of-00004.gguf", prefix);
    snprintf(merged, sizeof merged, "%s/merged.gguf", dir);
    model_hash(path, before);
    ws_gguf *g = open_model(path);
    cr_assert_eq(ws_split_plan_make(&plan, g, &o, &err), WS_OK);
    cr_assert_eq(ws_split_run(&plan, g, prefix, true, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(ws_merge_run(g, merged, true, &err), WS_FORMAT, "a whole model is not merged");
    ws_split_plan_free(&plan);
    ws_gguf_close(g);
    model_hash(first, hash);
    cr_expect_str_eq(before, hash, "the same for a split file");
    g = open_model(first);
    cr_assert_eq(ws_merge_run(g, merged, true, &err), WS_OK, "%s", err.msg);
    cr_expect_eq(ws_merge_run(g, first, true, &err), WS_USAGE, "a part cannot be the output");
    ws_gguf_close(g);
    model_hash(merged, hash);
    cr_expect_str_eq(before, hash);
}

/* A later part that cannot be written takes the earlier ones with it. */
Test(split, failure_leaves_nothing, .init = set_up, .fini = tear_down) {
    ws_error err = {0};
    ws_split_plan plan;
    ws_split_options o = {.max_tensors = 2};
    char prefix[64], blocked[96], first[96];
    snprintf(prefix, sizeof prefix, "%s/part", dir);
    snprintf(first, sizeof first, "%s-00001-of-00002.gguf", prefix);
    snprintf(blocked, sizeof blocked, "mkdir %s-00002-of-00002.gguf", prefix);
    cr_assert_eq(system(blocked), 0);
    ws_gguf *g = open_model(path);
    cr_assert_eq(ws_split_plan_make(&plan, g, &o, &err), WS_OK);
    cr_expect_eq(ws_split_run(&plan, g, prefix, true, &err), WS_IO);
    cr_expect_not(ws_file_exists(first));
    ws_split_plan_free(&plan);
    ws_gguf_close(g);
}

/* ---- manifests ---- */

typedef struct {
    char text[256];
} told;

static void remember(void *ctx, ws_manifest_problem problem, const char *name) {
    told *t = ctx;
    snprintf(t->text + strlen(t->text), sizeof t->text - strlen(t->text), "%c:%s ", "CME"[problem], name);
}

Test(hash, known_digest, .init = set_up, .fini = tear_down) {
    ws_error err = {0};
    ws_report *r;
    char zeros[64];
    snprintf(zeros, sizeof zeros, "%s/zeros.gguf", dir);
    static const test_tensor tensor = {"z", WS_TYPE_F16, {16, 1}};
    test_write_model(zeros, "llama", 1, 1, 1, 0, &tensor, 1);
    cr_assert_eq(ws_report_open(&r, zeros, &err), WS_OK);
    ws_model_hash h;
    cr_assert_eq(ws_model_hash_run(&h, r, WS_HASH_SHA256, 1, true, &err), WS_OK);
    /* sha256 of 32 zero bytes */
    cr_expect_str_eq(h.tensors[0].hex, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
    ws_model_hash_free(&h);
    ws_report_close(r);
}

Test(hash, manifest_tells_what_differs, .init = set_up, .fini = tear_down) {
    static const test_tensor others[] = {
        {"a", WS_TYPE_F32, {40, 3}}, {"d", WS_TYPE_F32, {7, 1}}, {"e \xff", WS_TYPE_F32, {5, 5}}};
    ws_error err = {0};
    ws_report *r;
    ws_model_hash h;
    char manifest[64], other[64];
    size_t n = 0;
    told t = {""};
    snprintf(manifest, sizeof manifest, "%s/manifest", dir);
    snprintf(other, sizeof other, "%s/other.gguf", dir);
    test_write_model(other, "llama", 1, 1, 1, 0, others, 3);
    for (int kind = 0; kind < WS_HASH_KINDS; kind++) {
        cr_assert_eq(ws_report_open(&r, other, &err), WS_OK);
        cr_assert_eq(ws_model_hash_run(&h, r, (ws_hash_kind)kind, 2, true, &err), WS_OK);
        cr_assert_eq(ws_manifest_write(&h, manifest, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_manifest_check(&h, manifest, remember, &t, &n, &err), WS_OK);
        cr_expect(n == 0 && !t.text[0], "%s", t.text);
        ws_model_hash_free(&h);
        ws_report_close(r);
    }
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK);
    cr_assert_eq(ws_model_hash_run(&h, r, WS_HASH_SHA256, 2, true, &err), WS_OK);
    cr_assert_eq(ws_manifest_check(&h, manifest, remember, &t, &n, &err), WS_OK);
    cr_expect_str_eq(t.text, "C:d M:e \xff E:b E:c ");
    ws_model_hash_free(&h);
    ws_report_close(r);
}

Test(hash, broken_manifests, .init = set_up, .fini = tear_down) {
    static const char *const texts[] = {"",
                                        "weightsmith manifest 2\nxxh3 0\n",
                                        "weightsmith manifest 1\n",
                                        "weightsmith manifest 1\nmd5 0\n",
                                        "weightsmith manifest 1\nxxh3 0\nnothing\n",
                                        "weightsmith manifest 1\nxxh3 0\n00 %zz\n",
                                        "weightsmith manifest 1\nxxh3 0\n00 a%0",
                                        "weightsmith manifest 1\nxxh3 0\n00 a%00\n"};
    ws_error err = {0};
    ws_report *r;
    ws_model_hash h;
    cr_assert_eq(ws_report_open(&r, path, &err), WS_OK);
    cr_assert_eq(ws_model_hash_run(&h, r, WS_HASH_XXH3, 2, true, &err), WS_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char manifest[64];
        size_t n;
        told t = {""};
        snprintf(manifest, sizeof manifest, "%s/manifest", dir);
        FILE *f = fopen(manifest, "wb");
        fputs(texts[i], f);
        fclose(f);
        cr_expect_neq(ws_manifest_check(&h, manifest, remember, &t, &n, &err), WS_OK, "case %zu", i);
    }
    ws_model_hash_free(&h);
    ws_report_close(r);
}
