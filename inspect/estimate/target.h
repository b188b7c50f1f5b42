/* target.h - the machine an estimate is for: GPUs with their memory and bandwidth, and the host. */
#ifndef WS_TARGET_H
#define WS_TARGET_H

#include "estimate.h"

typedef struct {
    char name[64];
    uint64_t capacity;                    /* bytes; 0: without limit, or unknown */
    double bandwidth;                     /* bytes per second; 0: unknown */
    uint64_t overhead_low, overhead_high; /* what the driver takes beside llama.cpp's buffers */
} ws_device;

typedef struct {
    unsigned n_devices; /* 0: the CPU alone */
    ws_device device[WS_MAX_DEVICES], host;
    bool unified; /* devices and host share one memory (Apple silicon) */
} ws_target;

/* A row of the table of hardware. */
typedef struct {
    const char *key, *name; /* "rtx-4090", "RTX 4090" */
    double gib, gb_per_second;
} ws_hardware;

const ws_hardware *ws_hardware_gpus(void);  /* ended by key == NULL */
const ws_hardware *ws_hardware_apple(void); /* gib is 0: memory comes with the name, "m3-16" */

/* One CUDA device without limit: what an estimate assumes when it is told nothing. */
void ws_target_default(ws_target *t);
void ws_target_cpu(ws_target *t);

/* "rtx-4090", "24GiB", "24GB", "2x24GiB", "2xrtx-3090,rtx-4090"; WS_USAGE for what is none of these. */
WS_MUST_CHECK ws_status ws_target_parse_gpus(ws_target *t, const char *text, ws_error *err);
/* "m3-16", "m4-max-64": the GPU may use two thirds of the memory, three quarters from 36 GB on. */
WS_MUST_CHECK ws_status ws_target_parse_apple(ws_target *t, const char *text, ws_error *err);

/* What this machine has: nvidia-smi, the kernel's files. Without a GPU it is the CPU alone. */
void ws_target_detect(ws_target *t);

/* Memory of this machine in bytes, 0 when unknown. */
uint64_t ws_host_memory(void);

#endif
