/* arch.c - the registry of architectures, and what their symbols mean for a model of given sizes. */
#include "arch.h"

#include <string.h>

extern const ws_arch ws_arch_llama, ws_arch_qwen2, ws_arch_qwen3, ws_arch_gemma, ws_arch_gemma2, ws_arch_gemma3,
    ws_arch_phi3, ws_arch_granite, ws_arch_qwen2moe, ws_arch_qwen3moe, ws_arch_olmo2, ws_arch_gpt2, ws_arch_deepseek2,
    ws_arch_gptoss, ws_arch_bert, ws_arch_nomicbert, ws_arch_mistral3, ws_arch_qwen2vl, ws_arch_qwen3vl, ws_arch_glm4,
    ws_arch_smollm3, ws_arch_commandr, ws_arch_cohere2, ws_arch_phi2, ws_arch_stablelm, ws_arch_starcoder2,
    ws_arch_seed_oss, ws_arch_exaone4, ws_arch_ernie4_5, ws_arch_olmoe, ws_arch_granitemoe, ws_arch_hunyuan,
    ws_arch_modernbert, ws_arch_gemmaembedding, ws_arch_distilbert, ws_arch_roberta, ws_arch_xlmr;

static const ws_arch *const registry[] = {&ws_arch_llama,      &ws_arch_qwen2,
                                          &ws_arch_qwen3,      &ws_arch_gemma,
                                          &ws_arch_gemma2,     &ws_arch_gemma3,
                                          &ws_arch_phi3,       &ws_arch_granite,
                                          &ws_arch_qwen2moe,   &ws_arch_qwen3moe,
                                          &ws_arch_olmo2,      &ws_arch_gpt2,
                                          &ws_arch_deepseek2,  &ws_arch_gptoss,
                                          &ws_arch_bert,       &ws_arch_nomicbert,
                                          &ws_arch_mistral3,   &ws_arch_qwen2vl,
                                          &ws_arch_qwen3vl,    &ws_arch_glm4,
                                          &ws_arch_smollm3,    &ws_arch_commandr,
                                          &ws_arch_cohere2,    &ws_arch_phi2,
                                          &ws_arch_stablelm,   &ws_arch_starcoder2,
                                          &ws_arch_seed_oss,   &ws_arch_exaone4,
                                          &ws_arch_ernie4_5,   &ws_arch_olmoe,
                                          &ws_arch_granitemoe, &ws_arch_hunyuan,
                                          &ws_arch_modernbert, &ws_arch_gemmaembedding,
                                          &ws_arch_distilbert, &ws_arch_roberta,
                                          &ws_arch_xlmr,       NULL};

const ws_arch *const *ws_arch_all(void) { return registry; }

const ws_arch *ws_arch_by_name(const char *name, size_t len) {
    for (const ws_arch *const *a = registry; *a; a++)
        if (strlen((*a)->name) == len && memcmp((*a)->name, name, len) == 0) return *a;
    return NULL;
}

const ws_arch *ws_arch_by_hf_class(const char *cls) {
    for (const ws_arch *const *a = registry; *a; a++)
        for (const char *const *c = (*a)->hf_classes; *c; c++)
            if (strcmp(*c, cls) == 0) return *a;
    return NULL;
}

bool ws_layer_has_experts(const ws_hparams *hp, uint64_t layer) { return hp->n_expert && layer >= hp->n_dense_lead; }

bool ws_layer_turns(const ws_hparams *hp, uint64_t layer) {
    return !hp->unturned_period || layer % hp->unturned_period != hp->unturned_period - 1;
}

bool ws_layer_slides(const ws_hparams *hp, uint64_t layer) {
    return hp->window && hp->sliding_period && layer % hp->sliding_period != hp->full_layer;
}

bool ws_arch_row_applies(const ws_arch_tensor *row, const ws_hparams *hp, uint64_t layer) {
    const bool experts = ws_layer_has_experts(hp, layer);
    return !(row->flags & WS_DENSE && experts) && !(row->flags & WS_MOE && !experts) &&
           !(row->flags & WS_SHARED && !hp->n_ff_shared) && !(row->flags & WS_IF_LOW_Q && !hp->q_latent) &&
           !(row->flags & WS_IF_FULL_Q && hp->q_latent);
}

bool ws_arch_row_in_file(const ws_arch_tensor *row, const ws_hparams *hp, uint64_t layer) {
    return !(row->flags & (WS_DROPPED | WS_OTHER)) && ws_arch_row_applies(row, hp, layer);
}

uint64_t ws_hparams_dim(const ws_hparams *hp, ws_dim dim) {
    const bool mla = hp->kv_latent != 0;
    const uint64_t q = hp->n_head * (mla ? hp->head_k_mla : hp->head_k);
    const uint64_t k = hp->n_head_kv * hp->head_k, v = hp->n_head_kv * hp->head_v;
    switch (dim) {
    case WS_DIM_END: return 0;
    case WS_DIM_VOCAB: return hp->n_vocab;
    case WS_DIM_EMBD: return hp->n_embd;
    case WS_DIM_FF: return hp->n_ff;
    case WS_DIM_FF_TWICE: return 2 * hp->n_ff;
    case WS_DIM_Q: return q;
    case WS_DIM_K: return k;
    case WS_DIM_V: return v;
    case WS_DIM_QKV: return q + k + v;
    case WS_DIM_ATTN_OUT: return hp->n_head * (mla ? hp->head_v_mla : hp->head_v);
    case WS_DIM_HALF_ROPE: return hp->n_rot / 2;
    case WS_DIM_HEAD: return hp->head_k;
    case WS_DIM_HEADS: return hp->n_head;
    case WS_DIM_KV_HEADS: return hp->n_head_kv;
    case WS_DIM_ONE: return 1;
    case WS_DIM_TOKEN_TYPES: return hp->n_token_types;
    case WS_DIM_CTX: return hp->n_ctx_train;
    case WS_DIM_EXPERTS: return hp->n_expert;
    case WS_DIM_FF_EXPERT: return hp->n_ff_expert;
    case WS_DIM_FF_SHARED: return hp->n_ff_shared;
    case WS_DIM_LATENT: return hp->kv_latent;
    case WS_DIM_LATENT_ROPE: return hp->kv_latent + hp->n_rot;
    case WS_DIM_LATENT_Q: return hp->q_latent;
    case WS_DIM_HEAD_PLAIN: return hp->head_k_mla - hp->n_rot;
    case WS_DIM_HEAD_VALUE: return hp->head_v_mla;
    }
    return 0;
}
