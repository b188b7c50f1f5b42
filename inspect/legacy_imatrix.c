#include "legacy_imatrix.h"

#include "alloc.h"
#include "cursor.h"
#include "imatrix.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { ALIGNMENT = 32, MAX_ENTRIES = 1 << 20, MAX_NAME = 256 };

bool ws_legacy_imatrix_probe(const uint8_t *data, size_t size) {
    if (!size) return false; /* and data is NULL */
    ws_cursor c = {data, data + size, false};
    const uint32_t n = ws_u32(&c), length = ws_u32(&c);
    const uint8_t *name = n >= 1 && n <= MAX_ENTRIES && length >= 1 && length <= MAX_NAME ? ws_take(&c, length) : NULL;
    for (uint32_t i = 0; name && i < length; i++)
        if (name[i] <= ' ' || name[i] > '~') return false;
    const uint32_t calls = ws_u32(&c), values = ws_u32(&c);
    return name && !c.bad && calls < INT32_MAX && values >= 1 && values <= ws_left(&c) / sizeof(float);
}

/* ---- the file as GGUF ---- */

static ws_status add_entry(ws_gguf_writer *w, const ws_imatrix_sums *s, ws_error *err) {
    char *sums = ws_sprintf(err, "%s.in_sum2", s->name), *counts = ws_sprintf(err, "%s.counts", s->name);
    if (sums) ws_gguf_add_tensor(w, sums, WS_TYPE_F32, 1, &s->n);
    if (counts) ws_gguf_add_tensor(w, counts, WS_TYPE_F32, 1, (const uint64_t[]){1});
    const bool fine = sums && counts;
    free(sums);
    free(counts);
    return fine ? WS_OK : WS_NOMEM;
}

static ws_status describe(ws_gguf_writer *w, const ws_imatrix *m, ws_error *err) {
    const ws_imatrix_origin origin = ws_imatrix_origin_of(m);
    ws_gguf_put_str(w, "general.type", "imatrix");
    if (origin.dataset.len) ws_gguf_put_str_array(w, "imatrix.datasets", &origin.dataset, 1);
    ws_gguf_put_u32(w, "imatrix.chunk_count", origin.n_chunks);
    for (size_t i = 0; i < ws_imatrix_entries(m); i++) {
        const ws_imatrix_sums s = ws_imatrix_at(m, i);
        WS_TRY(add_entry(w, &s, err));
    }
    return WS_OK;
}

static bool put(FILE *f, const void *data, size_t n) {
    static const uint8_t zeros[ALIGNMENT] = {0};
    const size_t rest = (ALIGNMENT - n % ALIGNMENT) % ALIGNMENT;
    return fwrite(data, 1, n, f) == n && fwrite(zeros, 1, rest, f) == rest;
}

static bool write_all(FILE *f, const ws_imatrix *m, const void *header, size_t header_bytes) {
    bool fine = put(f, header, header_bytes);
    for (size_t i = 0; i < ws_imatrix_entries(m) && fine; i++) {
        const ws_imatrix_sums s = ws_imatrix_at(m, i);
        const float calls = (float)s.calls;
        fine = put(f, s.data, (size_t)s.n * sizeof(float)) && put(f, &calls, sizeof calls);
    }
    return fine && fflush(f) == 0;
}

/* In a file without a name, so that pages may be given back as those of any model. */
static ws_status map_image(ws_map *image, const ws_imatrix *m, const void *header, size_t bytes, ws_error *err) {
    FILE *f = tmpfile();
    if (!f || !write_all(f, m, header, bytes)) {
        if (f) fclose(f);
        return ws_fail_errno(err, "cannot write a temporary file");
    }
    const size_t size = (size_t)ftello(f);
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fileno(f), 0);
    fclose(f);
    if (data == MAP_FAILED) return ws_fail_errno(err, "cannot map %zu bytes", size);
    *image = (ws_map){data, size};
    return WS_OK;
}

ws_status ws_legacy_imatrix_open(ws_gguf **out, ws_map *image, const char *path, ws_error *err) {
    ws_imatrix *m;
    ws_gguf_writer *w = NULL;
    void *header = NULL;
    size_t bytes = 0;
    *image = (ws_map){NULL, 0};
    WS_TRY(ws_imatrix_open(&m, path, NULL, err));
    ws_status status = ws_gguf_writer_new(&w, err);
    if (!status) status = describe(w, m, err);
    if (!status) status = ws_gguf_writer_header(w, &header, &bytes, err);
    if (!status) status = map_image(image, m, header, bytes, err);
    if (!status) status = ws_gguf_open_bytes(out, image->data, image->size, path, err);
    free(header);
    ws_gguf_writer_discard(w);
    ws_imatrix_close(m);
    return status;
}
