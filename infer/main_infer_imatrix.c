/* main_infer_imatrix.c - infer --imatrix: an importance matrix from texts, by llama-imatrix's rule: each text is cut
 * into chunks of --ctx tokens (what is left over does not count), each chunk begins with BOS in place of its first
 * token if the model adds one. What earlier runs collected may be added (--in-file). */
#include "alloc.h"
#include "arena.h"
#include "collect.h"
#include "forward.h"
#include "json.h"
#include "main_infer.h"
#include "progress.h"
#include "tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const ws_infer_job *j;
    ws_model *model;
    ws_tokenizer *tokenizer;
    ws_collector *collector;
    ws_session *session;
    ws_ids *texts;    /* tokens of j->n_texts files */
    ws_str *datasets; /* names of all texts, those of --in-file first */
    size_t n_datasets, datasets_cap;
    ws_arena names;
    uint64_t ctx, n_batch;
    uint64_t chunks, n_before; /* chunks of this run; of the files */
} job;

static ws_status run_chunk(const job *b, int32_t *tokens, ws_error *err) {
    if (ws_tokenizer_adds_bos(b->tokenizer)) tokens[0] = ws_tokenizer_bos(b->tokenizer);
    ws_session_rewind(b->session, 0);
    for (uint64_t at = 0, n; at < b->ctx; at += n) {
        n = b->ctx - at < b->n_batch ? b->ctx - at : b->n_batch;
        WS_TRY(ws_session_feed(b->session, tokens + at, n, err));
    }
    return WS_OK;
}

/* The chunks that there are, of which no more than --chunks count. */
static ws_status tokenize_all(job *b, uint64_t *n_chunks, ws_error *err) {
    *n_chunks = 0;
    for (size_t i = 0; i < b->j->n_texts; i++) {
        char *text;
        size_t n;
        WS_TRY(ws_infer_read_text(&text, &n, b->j->texts[i], err));
        const ws_status st = ws_tokenize(b->tokenizer, &b->texts[i], text, n, true, false, err);
        free(text);
        WS_TRY(st);
        if (b->texts[i].n < b->ctx)
            return ws_fail(err, WS_FORMAT, "'%s' has %zu tokens, which do not fill one chunk of %" PRIu64,
                           b->j->texts[i], b->texts[i].n, b->ctx);
        *n_chunks += b->texts[i].n / b->ctx;
    }
    const uint64_t most = (uint64_t)b->j->o->chunks;
    if (most && most < *n_chunks) *n_chunks = most;
    return WS_OK;
}

static ws_status run_chunks(job *b, uint64_t n_chunks, ws_error *err) {
    ws_progress bar;
    ws_status st = WS_OK;
    ws_progress_start(&bar, "chunks", "chunks", n_chunks, b->j->o->common.quiet);
    for (size_t i = 0; i < b->j->n_texts && !st; i++)
        for (uint64_t k = 0; k < b->texts[i].n / b->ctx && b->chunks < n_chunks && !st; k++) {
            st = run_chunk(b, b->texts[i].id + k * b->ctx, err);
            b->chunks++;
            ws_progress_add(&bar, 1);
        }
    ws_progress_finish(&bar);
    return st;
}

static ws_status add_dataset(job *b, const char *name, size_t n, ws_error *err) {
    WS_TRY(ws_grow(&b->datasets, &b->datasets_cap, b->n_datasets + 1, sizeof *b->datasets, err));
    const char *copy = ws_arena_strndup(&b->names, name, n, err);
    if (!copy) return WS_NOMEM;
    b->datasets[b->n_datasets++] = (ws_str){copy, n};
    return WS_OK;
}

static ws_status merge_file(job *b, const char *path, ws_error *err) {
    enum { MOST = 1000 };
    ws_imatrix *m;
    ws_str names[MOST];
    WS_TRY(ws_imatrix_open(&m, path, &(ws_imatrix_filter){0}, err));
    ws_status st = ws_collector_merge(b->collector, m, path, b->ctx, err);
    const size_t n = ws_imatrix_datasets(m, names, MOST);
    for (size_t i = 0; i < n && !st; i++) st = add_dataset(b, names[i].data, names[i].len, err);
    ws_imatrix_close(m);
    return st;
}

