/* ollama.h - manifests of Ollama's local store: which blob is the model. */
#ifndef WS_OLLAMA_H
#define WS_OLLAMA_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does a file begin like a manifest? */
bool ws_ollama_probe(const uint8_t *data, size_t size);

/* The path of the model's blob, "STORE/blobs/sha256-HEX" for "STORE/manifests/HOST/NAME/TAG"; release with free().
 * NULL with err filled on failure. */
char *ws_ollama_blob(const char *manifest, ws_error *err);

#endif
