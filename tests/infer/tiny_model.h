/* tiny_model.h - a random llama model written to a temporary file, and its logits by a naive decoder in double
 * precision that shares nothing with infer but the conversion of blocks to floats. */
#ifndef WS_TEST_TINY_MODEL_H
#define WS_TEST_TINY_MODEL_H

#include "gguf.h"

#include <stdbool.h>
#include <stdint.h>

enum { TINY_VOCAB = 261, TINY_BOS = 1, TINY_EOS = 2 }; /* <unk> <s> </s>, 256 bytes, two words */

typedef struct {
    uint32_t n_layer, n_embd, n_ff, n_head, n_head_kv, head_k, head_v, n_rot;
    ws_dtype type;    /* of the matrices */
    float rope_scale; /* 0: none */
    bool untied, biases, rope_freqs;
    bool no_bos;
    uint32_t n_tokens; /* of the tokenizer; 0: TINY_VOCAB */

    /* Ways to be wrong. */
    const char *arch;              /* NULL: "llama" */
    const char *leave_out, *extra; /* tensors missing or too many */
    const char *reshape;           /* a tensor with one column more */
    ws_dtype odd_type;             /* of blk.0.attn_q.weight, if not 0 */
    const char *poison;            /* an F32 tensor whose first element is NaN */
    bool zero_output;              /* all logits 0 */
} tiny_options;

/* Sizes that suit every type; F32, tied, no extras. */
tiny_options tiny_defaults(void);

/* Write the model; `path` gets its name, to be removed with unlink(). */
void tiny_write(const tiny_options *o, char path[64]);

/* Logits after every one of n tokens: out[n][TINY_VOCAB]. */
void tiny_reference(const tiny_options *o, const char *path, const int32_t *ids, size_t n, double *out);

#endif
