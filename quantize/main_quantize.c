/* quantize - a GGUF file with smaller weights. */
#include "main_quantize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ws_status print_recipe(const char *name, ws_error *err) {
    const ws_recipe *r;
    WS_TRY(ws_recipe_need(&r, &(ws_settings){.has_own = false}, name, err));
    char *text = ws_recipe_text(r, err);
    if (!text) return WS_NOMEM;
    fputs(text, stdout);
    free(text);
    return WS_OK;
}

int main(int argc, char **argv) {
    static const char *const progress_kinds[] = {"json", NULL};
    ws_job_options o = {.max_ppl_increase = -1};
    const ws_option ours[] = {
        {"check", 0, WS_OPT_MAYBE, &o.check, "FILE",
         "measure perplexity and KL divergence, before and after, on a text (default: the one installed)", 0, 0, NULL},
        {"check-chunks", 0, WS_OPT_INT, &o.check_chunks, "N", "check on the first N chunks only", 1, 1e9, NULL},
        {"max-ppl-increase", 0, WS_OPT_REAL, &o.max_ppl_increase, "PCT",
         "exit with 1 when --check finds perplexity to rise by more", 0, 1e9, NULL},
        {"out", 0, WS_OPT_MANY, &o.outs, "TYPE:FILE",
         "instead of OUT.gguf TYPE: another output of the same pass over the input (repeatable)", 0, 0, NULL},
        {"resume", 0, WS_OPT_FLAG, &o.resume, NULL,
         "go on with what an earlier run that was killed left; leave something to go on with", 0, 0, NULL},
        {"reproduce", 0, WS_OPT_TEXT, &o.reproduce, "QUANT.gguf",
         "write nothing: is this file what the source gives? TYPE only if the file does not say", 0, 0, NULL},
        {"report", 0, WS_OPT_TEXT, &o.report, "FILE",
         "error of each tensor as .json or as a page, .html: RMSE, largest, cosine, SQNR and its limit", 0, 0, NULL},
        {"allow-nonfinite", 0, WS_OPT_FLAG, &o.allow_nonfinite, NULL, "NaN and infinities are no errors", 0, 0, NULL},
        {"progress", 0, WS_OPT_CHOICE, &o.progress, "json", "progress as lines of JSON on standard error", 0, 0,
         progress_kinds},
        {0},
    };
    ws_option rows[WS_OPTION_ROWS + sizeof ours / sizeof *ours];
    ws_option_rows(rows, &o.texts);
    memcpy(rows + WS_OPTION_ROWS, ours, sizeof ours);
    const ws_command cmd = {
        .tool = "quantize",
        .synopsis = "IN [OUT.gguf] TYPE [THREADS] [options]",
        .summary = "Write a GGUF file with the weights of IN in another type. IN is a GGUF file or, without a file in\n"
                   "between, a Hugging Face folder. The result is the same, byte for byte, as llama-quantize's.",
        .notes =
            "TYPE: F32 F16 BF16 Q8_0 Q6_K Q5_K_M (q5_k) Q5_K_S Q5_1 Q5_0 Q4_K_M (q4_k) Q4_K_S IQ4_NL IQ4_XS Q4_1\n"
            "Q4_0 MXFP4_MOE Q3_K_L Q3_K_M (q3_k) Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS\n"
            "IQ2_XXS Q2_0 TQ2_0 TQ1_0 IQ1_M IQ1_S Q1_0 COPY, in any case, or the number of the file type. Without\n"
            "OUT.gguf: ggml-model-TYPE.gguf beside the source.",
        .examples = "  quantize model.gguf model-q4.gguf q4_k\n"
                    "  quantize model.gguf model-q4.gguf q4_k --check --max-ppl-increase 3\n"
                    "  quantize model.gguf model-iq2.gguf iq2_m --imatrix imatrix.gguf\n"
                    "  quantize ~/models/SmolLM2-135M-Instruct model-q4.gguf q4_k\n"
                    "  quantize model.gguf --out q4_k_m:model-q4.gguf --out q8_0:model-q8.gguf\n"
                    "  quantize model.gguf --reproduce downloaded-q4_k_m.gguf\n"
                    "  quantize model.gguf q6_k --dry-run\n"
                    "  quantize --print-recipe q4_k_m > my.recipe; quantize model.gguf out.gguf --recipe my.recipe",
        .options = rows,
        .min_args = 0,
        .max_args = 4,
    };
    ws_error err = {0};
    ws_args args;
    ws_status status = ws_cli_parse(&cmd, argc, argv, &o.common, &args, &err);
    ws_job j = {0};
    if (!status && !args.done && o.texts.print_recipe) {
        status = print_recipe(o.texts.print_recipe, &err);
    } else if (!status && !args.done) {
        status = ws_job_read(&j, &args, &o, &err);
        if (!status) status = ws_job_run(&j, &err);
    }
    ws_job_free(&j);
    ws_option_texts_free(&o.texts);
    free(o.outs.list);
    return ws_cli_finish(&cmd, status, &err);
}
