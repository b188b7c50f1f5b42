/* The regular expressions of pre-tokenizers, facts of the models that were trained with them, in the form in which
 * llama.cpp applies them: one after another, each to the pieces that the one before left (llama-vocab.cpp). Case
 * is folded for ASCII letters only, and where llama.cpp looks ahead for a letter that is not in a-z,
 * [^\P{L}a-z] says the same without a group. */
#include "pretokenizer.h"
#include "tokenizer.h"

/* White_Space, inside brackets; PCRE2's \s would add U+180E. */
#define WS "\\t-\\r\\x{85}\\p{Z}"

#define ENGLISH          "'s|'t|'re|'ve|'m|'ll|'d"
#define ENGLISH_ANY_CASE "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"

#define WORD        "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SIGNS       " ?[^" WS "\\p{L}\\p{N}]+"
#define SIGNS_LINES SIGNS "[\\r\\n]*"
#define LINES       "[" WS "]*[\\r\\n]+"
#define SPACES      "[" WS "]+(?![^" WS "])|[" WS "]+"

#define GPT2   ENGLISH "| ?\\p{L}+| ?\\p{N}+|" SIGNS "|[" WS "]+(?![^" WS "])"
#define LLAMA3 ENGLISH_ANY_CASE "|" WORD "|\\p{N}{1,3}|" SIGNS_LINES "|" LINES "|" SPACES
#define QWEN2  ENGLISH_ANY_CASE "|" WORD "|\\p{N}|" SIGNS_LINES "|" LINES "|" SPACES

/* A word of any case whose capitals come first (ASCII decides), with what may lead and follow it. */
#define CASED(UPPER, LOWER, LEAD, TAIL) LEAD UPPER "*" LOWER "+" TAIL "|" LEAD UPPER "+" LOWER "*" TAIL
#define CASED_WORD(TAIL)                CASED("[^\\P{L}a-z]", "[^\\P{L}A-Z]", "[^\\r\\n\\p{L}\\p{N}]?", TAIL)
#define CASED_WORD_MARKS(TAIL)                                                                                         \
    CASED("[^\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}a-z]", "[^\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}A-Z]", "[^\\r\\n\\p{L}\\p{N}]?",    \
          TAIL)
#define SIGNS_PATHS SIGNS "[\\r\\n/]*"

/* Runs of spaces in halves, of the Jais 2 family. */
#define RUN(N) "[" WS "]{" #N "}(?![^" WS "])|"
#define JAIS_SPACES                                                                                                    \
    RUN(512) RUN(256) RUN(128) RUN(64) RUN(32) RUN(16) RUN(8) RUN(4) "[" WS "]{1,2}(?![^" WS "])|[" WS "]"

/* Han, Hiragana, Katakana of the DeepSeek-V3 family; its words. */
#define CJK       "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define SIGN_WORD "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"

/* U+0800 to U+9FA5 and Hangul, without white space. */
#define DEEPSEEK_CJK "[^\\x{0}-\\x{7ff}\\x{9fa6}-\\x{abff}\\x{e000}-\\x{10ffff}\\p{Z}]+"
#define DEEPSEEK_LETTERS                                                                                               \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"                    \
    "\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}"             \
    "\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}"                    \
    "\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"                  \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}"                  \
    "\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}"                             \
    "\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}"                            \
    "\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}"                  \
    "\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"                    \
    "\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"                             \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"                             \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"                   \
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"                  \
    "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}"                                 \
    "\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"                             \
    "\\x{1e900}-\\x{1e943}"
#define DEEPSEEK_SIGNS "!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3001}\\x{3002}"

#define POLITE_WORD " ?[^(" WS "|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"

#define PATTERNS(NAME, ...) static const char *const NAME[] = {__VA_ARGS__, 0}

PATTERNS(by_default, "[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]");
PATTERNS(gpt2, GPT2);
PATTERNS(digits_gpt2, "\\p{N}", GPT2);
PATTERNS(falcon, "[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]");
PATTERNS(llama3, LLAMA3);
PATTERNS(jais2, ENGLISH_ANY_CASE "|" WORD "|\\p{N}{1,3}|" SIGNS_LINES "|" LINES "|" JAIS_SPACES);
PATTERNS(minicpm5, "\\p{N}{1,3}", ENGLISH_ANY_CASE "|" WORD "|\\p{N}+|" SIGNS_LINES "|" LINES "|" SPACES);
PATTERNS(qwen2, QWEN2);
PATTERNS(qwen35, ENGLISH_ANY_CASE "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" WS
                                  "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES "|" SPACES);
PATTERNS(laguna, "[^\\n]+|\\n+", QWEN2);
PATTERNS(ufakzeka, WORD "|\\p{N}|" SIGNS_LINES "|" LINES "|" SPACES);
PATTERNS(bailingmoe,
         "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|" WORD "|\\p{N}|" SIGNS_LINES "|[" WS "]*[\\r\\n]|" SPACES);
PATTERNS(seed_coder, ENGLISH_ANY_CASE "|" WORD "|\\p{N}| ?[^" WS "\\p{L}\\p{N}\\r\\n]+|" LINES "|" SPACES);
PATTERNS(exaone_moe, ENGLISH_ANY_CASE "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}|" SIGNS
                                      "[\\r\\n/]?|[" WS "]*[\\r\\n]|" SPACES);
PATTERNS(gpt4o, CASED_WORD(ENGLISH_ANY_CASE "?") "|\\p{N}{1,3}|" SIGNS_PATHS "|" LINES "|" SPACES);
PATTERNS(tekken, CASED_WORD("") "|\\p{N}|" SIGNS_PATHS "|" LINES "|" SPACES);
PATTERNS(granite_multi, CASED_WORD_MARKS(ENGLISH_ANY_CASE "?") "|\\p{N}{1,3}|" SIGNS_PATHS "|" LINES "|" SPACES);
PATTERNS(deepseek_llm, "[\\r\\n]", "[" WS "]?[" DEEPSEEK_LETTERS "]+", "[" WS "]?[" DEEPSEEK_SIGNS "]+",
         "(?<![" WS "])[" WS "]++\\z", DEEPSEEK_CJK, "\\p{N}+");
PATTERNS(deepseek_coder, "[\\r\\n]", "[" WS "]?\\p{L}+", "[" WS "]?\\p{P}+", DEEPSEEK_CJK, "\\p{N}");
PATTERNS(deepseek_v3, "\\p{N}{1,3}", CJK, SIGN_WORD "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" LINES "|" SPACES);
PATTERNS(spark2_5, "\\p{N}{1,3}", CJK, SIGN_WORD "| ?[\\p{P}\\p{S}]+|[\\r\\n]|" SPACES, "\\p{N}");
PATTERNS(poro, POLITE_WORD);
PATTERNS(viking, POLITE_WORD, "\\p{N}");
PATTERNS(chameleon, "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}", "[\\p{P}!-/:-@\\[-`{-~]",
         GPT2);

const ws_pre_row ws_pre_table[] = {
#define WS_PRE(NAME, PATTERNS, FLAGS) {NAME, PATTERNS, FLAGS},
#include "pretokenizers.def"
#undef WS_PRE
    {0},
};

const char *const *ws_pretokenizer_names(void) {
    static const char *const names[] = {
#define WS_PRE(NAME, PATTERNS, FLAGS) NAME,
#include "pretokenizers.def"
#undef WS_PRE
        0,
    };
    return names;
}
