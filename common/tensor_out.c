#include "tensor_out.h"

#include "alloc.h"
#include "text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

ws_status ws_tensor_out_add(ws_tensor_out *o, const char *name, uint64_t bytes, ws_error *err) {
    WS_TRY(ws_grow(&o->slots, &o->cap, o->n + 1, sizeof *o->slots, err));
    o->slots[o->n++] = (ws_slot){name, bytes, 0};
    return WS_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ws_status check_names(const ws_tensor_out *o, ws_error *err) {
    const char **names = ws_alloc(o->n, sizeof *names, "tensor names", err);
    if (!names) return WS_NOMEM;
    for (size_t i = 0; i < o->n; i++) names[i] = o->slots[i].name;
    qsort(names, o->n, sizeof *names, compare_names);
    ws_status status = WS_OK;
    for (size_t i = 1; i < o->n && !status; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = ws_fail(err, WS_FORMAT, "the tensor '%s' cannot be written twice",
                             ws_show(names[i], strlen(names[i])).text);
    free(names);
    return status;
}

static ws_status pad(ws_tensor_out *o, ws_error *err) {
    const uint64_t size = ws_outfile_size(o->file);
    return ws_outfile_zeros(o->file, (size_t)(ws_align_up(size, o->alignment) - size), err);
}

static void skip_empty(ws_tensor_out *o) {
    while (o->current < o->n && o->slots[o->current].bytes == 0) o->current++;
}

/* Set the offsets; the result is the end of the last tensor, padded. */
static uint64_t place(ws_tensor_out *o, uint64_t header) {
    uint64_t end = ws_align_up(header, o->alignment);
    for (size_t i = 0; i < o->n; i++) {
        o->slots[i].offset = end;
        end = ws_align_up(end + o->slots[i].bytes, o->alignment);
    }
    return end;
}

ws_status ws_tensor_out_begin(ws_tensor_out *o, const char *path, const void *header, size_t bytes, ws_error *err) {
    assert(!o->file && "begin comes once");
    if (check_names(o, err)) return ws_fail_in(err, "cannot write '%s'", path);
    WS_TRY(ws_outfile_open(&o->file, path, err));
    WS_TRY(ws_outfile_write(o->file, header, bytes, err));
    skip_empty(o);
    return pad(o, err);
}

static ws_status has_header(ws_tensor_out *o, const void *header, size_t bytes, bool *same, ws_error *err) {
    size_t got;
    uint8_t *there = ws_alloc(bytes, 1, "a header", err);
    if (!there) return WS_NOMEM;
    const ws_status status = ws_outfile_read_at(o->file, 0, there, bytes, &got, err);
    *same = !status && got == bytes && memcmp(there, header, bytes) == 0;
    free(there);
    return status;
}

ws_status ws_tensor_out_begin_partial(ws_tensor_out *o, const char *path, const void *header, size_t bytes,
                                      const ws_partial_options *options, bool *found, ws_error *err) {
    assert(!o->file && "begin comes once");
    if (check_names(o, err)) return ws_fail_in(err, "cannot write '%s'", path);
    WS_TRY(ws_outfile_open_partial(&o->file, path, options, found, err));
    if (*found) WS_TRY(has_header(o, header, bytes, found, err));
    WS_TRY(ws_outfile_write(o->file, header, bytes, err));
    o->any_order = ws_outfile_temporary(o->file) != NULL;
    const uint64_t size = place(o, bytes);
    if (o->any_order) return ws_outfile_reserve(o->file, size, !*found, err);
    skip_empty(o);
    return pad(o, err);
}

ws_status ws_tensor_out_write_at(ws_tensor_out *o, size_t tensor, uint64_t offset, const void *data, size_t bytes,
                                 ws_error *err) {
    assert(tensor < o->n && offset <= o->slots[tensor].bytes && bytes <= o->slots[tensor].bytes - offset);
    if (!o->any_order) {
        assert((bytes == 0 || (tensor == o->current && offset == o->written)) && "a pipe takes data in order");
        return ws_tensor_out_write(o, data, bytes, err);
    }
    WS_TRY(ws_outfile_write_at(o->file, o->slots[tensor].offset + offset, data, bytes, err));
    atomic_fetch_add(&o->done, bytes);
    return WS_OK;
}

void ws_tensor_out_skip(ws_tensor_out *o, size_t tensor) { atomic_fetch_add(&o->done, o->slots[tensor].bytes); }

ws_status ws_tensor_out_write(ws_tensor_out *o, const void *data, size_t bytes, ws_error *err) {
    if (bytes == 0) return WS_OK;
    if (o->current == o->n)
        return ws_fail(err, WS_FORMAT, "%zu bytes of data follow the last of %zu tensors", bytes, o->n);
    const ws_slot *t = &o->slots[o->current];
    if (bytes > t->bytes - o->written)
        return ws_fail(err, WS_FORMAT, "tensor '%s' of %" PRIu64 " bytes has %" PRIu64 " and cannot take %zu more",
                       ws_show(t->name, strlen(t->name)).text, t->bytes, o->written, bytes);
    WS_TRY(ws_outfile_write(o->file, data, bytes, err));
    o->written += bytes;
    if (o->written < t->bytes) return WS_OK;
    o->written = 0;
    o->current++;
    skip_empty(o);
    return pad(o, err);
}

static ws_status check_complete(const ws_tensor_out *o, ws_error *err) {
    assert(o->file && "begin comes before finish");
    if (o->any_order) {
        uint64_t all = 0;
        for (size_t i = 0; i < o->n; i++) all += o->slots[i].bytes;
        if (o->done == all) return WS_OK;
        return ws_fail(err, WS_FORMAT, "%" PRIu64 " of %" PRIu64 " bytes of tensors were written", (uint64_t)o->done,
                       all);
    }
    if (o->current == o->n) return WS_OK;
    const ws_slot *t = &o->slots[o->current];
    return ws_fail(err, WS_FORMAT, "tensor '%s' (%zu of %zu) has %" PRIu64 " of its %" PRIu64 " bytes",
                   ws_show(t->name, strlen(t->name)).text, o->current + 1, o->n, o->written, t->bytes);
}

ws_status ws_tensor_out_finish(ws_tensor_out *o, ws_error *err) {
    ws_status status = check_complete(o, err);
    if (!status) {
        status = ws_outfile_finish(o->file, err);
        o->file = NULL;
    }
    ws_tensor_out_discard(o);
    return status;
}

void ws_tensor_out_discard(ws_tensor_out *o) {
    ws_outfile_discard(o->file);
    free(o->slots);
    *o = (ws_tensor_out){.alignment = o->alignment};
}
