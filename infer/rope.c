#include "rope.h"

#include <math.h>

/* The pair that turns `turns` times within the original context (YaRN paper, arXiv 2309.00071). */
static double turning_pair(const ws_hparams *hp, double turns) {
    static const double PI = 3.14159265358979323846;
    const double n = (double)hp->n_rot, base = (double)hp->rope_base;
    return n * log((double)hp->n_ctx_original / (turns * 2 * PI)) / (2 * log(base));
}

/* Share of pair i that is stretched: fast pairs are not, slow ones are, with a ramp between. */
static double stretched_share(const ws_model *m, size_t i) {
    const ws_hparams *hp = &m->hp;
    double low = turning_pair(hp, (double)hp->yarn_beta_fast), high = turning_pair(hp, (double)hp->yarn_beta_slow);
    if (!(m->arch->traits & WS_YARN_EXACT)) low = floor(low), high = ceil(high);
    low = fmax(low, 0), high = fmin(high, (double)hp->n_rot - 1);
    return fmin(fmax(((double)i - low) / fmax(high - low, 0.001), 0), 1);
}

/* Long rope comes with two sets: for contexts up to the original one, and beyond. */
static const float *divisors(const ws_model *m, uint64_t n_ctx) {
    if (!m->rope_long || !m->rope_short) return m->rope_freqs;
    return n_ctx > m->hp.n_ctx_original ? m->rope_long : m->rope_short;
}

void ws_rope_frequencies(double *freq, const ws_model *m, bool sliding, uint64_t n_ctx) {
    const ws_hparams *hp = &m->hp;
    const bool own = sliding && m->arch->traits & (WS_SLIDING_ROPE | WS_SLIDING_UNSCALED);
    const float *divisor = own ? NULL : divisors(m, n_ctx);
    const double base = (double)(sliding ? hp->rope_base_sliding : hp->rope_base), scale = (double)hp->rope_scale;
    for (size_t i = 0; i < hp->n_rot / 2; i++) {
        const double plain = pow(base, -2.0 * (double)i / (double)hp->n_rot);
        if (own) {
            freq[i] = plain;
        } else if (hp->scaling == WS_SCALING_YARN) {
            const double share = stretched_share(m, i);
            freq[i] = plain / scale * share + plain * (1 - share);
        } else {
            freq[i] = plain / scale;
        }
        if (divisor) freq[i] /= (double)divisor[i];
    }
}
