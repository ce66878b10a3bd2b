// The PROXY protocol: what is a header and what is none, and connections that begin with one.
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/gate.h"
#include "net/proxy_header.h"
#include "net/test_server.h"

#define SIGNATURE  "\r\n\r\n\0\r\nQUIT\n"
#define ASK        "GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define LINE       "PROXY TCP4 192.0.2.9 198.51.100.1 56324 443\r\n"
#define FOUR       "\xc0\x00\x02\x09\xc6\x33\x64\x01\xdc\x04\x01\xbb" // the same, binary
#define SIX        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\x50\1\xbb"
#define WITH(text) text, sizeof(text) - 1

typedef struct row {
    const char *bytes;
    size_t size;
    const char *client; // NULL: none
} row;

static const row whole[] = {
    {WITH(LINE), "192.0.2.9:56324"},
    {WITH("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), "[2001:db8::1]:0"},
    {WITH("PROXY UNKNOWN\r\n"), NULL},
    {WITH("PROXY UNKNOWN ffff:f...f:ffff whatever 1 2\r\n"), NULL},
    {WITH(SIGNATURE "\x21\x11\0\x0c" FOUR), "192.0.2.9:56324"},
    {WITH(SIGNATURE "\x21\x21\0\x24" SIX), "[2001:db8::1]:80"},
    {WITH(SIGNATURE "\x20\0\0\0"), NULL},                                    // LOCAL
    {WITH(SIGNATURE "\x20\x11\0\3abc"), NULL},                               // LOCAL: the rest does not count
    {WITH(SIGNATURE "\x21\0\0\4abcd"), NULL},                                // of no known family
    {WITH(SIGNATURE "\x21\x12\0\x0c" FOUR), NULL},                           // a datagram's
    {WITH(SIGNATURE "\x21\x11\0\x13" FOUR "\4\0\4abcd"), "192.0.2.9:56324"}, // with an addition
    {WITH(SIGNATURE "\x21\x11\0\x0f" FOUR "\4\0\0"), "192.0.2.9:56324"},     // an empty one
};

static const row malformed[] = {
    {WITH("GET / HTTP/1.1\r\n"), NULL},
    {WITH("\x16\x03\x01"), NULL},
    {WITH("PROXY\r\n"), NULL},
    {WITH("proxy TCP4 192.0.2.9 198.51.100.1 56324 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9 198.51.100.1 56324 443\n"), NULL},
    {WITH("PROXY TCP4  192.0.2.9 198.51.100.1 56324 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9 198.51.100.1 56324 443 \r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9 198.51.100.1 56324\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9 198.51.100.1 65536 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9 198.51.100.1 -1 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9 198.51.100.1 080 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9 198.51.100.1 80 x\r\n"), NULL},
    {WITH("PROXY TCP4 2001:db8::1 2001:db8::2 80 443\r\n"), NULL},
    {WITH("PROXY TCP6 192.0.2.9 198.51.100.1 80 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.09 198.51.100.1 80 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.256 198.51.100.1 80 443\r\n"), NULL},
    {WITH("PROXY TCP4 192.0.2.9\0x 198.51.100.1 80 443\r\n"), NULL},
    {WITH("PROXY UDP4 192.0.2.9 198.51.100.1 80 443\r\n"), NULL},
    {WITH("PROXY UNKNOWNS\r\n"), NULL},
    {WITH("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"), NULL}, // 108
    {WITH(SIGNATURE "\x11\x11\0\x0c" FOUR), NULL},                  // version 1, in binary
    {WITH(SIGNATURE "\x31\x11\0\x0c" FOUR), NULL},                  // version 3
    {WITH(SIGNATURE "\x22\x11\0\x0c" FOUR), NULL},                  // no such command
    {WITH(SIGNATURE "\x21\x41\0\x0c" FOUR), NULL},                  // no such family
    {WITH(SIGNATURE "\x21\x13\0\x0c" FOUR), NULL},                  // no such kind
    {WITH(SIGNATURE "\x21\x11\0\x0b" FOUR), NULL},                  // too short for its addresses
    {WITH(SIGNATURE "\x21\x21\0\x0c" FOUR), NULL},                  // likewise
    {WITH(SIGNATURE "\x21\x11\0\x0e" FOUR "\4\0"), NULL},           // an addition cut in its head
    {WITH(SIGNATURE "\x21\x11\0\x10" FOUR "\4\0\2a"), NULL},        // and in its value
    {WITH(SIGNATURE "\x21\x11\0\x13" FOUR "\3\0\4\0\0\0\0"), NULL}, // a checksum that is wrong
    {WITH(SIGNATURE "\x21\x11\0\x10" FOUR "\3\0\1\0"), NULL},       // and one that is none
    {WITH(SIGNATURE "\x21\x11\x0f\xf1"), NULL},                     // one byte over the cap
};

static void headers_are_read(void **state) {
    (void)state;
    dx_proxy_header header;
    char text[DX_ADDRESS_TEXT_CAP], longer[600];
    for (size_t i = 0; i < DX_COUNT_OF(whole); i++) {
        dx_slice bytes = dx_slice_of(whole[i].bytes, whole[i].size);
        if (dx_proxy_header_read(&header, bytes) != DX_PROXY_WHOLE) fail_msg("row %zu is not taken", i);
        assert_int_equal(header.size, bytes.size);
        assert_int_equal(header.has_client, whole[i].client != NULL);
        if (header.has_client) {
            dx_address_text(&header.client, text);
            assert_string_equal(text, whole[i].client);
        }
        memcpy(longer, bytes.data, bytes.size);
        memcpy(longer + bytes.size, ASK, sizeof ASK);
        assert_int_equal(dx_proxy_header_read(&header, dx_slice_of(longer, bytes.size + sizeof ASK)), DX_PROXY_WHOLE);
        assert_int_equal(header.size, bytes.size); // and no byte of what is behind
        for (size_t size = 0; size < bytes.size; size++)
            assert_int_equal(dx_proxy_header_read(&header, dx_slice_of(bytes.data, size)), DX_PROXY_MORE);
    }
}

static void what_is_no_header_is_refused(void **state) {
    (void)state;
    dx_proxy_header header;
    for (size_t i = 0; i < DX_COUNT_OF(malformed); i++) {
        if (dx_proxy_header_read(&header, dx_slice_of(malformed[i].bytes, malformed[i].size)) != DX_PROXY_MALFORMED)
            fail_msg("row %zu is taken", i);
    }
}

static void header_of_the_cap_is_read_and_its_checksum_proved(void **state) {
    (void)state;
    static char bytes[DX_PROXY_HEADER_CAP];
    dx_proxy_header header;
    size_t filler = sizeof bytes - 16 - 12 - 7 - 3;
    memcpy(bytes, SIGNATURE "\x21\x11\x0f\xf0" FOUR, 28);
    memcpy(bytes + 28, "\4", 1);
    bytes[29] = (char)(filler >> 8);
    bytes[30] = (char)filler;
    memset(bytes + 31, 'x', filler);
    char *crc = bytes + sizeof bytes - 7;
    memcpy(crc, "\3\0\4\0\0\0\0", 7);
    assert_int_equal(dx_proxy_header_read(&header, dx_slice_of(bytes, sizeof bytes)), DX_PROXY_MALFORMED);
    memcpy(crc, "\4\0\4\0\0\0\0", 7); // the same bytes, but no checksum
    assert_int_equal(dx_proxy_header_read(&header, dx_slice_of(bytes, sizeof bytes)), DX_PROXY_WHOLE);
    assert_int_equal(header.size, sizeof bytes);
}

// Made with another program's CRC32c (Python's, bit by bit, proved by the check value of "123456789", e3069283).
static void right_checksum_is_taken(void **state) {
    (void)state;
    dx_proxy_header header;
    static const char bytes[] = SIGNATURE "\x21\x11\0\x13" FOUR "\3\0\4"
                                          "\xfa\x9b\xc6\x3e";
    assert_int_equal(dx_proxy_header_read(&header, dx_slice_of(bytes, sizeof bytes - 1)), DX_PROXY_WHOLE);
}

static void unix_clients_are_known_as_such(void **state) {
    (void)state;
    static char bytes[16 + 216];
    char text[DX_ADDRESS_TEXT_CAP];
    dx_proxy_header header;
    memcpy(bytes, SIGNATURE "\x21\x31\0\xd8/run/client", 27);
    assert_int_equal(dx_proxy_header_read(&header, dx_slice_of(bytes, sizeof bytes)), DX_PROXY_WHOLE);
    dx_address_text(&header.client, text);
    assert_string_equal(text, "unix");
}

// --- on connections --------------------------------------------------------------------------------------------------------

static server s;
static char out[65536];
static bool reset;

static void ask_behind(const char *header, size_t size, const char *expected) {
    int fd = client_open(&s);
    client_send_bytes(fd, header, size);
    (void)!send(fd, ASK, sizeof ASK - 1, MSG_NOSIGNAL); // may be reset already
    size_t got = client_read_all(fd, out, sizeof out - 1, &reset);
    out[got] = 0;
    if (expected)
        assert_non_null(strstr(out, expected));
    else
        assert_int_equal(got, 0);
    close(fd);
}

static void connection_has_its_clients_address(void **state) {
    (void)state;
    server_start_at(&s, NULL, "localhost:0", &(dx_endpoint){.proxy_protocol = true, .tag = 5});
    for (size_t i = 0; i < DX_COUNT_OF(whole); i++) {
        char expected[100];
        (void)snprintf(expected, sizeof expected, "\r\n\r\n%s", whole[i].client ? whole[i].client : "127.0.0.1:");
        ask_behind(whole[i].bytes, whole[i].size, expected);
    }
    server_stop(&s, DX_SECOND);
}

static void connection_without_a_proper_header_is_closed(void **state) {
    (void)state;
    server_start_at(&s, NULL, "localhost:0", &(dx_endpoint){.proxy_protocol = true});
    for (size_t i = 0; i < DX_COUNT_OF(malformed); i++) ask_behind(malformed[i].bytes, malformed[i].size, NULL);
    ask_behind("", 0, NULL);
    server_stop(&s, DX_SECOND);
    assert_int_equal(s.counts[BEGUN], 0);
}

static void header_may_come_byte_by_byte(void **state) {
    (void)state;
    server_start_at(&s, NULL, "localhost:0", &(dx_endpoint){.proxy_protocol = true});
    int fd = client_open(&s), on = 1;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    for (size_t i = 0; i < sizeof LINE - 1; i++) client_send_bytes(fd, &LINE[i], 1);
    client_send(fd, ASK);
    client_read_all(fd, out, sizeof out, &reset);
    assert_non_null(strstr(out, "\r\n\r\n192.0.2.9:56324 "));
    close(fd);
    server_stop(&s, DX_SECOND);
}

static void header_that_does_not_come_is_not_waited_for_longer_than_a_head(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.head_time = 100 * DX_MILLISECOND;
    server_start_at(&s, &limits, "localhost:0", &(dx_endpoint){.proxy_protocol = true});
    int silent = client_open(&s), half = client_open(&s), gone = client_open(&s);
    client_send(half, "PROXY TCP4 192");
    client_send(gone, "PROXY TCP4 192");
    close(gone);
    assert_int_equal(client_read_all(silent, out, sizeof out, &reset), 0);
    assert_int_equal(client_read_all(half, out, sizeof out, &reset), 0);
    close(silent);
    close(half);
    server_stop(&s, DX_SECOND);
}

static void header_of_whom_nobody_trusts_is_not_read(void **state) {
    (void)state;
    dx_ranges *others = NULL;
    assert_int_equal(dx_ranges_create(&others, &DX_SLICE("10.0.0.0/8"), 1, DX_SLICE(""), NULL), DX_OK);
    server_start_at(&s, NULL, "localhost:0", &(dx_endpoint){.proxy_protocol = true, .proxies = others});
    int fd = client_open(&s);
    (void)!send(fd, LINE ASK, sizeof LINE ASK - 1, MSG_NOSIGNAL);
    assert_int_equal(client_read_all(fd, out, sizeof out, &reset), 0);
    close(fd);
    server_stop(&s, DX_SECOND);
    dx_ranges_destroy(others);
}

static dx_gate *gate;

static void gate_judges_the_client_that_the_header_names(void **state) {
    (void)state;
    dx_ranges *deny = NULL;
    assert_int_equal(dx_ranges_create(&deny, &DX_SLICE("192.0.2.9"), 1, DX_SLICE(""), NULL), DX_OK);
    assert_int_equal(dx_gate_create(&gate, &(dx_gate_rules){.deny = deny, .each = 1}), DX_OK);
    server_gate = gate;
    server_start_at(&s, NULL, "localhost:0", &(dx_endpoint){.proxy_protocol = true});
    server_gate = NULL;
    ask_behind(WITH(LINE), NULL);
    static const char first[] = "PROXY TCP4 192.0.2.1 198.51.100.1 1 443\r\nGET /peer HTTP/1.1\r\nHost: a\r\n\r\n";
    int one = client_open(&s), second = client_open(&s), other = client_open(&s);
    client_send(one, first);
    client_read(one, out, sizeof out);
    assert_non_null(strstr(out, "192.0.2.1:1"));
    (void)!send(second, first, sizeof first - 1, MSG_NOSIGNAL); // one too many of this client
    assert_int_equal(client_read_all(second, out, sizeof out, &reset), 0);
    client_send(other, "PROXY TCP4 192.0.2.2 198.51.100.1 1 443\r\nGET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read(other, out, sizeof out);
    assert_non_null(strstr(out, "192.0.2.2:1"));
    close(one);
    close(second);
    close(other);
    server_stop(&s, DX_SECOND);
    dx_address address = {0}; // whoever has left may come again
    assert_true(dx_address_read(&address, "192.0.2.1", 1));
    assert_int_equal(dx_gate_enter(gate, &address), DX_ENTRY_OPEN);
    dx_gate_destroy(gate);
    dx_ranges_destroy(deny);
}

static void without_memory_the_connection_ends(void **state) {
    (void)state;
    server_start_at(&s, NULL, "localhost:0", &(dx_endpoint){.proxy_protocol = true});
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        int fd = client_open(&s), on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        dx_memory_fail_at(n, false);
        (void)!send(fd, LINE, 9, MSG_NOSIGNAL);
        (void)!send(fd, &(LINE ASK)[9], sizeof LINE ASK - 10, MSG_NOSIGNAL);
        client_read_all(fd, out, sizeof out, &reset);
        failed = dx_memory_fail_stop();
        close(fd);
        ask_behind(WITH(LINE), "192.0.2.9:56324");
        assert_true(n < 100);
    }
    server_stop(&s, DX_SECOND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(header_of_the_cap_is_read_and_its_checksum_proved),
        cmocka_unit_test(right_checksum_is_taken),
        cmocka_unit_test(unix_clients_are_known_as_such),
        cmocka_unit_test(connection_has_its_clients_address),
        cmocka_unit_test(connection_without_a_proper_header_is_closed),
        cmocka_unit_test(header_may_come_byte_by_byte),
        cmocka_unit_test(header_that_does_not_come_is_not_waited_for_longer_than_a_head),
        cmocka_unit_test(header_of_whom_nobody_trusts_is_not_read),
        cmocka_unit_test(gate_judges_the_client_that_the_header_names),
        cmocka_unit_test(without_memory_the_connection_ends),
    };
    return cmocka_run_group_tests_name("proxy_header", tests, NULL, NULL);
}
