/* options.h - the options of llama-quantize, under its names, and those of ours that belong to the choice of types. */
#ifndef WS_OPTIONS_H
#define WS_OPTIONS_H

#include "cli.h"
#include "quantize.h"
#include "recipe_text.h"

/* As given on the command line. */
typedef struct {
    bool allow_requantize, leave_output, pure, keep_split, dry_run;
    const char *imatrix, *output_type, *token_embd_type, *prune_layers, *split_max_size, *recipe, *print_recipe;
    ws_given_list include, exclude, tensor_types /* and files of them */, overrides;
    int64_t max_buffer_mib;
} ws_option_texts;

enum { WS_OPTION_ROWS = 18 };

/* Fill `rows` with rows whose values go to *t. */
void ws_option_rows(ws_option rows[WS_OPTION_ROWS], ws_option_texts *t);
void ws_option_texts_free(ws_option_texts *t);

/* What they mean. */
typedef struct {
    ws_plan_options plan; /* all but recipe and cpu_flags */
    ws_split split;
    ws_imatrix *imatrix;
    ws_tensor_type *tensor_types;
    size_t cap_tensor_types;
    ws_override *overrides;
    uint32_t *prune;
    ws_own_recipe own; /* --recipe */
    bool has_own;
} ws_settings;

/* Read the values and the files that they name. *s is released with ws_settings_free() in every case. */
WS_MUST_CHECK ws_status ws_settings_read(ws_settings *s, const ws_option_texts *t, ws_error *err);
void ws_settings_free(ws_settings *s);

/* IN [OUT] TYPE [THREADS]; with --recipe IN [OUT] [THREADS] */
typedef struct {
    const char *in;
    char *out; /* release with free() */
    const ws_recipe *recipe;
    int64_t threads; /* 0: not given */
} ws_quantize_arguments;

/* Without OUT it is "ggml-model-TYPE.gguf" beside IN. */
WS_MUST_CHECK ws_status ws_quantize_arguments_read(ws_quantize_arguments *a, const ws_args *args, const ws_settings *s,
                                                   ws_error *err);

/* "q4_k_m" as a recipe, or the name of the one of --recipe; WS_USAGE with the list of all when there is none. */
WS_MUST_CHECK ws_status ws_recipe_need(const ws_recipe **out, const ws_settings *s, const char *name, ws_error *err);

#endif
