/* The report as JSON. The keys are a promise: "schema" counts up when one changes its meaning. */
#include "json_out.h"
#include "report.h"

#include <string.h>

enum { SCHEMA = 1 };

static void put_metadata(ws_json_out *j, const ws_report *r) {
    ws_json_open(j, "metadata", true, true);
    for (size_t i = 0; r->gguf && i < r->gguf->n_kv; i++) ws_json_kv(j, &r->gguf->kv[i]);
    for (size_t i = 0; r->st && i < r->st->n_metadata; i++)
        ws_json_text(j, r->st->metadata[2 * i], r->st->metadata[2 * i + 1]);
    ws_json_close(j);
}

static void put_tensor(ws_json_out *j, const ws_report *r, const ws_report_tensor *t) {
    ws_json_open(j, NULL, true, false);
    ws_json_text(j, "name", t->name);
    ws_json_text(j, "type", t->type);
    ws_json_open(j, "shape", false, false);
    for (uint32_t d = 0; d < t->n_dims; d++) ws_json_u64_out(j, NULL, t->shape[d]);
    ws_json_close(j);
    ws_json_u64_out(j, "offset", t->offset);
    ws_json_u64_out(j, "bytes", t->bytes);
    if (r->n_parts > 1) ws_json_u64_out(j, "part", t->part);
    ws_json_close(j);
}

static void put_types(ws_json_out *j, const ws_report *r) {
    ws_json_open(j, "types", false, true);
    for (size_t i = 0; i < r->n_types; i++) {
        const ws_type_total *t = &r->types[i];
        ws_json_open(j, NULL, true, false);
        ws_json_text(j, "type", t->type);
        ws_json_u64_out(j, "tensors", t->n_tensors);
        ws_json_u64_out(j, "elements", t->n_elements);
        ws_json_u64_out(j, "bytes", t->bytes);
        ws_json_close(j);
    }
    ws_json_close(j);
}

static void put_parts(ws_json_out *j, const ws_report *r) {
    ws_json_open(j, "parts", false, true);
    for (size_t i = 0; i < r->n_parts; i++) {
        ws_json_open(j, NULL, true, false);
        ws_json_text(j, "file", r->part_paths[i]);
        ws_json_u64_out(j, "bytes", r->parts[i].size);
        ws_json_close(j);
    }
    ws_json_close(j);
}

static void put_finding(ws_json_out *j, const ws_finding *f) {
    ws_json_open(j, NULL, true, false);
    ws_json_text(j, "severity", ws_severity_name(f->severity));
    ws_json_text(j, "kind", ws_finding_kind_name(f->kind));
    ws_json_text(j, "tensor", f->tensor);
    if (f->key) ws_json_text(j, "key", f->key);
    if (f->kind == WS_FINDING_NOT_FINITE) {
        ws_json_text(j, "where", f->where);
        ws_json_u64_out(j, "nan", f->n_nan);
        ws_json_u64_out(j, "inf", f->n_inf);
    }
    if (f->count) ws_json_u64_out(j, "count", f->count);
    if (f->bytes) ws_json_u64_out(j, "bytes", f->bytes);
    ws_json_u64_out(j, "first", f->first);
    ws_json_text(j, "message", f->text);
    ws_json_close(j);
}

static void put_findings(ws_json_out *j, const char *key, const ws_findings *fs) {
    if (!fs) return;
    ws_json_open(j, key, true, true);
    ws_json_bool(j, "ok", fs->n_errors == 0);
    ws_json_u64_out(j, "errors", fs->n_errors);
    ws_json_u64_out(j, "warnings", fs->n_warnings);
    ws_json_u64_out(j, "notes", fs->n_notes);
    ws_json_u64_out(j, "bytes", fs->n_bytes);
    ws_json_open(j, "findings", false, true);
    for (size_t i = 0; i < fs->n; i++) put_finding(j, &fs->list[i]);
    ws_json_close(j);
    ws_json_close(j);
}

static void put_str(ws_json_out *j, const char *key, ws_str s) {
    if (s.len)
        ws_json_bytes_out(j, key, s.data, s.len);
    else
        ws_json_text(j, key, NULL);
}

static void put_summary(ws_json_out *j, const ws_report *r) {
    ws_json_u64_out(j, "schema", SCHEMA);
    ws_json_text(j, "format", r->format);
    if (r->version) ws_json_u64_out(j, "version", r->version);
    if (r->big_endian) ws_json_bool(j, "big_endian", true);
    ws_json_text(j, "file", r->path);
    if (r->blob) ws_json_text(j, "blob", r->blob);
    ws_json_u64_out(j, "file_size", r->file_bytes);
    if (r->gguf) ws_json_u64_out(j, "alignment", r->gguf->alignment);
    put_str(j, "architecture", r->architecture);
    put_str(j, "name", r->name);
    ws_json_text(j, "file_type", r->file_type);
    ws_json_u64_out(j, "n_params", r->n_elements);
    ws_json_u64_out(j, "n_tensors", r->n_tensors);
    ws_json_u64_out(j, "tensor_bytes", r->tensor_bytes);
    ws_json_real(j, "bits_per_weight", r->bits_per_weight);
}

ws_status ws_report_json(FILE *f, const ws_report *r, const ws_checks *checks, ws_error *err) {
    ws_json_out j;
    ws_json_begin(&j, f);
    ws_json_open(&j, NULL, true, true);
    put_summary(&j, r);
    put_types(&j, r);
    put_parts(&j, r);
    put_findings(&j, "verify", checks->verify);
    put_findings(&j, "safety", checks->safety);
    put_metadata(&j, r);
    ws_json_open(&j, "tensors", false, true);
    for (size_t i = 0; i < r->n_tensors; i++) put_tensor(&j, r, &r->tensors[i]);
    ws_json_close(&j);
    ws_json_close(&j);
    return ws_json_end(&j, err);
}
