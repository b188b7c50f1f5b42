/* score_log.h - scores kept in a file while they are computed, so that a run that was ended goes on where it was:
 *
 *     weightsmith scores 1
 *     FINGERPRINT                   what is measured and how, a line
 *     records                       one per chunk: its scores as they lie in memory, and their CRC-32
 *
 * An incomplete or damaged record, and what follows it, is computed again. */
#ifndef WS_SCORE_LOG_H
#define WS_SCORE_LOG_H

#include "perplexity.h"

#include <stdbool.h>

typedef struct ws_score_log ws_score_log;

/* Open or begin the log at `path`, of n_scores scores per record. A log with another fingerprint, or one that another
 * process has open, is refused. Release with ws_score_log_close(). */
WS_MUST_CHECK ws_status ws_score_log_open(ws_score_log **out, const char *path, const char *fingerprint,
                                          size_t n_scores, ws_error *err);

/* The next record that an earlier run left, into scores[n_scores]. false: none is left; from then on they are added. */
bool ws_score_log_next(ws_score_log *l, ws_score *scores);
WS_MUST_CHECK ws_status ws_score_log_add(ws_score_log *l, const ws_score *scores, ws_error *err);

void ws_score_log_close(ws_score_log *l, bool remove); /* NULL is fine */

#endif
