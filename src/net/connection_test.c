// A connection's opening, by transports that do what each test says: waiting, yielding, handing over, failing; and what it speaks then.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/connection.h"
#include "net/http1.h"
#include "net/listener.h"
#include "net/test_stage.h"
#include "net/tls.h"

static stage s;
static dx_opening says[10]; // one for each call of `open`
static size_t opens, closes, waits, ends;
static int interest;
static const char *input;
static size_t input_at, piece;
static char output[2000];
static size_t output_size, room;
static bool gone;
static dx_tls_facts facts;
static dx_connection *connection;

static const dx_transport second_transport, tls_like_transport;

static dx_opening scripted_open(dx_connection *c) {
    assert_true(c->entered && c->opening);
    assert_true(opens < DX_COUNT_OF(says));
    return says[opens++];
}

static dx_opening handing_over_open(dx_connection *c) {
    c->transport = &second_transport;
    c->tag = 7;
    dx_connection_set_peer(c, &(dx_address){.any.sa_family = AF_UNIX});
    return DX_OPENING_DONE;
}

static ssize_t scripted_receive(dx_connection *c, char *to, size_t size) {
    (void)c;
    size_t left = strlen(input) - input_at;
    if (size > left) size = left;
    if (size > piece) size = piece;
    if (size == 0) return errno = EAGAIN, -1;
    memcpy(to, input + input_at, size);
    input_at += size;
    return (ssize_t)size;
}

static bool scripted_holds_input(const dx_connection *c) {
    (void)c;
    return input_at > 0 && input[input_at];
}

static ssize_t scripted_send(dx_connection *c, const dx_slice *pieces, unsigned count) {
    (void)c;
    size_t sent = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t size = pieces[i].size < room ? pieces[i].size : room;
        assert_true(output_size + size < sizeof output);
        memcpy(output + output_size, pieces[i].data, size);
        output_size += size;
        room -= size;
        sent += size;
    }
    output[output_size] = 0;
    return sent ? (ssize_t)sent : (errno = EAGAIN, -1);
}

static int scripted_end(dx_connection *c) {
    (void)c;
    ends++;
    return 0;
}

static void scripted_close(dx_connection *c) {
    assert_ptr_equal(c, connection);
    closes++;
    gone = true;
}

static int scripted_wait(dx_connection *c, int what) {
    (void)c;
    waits++;
    interest = what;
    return 0;
}

static const dx_tls_facts *scripted_facts(const dx_connection *c) {
    (void)c;
    return &facts;
}

#define SCRIPTED                                                                                                                           \
    .receive = scripted_receive, .send = scripted_send, .end = scripted_end, .close = scripted_close, .wait = scripted_wait,               \
    .holds_input = scripted_holds_input
static const dx_transport scripted_transport = {.open = scripted_open, SCRIPTED};
static const dx_transport handing_over_transport = {.open = handing_over_open, SCRIPTED};
static const dx_transport second_transport = {.open = scripted_open, SCRIPTED};
static const dx_transport tls_like_transport = {.open = scripted_open, .facts = scripted_facts, SCRIPTED};

static int setup(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.head_time = 100 * DX_MILLISECOND;
    stage_open(&s, &limits);
    memset(says, 0, sizeof says); // DONE
    opens = closes = waits = ends = input_at = output_size = 0;
    interest = 0;
    input = "";
    piece = room = 10000;
    gone = false;
    facts = (dx_tls_facts){.version = "TLSv1.3"};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    stage_close(&s);
    assert_int_equal(closes, 1);
    return 0;
}

static void begin(const dx_transport *transport) {
    assert_int_equal(dx_connection_create(&connection, s.listener, -1, &(dx_address){.any.sa_family = AF_INET}), DX_OK);
    connection->transport = transport;
    dx_connection_begin(connection);
}

static void answer_ok(actor *a) {
    actor_respond(a, "ok");
}

static void opening_waits_for_what_it_says(void **state) {
    (void)state;
    says[0] = DX_OPENING_READ;
    says[1] = DX_OPENING_WRITE;
    says[2] = DX_OPENING_READ;
    begin(&scripted_transport);
    assert_int_equal(opens, 1);
    assert_int_equal(interest, UV_READABLE);
    stage_settle(&s);
    assert_int_equal(opens, 1);
    dx_connection_event(connection, UV_READABLE);
    assert_int_equal(interest, UV_WRITABLE);
    dx_connection_event(connection, UV_WRITABLE);
    assert_int_equal(interest, UV_READABLE);
    assert_null(connection->protocol);
    dx_connection_event(connection, UV_READABLE);
    assert_int_equal(opens, 4);
    assert_ptr_equal(connection->protocol, &dx_http1_protocol);
    assert_int_equal(interest, UV_READABLE);
}

static size_t others;

static void count_other(dx_task *task) {
    (void)task;
    others++;
}

