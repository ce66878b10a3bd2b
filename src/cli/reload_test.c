// The whole program's features under reloads that fail: the n-th allocation does not come, and nothing has changed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "files/files.h"
#include "host/toy_server.h"
#include "identity/identity.h"
#include "rest/rest.h"

const dx_feature *const dx_features[] = {&dx_identity_feature, &dx_rest_feature, &dx_files_feature, NULL};

#define MODELS        "\"models\": {\"Item\": {\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}}}}"
#define SERVER(title) "\"listen\": \"127.0.0.1:0\", \"workers\": 2, \"log\": {\"level\": \"off\"}, \"title\": \"" title "\""
// What stands in `server`, and what comes behind it, but for the last two braces.
#define REST(more)                                                                                                                         \
    "}, \"identity\": {}, " MODELS ", \"resources\": {\"items\": {\"model\": \"Item\", \"access\": \"public\", \"changes\": true" more "}"
#define FIRST  SERVER("first") REST("")
#define SECOND SERVER("second") REST(", \"soft_delete\": true}, \"others\": {\"model\": \"Item\", \"owner\": true, \"changes\": true")

static toy server;
static toy_answer answer;

static void define(const char *section) {
    char text[2048];
    snprintf(text, sizeof text, "{\"server\": {%s}}", section);
    toy_write(&server, "toy.json", text);
}

static bool serves_second(void) {
    toy_ask(&server, &answer, "GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_int_equal(answer.status, 200);
    bool second = strstr(answer.body, "\"second\"") != NULL;
    assert_int_equal(strstr(answer.body, "\"/api/v1/others\"") != NULL, second);
    toy_ask(&server, &answer, "GET /api/v1/items HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_int_equal(answer.status, 200);
    return second;
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
        if (serves_second() != done) fail_msg("allocation %llu: the reload was %s", (unsigned long long)n, done ? "done" : "refused");
        if (!done) continue;
        define(FIRST);
        assert_true(toy_reload(&server));
    }
    assert_true(refused > 100);
    assert_true(toy_descriptors() < before + 8); // connections that end, and readers of the store, come and go
    toy_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_reload_without_memory_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
