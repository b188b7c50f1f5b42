#include "pre_name.h"

#include "text.h"
#include "tokenizer.h"

#include <stdio.h>
#include <string.h>

/* Rules are compared as text: steps joined by " > ".
 *   words             GPT-2's expression, built into the step ByteLevel
 *   digit, digits     digits one by one, or runs of them
 *   /EXPRESSION/      cut out every match
 * The step from bytes to letters, which all share, is not written. */
#define LETTERS    "\\p{L}"
#define CONTRACTED "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES     "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LOWER      "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define UPPER      "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define EAST_ASIAN "[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+"
#define QWEN2      "/" CONTRACTED "|[^\\r\\n\\p{L}\\p{N}]?" LETTERS "+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "/"
#define LLAMA3                                                                                                         \
    "/" CONTRACTED "|[^\\r\\n\\p{L}\\p{N}]?" LETTERS "+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "/"
#define HAN_KANA "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+"

static const struct {
    const char *rules, *name;
    const char *arch; /* only in its models, which have another name for rules that many share; NULL: in all */
} known[] = {
    {"words", "roberta-bpe", "bert"},
    {"words", "modern-bert", "modern-bert"},
    {"words", "phi-2", "phi2"},
    {"words", "olmo", "olmoe"},
    {"words", "exaone4", "exaone4"},
    {"words", "gpt-2", NULL},
    {"normalizer BertNormalizer > BertPreTokenizer", "jina-v2-en", NULL}, /* the reference's name for BERT's, too */
    {"digit > words", "starcoder", "starcoder2"},
    {"digit > words", "command-r", "command-r"},
    {"digit > words", "command-r", "cohere2"},
    {"digit > words", "smollm", NULL},
    {"ignore merges > " LLAMA3, "glm4", "glm4"},
    {LLAMA3, "glm4", "glm4"},
    {"ignore merges > " LLAMA3, "llama-bpe", NULL},
    {LLAMA3, "smaug-bpe", NULL},
    {QWEN2, "stablelm2", "stablelm"},
    {QWEN2, "qwen2", NULL},
    {"/" CONTRACTED "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES "/",
     "qwen35", NULL},
    {"/[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER
     "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES "/",
     "tekken", NULL},
    {"ignore merges > /[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER
     "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES "/",
     "tekken", NULL},
    {"/[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" CONTRACTED "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" CONTRACTED
     "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES "/",
     "gpt-4o", NULL},
    {"/" CONTRACTED "|[^\r\n\\p{L}\\p{N}]?" LETTERS
     "+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+/",
     "seed-coder", NULL},
    {"/[\r\n]/ > /\\s?\\p{L}+/ > /\\s?\\p{P}+/ > /" EAST_ASIAN "/ > digit", "deepseek-coder", NULL},
    {"/\\p{N}{1,3}/ > /" HAN_KANA
     "/ > /[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?"
     "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+/",
     "deepseek-v3", NULL},
};

/* ---- the file's rules as text ---- */

typedef struct {
    char text[3000]; /* what does not fit is unknown anyway */
    size_t len;
} rules;

static void add_step(rules *r, const char *before, const char *step, const char *after) {
    if (r->len >= sizeof r->text) return;
    r->len += (size_t)snprintf(r->text + r->len, sizeof r->text - r->len, "%s%s%s%s", r->len ? " > " : "", before, step,
                               after);
}

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

static bool is_type(const cJSON *step, const char *type) {
    const char *have = ws_json_str(step, "type");
    return have && strcmp(have, type) == 0;
}

/* Matches are words of their own, or all that is kept; both are the same for expressions that match everything. */
static void add_split(rules *r, const cJSON *step) {
    const cJSON *pattern = get(step, "pattern");
    const char *regex = ws_json_str(pattern, "Regex"), *behavior = ws_json_str(step, "behavior");
    const bool inverted = cJSON_IsTrue(get(step, "invert"));
    const bool plain = behavior && (inverted ? strcmp(behavior, "Removed") == 0 : strcmp(behavior, "Isolated") == 0);
    if (regex && plain)
        add_step(r, "/", regex, "/");
    else
        add_step(r, "Split ", behavior ? behavior : "", inverted ? " inverted" : "");
}

static void add_pre_tokenizer(rules *r, const cJSON *step, int depth) {
    enum { MAX_DEPTH = 8 };
    const cJSON *inner;
    if (is_type(step, "Sequence") && depth < MAX_DEPTH) {
        cJSON_ArrayForEach(inner, get(step, "pretokenizers")) add_pre_tokenizer(r, inner, depth + 1);
    } else if (is_type(step, "ByteLevel")) {
        if (cJSON_IsTrue(get(step, "add_prefix_space"))) add_step(r, "prefix space", "", "");
        if (!cJSON_IsFalse(get(step, "use_regex"))) add_step(r, "words", "", "");
    } else if (is_type(step, "Digits")) {
        add_step(r, cJSON_IsTrue(get(step, "individual_digits")) ? "digit" : "digits", "", "");
    } else if (is_type(step, "Split")) {
        add_split(r, step);
    } else {
        const char *type = ws_json_str(step, "type");
        add_step(r, type ? type : "?", "", "");
    }
}

/* Composition (NFC) is left to the user's text, as in the reference; case has keys of its own. */
static void add_normalizer(rules *r, const cJSON *step, int depth) {
    static const char *const harmless[] = {"NFC", "Lowercase", "StripAccents"};
    enum { MAX_DEPTH = 8 };
    const cJSON *inner;
    if (!cJSON_IsObject(step)) return;
    if (is_type(step, "Sequence") && depth < MAX_DEPTH) {
        cJSON_ArrayForEach(inner, get(step, "normalizers")) add_normalizer(r, inner, depth + 1);
        return;
    }
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (is_type(step, harmless[i])) return;
    const char *type = ws_json_str(step, "type");
    add_step(r, "normalizer ", type ? type : "?", "");
}

/* ---- lookup ---- */

ws_status ws_pre_name_check(const char *name, ws_error *err) {
    char list[400] = "";
    size_t len = 0;
    for (const char *const *n = ws_pretokenizer_names(); *n; n++) {
        if (strcmp(*n, name) == 0) return WS_OK;
        if (len + strlen(*n) + 2 < sizeof list) len += (size_t)sprintf(list + len, "%s, ", *n);
    }
    return ws_fail(err, WS_USAGE, "--pre-tokenizer: '%s' is not known; some that are: %s...",
                   ws_show(name, strlen(name)).text, list);
}

ws_status ws_pre_name(const char **out, const ws_arch *arch, const cJSON *tokenizer, const char *chosen,
                      const char *path, ws_error *err) {
    *out = chosen;
    if (chosen) return WS_OK;
    rules r = {.len = 0};
    add_normalizer(&r, get(tokenizer, "normalizer"), 0);
    if (cJSON_IsTrue(get(get(tokenizer, "model"), "ignore_merges"))) add_step(&r, "ignore merges", "", "");
    const cJSON *pre = get(tokenizer, "pre_tokenizer");
    if (cJSON_IsObject(pre)) add_pre_tokenizer(&r, pre, 0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].rules, r.text) == 0 && (!known[i].arch || strcmp(known[i].arch, arch->name) == 0)) {
            *out = known[i].name;
            return WS_OK;
        }
    return ws_fail(
        err, WS_UNSUPPORTED,
        "'%s': pre-tokenizer '%s' is not known; if it works like a known one, name that with --pre-tokenizer", path,
        r.len ? ws_show(r.text, strlen(r.text)).text : "none");
}