static void yielding_opening_goes_on_behind_others(void **state) {
    (void)state;
    static dx_task other = {.run = count_other};
    says[0] = says[1] = says[2] = DX_OPENING_YIELD;
    others = 0;
    dx_loop_post(s.loop, &other);
    begin(&scripted_transport);
    assert_int_equal(opens, 1);
    dx_connection_event(connection, UV_READABLE); // an event does not get it its turn before the others'
    assert_int_equal(opens, 1);
    stage_await(&s, &opens, 4);
    assert_int_equal(others, 1);
    assert_non_null(connection->protocol);
}

static void opening_that_fails_closes_without_a_word(void **state) {
    (void)state;
    says[0] = DX_OPENING_READ;
    says[1] = DX_OPENING_FAILED;
    begin(&scripted_transport);
    dx_connection_event(connection, UV_READABLE);
    assert_true(gone);
    stage_settle(&s);
    assert_int_equal(output_size + s.begun + s.rejected, 0);
    assert_int_equal(dx_listener_connections(s.listener), 1); // the stage's own client
}

static bool is_gone(void *ctx) {
    (void)ctx;
    return gone;
}

static void opening_that_takes_too_long_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(says); i++) says[i] = DX_OPENING_READ;
    begin(&scripted_transport);
    dx_connection_event(connection, UV_READABLE); // moves no deadline
    stage_run(&s, is_gone, NULL);
    assert_int_equal(output_size, 0);
}

static void transport_before_another_hands_over(void **state) {
    (void)state;
    s.on_end = answer_ok;
    says[0] = DX_OPENING_READ;
    begin(&handing_over_transport);
    assert_int_equal(opens, 1);
    input = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    dx_connection_event(connection, UV_READABLE);
    dx_connection_event(connection, UV_READABLE);
    assert_int_equal(s.begun, 1);
    assert_string_equal(s.actors[0].peer, "unix");
    assert_int_equal(s.actors[0].head.tag, 7);
    assert_true(gone);
    assert_int_equal(ends, 1); // not plain TCP: the peer is told in the transport's words
}

static void input_inside_the_transport_is_read_without_an_event(void **state) {
    (void)state;
    s.on_end = answer_ok;
    piece = 10;
    input = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    begin(&scripted_transport);
    dx_connection_event(connection, UV_READABLE);
    stage_await(&s, &s.closed, 2);
    assert_non_null(strstr(output, "\r\n\r\nok"));
}

static void request_over_tls_knows_it(void **state) {
    (void)state;
    s.on_end = answer_ok;
    facts.client_subject = DX_SLICE("CN=me");
    input = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    begin(&tls_like_transport);
    dx_connection_event(connection, UV_READABLE);
    assert_int_equal(s.begun, 1);
    assert_true(s.actors[0].head.secure);
}

static void facts_are_the_streams_own(void **state) {
    (void)state;
    static char text[] = "CN=me";
    facts.client_subject = dx_slice_str(text);
    input = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    begin(&tls_like_transport);
    dx_connection_event(connection, UV_READABLE);
    text[3] = 'y'; // the stream may outlive the connection
    assert_true(dx_slice_equal(s.actors[0].head.tls->client_subject, DX_SLICE("CN=me")));
    assert_string_equal(s.actors[0].head.tls->version, "TLSv1.3");
    actor_respond(&s.actors[0], "ok");
}

static size_t spoken;

static void spoken_init(dx_connection *c) {
    (void)c;
    spoken++;
}

static void spoken_input(dx_connection *c, dx_slice bytes) {
    (void)bytes;
    c->broken = true;
}

static bool spoken_advance(dx_connection *c) {
    (void)c;
    return false;
}

static void spoken_rest(dx_connection *c) {
    c->reading = true;
    c->deadline = DX_NEVER;
}

static void spoken_nothing(dx_connection *c) {
    (void)c;
}

static const dx_protocol other_protocol = {sizeof(dx_connection), spoken_init,    spoken_input,  spoken_advance,
                                           spoken_rest,           spoken_nothing, spoken_nothing};

static void alpn_chooses_the_protocol(void **state) {
    (void)state;
    spoken = 0;
    facts.http2 = true;
    s.listener->http2 = &other_protocol;
    begin(&tls_like_transport);
    assert_ptr_equal(connection->protocol, &other_protocol);
    assert_int_equal(spoken, 1);
}

static void connection_without_memory_is_none(void **state) {
    (void)state;
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_connection_create(&connection, s.listener, -1, &(dx_address){.any.sa_family = AF_INET}), DX_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
    begin(&scripted_transport); // for the teardown
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opening_waits_for_what_it_says, setup, teardown),
        cmocka_unit_test_setup_teardown(yielding_opening_goes_on_behind_others, setup, teardown),
        cmocka_unit_test_setup_teardown(opening_that_fails_closes_without_a_word, setup, teardown),
        cmocka_unit_test_setup_teardown(opening_that_takes_too_long_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(transport_before_another_hands_over, setup, teardown),
        cmocka_unit_test_setup_teardown(input_inside_the_transport_is_read_without_an_event, setup, teardown),
        cmocka_unit_test_setup_teardown(request_over_tls_knows_it, setup, teardown),
        cmocka_unit_test_setup_teardown(facts_are_the_streams_own, setup, teardown),
        cmocka_unit_test_setup_teardown(alpn_chooses_the_protocol, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_without_memory_is_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
