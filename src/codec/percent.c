// Percent-encoding and the forms made of it.
#include "codec/text.h"

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool plain(dx_slice text, bool plus_is_space) {
    return dx_slice_find(text, '%') == SIZE_MAX && !(plus_is_space && dx_slice_find(text, '+') != SIZE_MAX);
}

dx_status dx_percent_decode(dx_slice *out, dx_arena *arena, dx_slice text, bool plus_is_space) {
    *out = text;
    if (plain(text, plus_is_space)) return DX_OK;
    char *to = dx_arena_bytes(arena, text.size);
    if (to == NULL) return DX_NO_MEMORY;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            if (text.size - i < 3) return DX_BAD_REQUEST;
            int high = digit(text.data[i + 1]), low = digit(text.data[i + 2]);
            if (high < 0 || low < 0) return DX_BAD_REQUEST;
            byte = (char)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        to[size++] = byte;
    }
    *out = dx_slice_of(to, size);
    return DX_OK;
}

static bool unreserved(char byte) {
    char lower = (char)(byte | 0x20);
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

void dx_percent_encode(dx_buffer *buffer, dx_slice text) {
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (unreserved(text.data[i])) {
            dx_buffer_byte(buffer, text.data[i]);
        } else {
            dx_buffer_append(buffer, (char[]){'%', HEX[byte >> 4], HEX[byte & 15]}, 3);
        }
    }
}

bool dx_form_next(dx_slice *rest, dx_arena *arena, dx_slice *name, dx_slice *value, dx_status *status) {
    *status = DX_OK;
    dx_slice pair = {NULL, 0};
    while (rest->data && pair.size == 0) pair = dx_slice_cut(rest, '&'); // "a&&b" has two pairs
    if (pair.size == 0) return false;
    dx_slice raw_name = dx_slice_cut(&pair, '=');
    *status = dx_percent_decode(name, arena, raw_name, true);
    if (*status == DX_OK) *status = dx_percent_decode(value, arena, pair, true);
    return *status == DX_OK;
}
