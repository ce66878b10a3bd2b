// How a call ends badly: in one place, so that both sides say it the same way.
#include "resource/list.h"

// A detail may quote what the client sent, which can be a megabyte. Cut between two characters.
static void shorten(dx_slice *text) {
    static const size_t CAP = 1024;
    if (text->size <= CAP) return;
    text->size = CAP;
    while (text->size && ((unsigned char)text->data[text->size] & 0xc0) == 0x80) text->size--;
}

void dx_resource_fail(dx_resource_call *call, dx_status status, const char *detail, ...) {
    call->status = status;
    call->detail = (dx_slice){0};
    if (detail) {
        va_list args;
        va_start(args, detail);
        call->detail = dx_arena_vprintf(call->arena, detail, args);
        va_end(args);
        if (!call->detail.data) call->detail = (dx_slice){0};
        shorten(&call->detail);
    }
    call->out = (dx_slice){0};
    call->done(call);
}

dx_diag *dx_resource_complain(dx_resource_call *call, dx_slice parameter, const char *format, ...) {
    if (!call->findings.arena) dx_diags_init(&call->findings, call->arena);
    dx_slice pointer = dx_arena_printf(call->arena, "?%.*s", DX_SLICE_ARG(parameter));
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(call->arena, format, args);
    va_end(args);
    return dx_diags_add(&call->findings, DX_INVALID, pointer, "%.*s", DX_SLICE_ARG(text));
}

void dx_resource_submit(dx_resource_call *call, dx_tx *tx) {
    if (call->session)
        dx_store_submit(call->session, tx);
    else
        dx_store_run(call->set->store, tx);
}
