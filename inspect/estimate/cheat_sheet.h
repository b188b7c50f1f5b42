/* cheat_sheet.h - the table that is passed around, computed: for hardware by hardware and model size by model size the
 * best quantization that fits, how fast it can be at most, and what is left. */
#ifndef WS_CHEAT_SHEET_H
#define WS_CHEAT_SHEET_H

#include "fit.h"

#include <stdio.h>

enum { WS_SHEET_MODELS = 16, WS_SHEET_ROWS = 32 };

typedef struct {
    char quantization[16]; /* "": nothing fits */
    bool experts_on_cpu;
    uint64_t total, host; /* bytes on the devices; of experts in the host's memory */
    int64_t headroom;
    double bound; /* tokens per second */
} ws_sheet_cell;

typedef struct {
    uint64_t n_ctx;
    size_t n_models, n_rows;
    struct {
        char size[16], name[48];
        uint64_t n_params;
    } models[WS_SHEET_MODELS];
    struct {
        char name[48];
        ws_target target;
        uint64_t capacity;
    } rows[WS_SHEET_ROWS];
    ws_sheet_cell cells[WS_SHEET_ROWS][WS_SHEET_MODELS];
} ws_sheet;

/* `models`: path of models.json. Release with free(). */
WS_MUST_CHECK ws_status ws_sheet_make(ws_sheet **out, const char *models, uint64_t n_ctx, ws_error *err);

void ws_sheet_text(FILE *f, const ws_sheet *s);
void ws_sheet_markdown(FILE *f, const ws_sheet *s);
void ws_sheet_html(FILE *f, const ws_sheet *s);
WS_MUST_CHECK ws_status ws_sheet_json(FILE *f, const ws_sheet *s, ws_error *err);

#endif
