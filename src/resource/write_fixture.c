#include "resource/write_fixture.h"

#include <stdlib.h>

#define CALL_ARENA_CAP (64u << 20)

void writer_open(writer *w, const char *definition) {
    memset(w, 0, sizeof *w);
    fixture_open(&w->f, definition);
    assert_int_equal(dx_loop_create(&w->loop), DX_OK);
    w->session = dx_store_session(w->f.store, 0, w->loop);
    assert_non_null(w->session);
    w->jane = (dx_principal){.id = DX_SLICE("2"), .number = 2, .name = DX_SLICE("jane")};
}

void writer_close(writer *w) {
    writer_wait(w);
    for (size_t i = 0; i < w->count; i++) dx_arena_destroy(w->arenas[i]);
    dx_store_close(w->f.store);
    w->f.store = NULL;
    dx_loop_destroy(w->loop);
    fixture_close(&w->f);
}

static void call_done(dx_resource_call *call) {
    writer *w = call->owner;
    assert_true(w->pending > 0);
    call->owner = NULL; // once only
    if (--w->pending == 0 && w->waiting) dx_loop_stop(w->loop);
}

dx_resource_call *writer_call(writer *w, const char *resource, const char *id, const char *body) {
    assert_true(w->count < WRITER_CALLS_CAP);
    dx_arena *arena = dx_arena_create(CALL_ARENA_CAP);
    assert_non_null(arena);
    w->arenas[w->count++] = arena;
    dx_resource_call *call = DX_ARENA_NEW(arena, dx_resource_call);
    assert_non_null(call);
    call->set = w->f.set;
    call->resource = fixture_resource(&w->f, resource);
    call->session = w->session;
    call->arena = arena;
    call->principal = &w->f.principal;
    call->id = dx_slice_str(id);
    if (body) call->body = dx_arena_copy(arena, dx_slice_str(body));
    call->done = call_done;
    return call;
}

void writer_start(writer *w, dx_resource_call *call, writer_action action) {
    w->pending++;
    call->owner = w;
    action(call);
}

void writer_wait(writer *w) {
    w->waiting = true;
    if (w->pending) assert_int_equal(dx_loop_run(w->loop), DX_OK);
    w->waiting = false;
    assert_int_equal(w->pending, 0);
}

dx_resource_call *writer_run(writer *w, writer_action action, const char *resource, const char *id, const char *body) {
    dx_resource_call *call = writer_call(w, resource, id, body);
    writer_start(w, call, action);
    writer_wait(w);
    return call;
}

const char *writer_show(writer *w, const char *resource, const char *id) {
    dx_resource_call *call = writer_run(w, dx_resource_read, resource, id, NULL);
    return call->status == DX_OK ? dx_arena_copy(call->arena, call->out).data : "";
}

size_t writer_count(writer *w, const char *resource) {
    dx_resource_call *call = writer_run(w, dx_resource_list, resource, NULL, NULL);
    return (size_t)strtoull(writer_member(call, "count"), NULL, 10);
}

const char *writer_findings(const dx_resource_call *call) {
    dx_buffer text;
    dx_buffer_init(&text, call->arena, 1 << 20);
    for (const dx_diag *diag = call->findings.first; diag; diag = diag->next) {
        dx_buffer_printf(&text, "%s%.*s: %.*s", diag == call->findings.first ? "" : "\n", DX_SLICE_ARG(diag->pointer),
                         DX_SLICE_ARG(diag->message));
    }
    dx_buffer_byte(&text, 0);
    return text.data;
}

const char *writer_member(const dx_resource_call *call, const char *name) {
    yyjson_doc *doc;
    assert_call(call, DX_OK);
    assert_int_equal(dx_json_read(&doc, call->arena, call->out, NULL, NULL), DX_OK);
    dx_buffer text;
    dx_buffer_init(&text, call->arena, 1 << 20);
    dx_json_write_value(&text, yyjson_obj_get(yyjson_doc_get_root(doc), name));
    dx_buffer_byte(&text, 0);
    return text.data;
}
