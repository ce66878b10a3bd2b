// Bytes over TLS: what travels byte by byte, all at once, too slowly or never to its end arrives all the same or is told as what it is.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "base/log.h"
#include "base/memory.h"
#include "loop/embed.h"
#include "net/listener.h"
#include "net/test_tls.h"

// --- bytes in ---------------------------------------------------------------------------------------------------------------

static void records_split_at_every_byte_arrive(void **state) {
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        client c;
        open_by_hand(&c, version);
        shake_hands(&c, 1);
        assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
        send_records(&c, 1);
        assert_non_null(strstr(await_text(&c, "fixed"), "200 OK"));
        close_client(&c);
    }
}

static void request_that_comes_with_the_end_of_the_handshake_is_answered(void **state) {
    (void)state;
    client c;
    open_by_hand(&c, TLS1_3_VERSION);
    while (SSL_do_handshake(c.ssl) != 1) {
        send_records(&c, SIZE_MAX / 2);
        assert_true(take_records(&c));
    }
    assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
    send_records(&c, SIZE_MAX / 2);
    assert_non_null(strstr(await_text(&c, "fixed"), "200 OK"));
    close_client(&c);
}

// The request comes with the end of the handshake: a stop in the middle of it must not lose it.
static void handshake_under_way_at_a_stop_is_finished_and_its_request_answered(void **state) {
    (void)state;
    client c;
    open_by_hand(&c, TLS1_3_VERSION);
    (void)SSL_do_handshake(c.ssl);
    send_records(&c, SIZE_MAX / 2);
    assert_true(take_records(&c));
    server_drain(&s, 20 * DX_SECOND);
    assert_int_equal(SSL_do_handshake(c.ssl), 1);
    assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
    send_records(&c, SIZE_MAX / 2);
    assert_non_null(strstr(await_text(&c, "fixed"), "200 OK"));
    close_client(&c);
}

static void body_in_one_burst_of_records_arrives_without_more_to_wake_for_it(void **state) {
    (void)state;
    static const size_t sizes[] = {16384, 65536, 65537, 300000};
    for (size_t i = 0; i < DX_COUNT_OF(sizes); i++) {
        client c;
        char head[128];
        char *body = calloc(1, sizes[i]);
        open_by_hand(&c, TLS1_3_VERSION);
        shake_hands(&c, 4096);
        int size = snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        assert_int_equal(SSL_write(c.ssl, head, size), size);
        for (size_t at = 0; at < sizes[i]; at += 16384)
            assert_true(SSL_write(c.ssl, body + at, (int)(sizes[i] - at < 16384 ? sizes[i] - at : 16384)) > 0);
        free(body);
        send_records(&c, SIZE_MAX / 2);
        server_await(&s, CLOSED_SENT, i + 1);
        close_client(&c);
    }
    assert_int_equal(server_counted(&s, BODY_BYTES), 16384 + 65536 + 65537 + 300000);
}

static void many_small_records_with_many_requests_are_all_answered(void **state) {
    (void)state;
    client c;
    open_by_hand(&c, TLS1_3_VERSION);
    shake_hands(&c, 4096);
    for (int i = 0; i < 200; i++) assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
    send_records(&c, SIZE_MAX / 2);
    server_await(&s, CLOSED_SENT, 200);
    close_client(&c);
}

// --- bytes out --------------------------------------------------------------------------------------------------------------

static void assert_big(const char *body, size_t size) {
    assert_int_equal(size, SERVER_BIG);
    for (size_t i = 0; i < size; i++)
        if (body[i] != (char)('!' + i % 89)) fail_msg("byte %zu", i);
}

static void large_answers_arrive_whole_also_where_the_peer_takes_little(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        client c;
        size_t size;
        assert_int_equal(open_client(&c, &(wish){.small = i & 1, .version = i & 2 ? TLS1_2_VERSION : TLS1_3_VERSION}), 1);
        for (int n = 0; n < 2; n++) { // the second one meets the first one's leavings
            write_all(&c, GET("/big"), sizeof GET("/big") - 1);
            const char *body = read_answer(&c, &size);
            assert_big(body, size);
        }
        close_client(&c);
    }
}

