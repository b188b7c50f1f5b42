/* damage.h - what converting a tensor did to its values, in sums that can be added up. */
#ifndef WS_DAMAGE_H
#define WS_DAMAGE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t n;
    double source2, result2, product, error2; /* sums of x^2, y^2, x y, (x - y)^2 */
    double max_error;                         /* largest |x - y| */
} ws_damage;

/* Of n values x that became y. The same for every processor. */
ws_damage ws_damage_of(const float *x, const float *y, size_t n);
void ws_damage_add(ws_damage *sum, const ws_damage *part);

double ws_damage_rmse(const ws_damage *d);
double ws_damage_cosine(const ws_damage *d);
double ws_damage_sqnr(const ws_damage *d); /* signal to noise in dB; infinite without noise */

/* The best SQNR that any code of so many bits per weight can have on independent Gaussian weights, in dB: the
 * rate-distortion function D = sigma^2 2^(-2R) gives 20 log10(2) R (Cover and Thomas, Elements of Information Theory,
 * theorem 10.3.2). Weights that are not Gaussian allow more. */
double ws_rate_distortion_limit(double bits_per_weight);

#endif
