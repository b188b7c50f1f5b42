/* What names say. The expected parts are what gguf-py's metadata.py finds. */
#include "model_id.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *id;
    uint64_t n_params;
    ws_model_id want;
} ids[] = {
    {"TinyLlama-1.1B-Chat-v1.0", 1100048384, {"TinyLlama-1.1B-Chat-v1.0", NULL, "TinyLlama", "Chat", "v1.0", "1.1B"}},
    {"meta-llama/Llama-2-7b-hf", 6738415616, {"Llama-2-7b-hf", "meta-llama", "Llama-2", "hf", NULL, "7B"}},
    {"SmolLM2-135M-Instruct", 134515008, {"SmolLM2-135M-Instruct", NULL, "SmolLM2", "Instruct", NULL, "135M"}},
    {"bloom-7b1", 7069016064, {"bloom-7b1", NULL, "bloom", NULL, NULL, "7.1B"}},
    {"Mixtral-8x7B-v0.1", 46702792704, {"Mixtral-8x7B-v0.1", NULL, "Mixtral", NULL, "v0.1", "8x7B"}},
    {"llama-3.1-8b-it-128k", 8030261248, {"llama-3.1-8b-it-128k", NULL, "llama-3.1", "it-128k", NULL, "8B"}},
    {"name-128k", 0, {"name-128k", NULL, "name", NULL, NULL, "128K"}}, /* nothing to judge the size by */
    {"phi-2", 2779683840, {"phi-2", NULL, "phi", NULL, "2", NULL}},
    {"gpt-small", 1000, {"gpt-small", NULL, "gpt", NULL, NULL, "small"}},
    {"gpt-mini-3M-3m", 3000000, {"gpt-mini-3M-3m", NULL, "gpt-mini", NULL, NULL, "3M"}},
    {"model-q4_k_m", 1, {"model-q4_k_m", NULL, NULL, NULL, NULL, NULL}}, /* a word alone says nothing */
    {"llama", 1, {"llama", NULL, NULL, NULL, NULL, NULL}},
    {"a model", 1, {"a model", NULL, NULL, NULL, NULL, NULL}},
    {"./x-2B", 2000000000, {"x-2B", NULL, "x", NULL, NULL, "2B"}},
    {"--x--7B--", 7000000000, {"--x--7B--", NULL, "x", NULL, NULL, "7B"}},
    {"7B", 7000000000, {"7B", NULL, NULL, "7B", NULL, NULL}},
    {"v2", 1, {"v2", NULL, NULL, NULL, "v2", NULL}},
    {"", 1, {"", NULL, NULL, NULL, NULL, NULL}},
    {"/", 1, {"", "", NULL, NULL, NULL, NULL}},
};

static void expect_same(const char *id, const char *part, const char *have, const char *want) {
    cr_expect((!have && !want) || (have && want && strcmp(have, want) == 0), "'%s': %s is '%s', not '%s'", id, part,
              have ? have : "(none)", want ? want : "(none)");
}

Test(model_id, parts_are_found) {
    ws_arena arena = {0};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        ws_error err = {0};
        ws_model_id have;
        const ws_model_id *want = &ids[i].want;
        cr_assert_eq(ws_model_id_parse(&have, ids[i].id, ids[i].n_params, &arena, &err), WS_OK);
        expect_same(ids[i].id, "name", have.name, want->name);
        expect_same(ids[i].id, "organization", have.organization, want->organization);
        expect_same(ids[i].id, "basename", have.basename, want->basename);
        expect_same(ids[i].id, "finetune", have.finetune, want->finetune);
        expect_same(ids[i].id, "version", have.version, want->version);
        expect_same(ids[i].id, "size label", have.size_label, want->size_label);
    }
    ws_arena_free(&arena);
}

Test(model_id, titles) {
    static const char *const titles[][2] = {
        {"smollm2", "Smollm2"},
        {"Llama_bpe", "Llama_bpe"},
        {"llama_bpe", "Llama_Bpe"},
        {"tiny-llama 1.1B-v1.0", "Tiny Llama 1.1B v1.0"},
        {"v2", "v2"},
        {"v2x", "V2X"},
        {"4bit", "4bit"},
        {"  a--b ", "A B"},
        {"GPT-neo", "GPT Neo"},
        {"", ""},
        {"caf\xc3\xa9s", "Caf\xc3\xa9s"},
    };
    ws_arena arena = {0};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
        ws_error err = {0};
        cr_expect_str_eq(ws_title_case(titles[i][0], &arena, &err), titles[i][1]);
    }
    ws_arena_free(&arena);
}

Test(model_id, sizes_have_two_digits) {
    static const struct {
        uint64_t n;
        const char *label;
    } sizes[] = {{134515008, "135M"},  {1100048384, "1.1B"}, {6738415616, "6.7B"},       {999, "1.0K"},
                 {42, "0.04K"},        {1000000, "1000K"},   {9400000, "9.4M"},          {9600000, "10M"},
                 {13015864320, "13B"}, {2809600, "2.8M"},    {1000000000001ULL, "1.0T"}, {1500000000000ULL, "1.5T"}};
    char buf[32];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        cr_expect_str_eq(ws_size_label(buf, sizes[i].n), sizes[i].label);
}