static void pieces_arrive_in_order_as_fast_as_they_are_taken(void **state) {
    (void)state;
    client c;
    assert_int_equal(open_client(&c, &(wish){.small = true}), 1);
    write_all(&c, GET("/stream"), sizeof GET("/stream") - 1);
    size_t size = 0;
    int n;
    while (size < 5 || memcmp(out + size - 5, "0\r\n\r\n", 5) != 0) {
        assert_true((n = SSL_read(c.ssl, out + size, (int)(sizeof out - size))) > 0);
        size += (size_t)n;
    }
    const char *at = strstr(out, "\r\n\r\n") + 4;
    size_t offset = 0;
    for (unsigned left; (left = (unsigned)strtoul(at, NULL, 16)) > 0; at += left + 2) {
        at = strstr(at, "\r\n") + 2;
        for (unsigned i = 0; i < left; i++, offset++) {
            size_t piece = offset / SERVER_PIECE, in_piece = offset % SERVER_PIECE; // as write_pieces makes them
            if (at[i] != (char)('!' + (piece + in_piece) % 89)) fail_msg("byte %zu", offset);
        }
    }
    assert_int_equal(offset, (size_t)SERVER_PIECES * SERVER_PIECE);
    server_await(&s, CLOSED_SENT, 1);
    close_client(&c);
}

static void large_bodies_go_up_and_come_back(void **state) {
    (void)state;
    client c;
    size_t size;
    static char body[3 << 20];
    for (size_t i = 0; i < sizeof body; i++) body[i] = (char)(i * 7);
    assert_int_equal(open_client(&c, &(wish){0}), 1);
    char head[128];
    int length = snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", sizeof body);
    write_all(&c, head, (size_t)length);
    write_all(&c, body, sizeof body);
    const char *back = read_answer(&c, &size);
    assert_int_equal(size, sizeof body);
    assert_memory_equal(back, body, size);
    close_client(&c);
}

// --- the end ----------------------------------------------------------------------------------------------------------------

