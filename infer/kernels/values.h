/* values.h - the numbers that quants of 4 bits stand for. */
#ifndef WS_VALUES_H
#define WS_VALUES_H

#include <stdint.h>

/* Data of the format: kvalues_iq4nl in ggml-common.h. */
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* Floats of 4 bits (E2M1), taken twice so that they are whole numbers. */
static const int8_t fp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

#endif
