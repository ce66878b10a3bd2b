#include "exchange/outcome.h"

#include <stddef.h>

typedef struct error_row {
    dx_error_code code;
    dx_category category;
    const char *name, *meaning;
} error_row;

static const error_row rows[] = {
#define X(name, number, category, code, meaning) {DX_ERROR_##name, DX_CATEGORY_##category, code, meaning},
    DX_ERROR_LIST(X)
#undef X
};

static const error_row *row_of(dx_error_code code) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code) return &rows[i];
    return row_of(DX_ERROR_INTERNAL);
}

const char *dx_error_name(dx_error_code code) {
    return row_of(code)->name;
}

const char *dx_error_meaning(dx_error_code code) {
    return row_of(code)->meaning;
}

dx_category dx_error_category(dx_error_code code) {
    return row_of(code)->category;
}

int dx_error_http(dx_error_code code) {
    switch (code) {
    case DX_ERROR_NONE:
        return 200;
    case DX_ERROR_TIMEOUT:
    case DX_ERROR_NOT_CACHED:
        return 504;
    case DX_ERROR_CANCELLED:
        return 499;
    case DX_ERROR_ARGUMENT:
    case DX_ERROR_INVALID:
        return 422;
    case DX_ERROR_NO_MEMORY:
    case DX_ERROR_CLOSED:
    case DX_ERROR_LIMITED:
    case DX_ERROR_CIRCUIT_OPEN:
    case DX_ERROR_QUEUE_FULL:
        return 503;
    case DX_ERROR_INTERNAL:
        return 500;
    default:
        return 502;
    }
}

const char *dx_category_name(dx_category category) {
    static const char *const names[] = {"none", "network", "timeout", "http", "auth", "unknown"};
    return names[(unsigned)category < sizeof names / sizeof names[0] ? category : DX_CATEGORY_UNKNOWN];
}

const char *dx_phase_name(dx_phase phase) {
    static const char *const names[DX_PHASE_COUNT] = {"prepare", "cache", "limit",    "auth",   "queue",
                                                      "connect", "wait",  "transfer", "backoff"};
    return names[(unsigned)phase < DX_PHASE_COUNT ? phase : DX_PHASE_PREPARE];
}
