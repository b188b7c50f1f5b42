/* How architectures compute, as far as their temporary results differ. Sources: src/models of llama.cpp 0c1e570.
 * Sliding windows that llama.cpp ignores (llama, phi3) have no period here. */
#include "blueprint.h"

#include <string.h>

#define MOE_KEYS (WS_EXPERTS_BY_KEY | WS_SIGMOID_EXPERTS)
#define NEMOTRON (WS_ONE_THING | WS_NO_ROPE | WS_LATE_ROWS | WS_NORM_OUTPUT_KEPT | WS_GELU | MOE_KEYS)

static const ws_style styles[] = {
    {"llama", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"mistral3", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"qwen2", WS_FAMILY_DECODER, 0, 0, 0},
    {"qwen2vl", WS_FAMILY_DECODER, 0, 0, 0},
    {"qwen2moe", WS_FAMILY_DECODER, WS_SHARED_GATE | WS_SHARED_GATE_SILU, 0, 0},
    {"qwen3", WS_FAMILY_DECODER, 0, 0, 0},
    {"qwen3moe", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"phi2", WS_FAMILY_DECODER, WS_LAYER_NORM | WS_SCALED_Q | WS_GELU | WS_PARALLEL | WS_PARALLEL_ATTN_FIRST, 0, 0},
    {"phi3", WS_FAMILY_DECODER, WS_SCALED_Q | WS_MERGED_GATE | WS_RESIDUAL_FIRST | WS_NORM_EXPERTS, 0, 0},
    {"gemma", WS_FAMILY_DECODER, WS_SCALED_EMBD | WS_SCALED_Q, 0, 0},
    {"gemma2", WS_FAMILY_DECODER, WS_SCALED_EMBD | WS_SCALED_Q | WS_SOFT_CAP, 2, 4096},
    {"gemma3", WS_FAMILY_DECODER, WS_SCALED_EMBD | WS_SCALED_Q, 6, 0},
    {"gemma4", WS_FAMILY_GEMMA4, WS_SCALED_EMBD | WS_NORM_EXPERTS | WS_NORM_OUTPUT_KEPT, 6, 0},
    {"gemma3n", WS_FAMILY_GEMMA3N, WS_SCALED_EMBD, 5, 0},
    {"gpt-oss", WS_FAMILY_DECODER, WS_LATE_ROWS | WS_HIDDEN_KEPT | WS_SINKS | WS_WEIGHTS_SOFTMAX, 2, 0},
    {"deepseek2", WS_FAMILY_LATENT, WS_EXPERTS_BY_KEY | WS_NORM_OUTPUT_KEPT, 0, 0},
    {"mamba", WS_FAMILY_MAMBA, 0, 0, 0},
    {"mamba2", WS_FAMILY_HYBRID, WS_ONLY_STATES, 0, 0},
    {"granitehybrid", WS_FAMILY_HYBRID, WS_NORM_EXPERTS, 0, 0},
    {"nemotron_h", WS_FAMILY_HYBRID, NEMOTRON, 0, 0},
    {"nemotron_h_moe", WS_FAMILY_HYBRID, NEMOTRON, 0, 0},
    {"lfm2", WS_FAMILY_HYBRID, WS_SHORT_CONV | WS_RESIDUAL_FIRST, 0, 0},
    {"lfm2moe", WS_FAMILY_HYBRID, WS_SHORT_CONV | WS_RESIDUAL_FIRST | WS_NORM_EXPERTS | WS_EXPERTS_BY_KEY, 0, 0},
    {"qwen3next", WS_FAMILY_DELTA_NET, WS_NORM_EXPERTS | WS_SHARED_GATE | WS_LATE_ROWS | WS_NORM_OUTPUT_KEPT, 0, 0},
    {"smollm3", WS_FAMILY_DECODER, WS_ROPE_3_OF_4, 0, 0},
    {"glm4", WS_FAMILY_DECODER, WS_MERGED_GATE, 0, 0},
    {"glm4moe", WS_FAMILY_DECODER, MOE_KEYS | WS_NORM_OUTPUT_KEPT, 0, 0},
    {"olmo2", WS_FAMILY_DECODER, WS_PRE_NORM_SPLIT, 4, 0},
    {"command-r", WS_FAMILY_DECODER, WS_LAYER_NORM | WS_PARALLEL, 0, 0},
    {"cohere2", WS_FAMILY_DECODER, WS_LAYER_NORM | WS_PARALLEL | WS_ROPE_IF_SLIDING, 4, 0},
    {"exaone4", WS_FAMILY_DECODER, WS_ROPE_IF_SLIDING | WS_IF_64_LAYERS, 4, 4096},
    {"seed_oss", WS_FAMILY_DECODER, 0, 0, 0},
    {"starcoder2", WS_FAMILY_DECODER, WS_LAYER_NORM | WS_GELU, 0, 0},
    {"stablelm", WS_FAMILY_DECODER, WS_LAYER_NORM, 0, 0},
    {"llama4", WS_FAMILY_DECODER, WS_WEIGHT_BEFORE | WS_ROPE_3_OF_4 | WS_ATTN_SCALE | WS_QK_RMS, 4, 8192},
    {"dots1", WS_FAMILY_DECODER, WS_EXPERTS_BY_KEY, 0, 0},
    {"granite", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"granitemoe", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"qwen35", WS_FAMILY_DELTA_NET, WS_LATE_ROWS | WS_NORM_OUTPUT_KEPT, 0, 0},
    {"qwen35moe", WS_FAMILY_DELTA_NET, WS_NORM_EXPERTS | WS_LATE_ROWS | WS_NORM_OUTPUT_KEPT, 0, 0},
    {"arcee", WS_FAMILY_DECODER, WS_GELU, 0, 0},
    {"bailingmoe", WS_FAMILY_DECODER, WS_EXPERTS_BY_KEY, 0, 0},
    {"bailingmoe2", WS_FAMILY_DECODER, WS_EXPERTS_BY_KEY, 0, 0},
    {"codeshell", WS_FAMILY_DECODER, WS_LAYER_NORM | WS_GELU, 0, 0},
    {"deci", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"deepseek", WS_FAMILY_DECODER, 0, 0, 0},
    {"ernie4_5", WS_FAMILY_DECODER, WS_ONE_POSITION, 0, 0},
    {"ernie4_5-moe", WS_FAMILY_DECODER, WS_NORM_EXPERTS | WS_ONE_POSITION, 0, 0},
    {"exaone", WS_FAMILY_DECODER, 0, 0, 0},
    {"falcon", WS_FAMILY_DECODER, WS_LAYER_NORM | WS_GELU | WS_PARALLEL, 0, 0},
    {"hunyuan-dense", WS_FAMILY_DECODER, WS_ONE_POSITION, 0, 0},
    {"internlm2", WS_FAMILY_DECODER, 0, 0, 0},
    {"minicpm", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"minimax-m2", WS_FAMILY_DECODER, WS_NORM_EXPERTS | WS_EXPERTS_BY_KEY | WS_SIGMOID_EXPERTS | WS_PRE_NORM_SPLIT, 0,
     0},
    {"nemotron", WS_FAMILY_DECODER, WS_LAYER_NORM | WS_GELU, 0, 0},
    {"olmoe", WS_FAMILY_DECODER, WS_PRE_NORM_SPLIT, 0, 0},
    {"orion", WS_FAMILY_DECODER, WS_LAYER_NORM, 0, 0},
    {"qwen", WS_FAMILY_DECODER, 0, 0, 0},
    {"qwen3vl", WS_FAMILY_DECODER, 0, 0, 0},
    {"qwen3vlmoe", WS_FAMILY_DECODER, WS_NORM_EXPERTS, 0, 0},
    {"xverse", WS_FAMILY_DECODER, 0, 0, 0},
    {"mistral4", WS_FAMILY_LATENT, WS_EXPERTS_BY_KEY | WS_NORM_OUTPUT_KEPT, 0, 0},
};

const ws_style *ws_style_find(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++)
        if (strlen(styles[i].name) == len && memcmp(styles[i].name, name, len) == 0) return &styles[i];
    return NULL;
}
