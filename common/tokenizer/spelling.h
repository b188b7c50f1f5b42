/* spelling.h - how the texts of tokens stand for bytes. */
#ifndef WS_SPELLING_H
#define WS_SPELLING_H

#include "gguf.h"

/* Texts of normal tokens. */
typedef enum {
    WS_SPELL_LETTERS, /* every byte is a letter (byte-level BPE): U+0120 is a space */
    WS_SPELL_SPACES,  /* UTF-8 with U+2581 for a space (SentencePiece) */
} ws_spelling;

#define WS_SPACE_MARK "\xe2\x96\x81" /* U+2581 */

/* The letter that stands for a byte, as UTF-8 in out; its length. */
size_t ws_spell_letter(char out[2], uint8_t byte);

/* "<0xAB>", the text of a byte token. */
typedef struct {
    char text[6];
} ws_byte_token;
ws_byte_token ws_spell_byte_token(uint8_t byte);

/* What a token's text stands for: bytes in out, which has room for text.len; how many. Letters that stand for no
 * byte stay as they are. */
size_t ws_unspell(char *out, ws_str text, ws_spelling spelling);

bool ws_unspell_byte_token(char *out, ws_str text); /* false when the text is not of the form "<0xAB>" */

#endif
