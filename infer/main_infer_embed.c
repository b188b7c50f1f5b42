/* main_infer_embed.c - infer --embed: a text as a vector. */
#include "alloc.h"
#include "embed.h"
#include "json.h"
#include "main_infer.h"
#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ws_status print_embedding(const float *x, size_t n, const ws_ids *ids, bool json, ws_error *err) {
    for (size_t i = 0; !json && i < n; i++) printf("%.9g\n", (double)x[i]);
    if (!json) return WS_OK;
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "embedding");
    for (size_t i = 0; i < n; i++) cJSON_AddItemToArray(list, ws_json_float((double)x[i]));
    cJSON *tokens = cJSON_AddArrayToObject(root, "tokens");
    for (size_t i = 0; i < ids->n; i++) cJSON_AddItemToArray(tokens, ws_json_exact_i64(ids->id[i]));
    return ws_json_print(root, stdout, err);
}

static ws_status embed(const ws_infer_job *j, const ws_model *m, const ws_tokenizer *t, ws_ids *ids, ws_error *err) {
    const ws_session_options so = {
        .n_threads = (int)j->o->common.threads, .kv_type = j->kv_type, .cpu_flags = j->cpu_flags};
    ws_pooling pooling;
    WS_TRY(ws_embed_pooling(&pooling, m, err));
    WS_TRY(ws_tokenize(t, ids, j->o->embed, strlen(j->o->embed), true, false, err));
    if (ids->n == 0) return ws_fail(err, WS_USAGE, "--embed: the text has no tokens");
    float *x = ws_alloc(m->hp.n_embd, sizeof *x, "an embedding", err);
    ws_status st = x ? ws_embed(m, ids->id, ids->n, &so, pooling, x, err) : WS_NOMEM;
    if (!st) st = print_embedding(x, m->hp.n_embd, ids, j->o->common.json, err);
    free(x);
    return st;
}

ws_status ws_infer_embed(const ws_infer_job *j, ws_error *err) {
    ws_model *m;
    ws_tokenizer *t;
    ws_ids ids = {0};
    WS_TRY(ws_model_open(&m, j->model, ws_infer_problem, NULL, err));
    ws_status st = ws_tokenizer_open(&t, m->gguf, err);
    if (!st) st = embed(j, m, t, &ids, err);
    ws_tokenizer_close(t);
    free(ids.id);
    ws_model_close(m);
    return st;
}
