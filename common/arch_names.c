/* arch_names.c - names of tensors in checkpoints, as the tables of the architectures have them. */
#include "arch.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* Models of several parts: the one that reads text. */
static const ws_arch_rename language_model = {"language_model.", ""};

static void rename_all(char *name, size_t size, const ws_arch_rename *r) {
    char rest[WS_ARCH_NAME];
    const bool at_start = *r->from == '^';
    const char *from = r->from + at_start;
    char *at = strstr(name, from);
    if (!at || (at_start && at != name)) return;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, size - (size_t)(at - name), "%s%s", r->to, rest);
}

void ws_arch_plain_name(const ws_arch *arch, const char *name, char plain[WS_ARCH_NAME]) {
    snprintf(plain, WS_ARCH_NAME, "%s", name);
    rename_all(plain, WS_ARCH_NAME, &language_model);
    for (const ws_arch_rename *r = arch->renames; r && r->from; r++) rename_all(plain, WS_ARCH_NAME, r);
}

bool ws_arch_ignores(const char *name) {
    static const char *const senses[] = {"visual.", "vision_", "audio_", "projector."};
    static const char *const tables[] = {".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias"};
    for (size_t i = 0; i < sizeof senses / sizeof *senses; i++)
        if (strstr(name, senses[i])) return true;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (ws_ends_with(name, tables[i])) return true;
    return false;
}
