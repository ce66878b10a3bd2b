// Numbers as JSON Schema compares them: 64-bit integers stay exact, and an integer compares with a double by value, never by rounding
// one to the other.
#ifndef DX_MODEL_NUMBER_H
#define DX_MODEL_NUMBER_H

#include <math.h>
#include <yyjson.h>

#include "base/slice.h"

typedef struct dx_number {
    bool is_real;
    bool negative; // of an integer: `bits` is an int64_t
    uint64_t bits;
    double real;
} dx_number;

static inline bool dx_number_is_whole(double value) {
    return value == floor(value); // infinities cannot be read
}

static inline dx_number dx_number_of(yyjson_val *value) {
    if (yyjson_is_real(value)) return (dx_number){.is_real = true, .real = yyjson_get_real(value)};
    if (yyjson_is_sint(value) && yyjson_get_sint(value) < 0) return (dx_number){.negative = true, .bits = (uint64_t)yyjson_get_sint(value)};
    return (dx_number){.bits = yyjson_get_uint(value)};
}

int dx_number_compare_slow(dx_number a, dx_number b);

// Negative, 0 or positive.
static inline int dx_number_compare(dx_number a, dx_number b) {
    if (a.is_real || b.is_real) return dx_number_compare_slow(a, b);
    if (a.negative != b.negative) return a.negative ? -1 : 1;
    return a.bits < b.bits ? -1 : a.bits > b.bits; // two's complement keeps the order among negatives
}

// `multipleOf`, prepared: its decimal digits as written, mantissa × 10^exponent.
typedef struct dx_multiple {
    bool whole; // an integer: `mantissa` is it
    uint64_t mantissa;
    int exponent;
    double power; // 10^-exponent when that is exact, else 0
} dx_multiple;

// False when `value` is not greater than 0.
bool dx_multiple_init(dx_multiple *multiple, yyjson_val *value);
// Whether `value` is a whole multiple, in decimal: 0.3 is a multiple of 0.1.
bool dx_multiple_divides(const dx_multiple *multiple, dx_number value);

#endif
