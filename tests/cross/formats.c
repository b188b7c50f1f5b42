/* formats.c - the formats' kernels on another processor, in a static program without any library: every type in the
 * instruction set WS_ISA_NAME against the known answers and, for few blocks, the one-lane definition. */
#include "../quantize/formats_data.h"

#include <stdio.h>
#include <string.h>

#define TABLE_(isa) ws_formats_##isa
#define TABLE(isa)  TABLE_(isa)
#define NAME_(isa)  #isa
#define NAME(isa)   NAME_(isa)

extern const ws_format ws_formats_c[WS_TYPE_COUNT], TABLE(WS_CROSS_ISA)[WS_TYPE_COUNT];

static float input[DATA_FLOATS], weights[DATA_FLOATS], floats[DATA_FLOATS], expected_floats[DATA_FLOATS];
static uint8_t bytes[DATA_BYTES], expected_bytes[DATA_BYTES];

/* With weights, one row. */
static void quantize(const ws_format *f, bool weighted, uint8_t *y, size_t n_blocks) {
    if (weighted)
        f->from_float_weighted(input, weights, y, 1, n_blocks);
    else
        f->from_float(input, y, n_blocks);
}

/* Counts of blocks, most of which do not fill a vector, on which the two differ. */
static int count_differences(const ws_format *f, const ws_format *c, const ws_dtype_info *info, bool weighted) {
    enum { COUNTS = 10 };
    int differences = 0;
    data_fill(input, DATA_FLOATS, 0);
    data_fill_weights(weights, DATA_FLOATS, 0);
    for (size_t n = 0; n < COUNTS; n++) {
        memset(bytes, 0x55, sizeof bytes);
        memset(expected_bytes, 0x55, sizeof expected_bytes);
        memset(floats, 0x55, sizeof floats);
        memset(expected_floats, 0x55, sizeof expected_floats);
        quantize(c, weighted, expected_bytes, n);
        quantize(f, weighted, bytes, n);
        c->to_float(expected_bytes, expected_floats, n);
        f->to_float(expected_bytes, floats, n);
        if (memcmp(bytes, expected_bytes, sizeof bytes) || memcmp(floats, expected_floats, sizeof floats)) {
            printf("%-5s %zu blocks: differs\n", info->name, n);
            differences++;
        }
    }
    return differences;
}

static int count_small_float_differences(ws_dtype type) {
    int differences = 0;
    static uint16_t all[0x10000], back[0x10000];
    static float values[0x10000], expected[0x10000];
    for (uint32_t h = 0; h < 0x10000; h++) all[h] = (uint16_t)h;
    TABLE(WS_CROSS_ISA)[type].to_float(all, values, 0x10000);
    ws_formats_c[type].to_float(all, expected, 0x10000);
    differences += memcmp(values, expected, sizeof values) != 0;
    TABLE(WS_CROSS_ISA)[type].from_float(expected, all, 0x10000);
    ws_formats_c[type].from_float(expected, back, 0x10000);
    differences += memcmp(all, back, sizeof all) != 0;
    if (differences) printf("%s: conversion of all 65536 values differs\n", ws_dtype_name(type));
    return differences;
}

static int check(ws_dtype type, bool weighted, uint64_t known) {
    const ws_dtype_info *info = ws_dtype_get(type);
    const ws_format *f = &TABLE(WS_CROSS_ISA)[type], *c = &ws_formats_c[type];
    if (weighted ? !c->from_float_weighted : !c->from_float) return 0;
    const uint64_t sum = data_checksum(f, info, weighted, input, floats, bytes);
    const int ok = !count_differences(f, c, info, weighted) && sum == known;
    printf("%-7s %-8s %s %016llx  %s\n", info->name, weighted ? "weighted" : "", NAME(WS_CROSS_ISA),
           (unsigned long long)sum, ok ? "ok" : "WRONG");
    return !ok;
}

int main(void) {
    int failures = count_small_float_differences(WS_TYPE_F16) + count_small_float_differences(WS_TYPE_BF16);
    for (int i = 0; i < DATA_CHECKSUMS; i++) {
        failures += check(data_checksums[i].type, false, data_checksums[i].plain);
        failures += check(data_checksums[i].type, true, data_checksums[i].weighted);
    }
    printf("%d failures\n", failures);
    return failures != 0;
}
