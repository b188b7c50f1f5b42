/* fault.h - where do numbers that are not finite come from? A session with `watch` set looks at every result. */
#ifndef WS_FAULT_H
#define WS_FAULT_H

#include "session.h"

typedef struct ws_fault {
    bool found;
    bool nan;           /* or infinite */
    size_t row, column; /* of the result */
    char where[96];     /* name of the tensor, or what was computed */
} ws_fault;

/* Note the first number that is not finite in y[n_rows][stride], n_cols each, if the session watches and has found
 * none so far. `layer` may be SIZE_MAX (none) where `where` is a name as it is; else it is completed to "blk.N.where".
 */
void ws_watch(const ws_session *s, const float *y, size_t stride, size_t n_cols, size_t n_rows, size_t layer,
              const char *where);

/* Is every number of y[n_rows][stride] finite? */
bool ws_all_finite(const float *y, size_t stride, size_t n_cols, size_t n_rows, size_t *row, size_t *column);

/* Run the batch that was just fed again, watching, and report what was found. */
WS_MUST_CHECK ws_status ws_fault_report(ws_session *s, ws_error *err);

#endif
