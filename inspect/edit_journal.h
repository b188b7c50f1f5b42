/* edit_journal.h - edits in place that survive a crash. */
#ifndef WS_EDIT_JOURNAL_H
#define WS_EDIT_JOURNAL_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

/* Write header[from, from + count) into `path` at `from`, synced; `header` has `end` bytes and is the whole new one.
 * Until that is done, the new bytes are in `path`.edit. */
WS_MUST_CHECK ws_status ws_journaled_write(const char *path, uint64_t file_size, const uint8_t *header, uint64_t end,
                                           uint64_t from, uint64_t count, ws_error *err);

/* Finish an edit of `path` that was interrupted; *finished tells if there was one. WS_FORMAT: there is a journal, but
 * the file has changed since. */
WS_MUST_CHECK ws_status ws_edit_finish_interrupted(const char *path, bool *finished, ws_error *err);

#endif
