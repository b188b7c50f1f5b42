#include "torch_pow.h"

#include <math.h>

/* torch uses the vector function of the SLEEF library that is within 1 ULP: exp(y * log(x)) with log and product
 * in double-float arithmetic, numbers that are the unevaluated sum of two floats. The polynomials are SLEEF's. */
typedef struct {
    float hi, lo;
} pair;

/* Sums. The "exact" ones work for terms of any size; the others when the first term is the larger one. */
static pair add_exact(pair a, pair b) {
    const float s = a.hi + b.hi, v = s - a.hi;
    return (pair){s, (a.hi - (s - v)) + (b.hi - v) + (a.lo + b.lo)};
}

static pair add_exact_float(pair a, float b) {
    const float s = a.hi + b, v = s - a.hi;
    return (pair){s, (a.hi - (s - v)) + (b - v) + a.lo};
}

static pair add(pair a, pair b) {
    const float s = a.hi + b.hi;
    return (pair){s, a.hi - s + b.hi + a.lo + b.lo};
}

static pair multiply(pair a, pair b) {
    const float s = a.hi * b.hi;
    return (pair){s, fmaf(a.hi, b.lo, fmaf(a.lo, b.hi, fmaf(a.hi, b.hi, -s)))};
}

static pair scale(pair a, float b) {
    const float s = a.hi * b;
    return (pair){s, fmaf(a.lo, b, fmaf(a.hi, b, -s))};
}

static pair square(pair a) {
    const float s = a.hi * a.hi;
    return (pair){s, fmaf(a.hi + a.hi, a.lo, fmaf(a.hi, a.hi, -s))};
}

static pair divide(pair a, pair b) {
    const float r = 1 / b.hi, q = a.hi * r;
    const float below = fmaf(r, a.hi, -q), error = fmaf(-b.lo, r, fmaf(-b.hi, r, 1));
    return (pair){q, fmaf(q, error, fmaf(a.lo, r, below))};
}

/* x = m * 2^e with m in [0.75, 1.5); log m = 2 artanh((m - 1) / (m + 1)). */
static pair logarithm(float x) {
    static const pair ln2 = {0.69314718246459960938f, -1.904654323148236017e-09f};
    static const pair third = {0.66666662693023681640625f, 3.69183861259614332084311e-09f}; /* of 2 */
    int e;
    frexpf(x * (1 / 0.75f), &e);
    e--;
    const float m = ldexpf(x, -e);
    const pair t = divide(add_exact_float((pair){-1, 0}, m), add_exact_float((pair){1, 0}, m)), t2 = square(t);
    float p = 0.240320354700088500976562f;
    p = fmaf(p, t2.hi, 0.285112679004669189453125f);
    p = fmaf(p, t2.hi, 0.400007992982864379882812f);
    const pair head = add(scale(ln2, (float)e), (pair){2 * t.hi, 2 * t.lo});
    return add(head, multiply(multiply(t2, t), add_exact(scale(t2, p), third)));
}

/* x = q ln 2 + s with |s| <= ln 2 / 2; ln 2 in two parts, the first of few bits. */
static float exponential(pair x) {
    static const float ln2_hi = 0.693145751953125f, ln2_lo = 1.428606765330187045e-06f;
    const float q = rintf((x.hi + x.lo) * 1.44269504088896340736f);
    pair s = add_exact_float(add_exact_float(x, q * -ln2_hi), q * -ln2_lo);
    const float hi = s.hi + s.lo;
    s = (pair){hi, s.hi - hi + s.lo};
    float p = 0.00136324646882712841033936f;
    p = fmaf(p, s.hi, 0.00836596917361021041870117f);
    p = fmaf(p, s.hi, 0.0416710823774337768554688f);
    p = fmaf(p, s.hi, 0.166665524244308471679688f);
    p = fmaf(p, s.hi, 0.499999850988388061523438f);
    const pair r = add((pair){1, 0}, add(s, scale(square(s), p)));
    return ldexpf(r.hi + r.lo, (int)q);
}

/* Two vectors of 8 at a time with AVX2; what is left goes through the C library. */
void ws_torch_pow(float *out, float base, const float *exponent, size_t n) {
    enum { AT_A_TIME = 16 };
    const pair log_base = logarithm(base);
    for (size_t i = 0; i < n; i++)
        out[i] = i < n - n % AT_A_TIME ? exponential(scale(log_base, exponent[i])) : powf(base, exponent[i]);
}
