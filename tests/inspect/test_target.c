/* Devices by name and size. */
#include "target.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint64_t GIB = UINT64_C(1) << 30;

static ws_target gpus(const char *text) {
    ws_target t;
    ws_error err = {0};
    cr_assert_eq(ws_target_parse_gpus(&t, text, &err), WS_OK, "%s", err.msg);
    return t;
}

Test(target, cards_by_name_in_any_spelling) {
    static const char *const spellings[] = {"rtx-4090", "RTX 4090", "rtx4090", "Rtx_4090"};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        const ws_target t = gpus(spellings[i]);
        cr_assert_eq(t.n_devices, 1);
        cr_assert_eq(t.device[0].capacity, 24 * GIB);
        cr_assert_float_eq(t.device[0].bandwidth, 1008e9, 1);
        cr_assert_str_eq(t.device[0].name, "CUDA0: RTX 4090");
    }
}

Test(target, sizes_and_several) {
    cr_assert_eq(gpus("24GiB").device[0].capacity, 24 * GIB);
    cr_assert_eq(gpus("24GB").device[0].capacity, 24 * GIB);
    cr_assert_eq(gpus("11.5G").device[0].capacity, 23 * GIB / 2);
    cr_assert_eq(gpus("2048MiB").device[0].capacity, 2 * GIB);
    const ws_target t = gpus("2x24GiB,rtx-3060");
    cr_assert_eq(t.n_devices, 3);
    cr_assert_eq(t.device[1].capacity, 24 * GIB);
    cr_assert_str_eq(t.device[2].name, "CUDA2: RTX 3060");
}

Test(target, nonsense_is_misuse) {
    static const char *const bad[] = {"",   "rtx-9999",        "24",        "-1GiB",  "nanGiB",
                                      "2x", "9x24GiB,9x24GiB", "rtx-4090,", "0x24GiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ws_target t;
        ws_error err = {0};
        cr_assert_eq(ws_target_parse_gpus(&t, bad[i], &err), WS_USAGE, "%s", bad[i]);
    }
}

Test(target, apple_silicon_shares_its_memory) {
    ws_target t;
    ws_error err = {0};
    cr_assert_eq(ws_target_parse_apple(&t, "m3-18", &err), WS_OK, "%s", err.msg);
    cr_assert_eq(t.device[0].capacity, 12 * GIB);
    cr_assert(t.unified);
    cr_assert_eq(ws_target_parse_apple(&t, "m4-max-64", &err), WS_OK, "%s", err.msg);
    cr_assert_eq(t.device[0].capacity, 48 * GIB);
    cr_assert_float_eq(t.device[0].bandwidth, 546e9, 1);
    static const char *const bad[] = {"m3", "m9-16", "m3-x", "m3-1", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(ws_target_parse_apple(&t, bad[i], &err), WS_USAGE, "%s", bad[i]);
}

Test(target, every_row_of_the_tables_is_found_by_its_key) {
    ws_error err = {0};
    ws_target t;
    for (const ws_hardware *h = ws_hardware_gpus(); h->key; h++) {
        cr_assert_eq(ws_target_parse_gpus(&t, h->key, &err), WS_OK, "%s", h->key);
        cr_assert(strstr(t.device[0].name, h->name), "%s finds %s", h->key, t.device[0].name);
        cr_assert(h->gib > 0 && h->gb_per_second > 0, "%s", h->key);
    }
    for (const ws_hardware *h = ws_hardware_apple(); h->key; h++) {
        char text[32];
        snprintf(text, sizeof text, "%s-16", h->key);
        cr_assert_eq(ws_target_parse_apple(&t, text, &err), WS_OK, "%s", text);
        cr_assert_float_eq(t.device[0].bandwidth, h->gb_per_second * 1e9, 1, "%s", text);
    }
}
