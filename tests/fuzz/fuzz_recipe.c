/* Any bytes: the reader of recipes refuses them with one line that names the file, or what it read is printed as a
 * text that reads back to the same text. */
#include "recipe_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST = 2048 }; /* printing is quadratic in the number of rules */
    ws_error err = {0};
    ws_own_recipe r, again;
    if (size > MOST) return 0;
    if (ws_recipe_parse(&r, (const char *)data, size, "fuzz", &err)) {
        require(err.code && strstr(err.msg, "fuzz") && !strchr(err.msg, '\n'));
        ws_own_recipe_free(&r);
        return 0;
    }
    char *text = ws_recipe_text(&r.recipe, &err);
    require(text != NULL);
    require(ws_recipe_parse(&again, text, strlen(text), "fuzz", &err) == WS_OK);
    char *second = ws_recipe_text(&again.recipe, &err);
    require(second && strcmp(text, second) == 0);
    free(second);
    free(text);
    ws_own_recipe_free(&again);
    ws_own_recipe_free(&r);
    return 0;
}
