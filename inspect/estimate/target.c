/* Sizes and bandwidths are the vendors' figures (data sheets of NVIDIA, AMD, Intel and Apple). */
#include "target.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double GB = 1e9, GIB = 1024.0 * 1024.0 * 1024.0, MIB = 1024.0 * 1024.0;

/* CUDA context, kernels and pools: 107 MiB seen on an RTX 4060 Ti, 555 MiB on an RTX PRO 6000 (llama.cpp #20595,
 * #23604), and temporaries of the first long prompt. */
static const double CUDA_LOW_MIB = 100, CUDA_HIGH_MIB = 800;

/* clang-format off */
static const ws_hardware gpus[] = {
    {"rtx-2060", "RTX 2060", 6, 336}, {"rtx-2070", "RTX 2070", 8, 448}, {"rtx-2080", "RTX 2080", 8, 448},
    {"rtx-2080-ti", "RTX 2080 Ti", 11, 616}, {"gtx-1080-ti", "GTX 1080 Ti", 11, 484},
    {"rtx-3050", "RTX 3050", 8, 224}, {"rtx-3060", "RTX 3060", 12, 360}, {"rtx-3060-ti", "RTX 3060 Ti", 8, 448},
    {"rtx-3070", "RTX 3070", 8, 448}, {"rtx-3080", "RTX 3080", 10, 760}, {"rtx-3080-ti", "RTX 3080 Ti", 12, 912},
    {"rtx-3090", "RTX 3090", 24, 936}, {"rtx-3090-ti", "RTX 3090 Ti", 24, 1008},
    {"rtx-4060", "RTX 4060", 8, 272}, {"rtx-4060-ti", "RTX 4060 Ti", 8, 288},
    {"rtx-4060-ti-16", "RTX 4060 Ti 16 GB", 16, 288}, {"rtx-4070", "RTX 4070", 12, 504},
    {"rtx-4070-super", "RTX 4070 Super", 12, 504}, {"rtx-4070-ti", "RTX 4070 Ti", 12, 504},
    {"rtx-4070-ti-super", "RTX 4070 Ti Super", 16, 672}, {"rtx-4080", "RTX 4080", 16, 717},
    {"rtx-4080-super", "RTX 4080 Super", 16, 736}, {"rtx-4090", "RTX 4090", 24, 1008},
    {"rtx-5060", "RTX 5060", 8, 448}, {"rtx-5060-ti", "RTX 5060 Ti", 16, 448}, {"rtx-5070", "RTX 5070", 12, 672},
    {"rtx-5070-ti", "RTX 5070 Ti", 16, 896}, {"rtx-5080", "RTX 5080", 16, 960}, {"rtx-5090", "RTX 5090", 32, 1792},
    {"rtx-a6000", "RTX A6000", 48, 768}, {"rtx-6000-ada", "RTX 6000 Ada", 48, 960},
    {"rtx-pro-6000", "RTX PRO 6000", 96, 1792}, {"a10", "A10", 24, 600}, {"a40", "A40", 48, 696},
    {"l4", "L4", 24, 300}, {"l40s", "L40S", 48, 864}, {"t4", "T4", 16, 320}, {"p40", "P40", 24, 346},
    {"v100", "V100", 32, 900}, {"a100-40", "A100 40 GB", 40, 1555}, {"a100", "A100 80 GB", 80, 2039},
    {"h100", "H100 SXM", 80, 3350}, {"h100-pcie", "H100 PCIe", 80, 2000}, {"h200", "H200", 141, 4800},
    {"b200", "B200", 180, 8000}, {"gb10", "DGX Spark GB10", 128, 273},
    {"rx-6800-xt", "RX 6800 XT", 16, 512}, {"rx-7600-xt", "RX 7600 XT", 16, 288},
    {"rx-7800-xt", "RX 7800 XT", 16, 624}, {"rx-7900-xt", "RX 7900 XT", 20, 800},
    {"rx-7900-xtx", "RX 7900 XTX", 24, 960}, {"rx-9070-xt", "RX 9070 XT", 16, 645},
    {"mi300x", "Instinct MI300X", 192, 5300}, {"ryzen-ai-max", "Ryzen AI Max+ 395", 96, 256},
    {"arc-a770", "Arc A770", 16, 560}, {"arc-b580", "Arc B580", 12, 456}, {"arc-b60", "Arc Pro B60", 24, 456},
    {NULL, NULL, 0, 0},
};

