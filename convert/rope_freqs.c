#include "rope_freqs.h"

#include <math.h>
#include <strings.h>

static double field(const cJSON *rope, const char *name, double fallback) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(rope, name);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

bool ws_rope_freqs_wanted(const cJSON *rope) {
    const char *type = ws_json_str(rope, "rope_type");
    return type && strcasecmp(type, "llama3") == 0;
}

/* Waves that are short against the context the model was first trained on stay, long ones are stretched by
 * `factor`, those in between by something in between. All steps are in single precision and in the order of the
 * reference (Python on 0-dimensional tensors of torch), where "x / tensor" is x times the reciprocal. */
void ws_rope_freqs(float *out, size_t n, const cJSON *rope) {
    static const double PI = 3.14159265358979323846;
    const double base = field(rope, "rope_theta", 10000),
                 trained = field(rope, "original_max_position_embeddings", 8192);
    const double factor = field(rope, "factor", 8);
    const double low = field(rope, "low_freq_factor", 1), high = field(rope, "high_freq_factor", 4);
    for (size_t i = 0; i < n; i++) {
        const float exponent = (float)(2 * i) / (float)(2 * n);
        const float freq = 1 / (float)pow((float)base, exponent);
        const float wavelength = 1 / freq * (float)(2 * PI);
        if (wavelength < (float)(trained / high)) {
            out[i] = 1;
        } else if (wavelength > (float)(trained / low)) {
            out[i] = (float)factor;
        } else {
            const float smooth = (1 / wavelength * (float)trained - (float)low) / (float)(high - low);
            out[i] = 1 / ((1 - smooth) / (float)factor + smooth);
        }
    }
}
