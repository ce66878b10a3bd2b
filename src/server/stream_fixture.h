// For the tests of streamed bodies: a server on a loopback whose handlers read and write in pieces, and what they have been told.
#ifndef DX_SERVER_STREAM_FIXTURE_H
#define DX_SERVER_STREAM_FIXTURE_H
#include "server/loopback_fixture.h"

#define HOST    "Host: test\r\n"
#define CHUNKED HOST "Transfer-Encoding: chunked\r\n\r\n"
#define TICKS   2000u
#define TICK    10000u
#define CAP     100000u // of the streamed bodies

// What the handlers have been told; of the last exchange.
typedef struct stream_seen {
    dx_exchange *x;
    size_t read, pieces, written, ready, drains, closed, ended;
    dx_status closed_why, end_why;
    char trailer[64];
    bool handled;
} stream_seen;

extern loopback_fixture f;
extern stream_seen seen;
#define HELD_CAP 32u
extern dx_exchange *stream_held[HELD_CAP]; // that /hold keeps waiting
extern size_t stream_held_count;
extern bool consumes; // whether /count and its like consume what they read

int stream_set_up(void **state);
int stream_tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, stream_set_up, stream_tear_down)

// For loopback_until: whether so many sources were closed, or readers ended (ctx: size_t *).
bool stream_is_closed(void *ctx);
bool stream_is_ended(void *ctx);

void assert_answer(int status, const char *body);
void send_zeros(size_t size);

#endif
