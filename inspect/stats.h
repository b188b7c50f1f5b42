/* stats.h - how the values of each tensor are distributed, and how far they are from those of another model. */
#ifndef WS_STATS_H
#define WS_STATS_H

#include "compare.h"

enum { WS_STATS_BINS = 24 };

typedef struct {
    const ws_report_tensor *tensor; /* borrowed */
    const char *problem;            /* not NULL: why there are no figures */
    uint64_t n, n_bad, n_zero;      /* n_bad: NaN and infinities; the figures are of the others */
    double min, max, mean, std;
    double kurtosis;              /* excess: 0 for a normal distribution; NaN when all values are equal */
    uint64_t bins[WS_STATS_BINS]; /* equal steps from min to max */

    /* Columns (inputs of a matrix) whose RMS is over 6 times that of the middle one. */
    uint64_t n_outliers, worst_column;
    double worst_ratio;

    double bits;       /* per weight */
    bool compared;     /* with the base model: */
    ws_distance error; /* the tensor as an approximation of the base's */
} ws_tensor_stats;

typedef struct {
    ws_tensor_stats *tensors; /* in file order */
    size_t n;
} ws_stats;

/* `base` may be NULL. Results do not depend on threads. Release with ws_stats_free(), also after failure. */
WS_MUST_CHECK ws_status ws_stats_run(ws_stats *s, const ws_report *r, const ws_report *base, int n_threads, bool quiet,
                                     ws_error *err);
void ws_stats_free(ws_stats *s);

#endif
