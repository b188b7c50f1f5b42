/* What one pass can do beyond one file: several outputs, parts, going on after a kill, comparing, measuring. */
#include "cpu.h"
#include "file.h"
#include "journal.h"
#include "model_file.h"
#include "output.h"
#include "report.h"
#include "reproduce.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static char dir[32], in[64];
static ws_gguf *source;

static const test_tensor tensors[] = {
    {"token_embd.weight", WS_TYPE_F32, {256, 3000}},    {"blk.0.attn_norm.weight", WS_TYPE_F32, {256, 1}},
    {"blk.0.ffn_down.weight", WS_TYPE_F32, {512, 256}}, {"blk.0.ffn_up.weight", WS_TYPE_F32, {256, 1000}},
    {"blk.1.ffn_down.weight", WS_TYPE_F32, {512, 256}}, {"blk.1.ffn_up.weight", WS_TYPE_F32, {256, 1000}},
};

static void setup(void) {
    ws_error err = {0};
    test_temp_dir(dir);
    snprintf(in, sizeof in, "%s/in.gguf", dir);
    test_write_model(in, "llama", 2, 4, 2, 0, tensors, sizeof tensors / sizeof *tensors);
    cr_assert_eq(ws_gguf_open(&source, in, &err), WS_OK, "%s", err.msg);
}

/* Names in the folder beside the input, sorted, with a space behind each. */
static const char *left(void) {
    static char text[400];
    struct dirent **list;
    const int n = scandir(dir, &list, NULL, alphasort);
    text[0] = 0;
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.' && strcmp(list[i]->d_name, "in.gguf") != 0)
            strcat(strcat(text, list[i]->d_name), " ");
        free(list[i]);
    }
    free(list);
    return text;
}

