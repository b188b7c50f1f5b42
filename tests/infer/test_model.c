/* Binding tensors: what does not fit is refused, with the names of all that does not. */
#include "model.h"
#include "tiny_model.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    int n;
    char text[4000];
} problems;

static void note(void *arg, const char *line) {
    problems *p = arg;
    p->n++;
    strncat(p->text, line, sizeof p->text - strlen(p->text) - 2);
    strcat(p->text, "\n");
}

static ws_status try_open(const tiny_options *o, problems *p, ws_error *err) {
    char path[64];
    ws_model *m;
    tiny_write(o, path);
    *p = (problems){0};
    const ws_status st = ws_model_open(&m, path, note, p, err);
    cr_assert_eq(m == NULL, st != WS_OK);
    ws_model_close(m);
    unlink(path);
    return st;
}

static void expect(const tiny_options *o, ws_status code, const char *said) {
    problems p;
    ws_error err = {0};
    cr_assert_eq(try_open(o, &p, &err), code, "%s", err.msg);
    cr_assert(strstr(err.msg, said), "'%s' should say '%s'", err.msg, said);
}

Test(model, opens_what_is_complete) {
    problems p;
    ws_error err = {0};
    tiny_options o = tiny_defaults();
    cr_assert_eq(try_open(&o, &p, &err), WS_OK, "%s", err.msg);
    o.untied = o.biases = o.rope_freqs = true;
    cr_assert_eq(try_open(&o, &p, &err), WS_OK, "%s", err.msg);
    cr_assert_eq(p.n, 0);
}

Test(model, names_a_missing_tensor) {
    tiny_options o = tiny_defaults();
    o.leave_out = "blk.1.ffn_up.weight";
    expect(&o, WS_FORMAT, "tensor 'blk.1.ffn_up.weight' is missing");
}

Test(model, names_a_misshapen_tensor_and_both_shapes) {
    tiny_options o = tiny_defaults();
    o.reshape = "blk.0.attn_k.weight";
    expect(&o, WS_FORMAT, "'blk.0.attn_k.weight' has shape [257, 128], expected [256, 128]");
}

Test(model, names_a_tensor_that_does_not_belong) {
    tiny_options o = tiny_defaults();
    o.extra = "blk.0.attn_q_norm.weight";
    expect(&o, WS_FORMAT, "'blk.0.attn_q_norm.weight' is not part of architecture 'llama'");
}

Test(model, refuses_a_type_it_cannot_compute_with) {
    tiny_options o = tiny_defaults();
    o.odd_type = WS_TYPE_Q8_1;
    expect(&o, WS_FORMAT, "'blk.0.attn_q.weight' has type Q8_1");
}

Test(model, reports_everything_at_once) {
    problems p;
    ws_error err = {0};
    tiny_options o = tiny_defaults();
    o.leave_out = "output_norm.weight", o.reshape = "blk.1.attn_v.weight", o.extra = "blk.1.other.weight";
    o.odd_type = WS_TYPE_I8;
    cr_assert_eq(try_open(&o, &p, &err), WS_FORMAT);
    cr_assert_eq(p.n, 4, "%s", p.text);
    cr_assert(strstr(err.msg, "4 tensors do not fit architecture 'llama'"), "%s", err.msg);
    cr_assert(strstr(p.text, "output_norm") && strstr(p.text, "blk.1.attn_v") && strstr(p.text, "blk.1.other") &&
                  strstr(p.text, "blk.0.attn_q"),
              "%s", p.text);
}

Test(model, names_the_architectures_it_knows) {
    tiny_options o = tiny_defaults();
    o.arch = "gpt17";
    expect(&o, WS_UNSUPPORTED, "architecture 'gpt17' is unknown; known: llama");
}

Test(model, refuses_a_vocabulary_that_disagrees_with_the_embedding) {
    tiny_options o = tiny_defaults();
    o.n_tokens = TINY_VOCAB - 1;
    expect(&o, WS_FORMAT, "token_embd.weight");
}

Test(model, reports_a_file_that_is_not_there) {
    ws_model *m;
    ws_error err = {0};
    cr_assert_eq(ws_model_open(&m, "/nonexistent/model.gguf", NULL, NULL, &err), WS_IO);
    cr_assert_null(m);
    ws_model_close(NULL);
}
