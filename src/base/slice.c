// What slices do that is not a line long: comparing, cutting, trimming, reading numbers.
#include "base/slice.h"

static unsigned char lower(unsigned char byte) {
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte | 0x20) : byte;
}

// Eight bytes at once: bit 7 of a byte of `upper` says that it is an upper-case letter, and becomes the bit that makes it lower.
static uint64_t lower_eight(uint64_t bytes) {
    const uint64_t each = UINT64_MAX / 255;
    uint64_t low = bytes & (each * 0x7f);
    uint64_t upper = ((low + each * (0x80 - 'A')) ^ (low + each * (0x7f - 'Z'))) & ~bytes & (each * 0x80);
    return bytes | upper >> 2;
}

static bool eight_equal(const char *a, const char *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y || lower_eight(x) == lower_eight(y);
}

static bool four_equal(const char *a, const char *b) {
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y || lower_eight(x) == lower_eight(y);
}

// Field names are compared with every request, so by words; the last one overlaps the one before.
bool dx_bytes_equal_nocase(const char *a, const char *b, size_t size) {
    if (size >= 8) {
        for (size_t i = 0; i < size - 8; i += 8) {
            if (!eight_equal(a + i, b + i)) return false;
        }
        return eight_equal(a + size - 8, b + size - 8);
    }
    if (size >= 4) return four_equal(a, b) && four_equal(a + size - 4, b + size - 4);
    for (size_t i = 0; i < size; i++) {
        if (lower((unsigned char)a[i]) != lower((unsigned char)b[i])) return false;
    }
    return true;
}

int dx_slice_compare(dx_slice a, dx_slice b) {
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

size_t dx_slice_find(dx_slice whole, char byte) {
    const char *at = whole.size ? memchr(whole.data, byte, whole.size) : NULL;
    return at ? (size_t)(at - whole.data) : SIZE_MAX;
}

static bool blank(char byte) {
    return byte == ' ' || byte == '\t';
}

dx_slice dx_slice_trim(dx_slice whole) {
    while (whole.size && blank(whole.data[0])) whole.data++, whole.size--;
    while (whole.size && blank(whole.data[whole.size - 1])) whole.size--;
    return whole;
}

dx_slice dx_slice_cut(dx_slice *rest, char byte) {
    dx_slice whole = *rest;
    size_t at = dx_slice_find(whole, byte);
    if (at == SIZE_MAX) {
        *rest = (dx_slice){NULL, 0};
        return whole;
    }
    *rest = (dx_slice){whole.data + at + 1, whole.size - at - 1};
    return (dx_slice){whole.data, at};
}

bool dx_slice_to_u64(dx_slice text, uint64_t *out) {
    if (text.size == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value)) return false;
    }
    *out = value;
    return true;
}

bool dx_slice_to_i64(dx_slice text, int64_t *out) {
    bool negative = text.size && text.data[0] == '-';
    uint64_t size;
    if (!dx_slice_to_u64(negative ? dx_slice_from(text, 1) : text, &size)) return false;
    if (size > (uint64_t)INT64_MAX + negative) return false;
    *out = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}
