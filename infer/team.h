/* team.h - threads that share the many short loops of a forward pass (hundreds per token, a few microseconds each).
 * A loop ends when its work is done, not when every thread has turned up: on a busy machine, a thread that the system
 * keeps waiting holds up nothing but the piece it has in hand. Between loops threads watch for work for a moment,
 * then sleep. */
#ifndef WS_TEAM_H
#define WS_TEAM_H

#include "error.h"
#include "parallel.h"

typedef struct ws_team ws_team;

/* A team of n_threads >= 1, the calling thread among them. Only that thread may use it. */
WS_MUST_CHECK ws_status ws_team_open(ws_team **out, int n_threads, ws_error *err);
void ws_team_close(ws_team *t); /* NULL is fine */

int ws_team_threads(const ws_team *t);

/* Call fn over [0, n) in pieces of at least `grain` items; returns when all are done. Which thread does a piece is
 * left to chance, so results must not depend on it. */
void ws_team_for(ws_team *t, size_t n, size_t grain, ws_parallel_fn *fn, void *ctx);

#endif
