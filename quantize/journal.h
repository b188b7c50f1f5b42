/* journal.h - how far a partial output has come, in a small text file beside it, so that a later run can go on:
 *
 *     weightsmith journal 1
 *     FINGERPRINT              what the output is made from, a line
 *     N                        the first N tensors are complete and on the disk; the last such line counts
 */
#ifndef WS_JOURNAL_H
#define WS_JOURNAL_H

#include "error.h"

#include <stdbool.h>

typedef struct ws_journal ws_journal;

/* The journal at `path`, which signals remove unless it is to be kept. go_on: *n_done is what an earlier run with the
 * same fingerprint noted, 0 when there is no such journal; it is continued. Else it begins anew. Release with
 * ws_journal_close(). */
WS_MUST_CHECK ws_status ws_journal_open(ws_journal **out, const char *path, const char *fingerprint, bool keep,
                                        bool go_on, size_t *n_done, ws_error *err);
/* The number in the last complete line of a journal's text; false: it has another fingerprint, or is no journal. */
bool ws_journal_read(const char *text, const char *fingerprint, size_t *n_done);

WS_MUST_CHECK ws_status ws_journal_note(ws_journal *j, size_t n_done, ws_error *err);
void ws_journal_close(ws_journal *j, bool remove); /* NULL is fine */

#endif
