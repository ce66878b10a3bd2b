// The value of a parameter, whatever it came from: an argument of a C program, text of the command line, a default of the definition.
// Scalars are plain; lists and objects are JSON.
#ifndef DX_CLIENT_VALUE_H
#define DX_CLIENT_VALUE_H

#include "client/apis.h"
#include "duplex/client.h"

typedef enum dx_given_kind {
    DX_GIVEN_NULL,
    DX_GIVEN_BOOL,
    DX_GIVEN_INT,
    DX_GIVEN_UINT,
    DX_GIVEN_FLOAT,
    DX_GIVEN_STR,
    DX_GIVEN_TREE
} dx_given_kind;
typedef struct dx_given {
    dx_given_kind kind;
    union {
        bool boolean;
        int64_t i64; // never positive values that UINT could hold better: INT is what fits
        uint64_t u64;
        double f64;
        dx_slice text;
        yyjson_val *tree; // an array or an object
    } as;
} dx_given;

dx_given dx_given_json(yyjson_val *value);
// DX_ARG_JSON is parsed into the arena. False: it is no JSON (DX_MALFORMED) or there is no memory.
dx_status dx_given_arg(dx_given *out, dx_arena *arena, const dx_arg *arg) DX_MUST_USE;
// Makes it what `param` wants: text becomes numbers, booleans, lists ("a,b" or JSON) and objects (JSON); numbers become text. DX_INVALID
// with
// `*expected` ("an integer") when it can't be, DX_NO_MEMORY.
dx_status dx_given_convert(dx_given *value, dx_arena *arena, const dx_param *param, const char **expected) DX_MUST_USE;
void dx_given_write_text(dx_buffer *out, const dx_given *value); // scalars as they stand in a URL, before encoding; trees as JSON
void dx_given_write_json(dx_buffer *out, const dx_given *value);
// As a value of a document; NULL without memory.
yyjson_mut_val *dx_given_value(yyjson_mut_doc *doc, const dx_given *value);

#endif
