// The known values of `format`: how each is checked, and what it asks for in words.
#ifndef DX_MODEL_FORMAT_H
#define DX_MODEL_FORMAT_H

#include "base/status.h"
#include "model/program.h"

typedef struct dx_format {
    dx_slice name;
    dx_format_fn check;
    const char *wanted; // "must be …"
} dx_format;

const dx_format *dx_format_find(dx_slice name); // NULL when it is not known
#define DX_FORMAT_CAP 16
size_t dx_format_names(dx_slice out[DX_FORMAT_CAP]); // of all that are known; says how many
// Makes what the format needs before its first use; DX_NO_MEMORY.
dx_status dx_format_prepare(const dx_format *format) DX_MUST_USE;

#endif
