// Reloads that fail, at every allocation, and that meet the end of the process: nothing changes, nothing is lost, nothing is left.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "host/toy_server.h"

#define FIRST  "\"listen\": \"127.0.0.1:0\", \"workers\": 2, \"log\": {\"level\": \"off\"}"
#define SECOND "\"listen\": [\"127.0.0.1:0\", \"unix:other.sock\"], \"title\": \"second\", \"workers\": 2, \"log\": {\"level\": \"off\"}"

static toy server;
static toy_answer answer;

static void define(const char *section) {
    char text[512];
    snprintf(text, sizeof text, "{\"server\": {%s}}", section);
    toy_write(&server, "toy.json", text);
}

static bool serves_second(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/other.sock", server.folder);
    bool listens = access(path, F_OK) == 0;
    toy_ask(&server, &answer, "GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_int_equal(answer.status, 200);
    if ((strstr(answer.body, "\"second\"") != NULL) != listens) fail_msg("it is neither the one nor the other");
    return listens;
}

static void a_reload_without_memory_changes_nothing(void **state) {
    (void)state;
    unsigned refused = 0;
    toy_start(&server, FIRST);
    for (int i = 0; i < 2; i++) {
        define(i ? FIRST : SECOND);
        assert_true(toy_reload(&server));
        assert_int_equal(serves_second(), !i);
    }
    unsigned before = toy_descriptors();
    for (uint64_t n = 1;; n++) {
        define(SECOND);
        dx_memory_fail_at(n, false);
        bool done = toy_reload(&server), failed = dx_memory_fail_stop();
        assert_true(done || failed);
        if (!failed) break;
        refused += !done;
        if (serves_second() != done)
            fail_msg("the allocation %llu failed: the reload was %s", (unsigned long long)n, done ? "done" : "refused");
        if (!done) continue;
        define(FIRST);
        assert_true(toy_reload(&server));
        assert_false(serves_second());
    }
    define(FIRST);
    assert_true(toy_reload(&server));
    assert_false(serves_second());
    assert_true(refused > 20);
    assert_true(toy_descriptors() < before + 8); // connections that end, and readers of the store, come and go
    toy_stop(&server);
}

static void a_server_that_is_told_to_stop_while_it_reloads_stops(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        toy_start(&server, FIRST);
        define(SECOND);
        int fd = toy_begin_reload(&server);
        for (int later = 0; later < i; later++) (void)toy_accepts(&server); // each time a little later
        toy_signal(&server);
        (void)toy_end_reload(fd);
        toy_join(&server);
        char path[128];
        snprintf(path, sizeof path, "%s/other.sock", server.folder);
        assert_int_not_equal(access(path, F_OK), 0);
        toy_clean(&server);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_without_memory_changes_nothing),
        cmocka_unit_test(a_server_that_is_told_to_stop_while_it_reloads_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
