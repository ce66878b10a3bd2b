// A client on its program's own loop: by hand with poll(2), by a driver's callbacks, inside libuv.
#include "duplex/loop.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "client/fixture.h"

static const char definition[] =
    "{\"a\": {\"base_url\": \"http://api.test\", \"retry\": {\"delay\": 0.001}, \"pool\": {\"max_connections\": 3}}}";

static dx_client *open_on(dx_transport *mock, dx_loop_driver *driver) {
    dx_client *client;
    dx_error error;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    options.transport = mock;
    options.loop = driver;
    if (dx_client_open_text(&client, definition, strlen(definition), &options, &error)) fail_msg("%s", error.message);
    return client;
}

static dx_transport *slow_mock(void) {
    dx_transport *mock = dx_transport_mock_create();
    dx_mock_rule rule = DX_MOCK_RULE_INIT;
    rule.status = 503;
    rule.times = 2;
    assert_int_equal(dx_mock_rule_add(mock, &rule), DX_ERROR_NONE);
    rule = (dx_mock_rule)DX_MOCK_RULE_INIT;
    rule.pattern = "/never";
    rule.delay_ms = 3600000;
    assert_int_equal(dx_mock_rule_add(mock, &rule), DX_ERROR_NONE);
    rule.pattern = NULL;
    rule.delay_ms = 3;
    assert_int_equal(dx_mock_rule_add(mock, &rule), DX_ERROR_NONE);
    return mock;
}

static void count(void *context, dx_call *call) {
    ((int *)context)[dx_call_error(call)->code == DX_ERROR_NONE ? 0 : 1]++;
    dx_call_release(call);
}

static void start(dx_client *client, const char *path, int *counts) {
    dx_call *call;
    dx_error error;
    if (dx_call_start_request(&call, client, "a", "GET", path, NULL, NULL, count, counts, &error)) fail_msg("%s", error.message);
}

static void a_loop_by_hand_waits_for_one_descriptor_and_one_timeout(void **state) {
    (void)state;
    dx_transport *mock = slow_mock();
    dx_loop_driver driver = DX_LOOP_DRIVER_INIT;
    dx_client *client = open_on(mock, &driver);
    int counts[2] = {0};
    for (int i = 0; i < 20; i++) start(client, "/x", counts);
    while (counts[0] < 20) {
        struct pollfd watched = {.fd = dx_client_fd(client), .events = POLLIN};
        int64_t timeout = dx_client_timeout_ms(client);
        assert_true(timeout >= -1 && timeout < 60000);
        assert_true(poll(&watched, 1, (int)timeout) >= 0);
        dx_client_process(client);
    }
    assert_int_equal(counts[1], 0);
    assert_int_equal(dx_mock_count(mock), 22);
    assert_int_equal(get(client, "/x", NULL, 0, NULL), DX_ERROR_NONE); // on this thread, beside the loop
    dx_client_close(client);
    dx_transport_destroy(mock);
}

typedef struct own_loop {
    int fd, watched, unwatched;
    int64_t timeout;
} own_loop;

static bool watch(void *context, dx_client *client, int fd) {
    own_loop *loop = context;
    (void)client;
    loop->fd = fd;
    loop->watched++;
    return true;
}

static void timer(void *context, dx_client *client, int64_t ms) {
    (void)client;
    ((own_loop *)context)->timeout = ms;
}

static void unwatch(void *context, dx_client *client, int fd) {
    own_loop *loop = context;
    (void)client;
    assert_int_equal(fd, loop->fd);
    loop->unwatched++;
}

static void a_drivers_callbacks_are_told_what_to_wait_for(void **state) {
    (void)state;
    dx_transport *mock = slow_mock();
    own_loop loop = {.timeout = -2};
    dx_loop_driver driver = DX_LOOP_DRIVER_INIT;
    driver.context = &loop;
    driver.watch = watch;
    driver.timer = timer;
    driver.unwatch = unwatch;
    dx_client *client = open_on(mock, &driver);
    int counts[2] = {0};
    assert_int_equal(loop.watched, 1);
    for (int i = 0; i < 5; i++) start(client, "/x", counts);
    while (counts[0] < 5) {
        struct pollfd watched = {.fd = loop.fd, .events = POLLIN};
        assert_true(poll(&watched, 1, (int)loop.timeout) >= 0);
        dx_client_process(client);
    }
    dx_client_close(client);
    assert_int_equal(loop.unwatched, 1);
    dx_transport_destroy(mock);
}

static void closing_tells_calls_that_have_not_even_begun(void **state) {
    (void)state;
    dx_transport *mock = slow_mock();
    dx_loop_driver driver = DX_LOOP_DRIVER_INIT;
    dx_client *client = open_on(mock, &driver);
    int counts[2] = {0};
    for (int i = 0; i < 5; i++) start(client, "/never", counts);
    dx_client_close(client);
    assert_int_equal(counts[1], 5);
    client = open_on(mock, &driver);
    for (int i = 0; i < 5; i++) start(client, "/never", counts); // three under way, two in the queue
    dx_client_process(client);
    dx_client_close(client);
    assert_int_equal(counts[1], 10);
    assert_int_equal(counts[0], 0);
    dx_transport_destroy(mock);
}

static void a_client_lives_inside_libuv(void **state) {
    (void)state;
    dx_transport *mock = slow_mock();
    uv_loop_t uv;
    dx_loop_driver driver = DX_LOOP_DRIVER_INIT;
    int counts[2] = {0};
    assert_int_equal(uv_loop_init(&uv), 0);
    driver.uv = &uv;
    dx_client *client = open_on(mock, &driver);
    assert_int_equal(dx_client_fd(client), -1);
    assert_int_equal(dx_client_timeout_ms(client), -1);
    for (int i = 0; i < 20; i++) start(client, "/x", counts);
    while (counts[0] < 20) (void)uv_run(&uv, UV_RUN_ONCE);
    for (int i = 0; i < 4; i++) start(client, "/never", counts);
    (void)uv_run(&uv, UV_RUN_NOWAIT);
    start(client, "/never", counts);
    dx_client_close(client);
    assert_int_equal(counts[1], 5);
    (void)uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
    dx_transport_destroy(mock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_by_hand_waits_for_one_descriptor_and_one_timeout),
        cmocka_unit_test(a_drivers_callbacks_are_told_what_to_wait_for),
        cmocka_unit_test(closing_tells_calls_that_have_not_even_begun),
        cmocka_unit_test(a_client_lives_inside_libuv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
