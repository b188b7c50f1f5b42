/* Any bytes: a journal is another's, or the number of its last complete line is found; cut off within that line, it
 * gives what an earlier one said. */
#include "journal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char print[] = "source of a size";
    size_t n = SIZE_MAX, again = SIZE_MAX;
    char *text = malloc(size + 32);
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = 0;
    if (ws_journal_read(text, print, &n)) {
        require(strstr(text, print) != NULL);
        char *last = text + strlen(text);
        while (last[-1] != '\n') last--; /* the title ends in one */
        strcpy(last, "7");
        require(ws_journal_read(text, print, &again) && again == n);
        strcpy(last, "8\n");
        require(ws_journal_read(text, print, &again) && again == 8);
    }
    free(text);
    return 0;
}
