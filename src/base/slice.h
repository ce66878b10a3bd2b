// A slice: a pointer and a length into bytes that somebody else owns. Input travels as slices; none is NUL-terminated unless
// its maker says so. The empty slice may have a NULL pointer.
#ifndef DX_BASE_SLICE_H
#define DX_BASE_SLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct dx_slice {
    const char *data;
    size_t size;
} dx_slice;

// A slice of a string literal, usable in initializers.
#define DX_SLICE(literal) ((dx_slice){"" literal, sizeof(literal) - 1})
#define DX_SLICE_INIT(literal)                                                                                                             \
    { "" literal, sizeof(literal) - 1 }
// For "%.*s".
#define DX_SLICE_ARG(slice) (int)(slice).size, (slice).size ? (slice).data : ""

static inline dx_slice dx_slice_of(const char *data, size_t size) {
    return (dx_slice){data, size};
}

// The whole of a NUL-terminated string; NULL gives the empty slice.
static inline dx_slice dx_slice_str(const char *text) {
    return (dx_slice){text, text ? strlen(text) : 0};
}

static inline bool dx_slice_equal(dx_slice a, dx_slice b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool dx_slice_starts(dx_slice whole, dx_slice prefix) {
    return whole.size >= prefix.size && (prefix.size == 0 || memcmp(whole.data, prefix.data, prefix.size) == 0);
}

// From `at` to the end; empty when `at` lies past it.
static inline dx_slice dx_slice_from(dx_slice whole, size_t at) {
    return at >= whole.size ? (dx_slice){NULL, 0} : (dx_slice){whole.data + at, whole.size - at};
}

// ASCII case-insensitive, as HTTP field names compare (RFC 9110 section 5.1).
bool dx_bytes_equal_nocase(const char *a, const char *b, size_t size);
static inline bool dx_slice_equal_nocase(dx_slice a, dx_slice b) {
    return a.size == b.size && dx_bytes_equal_nocase(a.data, b.data, a.size);
}
// memcmp order, the shorter first on a tie: negative, 0 or positive.
int dx_slice_compare(dx_slice a, dx_slice b);
// Offset of the first `byte`, or SIZE_MAX.
size_t dx_slice_find(dx_slice whole, char byte);
// Without spaces and tabs at both ends (HTTP's OWS).
dx_slice dx_slice_trim(dx_slice whole);
// Cuts `*rest` at the first `byte`: returns what stood before it and leaves in `*rest` what stood behind. Without one, returns all
// and leaves `*rest` empty with a NULL pointer, which ends a loop `while (rest.data)`.
dx_slice dx_slice_cut(dx_slice *rest, char byte);
// Reads a whole slice as a decimal number; false (and *out untouched) when it is anything else or does not fit.
bool dx_slice_to_i64(dx_slice text, int64_t *out);
bool dx_slice_to_u64(dx_slice text, uint64_t *out);

#endif
