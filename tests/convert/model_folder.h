/* model_folder.h - a small but complete llama model folder for tests: 2 layers, hidden size 8, 4 heads of 2 with 2
 * key/value heads, feed-forward size 12, 5 tokens. */
#ifndef WS_TEST_MODEL_FOLDER_H
#define WS_TEST_MODEL_FOLDER_H

#include "error.h"
#include "safetensors.h"

#include <stddef.h>

/* A temporary folder with config.json, tokenizer.model (SentencePiece: <unk>, <s>, </s>, U+2581, a) and
 * model.safetensors in the given type (F32 or BF16): element i of every tensor is i / 8. */
char *make_model(ws_st_dtype type);

/* An empty temporary folder; both kinds go with remove_folder(), which also frees the name. */
char *make_folder(void);
void remove_folder(char *folder);

/* "folder/name" in one of a few static buffers. */
const char *in_folder(const char *folder, const char *name);
void write_text(const char *folder, const char *name, const char *text);
void write_bytes(const char *folder, const char *name, const void *data, size_t size);

/* Replace the first occurrence of `from` in a file of the folder. */
void edit(const char *folder, const char *name, const char *from, const char *to);

extern const char model_config[];

/* status and message are as wanted, or the test fails naming `what`. `message` NULL: any. */
void expect_error(const char *what, ws_status status, const ws_error *err, ws_status wanted, const char *message);

#endif
