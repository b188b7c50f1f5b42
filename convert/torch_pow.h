/* torch_pow.h - powers as torch computes them on x86-64. Its results are not always the nearest floats, and those
 * of rope_freqs (rope_freqs.h) are written into files. */
#ifndef WS_TORCH_POW_H
#define WS_TORCH_POW_H

#include <stddef.h>

/* out[i] = base ** exponent[i] as of `base ** tensor` with n elements; base normal and positive, results too. */
void ws_torch_pow(float *out, float base, const float *exponent, size_t n);

#endif
