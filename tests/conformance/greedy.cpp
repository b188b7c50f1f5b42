// greedy MODEL PROMPT N: the ids of the N tokens that llama.cpp continues with, always the most probable one, one thread,
// F32 KV cache. For check_greedy.py, which builds it against the reference's libraries.
#include "llama.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

int main(int argc, char ** argv) {
    if (argc != 4) return 2;
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_model * model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) return 1;
    const llama_vocab * vocab = llama_model_get_vocab(model);
    std::vector<llama_token> prompt(strlen(argv[2]) + 8);
    const int n = llama_tokenize(vocab, argv[2], (int) strlen(argv[2]), prompt.data(), (int) prompt.size(), true, true);
    if (n < 1) return 1;
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 512;
    params.n_threads = params.n_threads_batch = 1;
    params.type_k = params.type_v = GGML_TYPE_F32;
    llama_context * ctx = llama_init_from_model(model, params);
    if (!ctx) return 1;
    llama_sampler * greedy = llama_sampler_init_greedy();
    llama_batch batch = llama_batch_get_one(prompt.data(), n);
    llama_token token = 0;
    for (int i = 0; i < atoi(argv[3]); i++) {
        if (llama_decode(ctx, batch)) return 1;
        token = llama_sampler_sample(greedy, ctx, -1);
        printf("%d\n", token);
        if (llama_vocab_is_eog(vocab, token)) break;
        batch = llama_batch_get_one(&token, 1);
    }
    llama_sampler_free(greedy);
    llama_free(ctx);
    llama_model_free(model);
}
