// Writing JSON straight into a buffer. Strings are copied in runs: eight bytes at a time while nothing in them needs escaping. Trees are
// written without recursion, one loop for yyjson's two kinds of value, whose heads (tag and payload) are laid out alike.
#include <math.h>

#include "base/utf8.h"
#include "codec/json_internal.h"

// What a byte of a string asks for: 0 copy, 1 look at the UTF-8 sequence, 'u' a \u00XX escape, else the letter of its short escape.
static const char ESCAPE[256] = {
    'u',         'u',           'u',
    'u',         'u',           'u',
    'u',         'u',           'b',
    't',         'n',           'u',
    'f',         'r',           'u',
    'u', //
    'u',         'u',           'u',
    'u',         'u',           'u',
    'u',         'u',           'u',
    'u',         'u',           'u',
    'u',         'u',           'u',
    'u', //
    ['"'] = '"', ['\\'] = '\\', [0x80 ... 0xff] = 1,
};

#define EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

// Whether one of eight bytes is a control character, a quote, a backslash or not ASCII.
static inline bool needs_look(uint64_t word) {
    uint64_t quote = word ^ EACH('"'), backslash = word ^ EACH('\\');
    uint64_t found = (word - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1)) | word;
    return (found & EACH(0x80)) != 0;
}

static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end) {
    for (uint64_t word; end - at >= 8; at += 8) {
        memcpy(&word, at, sizeof word);
        if (needs_look(word)) break;
    }
    while (at < end && ESCAPE[*at] == 0) at++;
    return at;
}

