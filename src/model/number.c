// Comparing numbers of different kinds, and divisibility in decimal. A double stands for the shortest decimal that reads back as it,
// which is what its author wrote; that decimal's digits are divided, so no rounding can make 0.3 miss 0.1.
#include "model/number.h"

#include <stdio.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 signed_wide;

static signed_wide integer_of(dx_number number) {
    return number.negative ? (signed_wide)(int64_t)number.bits : (signed_wide)number.bits;
}

static int compare_integer_real(signed_wide integer, double real) {
    if (real >= 0x1p65) return -1;
    if (real <= -0x1p65) return 1;
    double whole = floor(real);
    signed_wide floor_value = (signed_wide)whole;
    if (integer != floor_value) return integer < floor_value ? -1 : 1;
    return real > whole ? -1 : 0;
}

int dx_number_compare_slow(dx_number a, dx_number b) {
    if (a.is_real && b.is_real) return a.real < b.real ? -1 : a.real > b.real;
    if (a.is_real) return -compare_integer_real(integer_of(b), a.real);
    return compare_integer_real(integer_of(a), b.real);
}

// The shortest decimal of a positive double: mantissa (17 digits at most) and exponent of ten, trailing zeros removed.
static void decimal_of(double value, uint64_t *mantissa, int *exponent) {
    char text[40];
    for (int digits = 14; digits <= 16; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    uint64_t digits = 0;
    int scale = 0;
    bool fraction = false;
    const char *at = text;
    for (; *at && *at != 'e'; at++) {
        if (*at < '0' || *at > '9') { // the decimal point, whatever the locale calls it
            fraction = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*at - '0');
        if (fraction) scale--;
    }
    if (*at == 'e') scale += (int)strtol(at + 1, NULL, 10);
    while (digits && digits % 10 == 0) digits /= 10, scale++;
    *mantissa = digits;
    *exponent = scale;
}

bool dx_multiple_init(dx_multiple *multiple, yyjson_val *value) {
    dx_number number = dx_number_of(value);
    if (number.is_real ? !(number.real > 0) : number.negative || !number.bits) return false;
    *multiple = (dx_multiple){.whole = !number.is_real, .mantissa = number.bits};
    if (!number.is_real) return true;
    decimal_of(number.real, &multiple->mantissa, &multiple->exponent);
    if (multiple->exponent < 0 && multiple->exponent >= -22) {
        multiple->power = 1;
        for (int i = multiple->exponent; i < 0; i++) multiple->power *= 10;
    }
    return true;
}

// Whether mantissa × 10^shift divides by `by`, shift of any sign.
static bool divides(uint64_t mantissa, int shift, uint64_t by) {
    if (shift >= 0) {
        wide rest = mantissa % by, power = 10 % by;
        for (unsigned left = (unsigned)shift; left; left >>= 1, power = power * power % by)
            if (left & 1) rest = rest * power % by;
        return rest == 0;
    }
    wide divisor = by;
    for (; shift < 0; shift++) {
        divisor *= 10;
        if (divisor > mantissa) return false; // mantissa is not 0
    }
    return mantissa % divisor == 0; // NOLINT(clang-analyzer-core.DivideZero): it grew from a number over 0
}

// The common case without text: `value` is the double nearest to steps × mantissa × 10^exponent, for few enough digits that only one
// decimal has that double as its nearest. Dividing two exact doubles rounds correctly, so the test is exact.
static bool divides_fast(const dx_multiple *multiple, double value) {
    if (multiple->power == 0) return false;
    double scaled = value * multiple->power;
    if (!(scaled < 1e15)) return false;
    uint64_t digits = (uint64_t)llround(scaled);
    return digits % multiple->mantissa == 0 && (double)digits / multiple->power == value;
}

bool dx_multiple_divides(const dx_multiple *multiple, dx_number value) {
    if (!value.is_real) {
        uint64_t magnitude = value.negative ? -value.bits : value.bits;
        if (multiple->whole) return magnitude % multiple->mantissa == 0;
        return magnitude == 0 || divides(magnitude, -multiple->exponent, multiple->mantissa);
    }
    double magnitude = fabs(value.real);
    if (magnitude == 0 || divides_fast(multiple, magnitude)) return true;
    uint64_t mantissa;
    int exponent;
    decimal_of(magnitude, &mantissa, &exponent);
    return divides(mantissa, exponent - multiple->exponent, multiple->mantissa);
}
