#include "exchange/wire_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void happened(wire_fixture *w) {
    if (w->stops) dx_loop_stop(w->loop);
}

static bool wire_write(dx_exchange *x, dx_slice piece) {
    wire_fixture *w = x->owner;
    assert_false(w->finished || w->was_cut);
    assert_true(piece.size > 0);
    happened(w);
    if (w->full) return false;
    w->writes++;
    dx_buffer_add(&w->out, piece);
    return true;
}

static void wire_finish(dx_exchange *x, const dx_fields *trailers) {
    wire_fixture *w = x->owner;
    (void)trailers;
    assert_false(w->finished || w->was_cut);
    w->finished = true;
    happened(w);
}

static void wire_cut(dx_exchange *x) {
    wire_fixture *w = x->owner;
    assert_false((w->finished && !x->response.tunnel) || w->was_cut);
    w->was_cut = true;
    happened(w);
}

static void wire_read(dx_exchange *x) {
    ((wire_fixture *)x->owner)->reading = true;
}

static void wire_consume(dx_exchange *x, size_t bytes) {
    ((wire_fixture *)x->owner)->consumed += bytes;
}

static const dx_exchange_wire wire = {wire_write, wire_finish, wire_cut, wire_read, wire_consume};

void wire_open(wire_fixture *w) {
    memset(w, 0, sizeof *w);
    w->arena = dx_arena_create(1u << 20);
    assert_non_null(w->arena);
    assert_int_equal(dx_loop_create(&w->loop), DX_OK);
    dx_exchange_init(&w->x, w->arena, w->loop, 0);
    w->x.owner = w;
    w->x.wire = &wire;
    w->x.flows = &w->flows;
    w->x.request.version = 11;
    dx_buffer_init(&w->out, NULL, 64u << 20);
}

void wire_close(wire_fixture *w, dx_status why) {
    dx_exchange_closed(&w->x, why);
    dx_buffer_deinit(&w->out);
    dx_loop_destroy(w->loop);
    dx_arena_destroy(w->arena);
}

void wire_turn(wire_fixture *w) {
    dx_loop_stop(w->loop);
    assert_int_equal(dx_loop_run(w->loop), DX_OK);
}

void wire_until(wire_fixture *w) {
    w->stops = true;
    assert_int_equal(dx_loop_run(w->loop), DX_OK);
    w->stops = false;
}

void wire_ask(wire_fixture *w, dx_slice name, dx_slice value) {
    assert_int_equal(dx_fields_add(&w->x.request.fields, w->arena, name, value), DX_OK);
}

void wire_begin(wire_fixture *w) {
    dx_exchange_begun(&w->x, false);
    wire_turn(w);
}

void wire_drain(wire_fixture *w) {
    w->full = false;
    dx_exchange_writable(&w->x);
}

void wire_feed(wire_fixture *w, dx_slice bytes) {
    char *own = malloc(bytes.size ? bytes.size : 1);
    if (bytes.size) memcpy(own, bytes.data, bytes.size);
    dx_exchange_piece(&w->x, dx_slice_of(own, bytes.size));
    free(own);
}

dx_slice wire_field(wire_fixture *w, const char *name) {
    return dx_fields_find(&w->x.response.fields, dx_slice_str(name));
}
