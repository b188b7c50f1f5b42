#include "verify.h"

#include "report.h"

#include <string.h>

/* Adapters, importance matrices and projectors have general.type and tensors of their own. */
static bool is_model(const ws_report *r) {
    const ws_kv *kv = ws_gguf_kv(r->gguf, "general.type");
    ws_str s;
    return !kv || !ws_kv_str(kv, &s) || (s.len == 5 && memcmp(s.data, "model", 5) == 0);
}

ws_status ws_verify_run(ws_findings *fs, const ws_report *r, int n_threads, bool quiet, ws_error *err) {
    const bool model = r->gguf && is_model(r);
    *fs = (ws_findings){0};
    if (r->gguf) WS_TRY(ws_verify_structure(fs, r, err));
    if (model) WS_TRY(ws_verify_architecture(fs, r, err));
    if (!r->gguf) WS_TRY(ws_verify_checkpoint(fs, r, err));
    if (r->gguf && !model) WS_TRY(ws_verify_parts(fs, r, err));
    WS_TRY(ws_verify_numbers(fs, r, n_threads, quiet, err));
    if (model) WS_TRY(ws_verify_vocabulary(fs, r, err));
    return model ? ws_verify_types(fs, r, err) : WS_OK;
}
