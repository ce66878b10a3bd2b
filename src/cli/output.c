// Choosing a form of output and applying the query; the short forms themselves.
#include "cli/output_parts.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "codec/yaml.h"

typedef struct format_word {
    const char *word;
    dx_output_format format;
} format_word;

static const format_word words[] = {
    {"json", DX_OUTPUT_JSON}, {"yaml", DX_OUTPUT_YAML}, {"table", DX_OUTPUT_TABLE}, {"ndjson", DX_OUTPUT_NDJSON}, {"raw", DX_OUTPUT_RAW}};

bool dx_output_format_read(dx_output_format *out, const char *word) {
    for (size_t i = 0; i < DX_COUNT_OF(words); i++) {
        if (strcmp(words[i].word, word) != 0) continue;
        *out = words[i].format;
        return true;
    }
    return false;
}

bool dx_output_color_read(bool *out, const char *when, int fd) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    *out = when && strcmp(when, "always") == 0;
    if (*out || (when && strcmp(when, "never") == 0)) return true;
    if (when && strcmp(when, "auto") != 0) return false;
    *out = isatty(fd) && !(no_color && no_color[0]) && !(term && strcmp(term, "dumb") == 0);
    return true;
}

size_t dx_output_width(int fd) {
    struct winsize size;
    if (!isatty(fd)) return 0;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void write_lines(dx_buffer *out, yyjson_val *value) {
    size_t i, count;
    yyjson_val *item;
    if (!yyjson_is_arr(value)) {
        dx_json_write_value(out, value);
        dx_buffer_byte(out, '\n');
    }
    yyjson_arr_foreach(value, i, count, item) {
        dx_json_write_value(out, item);
        dx_buffer_byte(out, '\n');
    }
}

static void write_raw(dx_buffer *out, yyjson_val *value) {
    if (yyjson_is_str(value))
        dx_buffer_add(out, dx_json_slice(value));
    else
        dx_json_write_value(out, value);
    dx_buffer_byte(out, '\n');
}

dx_status dx_output_value(dx_buffer *out, dx_arena *arena, yyjson_val *value, const dx_output_options *options) {
    dx_status status = DX_OK;
    switch (options->format) {
    case DX_OUTPUT_JSON:
        dx_output_json(out, value, options->color);
        dx_buffer_byte(out, '\n');
        break;
    case DX_OUTPUT_YAML:
        dx_yaml_write(out, value);
        break;
    case DX_OUTPUT_TABLE:
        status = dx_output_table(out, arena, value, options);
        break;
    case DX_OUTPUT_NDJSON:
        write_lines(out, value);
        break;
    case DX_OUTPUT_RAW:
        write_raw(out, value);
        break;
    }
    return status == DX_OK ? dx_buffer_status(out) : status;
}

static bool is_pointer(dx_slice text) {
    if (text.size && text.data[0] != '/') return false;
    for (size_t i = 0; i < text.size; i++) {
        char next = i + 1 < text.size ? text.data[i + 1] : '\0';
        if (text.data[i] == '~' && next != '0' && next != '1') return false;
    }
    return true;
}

static dx_status select_part(yyjson_val **value, dx_slice query, dx_diags *diags) {
    if (!is_pointer(query)) {
        dx_diag *diag = dx_diags_add(diags, DX_BAD_REQUEST, DX_SLICE(""), "\"%.*s\" is no JSON pointer", DX_SLICE_ARG(query));
        dx_diag_suggest(diags, diag, DX_SLICE("/items/0/name"));
        return DX_BAD_REQUEST;
    }
    *value = dx_json_at(*value, query);
    if (*value) return DX_OK;
    (void)dx_diags_add(diags, DX_NOT_FOUND, query, "there is no such value in the answer");
    return DX_NOT_FOUND;
}

dx_status dx_output_write(dx_buffer *out, dx_arena *arena, dx_slice body, const dx_output_options *options, dx_diags *diags) {
    const dx_json_options as_it_came = {.depth_cap = DX_JSON_DEPTH_MAX, .allow_duplicates = true, .numbers_as_text = true};
    yyjson_doc *doc;
    if (options->format == DX_OUTPUT_RAW && !options->query.data) {
        dx_buffer_add(out, body);
        return dx_buffer_status(out);
    }
    dx_status status = dx_json_read(&doc, arena, body, &as_it_came, diags);
    yyjson_val *value = yyjson_doc_get_root(doc);
    if (status == DX_OK && options->query.data) status = select_part(&value, options->query, diags);
    return status == DX_OK ? dx_output_value(out, arena, value, options) : status;
}
