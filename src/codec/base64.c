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

// A digit's value and one; 0: it is no digit.
// clang-format off
#define LETTERS_AND_FIGURES                                                                                                                \
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10,                         \
    ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20,                \
    ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,                \
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,                \
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,                \
    ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,                \
    ['8'] = 61, ['9'] = 62
static const uint8_t STANDARD_DIGITS[256] = {LETTERS_AND_FIGURES, ['+'] = 63, ['/'] = 64};
static const uint8_t URL_DIGITS[256] = {LETTERS_AND_FIGURES, ['-'] = 63, ['_'] = 64};
// clang-format on

// Up to four digits as one number of 24 bits, the first on top. With what is no digit among them, bits over these are set: 0 less one is
// all ones, however it is shifted.
static inline uint32_t quantum(const uint8_t digits[256], const unsigned char *at, size_t count) {
    uint32_t bits = ((uint32_t)digits[at[0]] - 1) << 18 | ((uint32_t)digits[at[1]] - 1) << 12;
    if (count > 2) bits |= ((uint32_t)digits[at[2]] - 1) << 6;
    if (count > 3) bits |= (uint32_t)digits[at[3]] - 1;
    return bits;
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
    const uint8_t *digits = url ? URL_DIGITS : STANDARD_DIGITS;
    const unsigned char *at = (const unsigned char *)text.data;
    unsigned char *to = out;
    size_t left = text.size;
    for (; left >= 4; left -= 4, at += 4) {
        uint32_t bits = quantum(digits, at, 4);
        if (bits >> 24) return false;
        *to++ = (unsigned char)(bits >> 16);
        *to++ = (unsigned char)(bits >> 8);
        *to++ = (unsigned char)bits;
    }
    if (left) {
        uint32_t bits = quantum(digits, at, left);
        if (bits >> 24 || bits & (left == 2 ? 0xffff : 0xff)) return false; // what is left over must be zero
        *to++ = (unsigned char)(bits >> 16);
        if (left == 3) *to++ = (unsigned char)(bits >> 8);
    }
    *out_size = (size_t)(to - (unsigned char *)out);
    return true;
}

void dx_hex_encode(char *out, const void *data, size_t size) {
    const unsigned char *at = data;
    for (size_t i = 0; i < size; i++) { // by sums, not by a table: many bytes at once
        unsigned char high = at[i] >> 4, low = at[i] & 15;
        out[2 * i] = (char)(high + '0' + (high > 9) * ('a' - '0' - 10));
        out[2 * i + 1] = (char)(low + '0' + (low > 9) * ('a' - '0' - 10));
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
