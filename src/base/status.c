// The list of outcomes as tables, read by the status' number.
#include "base/status.h"

static const struct {
    int http;
    const char *name, *code, *title;
} table[DX_STATUS_COUNT] = {
#define X(name, http, code, title) {http, #name, code, title},
    DX_STATUS_LIST(X)
#undef X
};

static size_t row(dx_status status) {
    return (size_t)status < DX_STATUS_COUNT ? (size_t)status : (size_t)DX_INTERNAL;
}

int dx_status_http(dx_status status) {
    return table[row(status)].http;
}

const char *dx_status_code(dx_status status) {
    return table[row(status)].code;
}

const char *dx_status_title(dx_status status) {
    return table[row(status)].title;
}

const char *dx_status_name(dx_status status) {
    return table[row(status)].name;
}
