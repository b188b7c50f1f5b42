/* compare.h - how far apart the values of two tensors are. */
#ifndef WS_COMPARE_H
#define WS_COMPARE_H

#include "match.h"

typedef struct {
    double rmse;
    double sqnr;      /* dB, of b as an approximation of a; infinite when all values are equal */
    double cosine;    /* of the two as vectors; NaN when one is zero */
    double max_error; /* largest difference */
    uint64_t max_at;  /* its element, in the order of a, or of the one in a GGUF file */
    uint64_t n_bad;   /* pairs with a NaN or infinity; the figures are of the others */
    double sum_a2, sum_b2, sum_ab, sum_error2;
    uint64_t n; /* elements, those of n_bad left out */
} ws_distance;

/* Can they be compared: both there, of the same shape, decodable, one by one? NULL, or why not. */
const char *ws_compare_problem(const ws_pair *p, const ws_report *ra, const ws_report *rb);

/* The figures of a pair without a problem; `scratch` has WS_COMPARE_SCRATCH floats. The result does not depend on
 * threads: one call is one sum, in order. */
enum { WS_COMPARE_SCRATCH = 2 * 16384 };
void ws_compare(ws_distance *d, const ws_pair *p, const ws_report *ra, const ws_report *rb, float *scratch);

/* The figures of two parts of a tensor together; `d` comes first. */
void ws_distance_join(ws_distance *d, const ws_distance *next);

/* 10 log10(signal / noise): infinite without noise. */
double ws_decibels(double signal, double noise);

#endif
