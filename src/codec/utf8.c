// UTF-8: checking, eight ASCII bytes at a time, and counting.
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
