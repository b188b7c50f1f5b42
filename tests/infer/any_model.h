/* any_model.h - a small random model of any architecture, made from its description. */
#ifndef WS_TEST_ANY_MODEL_H
#define WS_TEST_ANY_MODEL_H

#include "arch.h"

enum { ANY_VOCAB = 80 };

typedef struct {
    const char *poison;           /* a tensor whose first element is NaN; NULL: none */
    const char *leave_out;        /* a tensor that is missing */
    uint32_t groups, groups_used; /* 6 experts in so many groups; 0: 5 in none */
    bool equal_experts;           /* all experts of a layer are the same */
    bool dense;                   /* a model without experts, where the architecture lets it choose */
} any_options;

/* Write the model to a temporary file; `path` gets its name, to be removed with unlink(). */
void any_write(const ws_arch *arch, const any_options *o, char path[64]);

#endif
