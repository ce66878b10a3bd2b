// Indented JSON with colours. Control characters that JSON would let through (DEL and those behind it) are escaped, since a terminal might
// obey them.
#include "cli/output_parts.h"

#define RESET "\033[0m"

typedef struct level {
    yyjson_val *at; // the next name or element
    size_t left;
    bool object, begun;
} level;

// A control character beyond ASCII: C2 80 to C2 9F; and DEL.
static size_t control_at(dx_slice text, size_t at) {
    unsigned char byte = (unsigned char)text.data[at], next = at + 1 < text.size ? (unsigned char)text.data[at + 1] : 0;
    return byte == 0x7f ? 1 : byte == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

static void write_string(dx_buffer *out, dx_slice text) {
    size_t start = out->size, size;
    dx_json_write_string(out, text);
    if (out->status != DX_OK) return;
    bool clean = true;
    for (size_t i = start; i < out->size && clean; i++) clean = !control_at(dx_slice_of(out->data, out->size), i);
    if (clean) return;
    out->size = start;
    dx_buffer_byte(out, '"');
    for (size_t run = 0, i = 0; i <= text.size && out->status == DX_OK; i += size) {
        size = i < text.size ? control_at(text, i) : 1;
        if (!size) {
            size = 1;
            continue;
        }
        size_t before = out->size;
        dx_json_write_string(out, dx_slice_of(text.data + run, i - run)); // its quotes are taken off again
        if (out->status != DX_OK) return;
        memmove(out->data + before, out->data + before + 1, out->size - before - 2);
        out->size -= 2;
        run = i + size;
        if (i < text.size) dx_buffer_printf(out, "\\u%04x", size == 1 ? 0x7fu : (unsigned char)text.data[i + 1]);
    }
    dx_buffer_byte(out, '"');
}

static const char *color_of(yyjson_val *value) {
    if (yyjson_is_str(value)) return "\033[32m";
    if (yyjson_is_num(value) || yyjson_is_raw(value)) return "\033[36m";
    return yyjson_is_bool(value) ? "\033[33m" : "\033[90m";
}

static void write_scalar(dx_buffer *out, yyjson_val *value, bool color) {
    bool plain = !color || yyjson_is_ctn(value); // an empty array or object
    if (!plain) dx_buffer_add(out, dx_slice_str(color_of(value)));
    if (yyjson_is_str(value))
        write_string(out, dx_json_slice(value));
    else
        dx_json_write_value(out, value);
    if (!plain) DX_BUFFER_LIT(out, RESET);
}

static void write_name(dx_buffer *out, yyjson_val *name, bool color) {
    if (color) DX_BUFFER_LIT(out, "\033[34m");
    write_string(out, dx_json_slice(name));
    if (color) DX_BUFFER_LIT(out, RESET);
    DX_BUFFER_LIT(out, ": ");
}

static void new_line(dx_buffer *out, size_t depth) {
    dx_buffer_byte(out, '\n');
    for (size_t i = 0; i < depth; i++) DX_BUFFER_LIT(out, "  ");
}

static yyjson_val *next_value(dx_buffer *out, level *around, size_t depth, bool color) {
    if (around->begun) dx_buffer_byte(out, ',');
    new_line(out, depth);
    around->begun = true;
    around->left--;
    if (around->object) write_name(out, around->at++, color);
    yyjson_val *value = around->at;
    around->at = unsafe_yyjson_get_next(value);
    return value;
}

void dx_output_json(dx_buffer *out, yyjson_val *value, bool color) {
    level levels[DX_JSON_DEPTH_MAX];
    size_t depth = 0;
    while (out->status == DX_OK) {
        if (yyjson_is_ctn(value) && unsafe_yyjson_get_len(value)) {
            if (depth == DX_JSON_DEPTH_MAX) {
                out->status = DX_TOO_LARGE;
                return;
            }
            levels[depth++] = (level){value + 1, unsafe_yyjson_get_len(value), yyjson_is_obj(value), false};
            dx_buffer_byte(out, yyjson_is_obj(value) ? '{' : '[');
        } else {
            write_scalar(out, value, color);
        }
        while (depth && levels[depth - 1].left == 0) {
            depth--;
            new_line(out, depth);
            dx_buffer_byte(out, levels[depth].object ? '}' : ']');
        }
        if (depth == 0) return;
        value = next_value(out, &levels[depth - 1], depth, color);
    }
}
