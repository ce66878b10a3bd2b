#include "client/fail.h"

#include <stdio.h>

static void start(dx_error *error, dx_error_code code) {
    *error = (dx_error)DX_ERROR_INIT;
    error->code = code;
    error->category = dx_error_category(code);
}

dx_error_code dx_fail(dx_error *error, dx_error_code code, const char *format, ...) {
    if (!error) return code;
    start(error, code);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return code;
}

dx_error_code dx_fail_diags(dx_error *error, dx_error_code code, const dx_diags *diags) {
    if (!error) return code;
    start(error, code);
    const dx_diag *first = diags->first;
    dx_slice text = first ? dx_diag_text(first, diags->arena) : (dx_slice){0};
    if (!text.size) text = dx_slice_str(dx_error_meaning(code));
    int size = snprintf(error->message, sizeof error->message, "%.*s", DX_SLICE_ARG(text));
    if (diags->count > 1 && size > 0 && (size_t)size < sizeof error->message)
        (void)snprintf(error->message + size, sizeof error->message - (size_t)size, " (and %zu more)", diags->count - 1);
    if (!first) return code;
    error->line = first->line;
    error->column = first->column;
    (void)snprintf(error->pointer, sizeof error->pointer, "%.*s", DX_SLICE_ARG(first->pointer));
    return code;
}

dx_error_code dx_code_of(dx_status status) {
    switch (status) {
    case DX_OK:
        return DX_ERROR_NONE;
    case DX_NO_MEMORY:
        return DX_ERROR_NO_MEMORY;
    case DX_TOO_LARGE:
        return DX_ERROR_TOO_LARGE;
    case DX_MALFORMED:
        return DX_ERROR_MALFORMED;
    case DX_INVALID:
        return DX_ERROR_INVALID;
    case DX_CANCELLED:
        return DX_ERROR_CANCELLED;
    case DX_OVERLOADED:
        return DX_ERROR_QUEUE_FULL;
    case DX_REQUEST_TIMEOUT:
        return DX_ERROR_TIMEOUT;
    default:
        return DX_ERROR_INTERNAL;
    }
}
