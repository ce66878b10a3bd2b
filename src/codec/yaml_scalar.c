// Which plain scalars are null, booleans and numbers, and what number they are. Numbers are brought to JSON's form and read by yyjson, so
// that both notations read alike, to the last bit.
#include "codec/yaml_internal.h"

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static bool one_of(dx_slice text, const char *const *words) {
    for (; *words; words++)
        if (dx_slice_equal(text, dx_slice_str(*words))) return true;
    return false;
}

static size_t skip_digits(dx_slice text, size_t at) {
    while (at < text.size && is_digit(text.data[at])) at++;
    return at;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
static dx_yaml_kind decimal_kind(dx_slice text) {
    size_t at = text.data[0] == '-' || text.data[0] == '+', start = at;
    dx_yaml_kind kind = DX_YAML_INTEGER;
    at = skip_digits(text, at);
    size_t whole = at - start, part = 0;
    if (at < text.size && text.data[at] == '.') {
        kind = DX_YAML_REAL;
        size_t dot = at++;
        at = skip_digits(text, at);
        part = at - dot - 1;
    }
    if (whole + part == 0) return DX_YAML_STRING;
    if (at < text.size && (text.data[at] | 0x20) == 'e') {
        kind = DX_YAML_REAL;
        at++;
        if (at < text.size && (text.data[at] == '-' || text.data[at] == '+')) at++;
        size_t exponent = at;
        at = skip_digits(text, at);
        if (at == exponent) return DX_YAML_STRING;
    }
    return at == text.size ? kind : DX_YAML_STRING;
}

static bool all_of(dx_slice text, bool octal) {
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i], lower = (char)(byte | 0x20);
        if (octal ? byte < '0' || byte > '7' : !is_digit(byte) && (lower < 'a' || lower > 'f')) return false;
    }
    return text.size > 0;
}

static bool is_not_finite(dx_slice text) {
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL}, *const inf[] = {".inf", ".Inf", ".INF", NULL};
    if (one_of(text, nan)) return true;
    if (text.data[0] == '-' || text.data[0] == '+') text = dx_slice_from(text, 1);
    return one_of(text, inf);
}

dx_yaml_kind dx_yaml_kind_of(dx_slice plain) {
    static const char *const nulls[] = {"null", "Null", "NULL", "~", NULL}, *const trues[] = {"true", "True", "TRUE", NULL},
                             *const falses[] = {"false", "False", "FALSE", NULL};
    if (plain.size == 0) return DX_YAML_NULL;
    char first = plain.data[0];
    if (is_digit(first) || first == '-' || first == '+' || first == '.') {
        if (dx_slice_starts(plain, DX_SLICE("0o")) && all_of(dx_slice_from(plain, 2), true)) return DX_YAML_OCTAL;
        if (dx_slice_starts(plain, DX_SLICE("0x")) && all_of(dx_slice_from(plain, 2), false)) return DX_YAML_HEXADECIMAL;
        return is_not_finite(plain) ? DX_YAML_NOT_FINITE : decimal_kind(plain);
    }
    if (one_of(plain, nulls)) return DX_YAML_NULL;
    return one_of(plain, trues) ? DX_YAML_TRUE : one_of(plain, falses) ? DX_YAML_FALSE : DX_YAML_STRING;
}

static dx_status read_power_of_two(yyjson_val *out, dx_slice digits, unsigned bits) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size; i++) {
        char byte = digits.data[i];
        if (value >> (64 - bits)) return DX_INVALID;
        value = value << bits | (uint64_t)(is_digit(byte) ? byte - '0' : (byte | 0x20) - 'a' + 10);
    }
    unsafe_yyjson_set_uint(out, value);
    return DX_OK;
}

// JSON wants a digit on both sides of a point, no plus sign and no zeros in front.
static dx_slice as_json(dx_arena *arena, dx_slice text) {
    dx_buffer json;
    dx_buffer_init(&json, arena, text.size + 4);
    size_t at = 0;
    if (text.data[0] == '-') dx_buffer_byte(&json, '-');
    if (text.data[0] == '-' || text.data[0] == '+') at++;
    while (at + 1 < text.size && text.data[at] == '0' && is_digit(text.data[at + 1])) at++;
    if (text.data[at] == '.') dx_buffer_byte(&json, '0');
    for (; at < text.size; at++) {
        dx_buffer_byte(&json, text.data[at]);
        if (text.data[at] == '.' && (at + 1 == text.size || !is_digit(text.data[at + 1]))) dx_buffer_byte(&json, '0');
    }
    dx_buffer_byte(&json, '\0');
    return dx_buffer_status(&json) == DX_OK ? dx_buffer_slice(&json) : (dx_slice){NULL, 0};
}

dx_status dx_yaml_number(yyjson_val *out, dx_arena *arena, dx_yaml_kind kind, dx_slice text) {
    if (kind == DX_YAML_OCTAL) return read_power_of_two(out, dx_slice_from(text, 2), 3);
    if (kind == DX_YAML_HEXADECIMAL) return read_power_of_two(out, dx_slice_from(text, 2), 4);
    dx_slice json = as_json(arena, text);
    if (!json.data) return DX_NO_MEMORY;
    yyjson_alc alc = dx_json_alc(arena);
    yyjson_read_err error = {0};
    if (yyjson_read_number(json.data, out, YYJSON_READ_NOFLAG, &alc, &error)) return DX_OK;
    return error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? DX_NO_MEMORY : DX_INVALID;
}