static const ws_hardware apple[] = {
    {"m1", "M1", 0, 68}, {"m1-pro", "M1 Pro", 0, 200}, {"m1-max", "M1 Max", 0, 400}, {"m1-ultra", "M1 Ultra", 0, 800},
    {"m2", "M2", 0, 100}, {"m2-pro", "M2 Pro", 0, 200}, {"m2-max", "M2 Max", 0, 400}, {"m2-ultra", "M2 Ultra", 0, 800},
    {"m3", "M3", 0, 100}, {"m3-pro", "M3 Pro", 0, 150}, {"m3-max", "M3 Max", 0, 400}, {"m3-ultra", "M3 Ultra", 0, 819},
    {"m4", "M4", 0, 120}, {"m4-pro", "M4 Pro", 0, 273}, {"m4-max", "M4 Max", 0, 546},
    {"m5", "M5", 0, 153},
    {NULL, NULL, 0, 0},
};
/* clang-format on */

const ws_hardware *ws_hardware_gpus(void) { return gpus; }
const ws_hardware *ws_hardware_apple(void) { return apple; }

/* ---- targets ---- */

static void set_host(ws_target *t) {
    snprintf(t->host.name, sizeof t->host.name, "CPU");
    t->host.capacity = 0;
}

static ws_device *add_device(ws_target *t, const char *label, double gib, double gb_per_second) {
    ws_device *d = &t->device[t->n_devices];
    *d = (ws_device){.capacity = (uint64_t)(gib * GIB),
                     .bandwidth = gb_per_second * GB,
                     .overhead_low = (uint64_t)(CUDA_LOW_MIB * MIB),
                     .overhead_high = (uint64_t)(CUDA_HIGH_MIB * MIB)};
    if (label)
        snprintf(d->name, sizeof d->name, "CUDA%u: %s", t->n_devices, label);
    else
        snprintf(d->name, sizeof d->name, "CUDA%u", t->n_devices);
    t->n_devices++;
    return d;
}

void ws_target_default(ws_target *t) {
    *t = (ws_target){0};
    set_host(t);
    add_device(t, NULL, 0, 0);
}

void ws_target_cpu(ws_target *t) {
    *t = (ws_target){0};
    set_host(t);
}

/* ---- names ---- */

/* Letters and digits alike, in any case; separators of any kind are one. */
static bool same_name(const char *a, const char *b, size_t b_len) {
    size_t i = 0;
    for (;;) {
        while (*a && !isalnum((unsigned char)*a)) a++;
        while (i < b_len && !isalnum((unsigned char)b[i])) i++;
        if (!*a || i == b_len) return !*a && i == b_len;
        if (tolower((unsigned char)*a++) != tolower((unsigned char)b[i++])) return false;
    }
}

static const ws_hardware *find(const ws_hardware *h, const char *name, size_t len) {
    for (; h->key; h++)
        if (same_name(h->key, name, len) || same_name(h->name, name, len)) return h;
    return NULL;
}

/* "24GiB", "24GB", "24G" (GiB, as memory is sold), "24564MiB". */
static bool parse_size(const char *text, size_t len, double *gib) {
    char buf[32], *end;
    if (len >= sizeof buf) return false;
    memcpy(buf, text, len);
    buf[len] = 0;
    const double v = strtod(buf, &end);
    if (end == buf || !(v > 0) || v > 1e6) return false;
    const bool mib = strcasecmp(end, "MiB") == 0 || strcasecmp(end, "MB") == 0 || strcasecmp(end, "M") == 0;
    const bool whole = strcasecmp(end, "GiB") == 0 || strcasecmp(end, "GB") == 0 || strcasecmp(end, "G") == 0;
    *gib = mib ? v / 1024 : v;
    return mib || whole;
}

static ws_status unknown_gpu(const char *name, size_t len, ws_error *err) {
    return ws_fail(err, WS_USAGE,
                   "--gpu: '%.*s' is neither a known card (rtx-4090, rx-7900-xtx, h100, ...) nor a size "
                   "(24GiB)",
                   (int)(len < 60 ? len : 60), name);
}

