// UTF-8: checking, eight ASCII bytes at a time, whole or in pieces, and counting.
#include "base/utf8.h"

#include "codec/text.h"

bool dx_utf8_valid(dx_slice text) {
    if (text.size == 0) return true;
    const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size;
    while (at < end) {
        uint64_t word;
        if (end - at >= 8 && (memcpy(&word, at, sizeof word), (word & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        size_t size = dx_utf8_sequence(at, (size_t)(end - at));
        if (size == 0) return false;
        at += size;
    }
    return true;
}

size_t dx_utf8_length(dx_slice valid_utf8) {
    size_t length = 0;
    for (size_t i = 0; i < valid_utf8.size; i++) length += ((unsigned char)valid_utf8.data[i] & 0xc0) != 0x80;
    return length;
}

// --- in pieces -------------------------------------------------------------------------------------------------------------
// The state of a character that is cut off: how many bytes it still needs (bits 0 to 7), and the least and the greatest that the next may
// be.

static uint32_t need(unsigned count, unsigned least, unsigned greatest) {
    return count | least << 8 | greatest << 16;
}

// What must follow a first byte; 0: none begins so.
static uint32_t after_lead(unsigned char lead) {
    if (lead < 0xc2 || lead > 0xf4) return 0;
    if (lead < 0xe0) return need(1, 0x80, 0xbf);
    if (lead < 0xf0) return need(2, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    return need(3, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
}

static bool feed_byte(uint32_t *state, unsigned char byte) {
    if (*state == 0) return byte < 0x80 || (*state = after_lead(byte)) != 0;
    if (byte < (*state >> 8 & 0xff) || byte > (*state >> 16 & 0xff)) return false;
    unsigned left = (*state & 0xff) - 1;
    *state = left ? need(left, 0x80, 0xbf) : 0;
    return true;
}

bool dx_utf8_feed(dx_utf8_state *state, dx_slice piece) {
    const unsigned char *at = (const unsigned char *)piece.data, *end = at + piece.size;
    while (at < end) {
        uint64_t word;
        if (state->state == 0 && end - at >= 8 && (memcpy(&word, at, sizeof word), (word & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        size_t size = state->state == 0 ? dx_utf8_sequence(at, (size_t)(end - at)) : 0;
        if (size == 0 && !feed_byte(&state->state, *at)) return false;
        at += size ? size : 1;
    }
    return true;
}

bool dx_utf8_whole(const dx_utf8_state *state) {
    return state->state == 0;
}
