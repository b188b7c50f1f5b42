#include "rope_freqs.h"

#include "torch_pow.h"

#include <strings.h>

static double field(const cJSON *rope, const char *name, double fallback) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(rope, name);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

static double base_of(const cJSON *rope) { return field(rope, "rope_theta", 10000); }

ws_status ws_rope_freqs_wanted(bool *wanted, const cJSON *rope, const char *path, ws_error *err) {
    static const double MAX_BASE = 1e30;
    const char *type = ws_json_str(rope, "rope_type");
    *wanted = type && strcasecmp(type, "llama3") == 0;
    if (*wanted && !(base_of(rope) >= 1 && base_of(rope) <= MAX_BASE))
        return ws_fail(err, WS_FORMAT, "'%s': a 'rope_theta' of %g cannot be used", path, base_of(rope));
    return WS_OK;
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

void ws_rope_freqs(float *out, size_t n, const cJSON *rope) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(2 * i) / (float)(2 * n);
    ws_torch_pow(out, (float)base_of(rope), out, n);
    for (size_t i = 0; i < n; i++) out[i] = divisor(out[i], rope);
}
