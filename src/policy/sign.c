// The canonical pieces of a request: query, path, fields.
#include "policy/sign.h"

#include <stdlib.h>

#include "codec/text.h"

typedef struct pair {
    dx_slice name, value;
} pair;

static int compare_pairs(const void *a, const void *b) {
    const pair *x = a, *y = b;
    int order = dx_slice_compare(x->name, y->name);
    return order ? order : dx_slice_compare(x->value, y->value);
}

// Decoded and encoded again, in the arena.
static dx_status recode(dx_slice *out, dx_arena *arena, dx_slice text) {
    dx_slice plain;
    dx_status status = dx_percent_decode(&plain, arena, text, false);
    if (status != DX_OK) return status;
    dx_buffer encoded;
    dx_buffer_init(&encoded, arena, DX_SIGN_INPUT_CAP);
    (void)dx_buffer_reserve(&encoded, plain.size);
    dx_percent_encode(&encoded, plain);
    *out = dx_buffer_slice(&encoded);
    return dx_buffer_status(&encoded);
}

static size_t count_pairs(dx_slice query) {
    size_t count = 1;
    for (size_t i = 0; i < query.size; i++) count += query.data[i] == '&';
    return count;
}

dx_status dx_sign_query(dx_buffer *out, dx_arena *arena, dx_slice query) {
    size_t count = 0, most = count_pairs(query);
    if (query.size == 0) return dx_buffer_status(out);
    if (most > DX_SIGN_PAIRS_CAP) return DX_TOO_LARGE;
    pair *pairs = DX_ARENA_ARRAY(arena, pair, most);
    if (!pairs) return DX_NO_MEMORY;
    while (query.data) {
        dx_slice value = dx_slice_cut(&query, '&');
        if (value.size == 0) continue;
        dx_slice name = dx_slice_cut(&value, '=');
        dx_status status = recode(&pairs[count].name, arena, name);
        if (status == DX_OK) status = recode(&pairs[count].value, arena, value);
        if (status != DX_OK) return status;
        count++;
    }
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if (i) dx_buffer_byte(out, '&');
        dx_buffer_add(out, pairs[i].name);
        dx_buffer_byte(out, '=');
        dx_buffer_add(out, pairs[i].value);
    }
    return dx_buffer_status(out);
}

dx_status dx_sign_path(dx_buffer *out, dx_arena *arena, dx_slice path) {
    if (path.size == 0) path = DX_SLICE("/");
    for (bool first = true; path.data; first = false) {
        dx_slice segment = dx_slice_cut(&path, '/'), again;
        dx_status status = recode(&again, arena, segment);
        if (status != DX_OK) return status;
        if (!first) dx_buffer_byte(out, '/');
        dx_buffer_add(out, again);
    }
    return dx_buffer_status(out);
}

static bool is_white(char byte) {
    return byte == ' ' || byte == '\t';
}

static dx_status add_value(dx_buffer *out, dx_slice value) {
    value = dx_slice_trim(value);
    for (size_t i = 0; i < value.size; i++) {
        char byte = value.data[i];
        if (byte == '\r' || byte == '\n' || byte == '\0') return DX_INVALID;
        if (is_white(byte)) {
            if (!is_white(value.data[i - 1])) dx_buffer_byte(out, ' '); // the first byte is none
        } else {
            dx_buffer_byte(out, byte);
        }
    }
    return dx_buffer_status(out);
}

dx_status dx_sign_field(dx_slice *out, dx_arena *arena, const dx_sign_request *request, dx_slice name) {
    dx_buffer buffer;
    bool found = false;
    dx_buffer_init(&buffer, arena, DX_SIGN_INPUT_CAP);
    *out = (dx_slice){NULL, 0};
    for (uint32_t i = 0; request->fields && i < request->fields->count; i++) {
        if (!dx_slice_equal_nocase(request->fields->items[i].name, name)) continue;
        if (found) dx_buffer_byte(&buffer, ',');
        found = true;
        dx_status status = add_value(&buffer, request->fields->items[i].value);
        if (status != DX_OK) return status;
    }
    if (!found && request->host.size && dx_slice_equal_nocase(name, DX_SLICE("host"))) {
        found = true;
        dx_status status = add_value(&buffer, request->host);
        if (status != DX_OK) return status;
    }
    if (found) *out = buffer.size ? dx_buffer_slice(&buffer) : DX_SLICE("");
    return dx_buffer_status(&buffer);
}

dx_slice dx_sign_lower(dx_arena *arena, dx_slice name) {
    char *text = dx_arena_bytes(arena, name.size + 1);
    if (!text) return (dx_slice){NULL, 0};
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        text[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
    }
    text[name.size] = 0;
    return dx_slice_of(text, name.size);
}
