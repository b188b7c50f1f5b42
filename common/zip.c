/* Layout (PKWARE's APPNOTE): local entries, the central directory that lists them, the end record that points to it.
 * Fields of 0xffffffff stand for 64-bit ones in the zip64 record and extra fields. */
#include "zip.h"

#include "alloc.h"
#include "cursor.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    SIG_LOCAL = 0x04034b50,
    SIG_CENTRAL = 0x02014b50,
    SIG_END = 0x06054b50,
    SIG_END64 = 0x06064b50,
    SIG_LOCATOR64 = 0x07064b50,
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    MAX_COMMENT = 65535,
    EXTRA_ZIP64 = 1,
    STORED = 0,
    DEFLATED = 8,
};

typedef struct {
    ws_zip *z;
    const uint8_t *data;
    size_t size;
    const char *path;
    ws_error *err;
} reader;

static ws_status bad(const reader *r, const char *what) {
    return ws_fail(r->err, WS_FORMAT, "'%s' is not a sound zip file: %s (%zu bytes)", r->path, what, r->size);
}

static ws_cursor cursor_at(const reader *r, uint64_t at) {
    const bool inside = at <= r->size;
    return (ws_cursor){r->data + (inside ? at : r->size), r->data + r->size, !inside};
}

bool ws_zip_probe(const uint8_t *data, size_t size) {
    return size >= 4 && data[0] == 'P' && data[1] == 'K' && data[2] == 3 && data[3] == 4;
}

/* ---- where the directory is ---- */

typedef struct {
    uint64_t n, bytes, offset;
} directory;

static bool find_end(const reader *r, size_t *at) {
    if (r->size < END_BYTES) return false;
    const size_t first = r->size - END_BYTES, lowest = first > MAX_COMMENT ? first - MAX_COMMENT : 0;
    for (size_t i = first + 1; i-- > lowest;) {
        ws_cursor c = cursor_at(r, i);
        if (ws_u32(&c) != SIG_END) continue;
        *at = i;
        return true;
    }
    return false;
}

static ws_status find_directory(const reader *r, directory *d) {
    size_t end;
    if (!find_end(r, &end)) return bad(r, "its end is missing");
    ws_cursor c = cursor_at(r, end + 10);
    d->n = ws_u16(&c), d->bytes = ws_u32(&c), d->offset = ws_u32(&c);
    if (end < LOCATOR_BYTES) return WS_OK;
    c = cursor_at(r, end - LOCATOR_BYTES);
    if (ws_u32(&c) != SIG_LOCATOR64) return WS_OK;
    ws_take(&c, 4);
    c = cursor_at(r, ws_u64(&c));
    if (ws_u32(&c) != SIG_END64 || !ws_take(&c, 28)) return bad(r, "its zip64 record is missing");
    d->n = ws_u64(&c), d->bytes = ws_u64(&c), d->offset = ws_u64(&c);
    return c.bad ? bad(r, "its zip64 record ends too early") : WS_OK;
}

/* ---- entries ---- */

typedef struct {
    uint64_t size, packed, local;
} sizes;

/* The 64-bit values of those that have no room in the entry, in this order. */
static void read_extra(ws_cursor extra, sizes *s) {
    while (!extra.bad && ws_left(&extra) >= 4) {
        const uint16_t id = ws_u16(&extra), n = ws_u16(&extra);
        const uint8_t *p = ws_take(&extra, n);
        if (!p || id != EXTRA_ZIP64) continue;
        ws_cursor c = {p, p + n, false};
        if (s->size == UINT32_MAX) s->size = ws_u64(&c);
        if (s->packed == UINT32_MAX) s->packed = ws_u64(&c);
        if (s->local == UINT32_MAX) s->local = ws_u64(&c);
    }
}

/* The content lies behind the local header, whose own name and extra field may be of other lengths. */
static ws_status locate(const reader *r, ws_zip_entry *e, uint64_t local) {
    ws_cursor c = cursor_at(r, local);
    if (ws_u32(&c) != SIG_LOCAL || !ws_take(&c, LOCAL_BYTES - 8)) return bad(r, "an entry's header is missing");
    const uint64_t names = (uint64_t)ws_u16(&c) + ws_u16(&c);
    if (!ws_take(&c, names)) return bad(r, "an entry's header ends too early");
    e->data = ws_take(&c, e->packed);
    return e->data ? WS_OK : bad(r, "an entry ends past the end of the file");
}

