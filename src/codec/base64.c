// Base64 in its two alphabets, and hex. Decoding accepts one spelling of each value only: full padding or none, and no stray bits in the
// last digit.
#include "codec/text.h"

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t dx_base64_encode(char *out, const void *data, size_t size, bool url) {
    const char *alphabet = url ? URL : STANDARD;
    const unsigned char *at = data;
    char *to = out;
    for (; size >= 3; size -= 3, at += 3) {
        uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        *to++ = alphabet[bits >> 18];
        *to++ = alphabet[bits >> 12 & 63];
        *to++ = alphabet[bits >> 6 & 63];
        *to++ = alphabet[bits & 63];
    }
    if (size) {
        uint32_t bits = (uint32_t)at[0] << 16 | (size > 1 ? (uint32_t)at[1] << 8 : 0);
        *to++ = alphabet[bits >> 18];
        *to++ = alphabet[bits >> 12 & 63];
        if (size > 1) *to++ = alphabet[bits >> 6 & 63];
        if (!url && size == 1) *to++ = '=';
        if (!url) *to++ = '=';
    }
    return (size_t)(to - out);
}

// A digit's value, or 64 and more.
static uint32_t sextet(char byte, bool url) {
    if (byte >= 'A' && byte <= 'Z') return (uint32_t)(byte - 'A');
    if (byte >= 'a' && byte <= 'z') return (uint32_t)(byte - 'a' + 26);
    if (byte >= '0' && byte <= '9') return (uint32_t)(byte - '0' + 52);
    if (byte == (url ? '-' : '+')) return 62;
    return byte == (url ? '_' : '/') ? 63 : 64;
}

// Takes the padding off. False when it is not what the length asks for.
static bool unpad(dx_slice *text) {
    if (text->size % 4) return false;
    size_t padding = 0;
    while (padding < 2 && padding < text->size && text->data[text->size - 1 - padding] == '=') padding++;
    text->size -= padding;
    return true;
}

bool dx_base64_decode(void *out, size_t *out_size, dx_slice text, bool url) {
    if (!url && !unpad(&text)) return false;
    if (text.size % 4 == 1) return false;
    unsigned char *to = out;
    uint32_t bits = 0, held = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t value = sextet(text.data[i], url);
        if (value > 63) return false;
        bits = bits << 6 | value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        *to++ = (unsigned char)(bits >> held);
        bits &= (1u << held) - 1;
    }
    *out_size = (size_t)(to - (unsigned char *)out);
    return bits == 0; // what is left over must be zero
}

void dx_hex_encode(char *out, const void *data, size_t size) {
    static const char HEX[] = "0123456789abcdef";
    const unsigned char *at = data;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = HEX[at[i] >> 4];
        out[2 * i + 1] = HEX[at[i] & 15];
    }
}

static unsigned hex_digit(char byte) {
    if (byte >= '0' && byte <= '9') return (unsigned)(byte - '0');
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a' + 10) : 16;
}

bool dx_hex_decode(void *out, dx_slice text) {
    if (text.size % 2) return false;
    unsigned char *to = out;
    for (size_t i = 0; i < text.size; i += 2) {
        unsigned high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
        if (high > 15 || low > 15) return false;
        *to++ = (unsigned char)(high << 4 | low);
    }
    return true;
}