static ws_status parse_group(ws_target *t, const char *text, size_t len, ws_error *err) {
    unsigned n = 1;
    if (len > 2 && isdigit((unsigned char)text[0]) && (text[1] == 'x' || text[1] == 'X'))
        n = (unsigned)(text[0] - '0'), text += 2, len -= 2;
    double gib = 0;
    const ws_hardware *h = find(gpus, text, len);
    if (!h && !parse_size(text, len, &gib)) return unknown_gpu(text, len, err);
    if (!n || t->n_devices + n > WS_MAX_DEVICES - 1)
        return ws_fail(err, WS_USAGE, "--gpu: between 1 and %d devices can be given", WS_MAX_DEVICES - 1);
    for (unsigned i = 0; i < n; i++) add_device(t, h ? h->name : NULL, h ? h->gib : gib, h ? h->gb_per_second : 0);
    return WS_OK;
}

ws_status ws_target_parse_gpus(ws_target *t, const char *text, ws_error *err) {
    ws_target_cpu(t);
    for (;;) {
        const size_t len = strcspn(text, ",+");
        WS_TRY(parse_group(t, text, len, err));
        if (!text[len]) return WS_OK;
        text += len + 1;
    }
}

ws_status ws_target_parse_apple(ws_target *t, const char *text, ws_error *err) {
    const char *dash = strrchr(text, '-');
    const ws_hardware *h = dash ? find(apple, text, (size_t)(dash - text)) : NULL;
    char *end = NULL;
    const double gb = dash ? strtod(dash + 1, &end) : 0;
    if (!h || !(gb >= 4 && gb <= 2048) || (*end && strcasecmp(end, "GB") != 0))
        return ws_fail(err, WS_USAGE, "--apple: '%.40s' is not a chip and its memory in GB, like m3-16 or m4-max-64",
                       text);
    ws_target_cpu(t);
    ws_device *d = &t->device[t->n_devices++];
    *d = (ws_device){.capacity = (uint64_t)(gb * GIB * (gb < 36 ? 2.0 / 3 : 0.75)), .bandwidth = h->gb_per_second * GB};
    snprintf(d->name, sizeof d->name, "Metal: %s, %g GB", h->name, gb);
    t->host.capacity = (uint64_t)(gb * GIB);
    t->host.bandwidth = d->bandwidth;
    t->unified = true;
    return WS_OK;
}

/* ---- detection ---- */

uint64_t ws_host_memory(void) {
    uint64_t kib = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && !kib && fgets(line, sizeof line, f)) {
        unsigned long long v;
        if (sscanf(line, "MemTotal: %llu kB", &v) == 1) kib = v;
    }
    if (f) fclose(f);
    return kib * 1024;
}

/* nvidia-smi's list: "NAME, MiB". */
static void detect_nvidia(ws_target *t) {
    char line[160];
    FILE *f = popen("nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits 2>/dev/null", "r");
    while (f && fgets(line, sizeof line, f) && t->n_devices < WS_MAX_DEVICES - 1) {
        char *comma = strrchr(line, ',');
        if (!comma) continue;
        *comma = 0;
        const char *name = strncmp(line, "NVIDIA ", 7) == 0 ? line + 7 : line;
        if (strncmp(name, "GeForce ", 8) == 0) name += 8;
        const ws_hardware *h = find(gpus, name, strlen(name));
        add_device(t, name, strtod(comma + 1, NULL) / 1024, h ? h->gb_per_second : 0);
    }
    if (f) pclose(f);
}

/* amdgpu tells its memory in a file. */
static void detect_amd(ws_target *t) {
    for (int i = 0; i < 8 && t->n_devices < WS_MAX_DEVICES - 1; i++) {
        char path[64];
        unsigned long long bytes = 0;
        snprintf(path, sizeof path, "/sys/class/drm/card%d/device/mem_info_vram_total", i);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        if (fscanf(f, "%llu", &bytes) == 1 && bytes) add_device(t, "amdgpu", (double)bytes / GIB, 0);
        fclose(f);
    }
}

void ws_target_detect(ws_target *t) {
    ws_target_cpu(t);
    detect_nvidia(t);
    if (!t->n_devices) detect_amd(t);
    t->host.capacity = ws_host_memory();
}
