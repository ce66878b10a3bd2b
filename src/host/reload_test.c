// Reloads that fail, at every allocation, and that meet the end of the process: nothing changes, nothing is lost, nothing is left.
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "host/control_name.h"
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

// By hand, for what the fault seam is set for is the server's memory.
static int begin_reload(void) {
    static const char words[] = "{\"do\":\"reload\"}\n";
    char name[DX_CONTROL_NAME_CAP];
    struct sockaddr_un address;
    assert_true(dx_control_name(name, server.path, (unsigned)geteuid(), (long)getpid()));
    socklen_t size = dx_control_address(&address, name, strlen(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, size), 0);
    (void)!send(fd, words, sizeof words - 1, MSG_NOSIGNAL); // without memory to listen, it has closed already
    return fd;
}

// Whether it was done; without memory for an answer there is none.
static bool end_reload(int fd) {
    char text[4096];
    size_t size = 0;
    for (ssize_t got; size < sizeof text - 1 && (got = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0;) size += (size_t)got;
    text[size] = '\0';
    close(fd);
    return strstr(text, "\"ok\":true") != NULL;
}

static bool reload(void) {
    return end_reload(begin_reload());
}

static unsigned descriptors(void) {
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
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
        assert_true(reload());
        assert_int_equal(serves_second(), !i);
    }
    unsigned before = descriptors();
    for (uint64_t n = 1;; n++) {
        define(SECOND);
        dx_memory_fail_at(n, false);
        bool done = reload(), failed = dx_memory_fail_stop();
        assert_true(done || failed);
        if (!failed) break;
        refused += !done;
        if (serves_second() != done)
            fail_msg("the allocation %llu failed: the reload was %s", (unsigned long long)n, done ? "done" : "refused");
        if (!done) continue;
        define(FIRST);
        assert_true(reload());
        assert_false(serves_second());
    }
    define(FIRST);
    assert_true(reload());
    assert_false(serves_second());
    assert_true(refused > 20);
    assert_true(descriptors() <= before);
    toy_stop(&server);
}

static void a_server_that_is_told_to_stop_while_it_reloads_stops(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        toy_start(&server, FIRST);
        define(SECOND);
        int fd = begin_reload();
        for (int later = 0; later < i; later++) (void)toy_accepts(&server); // each time a little later
        toy_signal(&server);
        (void)end_reload(fd);
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
