// Reading Forwarded and X-Forwarded-For from their ends.
#include "codec/forwarded.h"

#define NAME_CAP 64u // of an obfuscated name

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_token_char(char c) {
    return is_digit(c) || is_alpha(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

// --- elements --------------------------------------------------------------------------------------------------------------

static bool is_escaped(dx_slice text, size_t at) {
    size_t slashes = 0;
    while (at > slashes && text.data[at - 1 - slashes] == '\\') slashes++;
    return slashes % 2 == 1;
}

// The place behind the last `byte` that is not in quotes, seen from the end; 0 without one.
static size_t behind_last(dx_slice text, char byte) {
    bool quoted = false;
    for (size_t at = text.size; at > 0; at--) {
        char c = text.data[at - 1];
        if (c == '"' && !(quoted && is_escaped(text, at - 1)))
            quoted = !quoted;
        else if (c == byte && !quoted)
            return at;
    }
    return 0;
}

bool dx_forwarded_last(dx_slice *list, dx_slice *element) {
    if (!list->data) return false;
    size_t at = behind_last(*list, ',');
    *element = dx_slice_trim(dx_slice_of(list->data + at, list->size - at));
    *list = at ? dx_slice_of(list->data, at - 1) : (dx_slice){NULL, 0};
    return true;
}

// --- one element -----------------------------------------------------------------------------------------------------------

static bool read_value(dx_slice text, dx_slice *out) {
    bool quoted = text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
    *out = quoted ? dx_slice_of(text.data + 1, text.size - 2) : text;
    if (out->size == 0) return false;
    for (size_t i = 0; i < out->size; i++) {
        char c = out->data[i];
        if (quoted ? c == '"' || c == '\\' || (unsigned char)c < 0x20 || c == 0x7f : !is_token_char(c)) return false;
    }
    return true;
}

// Values of parameters that do not matter here may hold escapes.
static bool is_value(dx_slice text) {
    dx_slice plain;
    if (read_value(text, &plain)) return true;
    if (text.size < 2 || text.data[0] != '"' || text.data[text.size - 1] != '"' || is_escaped(text, text.size - 1)) return false;
    for (size_t i = 1; i < text.size - 1; i++) {
        if (text.data[i] == '"' && !is_escaped(text, i)) return false;
    }
    return true;
}

static bool read_pair(dx_forwarded *out, dx_slice pair) {
    size_t equals = dx_slice_find(pair, '=');
    if (equals == SIZE_MAX || equals == 0) return false;
    dx_slice name = dx_slice_of(pair.data, equals), value = dx_slice_from(pair, equals + 1);
    for (size_t i = 0; i < name.size; i++) {
        if (!is_token_char(name.data[i])) return false;
    }
    dx_slice *to = dx_slice_equal_nocase(name, DX_SLICE("for"))     ? &out->node
                   : dx_slice_equal_nocase(name, DX_SLICE("proto")) ? &out->proto
                                                                    : NULL;
    if (!to) return is_value(value);
    return to->size == 0 && read_value(value, to);
}

bool dx_forwarded_read(dx_forwarded *out, dx_slice element) {
    *out = (dx_forwarded){0};
    if (element.size == 0) return false;
    while (element.data) {
        size_t at = behind_last(element, ';');
        dx_slice pair = dx_slice_trim(dx_slice_of(element.data + at, element.size - at));
        element = at ? dx_slice_of(element.data, at - 1) : (dx_slice){NULL, 0};
        if (pair.size && !read_pair(out, pair)) return false; // an empty one is allowed (section 4)
    }
    return true;
}

// --- nodes -----------------------------------------------------------------------------------------------------------------

static bool is_obfuscated(dx_slice text) {
    if (text.size < 2 || text.size > NAME_CAP || text.data[0] != '_') return false;
    for (size_t i = 1; i < text.size; i++) {
        char c = text.data[i];
        if (!is_digit(c) && !is_alpha(c) && c != '.' && c != '_' && c != '-') return false;
    }
    return true;
}

// Behind the colon: "4711" or "_hidden".
static bool read_port(dx_slice text, dx_slice *port) {
    uint64_t value;
    if (is_obfuscated(text)) return true;
    if (text.size == 0 || text.size > 5 || !dx_slice_to_u64(text, &value) || value > 65535) return false;
    *port = text;
    return true;
}

dx_node dx_forwarded_node(dx_slice node, bool bare, dx_slice *host, dx_slice *port) {
    *port = (dx_slice){NULL, 0};
    *host = node;
    size_t colon = SIZE_MAX;
    if (node.size && node.data[0] == '[') {
        size_t end = dx_slice_find(node, ']');
        if (end == SIZE_MAX || end < 3) return DX_NODE_MALFORMED;
        *host = dx_slice_of(node.data + 1, end - 1);
        dx_slice rest = dx_slice_from(node, end + 1);
        if (rest.size == 0) return DX_NODE_ADDRESS;
        return rest.data[0] == ':' && read_port(dx_slice_from(rest, 1), port) ? DX_NODE_ADDRESS : DX_NODE_MALFORMED;
    }
    colon = dx_slice_find(node, ':');
    if (colon != SIZE_MAX) {
        dx_slice rest = dx_slice_from(node, colon + 1);
        bool six = rest.data && dx_slice_find(rest, ':') != SIZE_MAX;
        if (six) return bare ? DX_NODE_ADDRESS : DX_NODE_MALFORMED;
        *host = dx_slice_of(node.data, colon);
        if (!read_port(rest, port)) return DX_NODE_MALFORMED;
    }
    if (host->size == 0) return DX_NODE_MALFORMED;
    if (dx_slice_equal_nocase(*host, DX_SLICE("unknown")) || is_obfuscated(*host)) return DX_NODE_HIDDEN;
    return DX_NODE_ADDRESS;
}
