// From a JSON pointer to a line and column: runs over the text once more, skipping what the pointer does not name. Used for messages
// only. It trusts nothing about the text: whatever is not JSON ends the search.
#include "codec/json_internal.h"

struct scan {
    const char *at, *end;
};

static void skip_space(struct scan *scan) {
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r')) scan->at++;
}

static bool take(struct scan *scan, char byte) {
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != byte) return false;
    scan->at++;
    return true;
}

// A string as it is written, without its quotes.
static bool take_string(struct scan *scan, dx_slice *raw) {
    if (!take(scan, '"')) return false;
    const char *start = scan->at;
    while (scan->at < scan->end && *scan->at != '"') scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
    if (scan->at >= scan->end) return false;
    *raw = dx_slice_of(start, (size_t)(scan->at - start));
    scan->at++;
    return true;
}

static bool ends_scalar(char byte) {
    static const char ENDS[] = {' ', '\t', '\r', '\n', ',', ':', ']', '}', '"', '[', '{'};
    return memchr(ENDS, byte, sizeof ENDS) != NULL;
}

static bool skip_value(struct scan *scan) {
    size_t depth = 0;
    do {
        skip_space(scan);
        if (scan->at == scan->end) return false;
        char byte = *scan->at;
        dx_slice raw;
        if (byte == '"') {
            if (!take_string(scan, &raw)) return false;
        } else if (byte == '{' || byte == '[') {
            depth++, scan->at++;
        } else if (byte == '}' || byte == ']') {
            if (depth == 0) return false;
            depth--, scan->at++;
        } else if (byte == ',' || byte == ':') {
            if (depth == 0) return false;
            scan->at++;
        } else {
            while (scan->at < scan->end && !ends_scalar(*scan->at)) scan->at++;
        }
    } while (depth);
    return true;
}

static unsigned hex_digit(char byte) {
    return byte <= '9' ? (unsigned)(byte - '0') : (unsigned)((byte | 0x20) - 'a' + 10);
}

static bool four_hex(dx_slice raw, size_t at, uint32_t *unit) {
    if (raw.size < 4 || at > raw.size - 4) return false;
    *unit = 0;
    for (size_t i = at; i < at + 4; i++) {
        if (memchr("0123456789abcdefABCDEF", raw.data[i], 22) == NULL) return false;
        *unit = *unit << 4 | hex_digit(raw.data[i]);
    }
    return true;
}

static size_t encode(uint32_t point, char out[4]) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)((0xf00 >> size & 0xf0) | point);
    return size;
}

// Takes one character of a raw string at `*at`: its bytes into `out`, their number returned; 0 when the escape is broken.
static size_t next_character(dx_slice raw, size_t *at, char out[4]) {
    if (raw.data[*at] != '\\') {
        out[0] = raw.data[(*at)++];
        return 1;
    }
    if (*at + 1 >= raw.size) return 0;
    static const char NAMES[] = "\"\\/bfnrt", BYTES[] = "\"\\/\b\f\n\r\t";
    char letter = raw.data[*at + 1];
    *at += 2;
    if (letter != 'u') {
        const char *name = letter ? strchr(NAMES, letter) : NULL;
        if (name) out[0] = BYTES[name - NAMES];
        return name ? 1 : 0;
    }
    uint32_t unit, low;
    if (!four_hex(raw, *at, &unit)) return 0;
    *at += 4;
    bool high = unit >= 0xd800 && unit < 0xdc00;
    if (high && raw.size - *at >= 6 && raw.data[*at] == '\\' && raw.data[*at + 1] == 'u' && four_hex(raw, *at + 2, &low)) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    }
    return encode(unit, out);
}

// Takes one byte of a pointer's token at `*at`, "~0" and "~1" read as what they stand for.
static char next_token_byte(dx_slice token, size_t *at) {
    char byte = token.data[(*at)++];
    if (byte != '~' || *at == token.size) return byte;
    return token.data[(*at)++] == '1' ? '/' : '~';
}

static bool names(dx_slice raw, dx_slice token) {
    size_t at = 0, token_at = 0;
    while (at < raw.size) {
        char bytes[4];
        size_t size = next_character(raw, &at, bytes);
        if (size == 0) return false;
        for (size_t i = 0; i < size; i++) {
            if (token_at == token.size || next_token_byte(token, &token_at) != bytes[i]) return false;
        }
    }
    return token_at == token.size;
}

// Moves to the value of the member that `token` names; `*name_at` tells where its name starts.
static bool enter_member(struct scan *at, dx_slice token, bool last, const char **name_at) {
    bool found = false;
    struct scan value = *at;
    do {
        dx_slice raw;
        skip_space(at);
        const char *start = at->at;
        if (!take_string(at, &raw) || !take(at, ':')) break;
        if (names(raw, token)) {
            found = true;
            *name_at = start;
            value = *at;
            if (!last) break;
        }
    } while (skip_value(at) && take(at, ','));
    *at = value;
    return found;
}

static bool enter_item(struct scan *scan, dx_slice token) {
    uint64_t index;
    if (!dx_slice_to_u64(token, &index) || index > (uint64_t)(scan->end - scan->at)) return false;
    while (index--) {
        if (!skip_value(scan) || !take(scan, ',')) return false;
    }
    return true;
}

bool dx_json_find(dx_slice text, dx_slice pointer, dx_json_place place, size_t *offset) {
    if (text.size == 0) return false;
    struct scan scan = {text.data, text.data + text.size};
    const char *name_at = NULL;
    if (pointer.size && pointer.data[0] != '/') return false;
    dx_slice rest = {pointer.size ? pointer.data + 1 : NULL, pointer.size ? pointer.size - 1 : 0};
    while (rest.data) {
        dx_slice token = dx_slice_cut(&rest, '/');
        name_at = NULL;
        if (take(&scan, '{')) {
            if (!enter_member(&scan, token, place == DX_JSON_AT_LAST_NAME && rest.data == NULL, &name_at)) return false;
        } else if (!take(&scan, '[') || !enter_item(&scan, token)) {
            return false;
        }
    }
    skip_space(&scan);
    if (scan.at == scan.end || memchr("]},:", *scan.at, 4)) return false;
    const char *found = place != DX_JSON_AT_VALUE && name_at ? name_at : scan.at;
    *offset = (size_t)(found - text.data);
    return true;
}

void dx_json_line_column(dx_slice text, size_t offset, uint32_t *line, uint32_t *column) {
    size_t start = 0;
    *line = 1;
    if (offset > text.size) offset = text.size;
    for (size_t i = 0; i < offset; i++) {
        if (text.data[i] != '\n') continue;
        start = i + 1;
        ++*line;
    }
    *column = (uint32_t)(offset - start + 1);
}

bool dx_json_locate(dx_slice text, dx_slice pointer, bool at_name, uint32_t *line, uint32_t *column) {
    size_t offset;
    if (!dx_json_find(text, pointer, at_name ? DX_JSON_AT_NAME : DX_JSON_AT_VALUE, &offset)) return false;
    dx_json_line_column(text, offset, line, column);
    return true;
}
