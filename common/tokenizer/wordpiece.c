/* WordPiece (BERT): the text is cleaned and cut into words, and a word into the longest tokens that there are from
 * left to right. A token that begins a word is written with U+2581 before it in the file, others without. */
#include "model.h"
#include "trie.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

typedef struct {
    ws_trie tokens;
    bool lowercase, strip_accents;
} wordpiece;

static void wordpiece_close(void *state) {
    wordpiece *w = state;
    if (!w) return;
    ws_trie_free(&w->tokens);
    free(w);
}

static ws_status read_flag(bool *flag, const ws_gguf *g, const char *key, ws_error *err) {
    uint64_t v = *flag;
    WS_TRY(ws_gguf_opt_u64(g, key, &v, err));
    *flag = v != 0;
    return WS_OK;
}

/* A text ends with the separator, whatever else the file calls its end. */
static ws_status wordpiece_open(ws_tokenizer *t, const ws_gguf *g, ws_error *err) {
    wordpiece *w = t->state = ws_alloc(1, sizeof *w, "a tokenizer", err);
    if (!w) return WS_NOMEM;
    for (size_t i = 0; i < t->vocab.n; i++)
        if (t->vocab.text[i].len) WS_TRY(ws_trie_add(&w->tokens, t->vocab.text[i], (int32_t)i, err));
    uint64_t separator = (uint64_t)t->eos;
    WS_TRY(ws_gguf_opt_u64(g, "tokenizer.ggml.seperator_token_id", &separator, err)); /* sic */
    if (separator < t->vocab.n) t->eos = (int32_t)separator;
    w->lowercase = true;
    WS_TRY(read_flag(&w->lowercase, g, "tokenizer.ggml.normalizer.lowercase", err));
    w->strip_accents = w->lowercase;
    return read_flag(&w->strip_accents, g, "tokenizer.ggml.normalizer.strip_accents", err);
}

/* ---- words ---- */

typedef struct {
    const ws_tokenizer *t;
    ws_ids *ids;
    char *word; /* behind the mark that all words have */
    size_t n, cap;
} cutter;

enum { MARK = sizeof WS_SPACE_MARK - 1 };

/* The longest token that the text begins with; its length, 0: none. */
static size_t longest(const wordpiece *w, const char *text, size_t n, int32_t *id) {
    uint32_t node = WS_TRIE_ROOT;
    size_t best = 0;
    for (size_t i = 0; i < n; i++) {
        node = ws_trie_step(&w->tokens, node, (uint8_t)text[i]);
        if (node == WS_TRIE_NONE) break;
        const int32_t at = ws_trie_value(&w->tokens, node);
        if (at >= 0) *id = at, best = i + 1;
    }
    return best;
}

/* A word of which a part is no token is unknown as a whole. */
static ws_status end_word(cutter *c, ws_error *err) {
    const size_t before = c->ids->n;
    int32_t id = -1;
    if (c->n == MARK) return WS_OK;
    for (size_t at = 0, len; at < c->n; at += len) {
        len = longest(c->t->state, c->word + at, c->n - at, &id);
        if (len == 0) {
            c->ids->n = before;
            break;
        }
        WS_TRY(ws_ids_add(c->ids, id, err));
    }
    c->n = MARK;
    return c->ids->n == before && c->t->unknown >= 0 ? ws_ids_add(c->ids, c->t->unknown, err) : WS_OK;
}

static ws_status add_character(cutter *c, utf8proc_int32_t cp, ws_error *err) {
    enum { LONGEST = 4 };
    WS_TRY(ws_grow(&c->word, &c->cap, c->n + LONGEST, 1, err));
    c->n += (size_t)utf8proc_encode_char(cp, (utf8proc_uint8_t *)c->word + c->n);
    return WS_OK;
}

/* Chinese characters are words of their own; the ranges are those of BERT's tokenizer. */
static bool is_chinese(utf8proc_int32_t cp) {
    static const struct {
        utf8proc_int32_t first, last;
    } ranges[] = {{0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},   {0x20000, 0x2a6df},
                  {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (cp >= ranges[i].first && cp <= ranges[i].last) return true;
    return false;
}

static bool is_space(utf8proc_int32_t cp, utf8proc_category_t category) {
    return cp == '\t' || cp == '\n' || cp == '\r' || cp == '\v' || cp == '\f' || cp == 0x85 ||
           category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

static bool is_mark(utf8proc_category_t category) {
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

/* All that ASCII has beside letters and digits, and Unicode's punctuation. */
static bool is_punctuation(utf8proc_int32_t cp, utf8proc_category_t category) {
    const bool ascii_symbol = cp < 0x7f && category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO;
    return ascii_symbol || (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO);
}

static ws_status take(cutter *c, utf8proc_int32_t cp, ws_error *err) {
    const wordpiece *w = c->t->state;
    const utf8proc_category_t category = utf8proc_category(cp);
    if (is_space(cp, category)) return end_word(c, err);
    if (cp == 0 || cp == 0xfffd || category == UTF8PROC_CATEGORY_CC) return WS_OK;
    if (w->strip_accents && is_mark(category)) return WS_OK;
    const utf8proc_int32_t written = w->lowercase ? utf8proc_tolower(cp) : cp;
    if (!is_punctuation(cp, category) && !is_chinese(cp)) return add_character(c, written, err);
    WS_TRY(end_word(c, err));
    WS_TRY(add_character(c, written, err));
    return end_word(c, err);
}

/* A character, taken apart into letter and accents if those are to go. */
static ws_status take_apart(cutter *c, utf8proc_int32_t cp, ws_error *err) {
    enum { MOST = 32 };
    const wordpiece *w = c->t->state;
    utf8proc_int32_t parts[MOST] = {cp};
    int last_class = 0;
    utf8proc_ssize_t n = 1;
    if (w->strip_accents) n = utf8proc_decompose_char(cp, parts, MOST, UTF8PROC_DECOMPOSE, &last_class);
    for (utf8proc_ssize_t i = 0; i < n && n <= MOST; i++) WS_TRY(take(c, parts[i], err));
    return WS_OK;
}

static ws_status cut(cutter *c, const char *text, size_t n, ws_error *err) {
    WS_TRY(ws_grow(&c->word, &c->cap, MARK, 1, err));
    memcpy(c->word, WS_SPACE_MARK, MARK);
    c->n = MARK;
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t cp;
        len = ws_utf8_decode(text + at, n - at, &cp);
        if (len) WS_TRY(take_apart(c, (utf8proc_int32_t)cp, err));
        if (!len) len = 1; /* no UTF-8: dropped */
    }
    return end_word(c, err);
}

static ws_status wordpiece_encode(const ws_tokenizer *t, ws_ids *ids, const char *text, size_t n, ws_error *err) {
    cutter c = {.t = t, .ids = ids};
    const ws_status st = cut(&c, text, n, err);
    free(c.word);
    return st;
}

const ws_model ws_model_wordpiece = {
    .name = "bert",
    .spelling = WS_SPELL_SPACES,
    .bos = 101,
    .eos = 102,
    .unknown = 100,
    .add_bos = true,
    .add_eos = true,
    .open = wordpiece_open,
    .close = wordpiece_close,
    .encode = wordpiece_encode,
};
