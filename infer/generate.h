/* generate.h - continuing a prompt, token by token. */
#ifndef WS_GENERATE_H
#define WS_GENERATE_H

#include "model.h"
#include "sample.h"
#include "tokenizer.h"

/* Receives text as it is generated, in whole UTF-8 characters. A failure ends the generation. */
typedef ws_status ws_emit_fn(void *arg, const char *text, size_t n, ws_error *err);

typedef struct {
    const char *prompt;
    size_t prompt_bytes;
    uint64_t n_predict; /* at most so many tokens */
    uint64_t ctx;       /* tokens of context; 0: prompt and n_predict, but not more than the model was trained for */
    uint64_t n_batch;
    int n_threads;
    ws_dtype kv_type;
    uint32_t cpu_flags;
    ws_sample_options sample;
    bool logprobs;       /* of the generated tokens, */
    uint64_t n_logprobs; /* and of so many of the most probable ones each time; beyond the vocabulary: all */
    ws_emit_fn *emit;
    void *arg;
} ws_generate_options;

/* ln of a token's probability before penalty, temperature and cuts. */
typedef struct {
    int32_t token;
    double logprob;
} ws_logprob;

typedef enum { WS_STOP_COUNT, WS_STOP_END, WS_STOP_CONTEXT } ws_stop_reason;

typedef struct {
    ws_ids ids;           /* generated tokens, the end token not among them; release with free(ids.id) */
    ws_logprob *logprobs; /* [ids.n][1 + n_best]: the token itself, then the best ones; NULL: none; free() */
    size_t n_best;
    uint64_t n_prompt;
    ws_stop_reason stop;
    double prompt_seconds, generate_seconds;
    uint64_t n_decoded;     /* single tokens run in generate_seconds */
    uint64_t session_bytes; /* KV cache and activations */
} ws_generated;

/* Tokenize the prompt (with BOS as the file asks for, special tokens recognised) and continue it until n_predict
 * tokens, an end-of-generation token or the end of the context. A prompt that leaves no room is WS_LIMIT. */
WS_MUST_CHECK ws_status ws_generate(const ws_model *m, const ws_tokenizer *t, const ws_generate_options *o,
                                    ws_generated *out, ws_error *err);

/* How many of the n bytes are whole characters: all, but for the beginning of one that may still be completed. */
size_t ws_utf8_whole(const char *text, size_t n);

#endif
