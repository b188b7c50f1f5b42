/* json.h - a thin layer over cJSON: bounded parsing with messages, exact integers, bytes that are not text. */
#ifndef WS_JSON_H
#define WS_JSON_H

#include "error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Parse `size` bytes; `what` names the source in messages. NULL with err filled on failure. */
cJSON *ws_json_parse(const char *text, size_t size, const char *what, ws_error *err);

/* Read and parse a file of at most `limit` bytes. Release with cJSON_Delete(). */
cJSON *ws_json_read(const char *path, size_t limit, ws_error *err);

/* A number that is a whole, non-negative value below 2^53 (all that JSON's doubles carry exactly). */
bool ws_json_u64(const cJSON *item, uint64_t *out);

/* The string behind a key of an object, or NULL. */
const char *ws_json_str(const cJSON *object, const char *key);

/* ---- building: all functions tolerate NULL (memory out) and leave the check to ws_json_print() ---- */

void ws_json_add_u64(cJSON *object, const char *key, uint64_t v); /* exact for all 64 bits */
void ws_json_add_i64(cJSON *object, const char *key, int64_t v);

/* An item for a string of any bytes: valid UTF-8 stays, every other byte b becomes the escape \udcXX (the lone
 * surrogates that Python calls surrogateescape, so nothing is lost). */
cJSON *ws_json_bytes(const char *data, size_t len);
cJSON *ws_json_exact_u64(uint64_t v);
cJSON *ws_json_exact_i64(int64_t v);

/* NaN and infinities, which JSON lacks, become the strings "nan", "inf", "-inf". */
cJSON *ws_json_float(double v);
cJSON *ws_json_f32(float v); /* the shortest text that gives v again */

/* Print `root` and a newline to `f` and delete it. */
WS_MUST_CHECK ws_status ws_json_print(cJSON *root, FILE *f, ws_error *err);

#endif
