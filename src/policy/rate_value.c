// Single values of rate limit fields: counts, and times in all their forms.
#include "base/compiler.h"
#include "codec/text.h"
#include "policy/rate_parts.h"

enum { DIGITS_CAP = 15 }; // of a whole number: holds all of the rules, and microseconds of it fit

static const int64_t SECOND = 1000000; // in microseconds
static const int64_t EPOCH_MILLIS_FROM = 100000000000, EPOCH_SECONDS_FROM = 1000000000, MILLIS_FROM = 2678401;

bool dx_rate_count_read(uint64_t *out, dx_slice text) {
    return text.size > 0 && text.data[0] >= '0' && text.data[0] <= '9' && dx_slice_to_u64(text, out);
}

dx_slice dx_rate_cut(dx_slice *rest, char byte) {
    dx_slice all = *rest;
    bool quoted = false;
    for (size_t i = 0; i < all.size; i++) {
        if (quoted && all.data[i] == '\\') {
            i++;
        } else if (all.data[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && all.data[i] == byte) {
            *rest = dx_slice_of(all.data + i + 1, all.size - i - 1);
            return dx_slice_trim(dx_slice_of(all.data, i));
        }
    }
    *rest = (dx_slice){NULL, 0};
    return dx_slice_trim(all);
}

// "12" or "12.345" at the head of `*rest`: the whole part, and millionths.
static bool take_number(dx_slice *rest, int64_t *whole, int64_t *millionths) {
    size_t at = 0, digits = 0;
    *whole = *millionths = 0;
    for (; at < rest->size && rest->data[at] >= '0' && rest->data[at] <= '9'; at++, digits++) {
        if (digits == DIGITS_CAP) return false;
        *whole = *whole * 10 + (rest->data[at] - '0');
    }
    if (digits == 0) return false;
    if (at < rest->size && rest->data[at] == '.') {
        int64_t place = 100000;
        for (digits = 0, at++; at < rest->size && rest->data[at] >= '0' && rest->data[at] <= '9'; at++, digits++, place /= 10) {
            *millionths += (rest->data[at] - '0') * place;
        }
        if (digits == 0) return false;
    }
    *rest = dx_slice_from(*rest, at);
    return true;
}

// What is behind a number: its length in microseconds, or 0.
static int64_t take_unit(dx_slice *rest) {
    static const struct {
        dx_slice name;
        int64_t micros;
    } UNITS[] = {{DX_SLICE_INIT("ms"), 1000},
                 {DX_SLICE_INIT("us"), 1},
                 {DX_SLICE_INIT("h"), 3600000000},
                 {DX_SLICE_INIT("m"), 60000000},
                 {DX_SLICE_INIT("s"), 1000000}};
    for (size_t i = 0; i < DX_COUNT_OF(UNITS); i++) {
        if (!dx_slice_starts(*rest, UNITS[i].name)) continue;
        *rest = dx_slice_from(*rest, UNITS[i].name.size);
        return UNITS[i].micros;
    }
    return 0;
}

// A number of units of so many microseconds; false when it is over the cap.
static bool times(int64_t *out, int64_t whole, int64_t millionths, int64_t micros) {
    int64_t product;
    if (__builtin_mul_overflow(whole, micros, &product)) return false;
    int64_t part = (int64_t)((__int128)millionths * micros / SECOND);
    return !__builtin_add_overflow(product, part, out);
}

// "1m30.5s": numbers, each with its unit.
static bool read_with_units(int64_t *out, dx_slice text) {
    int64_t sum = 0, whole, millionths, part;
    for (bool first = true; first || text.size; first = false) {
        if (!take_number(&text, &whole, &millionths)) return false;
        int64_t unit = take_unit(&text);
        if (unit == 0 || !times(&part, whole, millionths, unit) || __builtin_add_overflow(sum, part, &sum)) return false;
    }
    *out = sum;
    return true;
}

static bool read_bare_number(int64_t *out, dx_slice text, dx_rate_unit unit, const dx_rate_clock *clock) {
    int64_t whole, millionths, time;
    if (!take_number(&text, &whole, &millionths) || text.size) return false;
    if (whole >= EPOCH_SECONDS_FROM) {
        if (!times(&time, whole, millionths, whole >= EPOCH_MILLIS_FROM ? 1000 : SECOND)) return false;
        return !__builtin_sub_overflow(time, clock->server, out);
    }
    bool millis = unit == DX_RATE_MILLISECONDS || (unit == DX_RATE_ANY_UNIT && whole >= MILLIS_FROM);
    return times(out, whole, millionths, millis ? 1000 : SECOND);
}

bool dx_rate_wait_read(int64_t *out, dx_slice text, dx_rate_unit unit, const dx_rate_clock *clock) {
    dx_micros_utc time;
    if (dx_time_read(text, &time) || dx_http_date_read(text, &time)) {
        if (__builtin_sub_overflow(time, clock->server, out)) return false;
    } else if (!read_bare_number(out, text, unit, clock) && !read_with_units(out, text)) {
        return false;
    }
    return *out <= DX_RATE_WAIT_CAP;
}
