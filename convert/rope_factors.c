#include "rope_factors.h"

#include "torch_pow.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static double field(const cJSON *rope, const char *name, double fallback) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(rope, name);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

static double base_of(const cJSON *rope) { return field(rope, "rope_theta", 10000); }

static const char freqs[] = "rope_freqs", factors[] = "rope_factors";
static const char *const lists[] = {"long_factor", "short_factor"};

static bool is_list(const cJSON *rope, const char *name, uint64_t n) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(rope, name), *item;
    if (!cJSON_IsArray(list) || (uint64_t)cJSON_GetArraySize(list) != n) return false;
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item)) return false;
    }
    return true;
}

ws_status ws_rope_factors_wanted(const char **prefix, const cJSON *rope, uint64_t n_rot, const char *path,
                                 ws_error *err) {
    static const double MAX_BASE = 1e30;
    const char *type = ws_json_str(rope, "rope_type");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(rope, lists[0]);
    *prefix = NULL;
    if (type && strcasecmp(type, "llama3") == 0) {
        *prefix = freqs;
        if (!(base_of(rope) >= 1 && base_of(rope) <= MAX_BASE))
            return ws_fail(err, WS_FORMAT, "'%s': a 'rope_theta' of %g cannot be used", path, base_of(rope));
    } else if (list && !cJSON_IsNull(list)) {
        *prefix = factors;
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
            if (!is_list(rope, lists[i], n_rot / 2))
                return ws_fail(err, WS_FORMAT, "'%s': '%s' is no list of %llu numbers", path, lists[i],
                               (unsigned long long)(n_rot / 2));
    }
    return WS_OK;
}

double ws_rope_attn_factor(const cJSON *rope, double n_ctx) {
    const double trained = field(rope, "original_max_position_embeddings", n_ctx), scale = n_ctx / trained;
    const char *type = ws_json_str(rope, "rope_type");
    if (!(scale > 1)) return 1;
    return type && strcmp(type, "yarn") == 0 ? 0.1 * log(scale) + 1 : sqrt(1 + log(scale) / log(trained));
}

/* Waves that are short against the context the model was first trained on stay, long ones are stretched by
 * `factor`, those in between by something in between. All steps are in single precision and in the order of the
 * reference (Python on 0-dimensional tensors of torch), where "x / tensor" is x times the reciprocal. */
static float divisor(float power, const cJSON *rope) {
    static const double PI = 3.14159265358979323846;
    const double trained = field(rope, "original_max_position_embeddings", 8192), factor = field(rope, "factor", 8);
    const double low = field(rope, "low_freq_factor", 1), high = field(rope, "high_freq_factor", 4);
    const float freq = 1 / power, wavelength = 1 / freq * (float)(2 * PI);
    if (wavelength < (float)(trained / high)) return 1;
    if (wavelength > (float)(trained / low)) return (float)factor;
    const float smooth = (1 / wavelength * (float)trained - (float)low) / (float)(high - low);
    return 1 / ((1 - smooth) / (float)factor + smooth);
}

static void compute_freqs(float *out, size_t n, const cJSON *rope) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(2 * i) / (float)(2 * n);
    ws_torch_pow(out, (float)base_of(rope), out, n);
    for (size_t i = 0; i < n; i++) out[i] = divisor(out[i], rope);
}

void ws_rope_factors(float *out, size_t n, const cJSON *rope, const char *name) {
    if (strncmp(name, freqs, strlen(freqs)) == 0) {
        compute_freqs(out, n, rope);
        return;
    }
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(rope, lists[strstr(name, "short") != NULL]), *item;
    cJSON_ArrayForEach(item, list) *out++ = (float)item->valuedouble;
}
