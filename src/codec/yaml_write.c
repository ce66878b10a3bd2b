// Writing YAML in block style. A string is written plain when every reader of YAML, 1.1 or 1.2, takes it for that string, in literal style
// when it has lines, else in double quotes, whose escapes are JSON's and a few more.
#include "base/utf8.h"
#include "codec/yaml_internal.h"

#define SIMPLE_NAME_CAP 120 // bytes; a name that is written in the short form has to end within 1,024 characters, escapes counted

// --- strings ----------------------------------------------------------------------------------------------------------------

static uint32_t code_point(const unsigned char *at, size_t size) {
    uint32_t code = size == 1 ? at[0] : at[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) code = code << 6 | (at[i] & 0x3fu);
    return code;
}

// Characters over ASCII that may stand as they are: printable by YAML (section 5.1), and no line break or mark of byte order.
static bool prints(uint32_t code) {
    return code >= 0xa0 && code != 0x2028 && code != 0x2029 && code != 0xfeff && code != 0xfffe && code != 0xffff;
}

static bool all_print(dx_slice text, bool line_feeds) {
    const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size;
    while (at < end) {
        size_t size = dx_utf8_sequence(at, (size_t)(end - at));
        uint32_t code = size ? code_point(at, size) : 0;
        if (code < 0x20 ? !(line_feeds && code == '\n' && size) : code == 0x7f || (code > 0x7f && !prints(code))) return false;
        at += size;
    }
    return true;
}

static bool is_letter(char byte) {
    return ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_' || byte == '/' || (byte & 0x80);
}

// Words that YAML 1.1 takes for booleans and null, in any case.
static bool is_word_of_old(dx_slice text) {
    static const dx_slice words[] = {DX_SLICE_INIT("y"),    DX_SLICE_INIT("n"),     DX_SLICE_INIT("yes"),
                                     DX_SLICE_INIT("no"),   DX_SLICE_INIT("on"),    DX_SLICE_INIT("off"),
                                     DX_SLICE_INIT("true"), DX_SLICE_INIT("false"), DX_SLICE_INIT("null")};
    for (size_t i = 0; i < DX_COUNT_OF(words); i++)
        if (dx_slice_equal_nocase(text, words[i])) return true;
    return false;
}

// Starts with a letter, so it is no number, date or indicator, and holds nothing that could end it.
static bool is_plain(dx_slice text) {
    if (!text.size || !is_letter(text.data[0]) || is_word_of_old(text) || text.data[text.size - 1] == ' ') return false;
    for (size_t i = 1; i < text.size; i++) {
        char byte = text.data[i], next = i + 1 < text.size ? text.data[i + 1] : '\0';
        if (byte == ':' && (next == ' ' || next == '\0')) return false;
        if ((byte == '#' && text.data[i - 1] == ' ') || memchr("[]{},\"'`|>%@!&*\\", byte, 16)) return false;
    }
    return all_print(text, false);
}

static void write_escaped(dx_buffer *out, const unsigned char *at, size_t size) {
    static const char letters[] = "0......abtnvfr";
    uint32_t code = size ? code_point(at, size) : 0xfffd;
    if (!size)
        DX_BUFFER_LIT(out, "\xef\xbf\xbd"); // a byte that is no UTF-8
    else if (code == '"' || code == '\\')
        dx_buffer_append(out, (char[]){'\\', (char)code}, 2);
    else if (code < sizeof letters - 1 && letters[code] != '.')
        dx_buffer_append(out, (char[]){'\\', letters[code]}, 2);
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        dx_buffer_printf(out, "\\x%02x", code);
    else if (code > 0x7f && !prints(code))
        dx_buffer_printf(out, "\\u%04x", code);
    else
        dx_buffer_append(out, at, size);
}

static void write_quoted(dx_buffer *out, dx_slice text) {
    const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size;
    dx_buffer_byte(out, '"');
    while (at < end && out->status == DX_OK) {
        size_t size = dx_utf8_sequence(at, (size_t)(end - at));
        write_escaped(out, at, size);
        at += size ? size : 1;
    }
    dx_buffer_byte(out, '"');
}

static void write_string(dx_buffer *out, dx_slice text) {
    if (is_plain(text))
        dx_buffer_add(out, text);
    else
        write_quoted(out, text);
}

static void indent(dx_buffer *out, size_t depth) {
    dx_buffer_byte(out, '\n');
    for (size_t i = 0; i < depth; i++) DX_BUFFER_LIT(out, "  ");
}

// Lines that can stand as they are: the first does not start with a space (it would set the indentation), none is of spaces alone, and
// there is at most one break at the end.
static bool is_literal(dx_slice text) {
    if (dx_slice_find(text, '\n') == SIZE_MAX || text.data[0] == ' ' || text.data[0] == '\n' || !all_print(text, true)) return false;
    if (text.size > 1 && text.data[text.size - 2] == '\n' && text.data[text.size - 1] == '\n') return false;
    dx_slice rest = text;
    while (rest.data) {
        dx_slice line = dx_slice_cut(&rest, '\n');
        if (line.size && line.data[line.size - 1] == ' ') return false;
    }
    return true;
}

