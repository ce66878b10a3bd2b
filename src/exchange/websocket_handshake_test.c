// The opening handshake: what is refused and how, and what is agreed on.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "exchange/websocket_parts.h"
#include "exchange/wire_fixture.h"

static wire_fixture w;
static int closes;

static void on_closed(void *ctx, dx_websocket *socket, uint16_t code, dx_slice reason) {
    (void)ctx;
    (void)socket;
    (void)code;
    (void)reason;
    closes++;
}
static const dx_websocket_ops ops = {.closed = on_closed};
static const dx_websocket_options usual = DX_WEBSOCKET_OPTIONS_INIT;

static int set_up(void **state) {
    (void)state;
    wire_open(&w);
    closes = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wire_close(&w, DX_CANCELLED);
    return 0;
}

static void request(uint8_t version) {
    w.x.request.version = version;
    w.x.request.method = DX_GET;
    w.x.request.protocol = DX_SLICE("websocket");
    wire_ask(&w, DX_SLICE("Host"), DX_SLICE("example.com:8080"));
    wire_ask(&w, DX_SLICE("Sec-WebSocket-Version"), DX_SLICE("13"));
    if (version < 20) wire_ask(&w, DX_SLICE("Sec-WebSocket-Key"), DX_SLICE("dGhlIHNhbXBsZSBub25jZQ=="));
}

static void change(const char *name, dx_slice value) {
    for (uint32_t i = 0; i < w.x.request.fields.count; i++)
        if (dx_slice_equal_nocase(w.x.request.fields.items[i].name, dx_slice_str(name))) w.x.request.fields.items[i].value = value;
}

static void assert_answers(const dx_websocket_options *options, int status) {
    assert_int_equal(dx_websocket_accept(&w.x, options, &ops, NULL), DX_ANSWER);
    assert_int_equal(w.x.response.status, status);
    assert_int_equal(w.x.response.tunnel, status == 101 || status == 200);
}

static void assert_field(const char *name, const char *value) {
    dx_slice found = wire_field(&w, name);
    if (!value) {
        assert_null(found.data);
        return;
    }
    assert_int_equal((long)found.size, (long)strlen(value));
    assert_memory_equal(found.data, value, found.size);
}

