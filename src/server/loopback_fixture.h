// For tests: a server in the test's own thread, without a socket. An app is built from the text of a definition (its store in memory, its
// features those of the test's `dx_features`), one worker serves it on the test's loop, and the test is the client at the other end of a
// connection in memory. So a handler's test is a request in, an answer out, through every filter:
//
//     loopback_open(&f, "{\"server\": {}}");
//     const loopback_answer *answer = loopback_ask(&f, "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n");
//     assert_int_equal(answer->status, 200);
//     loopback_close(&f);
//
// Every function fails the test when what it waits for does not come.
#ifndef DX_SERVER_LOOPBACK_FIXTURE_H
#define DX_SERVER_LOOPBACK_FIXTURE_H

#include "net/loopback.h"
#include "server/parts.h"

typedef struct loopback_answer {
    int status;
    dx_slice head; // the status line and the fields
    dx_slice body; // without chunks; both NUL-terminated, until the next answer
    dx_slice trailers;
    unsigned interim; // answers like 100 that came before
    bool broken;      // the connection ended before the answer did
} loopback_answer;

typedef struct loopback_fixture {
    char path[64];
    dx_arena *arena, *answers;
    dx_diags diags;
    dx_app *app;
    dx_process *process;
    dx_worker *worker;
    dx_loopback *client;
    loopback_answer answer;
    bool drained;
} loopback_fixture;

void loopback_open(loopback_fixture *f, const char *definition);
void loopback_close(loopback_fixture *f); // also checks that every exchange has ended

void loopback_connect(loopback_fixture *f); // anew; the connection before is reset
void loopback_send(loopback_fixture *f, const char *text);
void loopback_send_bytes(loopback_fixture *f, const void *data, size_t size);
const loopback_answer *loopback_read(loopback_fixture *f, bool to_head); // the next answer, whole; `to_head`: to a HEAD request
const loopback_answer *loopback_ask(loopback_fixture *f, const char *request);
// The value of an answer's field; "" when it has none.
const char *loopback_field(loopback_fixture *f, const char *name);
void loopback_settle(loopback_fixture *f); // until nothing happens any more
void loopback_await(loopback_fixture *f, bool (*until)(void *ctx), void *ctx);

#endif