static void end_is_said_when_all_was_sent_and_not_when_cut(void **state) {
    (void)state;
    client c;
    char byte;
    assert_int_equal(open_client(&c, &(wish){0}), 1);
    assert_string_equal(ask(&c, GET("/close")), "last");
    assert_true(SSL_read(c.ssl, &byte, 1) <= 0);
    assert_true(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    close_client(&c);
    assert_int_equal(open_client(&c, &(wish){0}), 1);
    write_all(&c, GET("/drop"), sizeof GET("/drop") - 1);
    assert_true(SSL_read(c.ssl, &byte, 1) <= 0);
    assert_false(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    close_client(&c);
}

static void half_closed_client_gets_its_answer(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        client c;
        assert_int_equal(open_client(&c, &(wish){0}), 1);
        write_all(&c, GET("/wait"), sizeof GET("/wait") - 1);
        server_await(&s, WAITING, (size_t)how + 1);
        if (how == 0) (void)SSL_shutdown(c.ssl);
        if (how == 1) assert_int_equal(shutdown(c.fd, SHUT_WR), 0); // as many programs do
        server_release(&s, (size_t)how);
        assert_non_null(read_answer(&c, NULL));
        close_client(&c);
    }
}

static void body_cut_short_without_a_word_is_no_whole_body(void **state) {
    (void)state;
    static const char part[] = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (size_t how = 0; how < 2; how++) {
        client c;
        assert_int_equal(open_client(&c, &(wish){0}), 1);
        write_all(&c, part, sizeof part - 1);
        server_await(&s, BODY_BYTES, 5 * (how + 1));
        if (how == 1) (void)SSL_shutdown(c.ssl);
        assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
        server_await(&s, ABORTED, how + 1);
        close_client(&c);
    }
    assert_int_equal(server_counted(&s, ENDED), 0);
}

// --- turns, memory ----------------------------------------------------------------------------------------------------------

typedef struct one_turn {
    dx_task task;
    dx_connection *connection;
    dx_tls_desk *desk;
} one_turn;

static void handshake_in_one_turn(dx_task *task) {
    one_turn *turn = DX_CONTAINER_OF(task, one_turn, task);
    dx_connection *connection = turn->connection;
    dx_tls_desk *desk = turn->desk;
    assert_int_equal(dx_tls_transport.open(connection), DX_OPENING_READ); // the first step of a turn is always made
    desk->spent = DX_TLS_TURN_BUDGET - 1;
    assert_int_equal(dx_tls_transport.open(connection), DX_OPENING_READ);
    assert_true(desk->spent > DX_TLS_TURN_BUDGET - 1); // what it took is counted
    desk->spent = DX_TLS_TURN_BUDGET;
    assert_int_equal(dx_tls_transport.open(connection), DX_OPENING_YIELD);
    desk->turn--; // another turn
    assert_int_equal(dx_tls_transport.open(connection), DX_OPENING_READ);
}

static void handshakes_yield_when_their_share_of_a_turn_is_used(void **state) {
    (void)state;
    dx_loop *loop;
    int pair[2];
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    dx_tls *context = make_tls(&(dx_tls_options){.least_version = 12});
    dx_listener listener = {.loop = loop};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    dx_connection connection = {.listener = &listener, .fd = pair[0]};
    assert_int_equal(dx_tls_attach(&connection, context), DX_OK);
    dx_tls_desk *desk = listener.tls_desk;
    one_turn turn = {{NULL, handshake_in_one_turn}, &connection, desk};
    dx_loop_post(loop, &turn.task);
    dx_loop_turn(loop);
    dx_tls_transport.close(&connection);
    dx_memory_free(desk);
    dx_tls_release(context);
    (void)close(pair[0]);
    (void)close(pair[1]);
    dx_loop_destroy(loop);
}

static void carry(client *c, int fd) {
    char data[16384], *to;
    long size = BIO_get_mem_data(SSL_get_wbio(c->ssl), &to);
    if (size) assert_int_equal(send(fd, to, (size_t)size, MSG_NOSIGNAL), size);
    (void)BIO_reset(SSL_get_wbio(c->ssl));
    ssize_t got = recv(fd, data, sizeof data, MSG_DONTWAIT);
    if (got > 0) assert_int_equal(BIO_write(SSL_get_rbio(c->ssl), data, (int)got), got);
}

// Records that bring nothing, as fast as they can be sent: other connections get their turn all the same.
static void flood_of_key_updates_leaves_others_their_turn(void **state) {
    (void)state;
    dx_loop *loop;
    client c;
    int pair[2], left = 0;
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    dx_tls *context = make_tls(&(dx_tls_options){.least_version = 13});
    dx_listener listener = {.loop = loop};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    dx_connection connection = {.listener = &listener, .fd = pair[0]};
    assert_int_equal(dx_tls_attach(&connection, context), DX_OK);
    prepare(&c, &(wish){.version = TLS1_3_VERSION, .name = "a.test"});
    SSL_set_bio(c.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    c.fd = pair[1];
    dx_tls_desk *desk = listener.tls_desk;
    for (dx_opening opening = DX_OPENING_READ; opening != DX_OPENING_DONE; opening = dx_tls_transport.open(&connection)) {
        desk->spent = 0;
        (void)SSL_do_handshake(c.ssl);
        carry(&c, pair[1]);
    }
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(c.ssl), 1);
    }
    carry(&c, pair[1]);
    unsigned turns = 0;
    do {
        assert_int_equal(dx_tls_transport.receive(&connection, out, DX_INPUT_SIZE), -1);
        assert_int_equal(errno, EAGAIN);
        assert_false(dx_tls_transport.holds_input(&connection));
        assert_int_equal(ioctl(pair[0], FIONREAD, &left), 0);
        turns++;
    } while (left);
    assert_true(turns > 1);
    assert_int_equal(SSL_write(c.ssl, "x", 1), 1);
    carry(&c, pair[1]);
    assert_int_equal(dx_tls_transport.receive(&connection, out, DX_INPUT_SIZE), 1);
    dx_tls_transport.close(&connection);
    dx_memory_free(desk);
    dx_tls_release(context);
    (void)close(pair[0]);
    close_client(&c);
    dx_loop_destroy(loop);
}

