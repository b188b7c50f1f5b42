/* kv_text.h - a value of metadata as a person reads it, escaped. */
#ifndef WS_KV_TEXT_H
#define WS_KV_TEXT_H

#include "gguf.h"

#include <stdio.h>

/* On one line; `whole`: nothing is shortened. */
void ws_kv_print(FILE *f, const ws_kv *kv, bool whole);

#endif