static void write_literal(dx_buffer *out, dx_slice text, size_t depth) {
    bool ended = text.data[text.size - 1] == '\n';
    dx_buffer_add(out, ended ? DX_SLICE("|") : DX_SLICE("|-"));
    dx_slice rest = dx_slice_of(text.data, text.size - ended);
    while (rest.data) {
        dx_slice line = dx_slice_cut(&rest, '\n');
        if (line.size)
            indent(out, depth ? depth : 1);
        else
            dx_buffer_byte(out, '\n');
        dx_buffer_add(out, line);
    }
}

// --- numbers ----------------------------------------------------------------------------------------------------------------

// Readers of YAML 1.1 want a point and a sign in what has an exponent: 1.0e+30.
static void write_number_text(dx_buffer *out, dx_slice text) {
    size_t e = 0;
    while (e < text.size && (text.data[e] | 0x20) != 'e') e++;
    dx_slice mantissa = dx_slice_of(text.data, e), exponent = dx_slice_from(text, e + 1);
    dx_buffer_add(out, mantissa);
    if (!exponent.size) return;
    if (dx_slice_find(mantissa, '.') == SIZE_MAX) DX_BUFFER_LIT(out, ".0");
    dx_buffer_byte(out, 'e');
    if (exponent.data[0] != '-' && exponent.data[0] != '+') dx_buffer_byte(out, '+');
    dx_buffer_add(out, exponent);
}

static void write_number(dx_buffer *out, yyjson_val *value) {
    char digits[64]; // any double is shorter
    size_t start = out->size;
    dx_json_write_value(out, value);
    size_t size = out->size - start;
    if (out->status != DX_OK || size > sizeof digits) return;
    memcpy(digits, out->data + start, size);
    out->size = start;
    write_number_text(out, dx_slice_of(digits, size));
}

static void write_scalar(dx_buffer *out, yyjson_val *value, size_t depth) {
    if (yyjson_is_str(value)) {
        dx_slice text = dx_json_slice(value);
        if (is_literal(text))
            write_literal(out, text, depth);
        else
            write_string(out, text);
    } else if (yyjson_is_num(value)) {
        write_number(out, value);
    } else if (yyjson_is_raw(value)) {
        write_number_text(out, dx_slice_of(yyjson_get_raw(value), yyjson_get_len(value)));
    } else {
        dx_json_write_value(out, value); // true, false, null, [] and {} are written alike
    }
}

// --- containers -------------------------------------------------------------------------------------------------------------

typedef struct level {
    yyjson_val *at; // the next name or element
    size_t left;
    bool object, inline_first; // the first stands on the line of the dash before it
} level;

static bool has_children(yyjson_val *value) {
    return unsafe_yyjson_is_ctn(value) && unsafe_yyjson_get_len(value);
}

static void write_name(dx_buffer *out, yyjson_val *name, size_t depth) {
    dx_slice text = dx_json_slice(name);
    bool simple = text.size <= SIMPLE_NAME_CAP;
    if (!simple) DX_BUFFER_LIT(out, "? ");
    write_string(out, text);
    if (!simple) indent(out, depth);
    dx_buffer_byte(out, ':');
}

// Writes what stands before the next value, and returns that value. `*dashed` says that a container's first child may follow a dash.
static yyjson_val *next_value(dx_buffer *out, level *around, size_t depth, bool *dashed) {
    if (!around->inline_first) indent(out, depth);
    around->inline_first = false;
    *dashed = !around->object;
    if (around->object) {
        write_name(out, around->at, depth);
        around->at++;
    } else {
        dx_buffer_byte(out, '-');
    }
    yyjson_val *value = around->at;
    around->at = unsafe_yyjson_get_next(value);
    around->left--;
    return value;
}

void dx_yaml_write(dx_buffer *buffer, yyjson_val *value) {
    level levels[DX_JSON_DEPTH_MAX];
    size_t depth = 0;
    bool dashed = false, first = true;
    if (!value) return;
    for (;;) {
        if (has_children(value)) {
            if (depth == DX_JSON_DEPTH_MAX) buffer->status = DX_TOO_LARGE;
            if (buffer->status != DX_OK) return;
            if (dashed) dx_buffer_byte(buffer, ' ');
            levels[depth++] = (level){value + 1, unsafe_yyjson_get_len(value), yyjson_is_obj(value), first || dashed};
        } else {
            if (!first) dx_buffer_byte(buffer, ' ');
            write_scalar(buffer, value, depth);
        }
        first = false;
        while (depth && levels[depth - 1].left == 0) depth--;
        if (depth == 0 || buffer->status != DX_OK) break;
        value = next_value(buffer, &levels[depth - 1], depth - 1, &dashed);
    }
    dx_buffer_byte(buffer, '\n');
}
