// The canonical form of JSON (RFC 8785, JCS), so that two ends that write the same value differently still sign the same bytes: no white
// space, members in the order of their names' UTF-16 code units, numbers and strings as ECMAScript writes them. What a double can't hold is
// refused, not rounded: two bodies that differ must never have one form.
#include <stdlib.h>

#include "codec/json_internal.h"

// Where U+D800 to U+DFFF would stand in UTF-16, the characters past U+FFFF stand: behind U+D7FF (lead byte ED), before U+E000 (lead EE).
static unsigned utf16_rank(unsigned char byte) {
    return byte == 0xee || byte == 0xef ? byte + 0x10u : byte;
}

static int compare_names(dx_slice a, dx_slice b) {
    size_t shorter = a.size < b.size ? a.size : b.size;
    for (size_t i = 0; i < shorter; i++) {
        unsigned char x = (unsigned char)a.data[i], y = (unsigned char)b.data[i];
        if (x != y) return utf16_rank(x) < utf16_rank(y) ? -1 : 1;
    }
    return (a.size > b.size) - (a.size < b.size);
}

static int compare_members(const void *a, const void *b) {
    return compare_names(dx_json_slice(*(yyjson_val *const *)a), dx_json_slice(*(yyjson_val *const *)b));
}

// --- numbers -----------------------------------------------------------------------------------------------------------------

#define DIGITS_CAP 24

// The shortest digits that read back the same, and where the point stands behind them: value = 0.DIGITS * 10^point.
typedef struct decimal {
    char digits[DIGITS_CAP];
    int count, point;
} decimal;

// Takes apart what dx_json_write_number has written: [digits][.digits][e[+-]digits].
static decimal take_apart(dx_slice text) {
    decimal out = {.point = 0};
    bool behind = false;
    size_t at = 0;
    for (; at < text.size && text.data[at] != 'e' && text.data[at] != 'E'; at++) {
        char byte = text.data[at];
        if (byte == '.') {
            behind = true;
        } else if (byte == '0' && out.count == 0) {
            out.point -= behind; // a leading zero has no place but behind the point
        } else {
            if (out.count < DIGITS_CAP) out.digits[out.count++] = byte;
            out.point += !behind;
        }
    }
    int64_t exponent = 0;
    dx_slice rest = dx_slice_from(text, at + 1);
    if (rest.size && rest.data[0] == '+') rest = dx_slice_from(rest, 1);
    if (dx_slice_to_i64(rest, &exponent)) out.point += (int)exponent;
    while (out.count && out.digits[out.count - 1] == '0') out.count--;
    return out;
}

static void add_zeros(dx_buffer *buffer, int count) {
    for (int i = 0; i < count; i++) dx_buffer_byte(buffer, '0');
}

// ECMA-262, Number::toString: plain from 1e-6 to below 1e21, with an exponent elsewhere.
static void put_together(dx_buffer *buffer, const decimal *number) {
    int count = number->count, point = number->point;
    if (point > 21 || point < -5) {
        dx_buffer_byte(buffer, number->digits[0]);
        if (count > 1) dx_buffer_byte(buffer, '.');
        dx_buffer_append(buffer, number->digits + 1, (size_t)count - 1);
        DX_BUFFER_LIT(buffer, "e");
        if (point > 0) dx_buffer_byte(buffer, '+');
        dx_buffer_i64(buffer, point - 1);
    } else if (point <= 0) {
        DX_BUFFER_LIT(buffer, "0.");
        add_zeros(buffer, -point);
        dx_buffer_append(buffer, number->digits, (size_t)count);
    } else if (point >= count) {
        dx_buffer_append(buffer, number->digits, (size_t)count);
        add_zeros(buffer, point - count);
    } else {
        dx_buffer_append(buffer, number->digits, (size_t)point);
        dx_buffer_byte(buffer, '.');
        dx_buffer_append(buffer, number->digits + point, (size_t)(count - point));
    }
}

static dx_status write_double(dx_buffer *buffer, dx_arena *scratch, double value) {
    if (value != value || value - value != 0) return DX_INVALID; // NaN and infinities (section 3.2.2.3)
    if (value == 0) {
        dx_buffer_byte(buffer, '0'); // -0 too
        return DX_OK;
    }
    if (value < 0) dx_buffer_byte(buffer, '-');
    dx_buffer text;
    dx_buffer_init(&text, scratch, 64);
    dx_json_write_number(&text, value < 0 ? -value : value);
    if (dx_buffer_status(&text) != DX_OK) return dx_buffer_status(&text);
    const decimal number = take_apart(dx_buffer_slice(&text));
    put_together(buffer, &number);
    return DX_OK;
}

