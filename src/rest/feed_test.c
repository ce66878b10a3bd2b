// A stream of changes in memory: what becomes of it when memory fails anywhere on its way, and of feeds that never began.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "rest/rest.h"
#include "server/loopback_fixture.h"

#define HOST   "Host: test\r\n"
#define FOLLOW "GET /api/v1/things/changes HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n"

static const char definition[] =
    "{\"models\":{\"Thing\":{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{\"title\":{\"type\":\"string\"}}}},"
    "\"resources\":{\"things\":{\"model\":\"Thing\",\"access\":\"public\",\"changes\":true}},"
    "\"server\":{\"log\":{\"level\":\"off\"}}}";

const dx_feature *const dx_features[] = {&dx_rest_feature, NULL};

static loopback_fixture f;
static dx_loopback *follower;

static int set_up(void **state) {
    (void)state;
    loopback_open(&f, definition);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    dx_loopback_destroy(follower);
    follower = NULL;
    loopback_close(&f);
    return 0;
}

static int post(void) {
    static const char body[] = "{\"title\":\"one\"}";
    char request[256];
    snprintf(request, sizeof request,
             "POST /api/v1/things HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", sizeof body - 1,
             body);
    return loopback_ask(&f, request)->status;
}

static void follow(const char *fields) {
    dx_loopback_destroy(follower);
    assert_int_equal(dx_loopback_connect(&follower, f.worker->listener, "127.0.0.1:4712"), DX_OK);
    dx_loopback_send(follower, DX_SLICE(FOLLOW));
    dx_loopback_send(follower, dx_slice_str(fields));
    dx_loopback_send(follower, DX_SLICE("\r\n"));
}

static bool has(void *text) {
    const dx_buffer *received = dx_loopback_received(follower);
    return received->size && memmem(received->data, received->size, text, strlen(text));
}

// What is wanted has come, or the connection has ended.
static bool has_or_over(void *text) {
    return has(text) || dx_loopback_ended(follower) || dx_loopback_closed(follower) || has((void *)(uintptr_t) "\r\n0\r\n\r\n");
}

static bool await(const char *text) {
    loopback_await(&f, has_or_over, (void *)(uintptr_t)text);
    return has((void *)(uintptr_t)text);
}

// `live`: the change comes while the client follows; else it is there before.
static unsigned try_every_allocation(const char *fields, const char *wanted, bool live) {
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        follow(fields);
        if (live) assert_true(await("\nid: "));
        dx_memory_fail_at(n, false);
        bool due = !live || post() == 201, came = due && await(wanted);
        loopback_settle(&f);
        bool failed = dx_memory_fail_stop();
        failures += !came;
        if (!failed) {
            assert_true(came);
            return failures;
        }
        loopback_connect(&f);
        assert_int_equal(loopback_ask(&f, "GET /livez HTTP/1.1\r\n" HOST "\r\n")->status, 200);
    }
}

static void a_stream_without_memory_ends_and_the_next_one_is_whole(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) assert_int_equal(post(), 201);
    assert_true(try_every_allocation("", "\nid: 2\n", false) > 0);
    assert_true(try_every_allocation("Last-Event-ID: 0\r\n", "id: 2\nevent: create", false) > 0);
    assert_true(try_every_allocation("", "\nevent: create\n", true) > 0);
    assert_true(try_every_allocation("Accept-Encoding: gzip\r\n", "HTTP/1.1 200", false) > 0);
}

static void feeds_that_never_began_are_left(void **state) {
    (void)state;
    dx_app *app = NULL;
    dx_app_options options = {.path = f.path, .offline = true};
    assert_int_equal(dx_app_create(&app, &options, &f.diags), DX_OK);
    dx_rest_feature.leave(app->states[0], 0, f.worker->loop);
    dx_app_destroy(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stream_without_memory_ends_and_the_next_one_is_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(feeds_that_never_began_are_left, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