static ws_status read_entry(const reader *r, ws_cursor *c, ws_zip_entry *e) {
    if (ws_u32(c) != SIG_CENTRAL || !ws_take(c, 4)) return bad(r, "an entry of its directory is missing");
    const uint16_t flags = ws_u16(c), method = ws_u16(c);
    ws_take(c, 8); /* time, date, checksum */
    sizes s = {0};
    s.packed = ws_u32(c), s.size = ws_u32(c);
    const uint16_t name = ws_u16(c), extra = ws_u16(c), comment = ws_u16(c);
    ws_take(c, 8);
    s.local = ws_u32(c);
    e->name = (const char *)ws_take(c, name), e->name_len = name;
    const uint8_t *x = ws_take(c, extra);
    if (!ws_take(c, comment) || !e->name || !x) return bad(r, "its directory ends too early");
    read_extra((ws_cursor){x, x + extra, false}, &s);
    e->packed = s.packed, e->size = s.size, e->deflated = method == DEFLATED;
    if (flags & 1 || (method != STORED && method != DEFLATED))
        return ws_fail(r->err, WS_UNSUPPORTED, "'%s': the entry '%s' is encrypted or packed by method %d", r->path,
                       ws_show(e->name, e->name_len).text, method);
    if (method == STORED && e->packed != e->size) return bad(r, "a stored entry has two sizes");
    return locate(r, e, s.local);
}

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len) {
    const size_t n = a_len < b_len ? a_len : b_len;
    const int order = n ? memcmp(a, b, n) : 0;
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_entries(const void *a, const void *b) {
    const ws_zip_entry *x = a, *y = b;
    return compare_names(x->name, x->name_len, y->name, y->name_len);
}

static ws_status read_directory(reader *r) {
    directory d = {0};
    WS_TRY(find_directory(r, &d));
    ws_cursor c = cursor_at(r, d.offset);
    if (c.bad || d.bytes > ws_left(&c) || d.n > d.bytes / CENTRAL_BYTES)
        return bad(r, "its directory is out of bounds");
    c.end = c.at + d.bytes;
    if (!(r->z->entries = ws_alloc((size_t)d.n, sizeof *r->z->entries, "a zip directory", r->err))) return WS_NOMEM;
    for (uint64_t i = 0; i < d.n; i++) WS_TRY(read_entry(r, &c, &r->z->entries[i]));
    r->z->n = (size_t)d.n;
    qsort(r->z->entries, r->z->n, sizeof *r->z->entries, compare_entries);
    for (size_t i = 1; i < r->z->n; i++)
        if (compare_entries(&r->z->entries[i - 1], &r->z->entries[i]) == 0) return bad(r, "it has a name twice");
    return WS_OK;
}

ws_status ws_zip_open(ws_zip *z, const uint8_t *data, size_t size, const char *path, ws_error *err) {
    *z = (ws_zip){0};
    reader r = {z, data, size, path, err};
    return size ? read_directory(&r) : bad(&r, "it is empty");
}

void ws_zip_close(ws_zip *z) {
    free(z->entries);
    *z = (ws_zip){0};
}

const ws_zip_entry *ws_zip_find(const ws_zip *z, const char *name, size_t len) {
    const ws_zip_entry key = {.name = name, .name_len = len};
    return z->n ? bsearch(&key, z->entries, z->n, sizeof key, compare_entries) : NULL;
}

/* ---- content ---- */

static bool inflate_to(uint8_t *out, const ws_zip_entry *e) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)e->data, .next_out = out};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return false;
    uint64_t in = e->packed, left = e->size;
    int code = Z_OK;
    while (code == Z_OK && (in || z.avail_in)) {
        const uInt more_in = in > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)in;
        if (!z.avail_in) z.avail_in = more_in, in -= more_in;
        if (!z.avail_out) z.avail_out = left > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)left, left -= z.avail_out;
        code = inflate(&z, Z_NO_FLUSH);
    }
    const bool ok = code == Z_STREAM_END && left == 0 && z.avail_out == 0;
    inflateEnd(&z);
    return ok;
}

ws_status ws_zip_read(const ws_zip_entry *e, size_t limit, const uint8_t **data, void **owned, const char *path,
                      ws_error *err) {
    *data = e->data, *owned = NULL;
    if (e->size > limit)
        return ws_fail(err, WS_FORMAT, "'%s': the entry '%s' has %" PRIu64 " bytes; at most %zu are expected", path,
                       ws_show(e->name, e->name_len).text, e->size, limit);
    if (!e->deflated) return WS_OK;
    uint8_t *out = ws_alloc((size_t)e->size + 1, 1, "an unpacked entry", err);
    if (!out) return WS_NOMEM;
    if (!inflate_to(out, e)) {
        free(out);
        return ws_fail(err, WS_FORMAT, "'%s': the entry '%s' cannot be unpacked to %" PRIu64 " bytes", path,
                       ws_show(e->name, e->name_len).text, e->size);
    }
    *data = *owned = out;
    return WS_OK;
}
