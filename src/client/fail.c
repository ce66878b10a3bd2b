#include "client/fail.h"

#include <stdio.h>

void dx_error_begin(dx_error *error) {
    error->code = DX_ERROR_NONE;
    error->category = DX_CATEGORY_NONE;
    error->phase = DX_PHASE_PREPARE;
    error->http_status = 0;
    error->attempts = 0;
    error->retryable = false;
    error->retry_after_ms = -1;
    error->line = error->column = 0;
    error->pointer[0] = error->message[0] = '\0';
}

void dx_error_copy(dx_error *to, const dx_error *from) {
    if (from->code != DX_ERROR_NONE) {
        *to = *from;
        return;
    }
    dx_error_begin(to);
    to->phase = from->phase;
    to->http_status = from->http_status;
    to->attempts = from->attempts;
}

dx_error *dx_error_out_of_memory(void) {
    static const dx_error error = {.code = DX_ERROR_NO_MEMORY,
                                   .category = DX_CATEGORY_UNKNOWN,
                                   .phase = DX_PHASE_TRANSFER,
                                   .retry_after_ms = -1,
                                   .message = "there is no memory for the call's outcome"};
    return (dx_error *)(uintptr_t)&error;
}

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
