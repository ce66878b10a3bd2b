// What a command prints of an answer: a JSON value in one of five forms, or a part of it that a JSON pointer selects. Standard output is
// data: colours and cutting to the width happen only on a terminal. Numbers are written as they came, digit by digit.
#ifndef DX_CLI_OUTPUT_H
#define DX_CLI_OUTPUT_H

#include "codec/json.h"

#define DX_OUTPUT_CAP         ((size_t)1 << 30)
#define DX_OUTPUT_COLUMNS_CAP 100 // of a table

typedef enum dx_output_format {
    DX_OUTPUT_JSON,   // indented
    DX_OUTPUT_YAML,   // YAML 1.2, which 1.1 reads alike
    DX_OUTPUT_TABLE,  // a list of objects: a row each
    DX_OUTPUT_NDJSON, // a list: an item a line
    DX_OUTPUT_RAW,    // bytes as they came; of a selected string, its text
} dx_output_format;

typedef struct dx_output_options {
    dx_output_format format;
    dx_slice query; // a JSON pointer (RFC 6901); NULL data: all
    bool color;
    size_t width; // of the terminal; 0: nothing is cut
} dx_output_options;

// The word of `-o`: json yaml table ndjson raw. False for another.
bool dx_output_format_read(dx_output_format *out, const char *word);
// Whether to colour what goes to `fd`: `when` is auto (or NULL), always or never; auto: on a terminal, unless NO_COLOR is set or TERM is
// dumb. False for another word.
bool dx_output_color_read(bool *out, const char *when, int fd);
// Columns of the terminal that `fd` is; 0 when it is none.
size_t dx_output_width(int fd);

// Writes `body`, JSON as it came from somewhere, with a newline at the end (but for RAW without a query). Errors, told in `diags`:
// DX_MALFORMED (no JSON; RAW without a query takes anything), DX_NOT_FOUND (the query selects nothing), DX_BAD_REQUEST (the query is no
// pointer). Without a word: DX_NO_MEMORY, DX_TOO_LARGE.
dx_status dx_output_write(dx_buffer *out, dx_arena *arena, dx_slice body, const dx_output_options *options, dx_diags *diags) DX_MUST_USE;
// The same of a value; the query has been applied.
dx_status dx_output_value(dx_buffer *out, dx_arena *arena, yyjson_val *value, const dx_output_options *options) DX_MUST_USE;

#endif
