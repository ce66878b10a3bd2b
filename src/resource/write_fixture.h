// For the tests of writing: the fixture's definition and store, with a loop and a session, so that calls run on the writer's thread as they
// do in a server, several at a time.
#ifndef DX_RESOURCE_WRITE_FIXTURE_H
#define DX_RESOURCE_WRITE_FIXTURE_H

#include "resource/fixture.h"

#define WRITER_CALLS_CAP 256

typedef struct writer {
    fixture f;
    dx_loop *loop;
    dx_session *session;
    dx_arena *arenas[WRITER_CALLS_CAP]; // one a call; given back with the fixture
    size_t count, pending;
    bool waiting; // the loop runs
    dx_principal jane;
} writer;

typedef void (*writer_action)(dx_resource_call *);

void writer_open(writer *w, const char *definition);
void writer_close(writer *w);
// A call of `john`, to be filled in further and started.
dx_resource_call *writer_call(writer *w, const char *resource, const char *id, const char *body);
void writer_start(writer *w, dx_resource_call *call, writer_action action);
void writer_wait(writer *w); // until every call that was started has ended
// All three.
dx_resource_call *writer_run(writer *w, writer_action action, const char *resource, const char *id, const char *body);
// The row with this id as JSON text, or "" when there is none.
const char *writer_show(writer *w, const char *resource, const char *id);
size_t writer_count(writer *w, const char *resource);
// Findings as "/pointer: message" lines; the arena is the call's.
const char *writer_findings(const dx_resource_call *call);
// A member of the representation, as compact JSON.
const char *writer_member(const dx_resource_call *call, const char *name);

#define assert_call(call, expected)                                                                                                        \
    do {                                                                                                                                   \
        if ((call)->status != (expected))                                                                                                  \
            fail_msg("%s %.*s\n%s", dx_status_name((call)->status), DX_SLICE_ARG((call)->detail), writer_findings(call));                  \
    } while (0)
#define assert_slice(slice, text) assert_string_equal(dx_arena_copy(w->f.arena, (slice)).data, (text))

#endif
