/* Powers whose bits torch 2.13 (AVX2) gave. */
#include "torch_pow.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HALF = 24, EXACT = 16 }; /* of a head of 48: 16 by the vector function, 8 by the C library */

static const struct {
    float base;
    uint32_t bits[HALF];
} tables[] = {
    {500000.0f, {0x3f800000, 0x3fdd23cf, 0x403f06d8, 0x40a503a0, 0x410e8b37, 0x4176443b, 0x41d4bb5a, 0x4237c37c,
                 0x429ebd79, 0x43091fc4, 0x436ce733, 0x43cca4bd, 0x4430c6d6, 0x4498b463, 0x4503e911, 0x4563e551,
                 0x45c4dcdb, 0x462a0e2c, 0x4692e608, 0x46fdca46, 0x475b3b16, 0x47bd60b0, 0x482396f8, 0x488d5031}},
    {200000.0f, {0x3f800000, 0x3fd4db2d, 0x4030fbbf, 0x40932800, 0x40f4b63c, 0x414b786b, 0x41a92ded, 0x420caae0,
                 0x4269ebe4, 0x42c27f9d, 0x4321b833, 0x43867701, 0x43df9b57, 0x4439ec18, 0x449a96ad, 0x45008924,
                 0x4555bf3e, 0x45b1b95a, 0x4613c5aa, 0x4675bc6e, 0x46cc5268, 0x4729e32f, 0x478d4199, 0x47eae67e}},
    {130000.0f, {0x3f800000, 0x3fd111d3, 0x402abe1c, 0x408b7118, 0x40e3c215, 0x413a014d, 0x4197e804, 0x41f81dfc,
                 0x424aa1c4, 0x42a57c2c, 0x430725e4, 0x435cbeb4, 0x43b4470e, 0x44133a92, 0x44707a1c, 0x44c46472,
                 0x452063b0, 0x4582fc8a, 0x45d5f29a, 0x462eb9f8, 0x468eb1f9, 0x46e9127b, 0x473e5854, 0x479b7359}},
};

Test(torch_pow, the_bits_are_those_of_torch) {
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        float exponent[HALF], have[HALF];
        for (int i = 0; i < HALF; i++) exponent[i] = (float)(2 * i) / (2 * HALF);
        ws_torch_pow(have, tables[t].base, exponent, HALF);
        for (int i = 0; i < HALF; i++) {
            uint32_t bits;
            memcpy(&bits, &have[i], sizeof bits);
            cr_expect_leq(llabs((long long)bits - tables[t].bits[i]), i < EXACT ? 0 : 1,
                          "%g ^ %g: %08x instead of %08x", (double)tables[t].base, (double)exponent[i], bits,
                          tables[t].bits[i]);
        }
    }
}