static DX_COLD void write_escape(dx_buffer *buffer, unsigned char byte) {
    static const char HEX[] = "0123456789abcdef";
    char letter = ESCAPE[byte];
    if (letter == 1) {
        DX_BUFFER_LIT(buffer, "\xef\xbf\xbd"); // U+FFFD for a byte that is no UTF-8
    } else if (letter == 'u') {
        dx_buffer_append(buffer, (char[]){'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15]}, 6);
    } else {
        dx_buffer_append(buffer, (char[]){'\\', letter}, 2);
    }
}

// From `at`, where something is to be looked at: past all well-formed sequences and plain bytes.
static const unsigned char *skip_clean(const unsigned char *at, const unsigned char *end) {
    while (at < end && ESCAPE[*at] <= 1) {
        size_t size = dx_utf8_sequence(at, (size_t)(end - at));
        if (size == 0) break;
        at = skip_plain(at + size, end);
    }
    return at;
}

void dx_json_write_string(dx_buffer *buffer, dx_slice utf8) {
    if (utf8.size == 0) utf8.data = "";
    const unsigned char *run = (const unsigned char *)utf8.data, *end = run + utf8.size;
    const unsigned char *at = skip_plain(run, end);
    char *to = dx_buffer_reserve(buffer, utf8.size + 2);
    if (DX_UNLIKELY(to == NULL)) return;
    if (DX_LIKELY(at == end)) {
        to[0] = '"';
        memcpy(to + 1, run, utf8.size);
        to[utf8.size + 1] = '"';
        buffer->size += utf8.size + 2;
        return;
    }
    dx_buffer_byte(buffer, '"');
    while (run < end) {
        at = skip_clean(at, end);
        dx_buffer_append(buffer, run, (size_t)(at - run));
        if (at == end) break;
        write_escape(buffer, *at);
        run = ++at;
        at = skip_plain(at, end);
    }
    dx_buffer_byte(buffer, '"');
}

// yyjson's number writer asks for its memory once; it is given the room in the buffer.
static void *give_room(void *ctx, size_t size) {
    dx_buffer *buffer = ctx;
    return dx_buffer_reserve(buffer, size);
}

static void *give_no_more(void *ctx, void *piece, size_t old_size, size_t size) {
    (void)ctx;
    (void)old_size;
    (void)size;
    return piece && size <= old_size ? piece : NULL;
}

static void keep_room(void *ctx, void *piece) {
    (void)ctx;
    (void)piece;
}

static void write_real(dx_buffer *buffer, double value) {
    yyjson_alc alc = {give_room, give_no_more, keep_room, buffer};
    yyjson_val number = {0};
    unsafe_yyjson_set_real(&number, value);
    size_t size = 0;
    char *text = yyjson_val_write_opts(&number, YYJSON_WRITE_NOFLAG, &alc, &size, NULL);
    if (text) {
        buffer->size += size;
    } else if (buffer->status == DX_OK) {
        buffer->status = DX_NO_MEMORY;
    }
}

void dx_json_write_number(dx_buffer *buffer, double value) {
    static const double EXACT = 9007199254740992.0; // 2^53: integers below it are exact
    if (DX_LIKELY(value > -EXACT && value < EXACT)) {
        int64_t integer = (int64_t)value;
        if ((double)integer == value && !(integer == 0 && signbit(value))) {
            dx_buffer_i64(buffer, integer);
            return;
        }
    } else if (!isfinite(value)) {
        DX_BUFFER_LIT(buffer, "null");
        return;
    }
    write_real(buffer, value);
}

static void write_scalar(dx_buffer *buffer, const void *value) {
    void *val = (void *)value; // yyjson's accessors take no const
    switch (unsafe_yyjson_get_type(val)) {
    case YYJSON_TYPE_BOOL:
        dx_buffer_add(buffer, unsafe_yyjson_get_bool(val) ? DX_SLICE("true") : DX_SLICE("false"));
        return;
    case YYJSON_TYPE_STR:
        dx_json_write_string(buffer, dx_slice_of(unsafe_yyjson_get_str(val), unsafe_yyjson_get_len(val)));
        return;
    case YYJSON_TYPE_RAW:
        dx_buffer_append(buffer, unsafe_yyjson_get_raw(val), unsafe_yyjson_get_len(val));
        return;
    case YYJSON_TYPE_ARR:
        DX_BUFFER_LIT(buffer, "[]");
        return;
    case YYJSON_TYPE_OBJ:
        DX_BUFFER_LIT(buffer, "{}");
        return;
    case YYJSON_TYPE_NUM:
        break;
    default:
        DX_BUFFER_LIT(buffer, "null");
        return;
    }
    switch (unsafe_yyjson_get_subtype(val)) {
    case YYJSON_SUBTYPE_UINT:
        dx_buffer_u64(buffer, unsafe_yyjson_get_uint(val));
        return;
    case YYJSON_SUBTYPE_SINT:
        dx_buffer_i64(buffer, unsafe_yyjson_get_sint(val));
        return;
    default:
        dx_json_write_number(buffer, unsafe_yyjson_get_real(val));
        return;
    }
}

struct level {
    const void *at; // the next name or element
    size_t left;    // members or elements to come
    bool object, begun;
};

static const void *first_child(const void *container, bool mutable) {
    if (!mutable) return (const yyjson_val *)container + 1;
    const yyjson_mut_val *last = ((const yyjson_mut_val *)container)->uni.ptr; // of a ring; in an object the last name
    return unsafe_yyjson_is_obj((void *)container) ? last->next->next : last->next;
}

static const void *sibling(const void *value, bool mutable) {
    return mutable ? (const void *)((const yyjson_mut_val *)value)->next : unsafe_yyjson_get_next((yyjson_val *)value);
}

static void new_line(dx_buffer *buffer, size_t depth) {
    dx_buffer_byte(buffer, '\n');
    for (size_t i = 0; i < depth; i++) DX_BUFFER_LIT(buffer, "  ");
}

static void open_level(dx_buffer *buffer, struct level *level, const void *container, bool mutable) {
    level->object = unsafe_yyjson_is_obj((void *)container);
    level->begun = false;
    level->left = unsafe_yyjson_get_len((void *)container);
    level->at = first_child(container, mutable);
    dx_buffer_byte(buffer, level->object ? '{' : '[');
}

// Writes what stands before the next value of a level and returns that value.
static const void *next_value(dx_buffer *buffer, struct level *level, bool mutable) {
    if (level->object) {
        dx_json_write_string(buffer, dx_slice_of(unsafe_yyjson_get_str((void *)level->at), unsafe_yyjson_get_len((void *)level->at)));
        dx_buffer_byte(buffer, ':');
        level->at = sibling(level->at, mutable);
    }
    const void *value = level->at;
    level->begun = true;
    if (--level->left) level->at = sibling(value, mutable);
    return value;
}

static void write_tree(dx_buffer *buffer, const void *value, bool mutable, bool pretty) {
    struct level levels[DX_JSON_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        if (unsafe_yyjson_is_ctn((void *)value) && unsafe_yyjson_get_len((void *)value)) {
            if (depth == DX_JSON_DEPTH_MAX) {
                buffer->status = DX_TOO_LARGE;
                return;
            }
            open_level(buffer, &levels[depth++], value, mutable);
        } else {
            write_scalar(buffer, value);
        }
        while (depth && levels[depth - 1].left == 0) {
            depth--;
            if (pretty) new_line(buffer, depth);
            dx_buffer_byte(buffer, levels[depth].object ? '}' : ']');
        }
        if (depth == 0 || buffer->status != DX_OK) return;
        struct level *level = &levels[depth - 1];
        if (level->begun) dx_buffer_byte(buffer, ',');
        if (pretty) new_line(buffer, depth);
        value = next_value(buffer, level, mutable);
        if (pretty && level->object) dx_buffer_byte(buffer, ' ');
    }
}

void dx_json_write_value(dx_buffer *buffer, yyjson_val *value) {
    if (value) write_tree(buffer, value, false, false);
}

void dx_json_write_mut(dx_buffer *buffer, const yyjson_mut_val *value, bool pretty) {
    if (value) write_tree(buffer, value, true, pretty);
}
