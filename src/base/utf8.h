// The well-formed UTF-8 sequence (RFC 3629, Unicode table 3-7), the unit in which text is checked, counted and escaped.
#ifndef DX_BASE_UTF8_H
#define DX_BASE_UTF8_H

#include <stddef.h>

// The size (1 to 4) of the well-formed sequence that starts at `at`, where `left` bytes (at least 1) stand; 0 when there is none.
static inline size_t dx_utf8_sequence(const unsigned char *at, size_t left) {
    unsigned char lead = at[0];
    if (lead < 0x80) return 1;
    size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size == 0 || size > left) return 0;
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90)) return 0; // longer than need be
    if ((lead == 0xed && at[1] > 0x9f) || (lead == 0xf4 && at[1] > 0x8f)) return 0; // surrogates; past U+10FFFF
    return size;
}

#endif