static const uint64_t EXACT = (uint64_t)1 << 53; // below it every integer is a double

static dx_status write_integer(dx_buffer *buffer, dx_arena *scratch, uint64_t magnitude, bool negative) {
    if (magnitude >= EXACT) {
        // The lowest bit set must not lie below the 53 that a double has.
        int bits = 64 - __builtin_clzll(magnitude);
        if (bits - __builtin_ctzll(magnitude) > 53) return DX_INVALID;
        double value = (double)magnitude;
        return write_double(buffer, scratch, negative ? -value : value);
    }
    if (negative) dx_buffer_byte(buffer, '-');
    dx_buffer_u64(buffer, magnitude);
    return DX_OK;
}

static dx_status write_any_number(dx_buffer *buffer, dx_arena *scratch, yyjson_val *value) {
    if (yyjson_is_real(value)) return write_double(buffer, scratch, unsafe_yyjson_get_real(value));
    if (yyjson_is_uint(value)) return write_integer(buffer, scratch, unsafe_yyjson_get_uint(value), false);
    int64_t integer = unsafe_yyjson_get_sint(value);
    return write_integer(buffer, scratch, integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer, integer < 0);
}

// --- trees -------------------------------------------------------------------------------------------------------------------

static dx_status write_canonical(dx_buffer *buffer, dx_arena *scratch, yyjson_val *value, size_t depth);

static dx_status write_array(dx_buffer *buffer, dx_arena *scratch, yyjson_val *array, size_t depth) {
    size_t at, count;
    yyjson_val *item;
    dx_buffer_byte(buffer, '[');
    yyjson_arr_foreach(array, at, count, item) {
        if (at) dx_buffer_byte(buffer, ',');
        dx_status status = write_canonical(buffer, scratch, item, depth + 1);
        if (status != DX_OK) return status;
    }
    dx_buffer_byte(buffer, ']');
    return DX_OK;
}

static dx_status write_object(dx_buffer *buffer, dx_arena *scratch, yyjson_val *object, size_t depth) {
    size_t at, count = unsafe_yyjson_get_len(object), seen;
    yyjson_val *name, *value;
    yyjson_val **names = DX_ARENA_ARRAY(scratch, yyjson_val *, count + 1);
    if (!names) return DX_NO_MEMORY;
    yyjson_obj_foreach(object, at, seen, name, value) names[at] = name;
    qsort(names, count, sizeof *names, compare_members);
    dx_buffer_byte(buffer, '{');
    for (at = 0; at < count; at++) {
        if (at && compare_members(&names[at - 1], &names[at]) == 0) return DX_INVALID;
        if (at) dx_buffer_byte(buffer, ',');
        dx_json_write_string(buffer, dx_json_slice(names[at]));
        dx_buffer_byte(buffer, ':');
        dx_status status = write_canonical(buffer, scratch, names[at] + 1, depth + 1);
        if (status != DX_OK) return status;
    }
    dx_buffer_byte(buffer, '}');
    return DX_OK;
}

static dx_status write_canonical(dx_buffer *buffer, dx_arena *scratch, yyjson_val *value, size_t depth) {
    if (dx_buffer_status(buffer) != DX_OK) return dx_buffer_status(buffer);
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NUM:
        return write_any_number(buffer, scratch, value);
    case YYJSON_TYPE_ARR:
        return depth < DX_JSON_DEPTH_CAP ? write_array(buffer, scratch, value, depth) : DX_TOO_LARGE;
    case YYJSON_TYPE_OBJ:
        return depth < DX_JSON_DEPTH_CAP ? write_object(buffer, scratch, value, depth) : DX_TOO_LARGE;
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NONE:
        return DX_INVALID;
    default:
        dx_json_write_value(buffer, value);
        return DX_OK;
    }
}

dx_status dx_json_write_canonical(dx_buffer *buffer, dx_arena *scratch, yyjson_val *value) {
    dx_status status = write_canonical(buffer, scratch, value, 0);
    return status == DX_OK ? dx_buffer_status(buffer) : status;
}
