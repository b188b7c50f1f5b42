#include "damage.h"

#include <math.h>

enum { LANES = 8 }; /* sums side by side, so that additions need not wait for each other */

ws_damage ws_damage_of(const float *x, const float *y, size_t n) {
    double source2[LANES] = {0}, result2[LANES] = {0}, product[LANES] = {0}, error2[LANES] = {0}, max[LANES] = {0};
    ws_damage d = {.n = n};
    for (size_t i = 0; i < n; i++) {
        const size_t k = i % LANES;
        const double a = x[i], b = y[i], e = fabs(a - b);
        source2[k] += a * a;
        result2[k] += b * b;
        product[k] += a * b;
        error2[k] += e * e;
        max[k] = e > max[k] ? e : max[k];
    }
    for (size_t k = 0; k < LANES; k++)
        ws_damage_add(&d, &(ws_damage){0, source2[k], result2[k], product[k], error2[k], max[k]});
    return d;
}

void ws_damage_add(ws_damage *sum, const ws_damage *part) {
    sum->n += part->n;
    sum->source2 += part->source2;
    sum->result2 += part->result2;
    sum->product += part->product;
    sum->error2 += part->error2;
    if (part->max_error > sum->max_error) sum->max_error = part->max_error;
}

double ws_damage_rmse(const ws_damage *d) { return d->n ? sqrt(d->error2 / (double)d->n) : 0; }

double ws_damage_cosine(const ws_damage *d) {
    const double length = sqrt(d->source2) * sqrt(d->result2);
    return length > 0 ? d->product / length : d->source2 == d->result2 ? 1 : 0;
}

double ws_damage_sqnr(const ws_damage *d) { return d->error2 > 0 ? 10 * log10(d->source2 / d->error2) : INFINITY; }

double ws_rate_distortion_limit(double bits_per_weight) { return 20 * log10(2) * bits_per_weight; }