static void the_key_of_the_rfc_has_its_answer(void **state) {
    (void)state;
    request(11);
    assert_answers(&usual, 101);
    assert_field("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_field("sec-websocket-protocol", NULL);
    assert_field("sec-websocket-extensions", NULL);
}

static void over_http2_there_is_no_key(void **state) {
    (void)state;
    request(20);
    assert_answers(&usual, 200);
    assert_field("sec-websocket-accept", NULL);
}

static void a_plain_request_is_told_to_upgrade(void **state) {
    (void)state;
    request(11);
    w.x.request.protocol = DX_SLICE("");
    assert_answers(&usual, 426);
    assert_field("upgrade", "websocket");
    assert_field("connection", "upgrade");
    assert_field("sec-websocket-version", "13");
}

static void another_version_is_told_which(void **state) {
    (void)state;
    request(11);
    change("sec-websocket-version", DX_SLICE("8"));
    assert_answers(&usual, 426);
    assert_field("sec-websocket-version", "13");
}

static void a_wrong_key_is_a_bad_request(void **state) {
    (void)state;
    request(11);
    change("sec-websocket-key", DX_SLICE("short"));
    assert_answers(&usual, 400);
}

static void two_keys_are_a_bad_request(void **state) {
    (void)state;
    request(11);
    wire_ask(&w, DX_SLICE("sec-websocket-key"), DX_SLICE("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_answers(&usual, 400);
}

static void another_method_is_a_bad_request(void **state) {
    (void)state;
    request(11);
    w.x.request.method = DX_POST;
    assert_answers(&usual, 400);
}

static void pages_of_the_own_host_alone_may_connect(void **state) {
    static const struct {
        const char *host, *origin;
        int status;
    } rows[] = {
        {"example.com:8080", "http://example.com:8080", 101},
        {"example.com:8080", "https://Example.com:8080", 101}, // TLS may have ended before us
        {"example.com", "https://example.com", 101},
        {"example.com", "https://example.com:443", 101},
        {"example.com:443", "https://example.com", 101},
        {"example.com:443", "http://example.com", 403},
        {"example.com", "http://example.com:8080", 403},
        {"example.com", "https://evil.example", 403},
        {"example.com", "https://example.com.evil.example", 403},
        {"example.com", "https://evilexample.com", 403},
        {"example.com", "null", 403},
        {"example.com", "", 403},
        {"example.com", "file://example.com", 403},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        request(11);
        change("host", dx_slice_str(rows[i].host));
        wire_ask(&w, DX_SLICE("Origin"), dx_slice_str(rows[i].origin));
        assert_answers(&usual, rows[i].status);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void origins_can_be_named(void **state) {
    static const dx_slice named[] = {DX_SLICE_INIT("https://app.example")}, all[] = {DX_SLICE_INIT("*")};
    dx_websocket_options options = usual;
    options.origins = named;
    options.origin_count = 1;
    request(11);
    wire_ask(&w, DX_SLICE("origin"), DX_SLICE("https://app.example"));
    assert_answers(&options, 101);
    (void)tear_down(state);
    (void)set_up(state);
    request(11);
    wire_ask(&w, DX_SLICE("origin"), DX_SLICE("http://example.com:8080")); // the own host is not on the list
    assert_answers(&options, 403);
    (void)tear_down(state);
    (void)set_up(state);
    options.origins = all;
    request(11);
    wire_ask(&w, DX_SLICE("origin"), DX_SLICE("null"));
    assert_answers(&options, 101);
}

static void our_first_subprotocol_that_is_offered_is_chosen(void **state) {
    (void)state;
    static const dx_slice ours[] = {DX_SLICE_INIT("v2.chat"), DX_SLICE_INIT("v1.chat")};
    dx_websocket_options options = usual;
    options.protocols = ours;
    options.protocol_count = 2;
    request(11);
    wire_ask(&w, DX_SLICE("Sec-WebSocket-Protocol"), DX_SLICE("other, v1.chat"));
    wire_ask(&w, DX_SLICE("Sec-WebSocket-Protocol"), DX_SLICE("v2.chat"));
    assert_answers(&options, 101);
    assert_field("sec-websocket-protocol", "v2.chat");
}

static void a_subprotocol_that_is_not_ours_is_not_chosen(void **state) {
    (void)state;
    static const dx_slice ours[] = {DX_SLICE_INIT("chat")};
    dx_websocket_options options = usual;
    options.protocols = ours;
    options.protocol_count = 1;
    request(11);
    wire_ask(&w, DX_SLICE("Sec-WebSocket-Protocol"), DX_SLICE("CHAT, chatter"));
    assert_answers(&options, 101);
    assert_field("sec-websocket-protocol", NULL);
}

static void compression_is_agreed_on_as_offered(void **state) {
#define AGREED "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    static const struct {
        const char *offer, *answer;
    } rows[] = {
        {"permessage-deflate", AGREED},
        {"permessage-deflate; client_max_window_bits", AGREED},
        {"permessage-deflate; client_max_window_bits=10; server_no_context_takeover", AGREED},
        {"permessage-deflate;server_max_window_bits=9", AGREED "; server_max_window_bits=9"},
        {"permessage-deflate; server_max_window_bits=\"12\"", AGREED "; server_max_window_bits=12"},
        {"permessage-deflate; server_max_window_bits=8", NULL},
        {"permessage-deflate; server_max_window_bits=8, permessage-deflate", AGREED},
        {"permessage-deflate; server_max_window_bits", NULL},
        {"permessage-deflate; server_max_window_bits=16", NULL},
        {"permessage-deflate; server_max_window_bits=010", NULL},
        {"permessage-deflate; client_max_window_bits=7", NULL},
        {"permessage-deflate; server_no_context_takeover=1", NULL},
        {"permessage-deflate; client_no_context_takeover; client_no_context_takeover", NULL},
        {"permessage-deflate; unknown", NULL},
        {"permessage-deflate;", NULL},
        {"permessage-bzip2", NULL},
        {"permessage-bzip2; x=1, permessage-deflate; client_no_context_takeover", AGREED},
        {"", NULL},
    };
    dx_websocket_options options = usual;
    options.deflate = true;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        request(11);
        wire_ask(&w, DX_SLICE("Sec-WebSocket-Extensions"), dx_slice_str(rows[i].offer));
        assert_answers(&options, 101);
        assert_field("sec-websocket-extensions", rows[i].answer);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void compression_is_not_agreed_on_unasked(void **state) {
    (void)state;
    request(11);
    wire_ask(&w, DX_SLICE("Sec-WebSocket-Extensions"), DX_SLICE("permessage-deflate"));
    assert_answers(&usual, 101);
    assert_field("sec-websocket-extensions", NULL);
}

static void without_memory_the_answer_says_so(void **state) {
    dx_websocket_options options = usual;
    options.deflate = true;
    for (uint64_t n = 1;; n++) {
        request(11);
        wire_ask(&w, DX_SLICE("Sec-WebSocket-Extensions"), DX_SLICE("permessage-deflate; server_max_window_bits=11"));
        dx_memory_fail_at(n, false);
        dx_arena *small = dx_arena_create(1u << 16), *whole = w.x.arena;
        int status = 503;
        if (small) {
            w.x.arena = small;
            assert_int_equal(dx_websocket_accept(&w.x, &options, &ops, NULL), DX_ANSWER);
            status = w.x.response.status;
            dx_exchange_closed(&w.x, DX_CANCELLED);
            w.x.arena = whole;
        }
        bool failed = dx_memory_fail_stop();
        assert_true(status == 503 || status == 101);
        assert_int_equal(closes, status == 101);
        dx_arena_destroy(small);
        (void)tear_down(state);
        (void)set_up(state);
        if (!failed) break;
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_key_of_the_rfc_has_its_answer),
        TEST(over_http2_there_is_no_key),
        TEST(a_plain_request_is_told_to_upgrade),
        TEST(another_version_is_told_which),
        TEST(a_wrong_key_is_a_bad_request),
        TEST(two_keys_are_a_bad_request),
        TEST(another_method_is_a_bad_request),
        TEST(pages_of_the_own_host_alone_may_connect),
        TEST(origins_can_be_named),
        TEST(our_first_subprotocol_that_is_offered_is_chosen),
        TEST(a_subprotocol_that_is_not_ours_is_not_chosen),
        TEST(compression_is_agreed_on_as_offered),
        TEST(compression_is_not_agreed_on_unasked),
        TEST(without_memory_the_answer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
