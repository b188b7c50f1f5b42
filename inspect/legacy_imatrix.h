/* legacy_imatrix.h - importance matrices of the older form (.dat), shown in that of the GGUF files which followed it.
 */
#ifndef WS_LEGACY_IMATRIX_H
#define WS_LEGACY_IMATRIX_H

#include "gguf.h"

/* Does it begin like one? (They have no magic number: a count, then the length of a name and the name.) */
bool ws_legacy_imatrix_probe(const uint8_t *data, size_t size);

/* The file at `path` as tensors NAME.in_sum2 and NAME.counts, by name. *image is what they lie in: to release with
 * ws_map_close() behind ws_gguf_close(), also after failure. */
WS_MUST_CHECK ws_status ws_legacy_imatrix_open(ws_gguf **out, ws_map *image, const char *path, ws_error *err);

#endif
