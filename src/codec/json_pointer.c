// JSON pointers (RFC 6901) over what has been read, and the making of them.
#include "codec/json_internal.h"

yyjson_val *dx_json_at(yyjson_val *root, dx_slice pointer) {
    return pointer.size ? yyjson_ptr_getn(root, pointer.data, pointer.size) : root;
}

void dx_json_pointer_escape(dx_buffer *buffer, dx_slice token) {
    size_t start = 0;
    for (size_t i = 0; i < token.size; i++) {
        char byte = token.data[i];
        if (byte != '~' && byte != '/') continue;
        dx_buffer_append(buffer, token.data + start, i - start);
        dx_buffer_append(buffer, byte == '~' ? "~0" : "~1", 2);
        start = i + 1;
    }
    if (start < token.size) dx_buffer_append(buffer, token.data + start, token.size - start);
}

dx_slice dx_json_pointer_join(dx_arena *arena, dx_slice base, dx_slice token) {
    size_t escapes = 0;
    for (size_t i = 0; i < token.size; i++) escapes += token.data[i] == '~' || token.data[i] == '/';
    size_t size = base.size + 1 + token.size + escapes;
    char *text = dx_arena_bytes(arena, size + 1);
    if (text == NULL) return (dx_slice){NULL, 0};
    if (base.size) memcpy(text, base.data, base.size);
    char *at = text + base.size;
    *at++ = '/';
    for (size_t i = 0; i < token.size; i++) {
        char byte = token.data[i];
        bool escaped = byte == '~' || byte == '/';
        *at++ = escaped ? '~' : byte;
        if (escaped) *at++ = byte == '~' ? '0' : '1';
    }
    *at = '\0';
    return dx_slice_of(text, size);
}

dx_slice dx_json_pointer_index(dx_arena *arena, dx_slice base, size_t index) {
    char digits[20], *start = digits + sizeof digits;
    do *--start = (char)('0' + index % 10);
    while (index /= 10);
    return dx_json_pointer_join(arena, base, dx_slice_of(start, (size_t)(digits + sizeof digits - start)));
}