static void use_up_the_turn(server *server_) {
    dx_tls_desk *desk = server_->listener->tls_desk;
    if (!desk) return;
    desk->turn = dx_loop_now(server_->loop);
    desk->spent = DX_TLS_TURN_BUDGET;
}

static void handshake_that_has_yielded_goes_on_by_itself(void **state) {
    (void)state;
    assert_served(&(wish){0});
    for (int i = 0; i < 20; i++) {
        client c;
        open_by_hand(&c, TLS1_3_VERSION);
        (void)SSL_do_handshake(c.ssl);
        send_records(&c, SIZE_MAX / 2);
        server_run(&s, use_up_the_turn);
        assert_true(take_records(&c));
        shake_hands(&c, SIZE_MAX / 2);
        close_client(&c);
    }
}

// OpenSSL's own allocations, by the listener's thread alone.
static _Atomic uint64_t until_failure; // 0: none is to fail
static _Thread_local bool is_listener;

static bool fails(void) {
    uint64_t left = is_listener ? atomic_load(&until_failure) : 0;
    if (left) atomic_store(&until_failure, left - 1);
    return left == 1;
}

static void *openssl_alloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return fails() ? NULL : malloc(size);
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line) {
    (void)file, (void)line;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return fails() ? NULL : realloc(old, size);
}

static void openssl_free(void *pointer, const char *file, int line) {
    (void)file, (void)line;
    free(pointer);
}

static void mark_listener(server *server_) {
    (void)server_;
    is_listener = true;
}

static void every_failed_allocation_of_openssl_costs_no_more_than_its_connection(void **state) {
    (void)state;
    server_run(&s, mark_listener);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        uint64_t n = 1, left = 0;
        for (; left == 0 && n < 2000; n++) {
            client c;
            atomic_store(&until_failure, n);
            if (open_client(&c, &(wish){.version = version, .name = "b.test"}) == 1 &&
                SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0)
                (void)SSL_read(c.ssl, out, sizeof out);
            (void)shutdown(c.fd, SHUT_WR);
            bool reset;
            (void)client_read_all(c.fd, out, sizeof out, &reset); // the server has closed it: all is over
            left = atomic_exchange(&until_failure, 0);
            close_client(&c);
        }
        assert_true(n > 50);
        assert_served(&(wish){.version = version});
    }
}

static void every_failed_allocation_costs_no_more_than_its_connection(void **state) {
    (void)state;
    assert_served(&(wish){0});
    for (uint64_t n = 1; n < 60; n++) {
        client c;
        dx_memory_fail_at(n, false);
        if (open_client(&c, &(wish){.small = true}) == 1 && SSL_write(c.ssl, GET("/big"), sizeof GET("/big") - 1) > 0) {
            while (SSL_read(c.ssl, out, sizeof out) > 0 && SSL_pending(c.ssl) == 0) break;
        }
        bool failed = dx_memory_fail_stop();
        close_client(&c);
        assert_served(&(wish){0});
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        usual(records_split_at_every_byte_arrive),
        usual(request_that_comes_with_the_end_of_the_handshake_is_answered),
        usual(handshake_under_way_at_a_stop_is_finished_and_its_request_answered),
        usual(body_in_one_burst_of_records_arrives_without_more_to_wake_for_it),
        usual(many_small_records_with_many_requests_are_all_answered),
        usual(large_answers_arrive_whole_also_where_the_peer_takes_little),
        usual(pieces_arrive_in_order_as_fast_as_they_are_taken),
        usual(large_bodies_go_up_and_come_back),
        usual(end_is_said_when_all_was_sent_and_not_when_cut),
        usual(half_closed_client_gets_its_answer),
        usual(body_cut_short_without_a_word_is_no_whole_body),
        cmocka_unit_test(handshakes_yield_when_their_share_of_a_turn_is_used),
        usual(flood_of_key_updates_leaves_others_their_turn),
        usual(handshake_that_has_yielded_goes_on_by_itself),
        usual(every_failed_allocation_costs_no_more_than_its_connection),
        usual(every_failed_allocation_of_openssl_costs_no_more_than_its_connection),
    };
    if (CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free) != 1) return 1;
    return cmocka_run_group_tests_name("tls_bytes", tests, begin, end);
}
