#include "exchange/outcome.h"

typedef struct failure_row {
    const char *code;
    int http;
    dx_category category;
} failure_row;

static const failure_row failures[DX_FAILURE_KINDS] = {
#define X(name, http, category, code) {code, http, DX_CATEGORY_##category},
    DX_FAILURE_LIST(X)
#undef X
};

static const failure_row *row_of(dx_failure failure) {
    return &failures[(unsigned)failure < DX_FAILURE_KINDS ? failure : DX_FAILURE_INTERNAL];
}

int dx_failure_http(dx_failure failure) {
    return row_of(failure)->http;
}

dx_category dx_failure_category(dx_failure failure) {
    return row_of(failure)->category;
}

const char *dx_failure_code(dx_failure failure) {
    return row_of(failure)->code;
}

const char *dx_category_name(dx_category category) {
    static const char *const names[DX_CATEGORY_COUNT] = {"none", "network", "timeout", "http", "auth", "unknown"};
    return names[(unsigned)category < DX_CATEGORY_COUNT ? category : DX_CATEGORY_UNKNOWN];
}

const char *dx_phase_name(dx_phase phase) {
    static const char *const names[DX_PHASE_COUNT] = {
#define X(name, text) text,
        DX_PHASE_LIST(X)
#undef X
    };
    return names[(unsigned)phase < DX_PHASE_COUNT ? phase : DX_PHASE_PREPARE];
}