/* Files one by one, or several in one value with commas between. */
static ws_status merge_files(job *b, ws_error *err) {
    const ws_given_list *in = &b->j->o->in_files;
    for (size_t i = 0; i < in->n; i++)
        for (const char *at = in->list[i].value; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
            char *path = ws_strndup(at, strcspn(at, ","), err);
            const ws_status st = path ? merge_file(b, path, err) : WS_NOMEM;
            free(path);
            WS_TRY(st);
        }
    b->n_before = ws_collector_tokens(b->collector) / b->ctx;
    return WS_OK;
}

static ws_status write_out(job *b, ws_error *err) {
    const ws_infer_options *o = b->j->o;
    for (size_t i = 0; i < b->j->n_texts; i++) WS_TRY(add_dataset(b, b->j->texts[i], strlen(b->j->texts[i]), err));
    const uint64_t chunks = b->n_before + b->chunks;
    const ws_collect_info info = {
        .datasets = b->datasets,
        .n_datasets = b->n_datasets,
        .n_chunks = (uint32_t)chunks,
        .chunk_size = (uint32_t)b->ctx,
        .legacy = strcmp(o->output_format, "dat") == 0,
    };
    WS_TRY(ws_collector_write(b->collector, o->imatrix, &info, err));
    if (o->common.json) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddItemToObject(root, "path", ws_json_bytes(o->imatrix, strlen(o->imatrix)));
        ws_json_add_u64(root, "chunks", chunks);
        ws_json_add_u64(root, "chunk_size", b->ctx);
        return ws_json_print(root, stdout, err);
    }
    if (!o->common.quiet) printf("%s: %" PRIu64 " chunks of %" PRIu64 " tokens\n", o->imatrix, chunks, b->ctx);
    return WS_OK;
}

static ws_status collect(job *b, ws_error *err) {
    const ws_session_options so = {
        .n_ctx = b->ctx,
        .n_batch = b->n_batch,
        .n_threads = (int)b->j->o->common.threads,
        .kv_type = b->j->kv_type,
        .cpu_flags = b->j->cpu_flags,
    };
    uint64_t n_chunks;
    WS_TRY(tokenize_all(b, &n_chunks, err));
    WS_TRY(ws_collector_open(&b->collector, b->model, b->j->o->process_output, err));
    WS_TRY(merge_files(b, err));
    if (b->j->n_texts == 0) return write_out(b, err);
    WS_TRY(ws_session_open(&b->session, b->model, &so, err));
    ws_session_collect(b->session, b->collector);
    WS_TRY(run_chunks(b, n_chunks, err));
    return write_out(b, err);
}

ws_status ws_infer_imatrix(const ws_infer_job *j, ws_error *err) {
    job b = {.j = j, .ctx = j->o->ctx ? (uint64_t)j->o->ctx : 512};
    if (j->n_texts == 0 && j->o->in_files.n == 0)
        return ws_fail(err, WS_USAGE, "--imatrix needs texts: infer MODEL.gguf --imatrix OUT.gguf FILE...");
    b.n_batch = (uint64_t)j->o->batch < b.ctx ? (uint64_t)j->o->batch : b.ctx;
    b.texts = ws_alloc(j->n_texts + 1, sizeof *b.texts, "texts", err);
    ws_status st = b.texts ? ws_model_open(&b.model, j->model, ws_infer_problem, NULL, err) : WS_NOMEM;
    if (!st) st = ws_tokenizer_open(&b.tokenizer, b.model->gguf, err);
    if (!st) st = collect(&b, err);
    for (size_t i = 0; b.texts && i < j->n_texts; i++) free(b.texts[i].id);
    free(b.texts);
    free(b.datasets);
    ws_arena_free(&b.names);
    ws_session_close(b.session);
    ws_collector_close(b.collector);
    ws_tokenizer_close(b.tokenizer);
    ws_model_close(b.model);
    return st;
}
