#include "spelling.h"

#include "utf8.h"

#include <string.h>

/* Byte-level BPE after GPT-2: the visible characters of ASCII and Latin-1 are their own letters; the other bytes,
 * 00-20, 7f-a0 and ad, are U+0100 and up, in this order. */
enum { FIRST = 0x100, DELETE = 0x7f, SECOND = FIRST + 0x21, LAST = SECOND + 0x22, SOFT_HYPHEN = 0xad };

static uint32_t letter_of(uint8_t byte) {
    if (byte <= 0x20) return byte + FIRST;
    if (byte >= DELETE && byte <= 0xa0) return byte - DELETE + SECOND;
    return byte == SOFT_HYPHEN ? LAST : byte;
}

static bool byte_of(uint32_t letter, char *byte) {
    uint32_t b = letter;
    if (letter == LAST)
        b = SOFT_HYPHEN;
    else if (letter >= SECOND && letter < LAST)
        b = letter - SECOND + DELETE;
    else if (letter >= FIRST && letter < SECOND)
        b = letter - FIRST;
    if (b > 0xff || letter_of((uint8_t)b) != letter) return false;
    *byte = (char)b;
    return true;
}

size_t ws_spell_letter(char out[2], uint8_t byte) {
    const uint32_t letter = letter_of(byte);
    if (letter < 0x80) {
        out[0] = (char)letter;
        return 1;
    }
    out[0] = (char)(0xc0 | letter >> 6);
    out[1] = (char)(0x80 | (letter & 0x3f));
    return 2;
}

static size_t unspell_letters(char *out, ws_str text) {
    size_t n = 0;
    for (size_t at = 0; at < text.len;) {
        uint32_t cp;
        const size_t decoded = ws_utf8_decode(text.data + at, text.len - at, &cp), len = decoded ? decoded : 1;
        if (decoded && byte_of(cp, out + n)) {
            n++;
        } else {
            memcpy(out + n, text.data + at, len);
            n += len;
        }
        at += len;
    }
    return n;
}

static size_t unspell_spaces(char *out, ws_str text) {
    enum { MARK = sizeof WS_SPACE_MARK - 1 };
    size_t n = 0;
    for (size_t at = 0; at < text.len;) {
        const bool space = text.len - at >= MARK && memcmp(text.data + at, WS_SPACE_MARK, MARK) == 0;
        out[n++] = space ? ' ' : text.data[at];
        at += space ? MARK : 1;
    }
    return n;
}

size_t ws_unspell(char *out, ws_str text, ws_spelling spelling) {
    return spelling == WS_SPELL_LETTERS ? unspell_letters(out, text) : unspell_spaces(out, text);
}

ws_byte_token ws_spell_byte_token(uint8_t byte) {
    static const char hex[] = "0123456789ABCDEF";
    return (ws_byte_token){{'<', '0', 'x', hex[byte >> 4], hex[byte & 15], '>'}};
}

bool ws_unspell_byte_token(char *out, ws_str text) {
    ws_byte_token t;
    if (text.len != sizeof t.text) return false;
    for (unsigned b = 0; b < 256; b++) {
        t = ws_spell_byte_token((uint8_t)b);
        if (memcmp(text.data, t.text, sizeof t.text) != 0) continue;
        *out = (char)b;
        return true;
    }
    return false;
}
