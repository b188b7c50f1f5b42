/* report.h - what inspect knows about a model file: one struct of facts, printed as text or as JSON. */
#ifndef WS_REPORT_H
#define WS_REPORT_H

#include "findings.h"
#include "gguf.h"
#include "gguf_foreign.h"
#include "layouts.h"
#include "safetensors.h"
#include "torch.h"
#include "values.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    const char *name, *type;
    uint32_t n_dims;
    uint64_t shape[WS_ST_MAX_DIMS]; /* in the order of the file: GGUF fastest first, safetensors slowest first */
    uint64_t n_elements, bytes, offset;
    uint32_t part;
    const uint8_t *data; /* NULL: cannot be read in place (packed, strided, big-endian) */
    ws_layout layout;
    ws_to_float *to_float; /* NULL: the type cannot be decoded */
} ws_report_tensor;

typedef struct {
    const char *type;
    size_t n_tensors;
    uint64_t n_elements, bytes;
} ws_type_total;

typedef struct ws_report {
    const char *path;   /* as given */
    const char *format; /* "gguf", "safetensors", "pytorch" */
    ws_gguf *gguf;      /* one of the three is set */
    ws_safetensors *st;
    ws_torch *torch;
    ws_gguf_foreign foreign; /* owner of gguf when it is of version 1 or big-endian */
    ws_map foreign_map;
    char *blob;          /* the file, when `path` is a manifest of Ollama; else NULL */
    bool legacy_imatrix; /* a .dat, of which gguf is an image */
    uint32_t version;    /* of a GGUF file */
    bool big_endian;
    uint64_t data_offset;      /* where tensor data begins in a GGUF file */
    ws_str name, architecture; /* empty when the file does not tell */
    char *config_class;        /* storage of the architecture of a safetensors folder */
    const char *file_type;     /* name of general.file_type; NULL: not told, or a number unknown here */
    bool file_type_guessed;    /* the writer guessed it (llama.cpp's bit 1024) */
    ws_str chat_template;

    size_t n_parts;
    const ws_map *parts;
    const char *const *part_paths;
    const char *one_path; /* storage of part_paths for one file */
    size_t n_tensors;
    ws_report_tensor *tensors; /* in file order */
    size_t n_types;
    ws_type_total types[WS_TYPE_COUNT]; /* largest first */

    uint64_t file_bytes;               /* of all parts */
    uint64_t n_elements, tensor_bytes; /* of all tensors */
    double bits_per_weight;
} ws_report;

/* Open a GGUF file (of a split model: its first), a safetensors file, an index or a folder, a PyTorch file, a manifest
 * of Ollama. `path` is borrowed. On failure *out is NULL. */
WS_MUST_CHECK ws_status ws_report_open(ws_report **out, const char *path, ws_error *err);
void ws_report_close(ws_report *r); /* NULL is fine */

/* "576x49152" into buf: the fastest dimension first in both kinds of file; "scalar" without dimensions. */
void ws_report_shape(char *buf, size_t size, const ws_report *r, const ws_report_tensor *t);

/* NULL when there is no such tensor. */
const ws_report_tensor *ws_report_find(const ws_report *r, const char *name);

/* Parts of the text. */
enum {
    WS_SHOW_SUMMARY = 1,
    WS_SHOW_METADATA = 2,
    WS_SHOW_TEMPLATE = 4,
    WS_SHOW_TENSORS = 8,
    WS_SHOW_ALL = 15,
    WS_SHOW_COLOUR = 16 /* for a terminal */
};

/* What was checked; NULL: was not. */
typedef struct {
    const ws_findings *verify, *safety;
} ws_checks;

/* As text for people: strings escaped, long values shortened. Asking for one part alone shows it whole. */
void ws_report_print(FILE *f, const ws_report *r, const ws_checks *checks, unsigned show);

/* As one JSON value: everything, arrays whole. */
WS_MUST_CHECK ws_status ws_report_json(FILE *f, const ws_report *r, const ws_checks *checks, ws_error *err);

/* As one HTML page that needs nothing else. */
WS_MUST_CHECK ws_status ws_report_html(FILE *f, const ws_report *r, ws_error *err);

#endif