static void teardown(void) {
    char command[64];
    ws_gguf_close(source);
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

static const char *in_dir(const char *name) {
    static char paths[4][96];
    static int at;
    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/%s", dir, name);
    return paths[at];
}

static ws_quantize_plan make_plan(const char *recipe) {
    ws_error err = {0};
    ws_quantize_plan plan;
    const ws_plan_options o = {.recipe = ws_recipe_by_name(recipe), .cpu_flags = ws_cpu_detect()};
    cr_assert_eq(ws_quantize_plan_make(&plan, source, &o, &err), WS_OK, "%s", err.msg);
    return plan;
}

static ws_status run(ws_target *targets, size_t n, int threads, ws_run_options o, ws_error *err) {
    ws_input input;
    o.n_threads = threads;
    o.cpu_flags = ws_cpu_detect();
    WS_TRY(ws_input_open_gguf(&input, source, false, err));
    const ws_status status = ws_quantize_run(&input, targets, n, &o, err);
    for (size_t i = 0; i < n; i++) targets[i].sink->close(targets[i].sink->ctx);
    ws_input_close_gguf(&input);
    return status;
}

static void open_output(ws_sink *sink, const char *name, const ws_quantize_plan *plan, ws_output_request r) {
    ws_error err = {0};
    r.path = in_dir(name), r.plan = plan, r.source = source, r.fingerprint = "the source";
    cr_assert_eq(ws_output_open(sink, &r, &err), WS_OK, "%s", err.msg);
}

static void write_one(const char *name, const char *recipe, ws_output_request request) {
    ws_error err = {0};
    ws_quantize_plan plan = make_plan(recipe);
    ws_sink sink;
    open_output(&sink, name, &plan, request);
    cr_assert_eq(run(&(ws_target){&plan, &sink, NULL}, 1, 2, (ws_run_options){0}, &err), WS_OK, "%s", err.msg);
    ws_quantize_plan_free(&plan);
}

static void expect_same(const char *a, const char *b) {
    char *x, *y;
    size_t n, m;
    cr_assert_eq(ws_file_read(&x, &n, in_dir(a), 1 << 30, NULL), WS_OK, "%s", a);
    cr_assert_eq(ws_file_read(&y, &m, in_dir(b), 1 << 30, NULL), WS_OK, "%s", b);
    cr_assert(n == m && memcmp(x, y, n) == 0, "%s and %s differ", a, b);
    free(x), free(y);
}

Test(stream, several_outputs_of_one_pass_are_those_of_several, .init = setup, .fini = teardown) {
    static const char *const recipes[] = {"q4_k_m", "q8_0", "f16"}, *const names[] = {"a", "b", "c"};
    ws_error err = {0};
    ws_quantize_plan plans[3];
    ws_sink sinks[3];
    ws_target targets[3];
    for (size_t i = 0; i < 3; i++) {
        plans[i] = make_plan(recipes[i]);
        open_output(&sinks[i], names[i], &plans[i], (ws_output_request){0});
        targets[i] = (ws_target){&plans[i], &sinks[i], NULL};
    }
    cr_assert_eq(run(targets, 3, 3, (ws_run_options){0}, &err), WS_OK, "%s", err.msg);
    for (size_t i = 0; i < 3; i++) {
        write_one("single", recipes[i], (ws_output_request){0});
        expect_same(names[i], "single");
        ws_quantize_plan_free(&plans[i]);
    }
    cr_assert_str_eq(left(), "a b c single ");
}

Test(stream, parts_hold_what_the_whole_holds, .init = setup, .fini = teardown) {
    ws_error err = {0};
    ws_gguf *whole, *split;
    write_one("whole.gguf", "q8_0", (ws_output_request){0});
    write_one("split.gguf", "q8_0", (ws_output_request){.split = {.max_bytes = 600000}});
    cr_assert_eq(ws_gguf_open(&whole, in_dir("whole.gguf"), &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_gguf_open(&split, in_dir("split-00001-of-00003.gguf"), &err), WS_OK, "%s (%s)", err.msg, left());
    cr_assert(split->n_parts == 3 && split->n_tensors == whole->n_tensors);
    for (size_t i = 0; i < whole->n_tensors; i++) {
        const ws_tensor *a = &whole->tensors[i], *b = &split->tensors[i];
        cr_assert(strcmp(a->name, b->name) == 0 && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0);
    }
    ws_gguf_close(whole);
    ws_gguf_close(split);
}

/* ---- going on ---- */

static void die(void *ctx, uint64_t bytes) {
    int *calls = ctx;
    (void)bytes;
    if (++*calls == 18) raise(SIGKILL); /* in the middle of a tensor */
}

/* A run in a process of its own that is killed on its way. */
static void be_killed(void) {
    const pid_t child = fork();
    if (child == 0) {
        int calls = 0;
        ws_error err = {0};
        ws_quantize_plan plan = make_plan("q4_k_m");
        ws_sink sink;
        open_output(&sink, "out", &plan, (ws_output_request){.resume = true});
        const ws_run_options o = {.progress = die, .progress_ctx = &calls};
        _exit(run(&(ws_target){&plan, &sink, NULL}, 1, 1, o, &err) ? 2 : 3);
    }
    int state;
    cr_assert_eq(waitpid(child, &state, 0), child);
    cr_assert(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL, "state %d", state);
}

Test(stream, a_killed_run_is_gone_on_with, .init = setup, .fini = teardown) {
    ws_error err = {0};
    ws_quantize_plan plan = make_plan("q4_k_m");
    ws_sink sink;
    write_one("whole", "q4_k_m", (ws_output_request){0});
    be_killed();
    cr_assert_str_eq(left(), "out.part out.part.journal whole ");
    open_output(&sink, "out", &plan, (ws_output_request){.resume = true});
    cr_assert(sink.n_skip > 0 && sink.n_skip < plan.n, "%zu tensors are there", sink.n_skip);
    cr_assert_eq(run(&(ws_target){&plan, &sink, NULL}, 1, 2, (ws_run_options){0}, &err), WS_OK, "%s", err.msg);
    expect_same("out", "whole");
    cr_assert_str_eq(left(), "out whole ");
    ws_quantize_plan_free(&plan);
}

Test(stream, what_another_recipe_left_is_not_gone_on_with, .init = setup, .fini = teardown) {
    ws_quantize_plan plan = make_plan("q8_0");
    ws_sink sink;
    be_killed();
    open_output(&sink, "out", &plan, (ws_output_request){.resume = true});
    cr_assert_eq(sink.n_skip, 0);
    sink.close(sink.ctx);
    ws_quantize_plan_free(&plan);
    be_killed();
    write_one("out", "q8_0", (ws_output_request){0});
    cr_assert_str_eq(left(), "out ", "without --resume it begins anew and leaves nothing");
}

Test(stream, journals_of_other_sources_are_begun_anew, .init = setup, .fini = teardown) {
    ws_journal *j;
    size_t n;
    cr_assert_eq(ws_journal_open(&j, in_dir("j"), "one source", true, true, &n, NULL), WS_OK);
    cr_assert(n == 0 && ws_journal_note(j, 3, NULL) == WS_OK && ws_journal_note(j, 5, NULL) == WS_OK);
    ws_journal_close(j, false);
    cr_assert_eq(ws_journal_open(&j, in_dir("j"), "one source", true, true, &n, NULL), WS_OK);
    cr_assert_eq(n, 5);
    ws_journal_close(j, false);
    cr_assert_eq(ws_journal_open(&j, in_dir("j"), "one source!", true, true, &n, NULL), WS_OK);
    cr_assert_eq(n, 0);
    ws_journal_close(j, true);
}

/* ---- comparing ---- */

static ws_reproduction reproduce(const char *name, const char *recipe) {
    ws_error err = {0};
    ws_gguf *quantized;
    ws_reproduction r;
    ws_sink sink;
    ws_quantize_plan plan = make_plan(recipe);
    cr_assert_eq(ws_gguf_open(&quantized, in_dir(name), &err), WS_OK, "%s", err.msg);
    cr_assert_eq(ws_reproduction_make(&r, &plan, source, quantized, &err), WS_OK, "%s", err.msg);
    ws_reproduction_sink(&sink, &r);
    cr_assert_eq(run(&(ws_target){&plan, &sink, NULL}, 1, 2, (ws_run_options){0}, &err), WS_OK, "%s", err.msg);
    ws_gguf_close(quantized);
    ws_quantize_plan_free(&plan);
    return r;
}

Test(stream, what_the_source_gives_is_recognised, .init = setup, .fini = teardown) {
    write_one("q", "q4_k_m", (ws_output_request){0});
    ws_reproduction r = reproduce("q", "q4_k_m");
    cr_assert(ws_reproduction_holds(&r) && r.same_header && r.n_by_recipe == r.n);
    ws_reproduction_free(&r);
    r = reproduce("q", "q8_0");
    cr_assert(ws_reproduction_holds(&r) && !r.same_header, "the types are the file's, whatever the recipe");
    cr_assert_lt(r.n_by_recipe, r.n);
    ws_reproduction_free(&r);
}

Test(stream, a_changed_block_is_found, .init = setup, .fini = teardown) {
    ws_gguf *g;
    write_one("q", "q8_0", (ws_output_request){0});
    cr_assert_eq(ws_gguf_open(&g, in_dir("q"), NULL), WS_OK);
    const ws_tensor *t = ws_gguf_tensor(g, "blk.1.ffn_up.weight");
    FILE *f = fopen(in_dir("q"), "r+b");
    const int byte = t->data[34 * 77 + 5] ^ 1;
    cr_assert(f && fseek(f, (long)t->offset + 34 * 77 + 5, SEEK_SET) == 0 && fputc(byte, f) == byte && fclose(f) == 0);
    ws_gguf_close(g);
    ws_reproduction r = reproduce("q", "q8_0");
    cr_assert(!ws_reproduction_holds(&r) && r.same_header && r.n_equal == r.n - 1);
    for (size_t i = 0; i < r.n; i++)
        if (r.verdicts[i].kind != WS_REPRO_EQUAL)
            cr_assert(r.verdicts[i].kind == WS_REPRO_DIFFERENT && r.verdicts[i].n_different == 1);
    ws_reproduction_free(&r);
}

/* ---- measuring ---- */

static void measure(ws_damage *damage, const char *recipe, int threads) {
    ws_error err = {0};
    ws_quantize_plan plan = make_plan(recipe);
    ws_sink sink;
    open_output(&sink, "m", &plan, (ws_output_request){0});
    memset(damage, 0, plan.n * sizeof *damage);
    cr_assert_eq(run(&(ws_target){&plan, &sink, damage}, 1, threads, (ws_run_options){0}, &err), WS_OK, "%s", err.msg);
    const ws_quant_report report = {"in", "m", &plan, damage};
    for (const char *const *name = (const char *const[]){"r.html", "r.json", NULL}; *name; name++) {
        ws_outfile *out;
        cr_assert_eq(ws_outfile_open(&out, in_dir(*name), &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_quant_report_write(out, *name, &report, 1, &err), WS_OK, "%s", err.msg);
        cr_assert_eq(ws_outfile_finish(out, &err), WS_OK, "%s", err.msg);
    }
    ws_quantize_plan_free(&plan);
}

Test(stream, damage_does_not_depend_on_threads, .init = setup, .fini = teardown) {
    ws_damage one[6], three[6];
    measure(one, "q4_0", 1);
    measure(three, "q4_0", 3);
    cr_assert_eq(memcmp(one, three, sizeof one), 0);
    char *page;
    size_t n;
    cr_assert_eq(ws_file_read(&page, &n, in_dir("r.html"), 1 << 20, NULL), WS_OK);
    cr_assert(strstr(page, "<svg") && strstr(page, "ffn_down.weight") && !strstr(page, "://"), "self-contained");
    free(page);
}

Test(stream, damage_is_what_the_formulas_say) {
    const float x[] = {1, -2, 3, 0}, y[] = {1, -1, 3, 0.5f};
    const ws_damage d = ws_damage_of(x, y, 4);
    cr_assert_float_eq(ws_damage_rmse(&d), sqrt(1.25 / 4), 1e-12);
    cr_assert_float_eq(d.max_error, 1, 0);
    cr_assert_float_eq(ws_damage_cosine(&d), 12 / (sqrt(14) * sqrt(11.25)), 1e-12);
    cr_assert_float_eq(ws_damage_sqnr(&d), 10 * log10(14 / 1.25), 1e-12);
    cr_assert_float_eq(ws_rate_distortion_limit(4), 24.0824, 1e-4);
    const ws_damage none = ws_damage_of(x, x, 4);
    cr_assert(isinf(ws_damage_sqnr(&none)) && ws_damage_cosine(&none) == 1);
}
