// The script, run by a Redis of the test's own on a unix socket: one client by turns, then many at once. Skipped where there is no
// redis-server.
#include "policy/limit_script.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"

enum { CLIENTS = 8, ASKED = 400, REPLY_CAP = 4096 };

typedef struct server {
    pid_t pid;
    char folder[64], socket[96];
} server;

// Reads the server's log until it says that it is ready; false when it ends before (it could not be run).
static bool wait_until_ready(int log) {
    char text[8192];
    size_t size = 0;
    for (ssize_t got; size < sizeof text - 1 && (got = read(log, text + size, sizeof text - 1 - size)) > 0;) {
        size += (size_t)got;
        text[size] = 0;
        if (strstr(text, "eady to accept connections")) return true;
    }
    return false;
}

static int start_server(void **state) {
    static server here;
    int log[2];
    (void)snprintf(here.folder, sizeof here.folder, "/tmp/duplex-limit-XXXXXX");
    if (!mkdtemp(here.folder) || pipe(log) != 0) return -1;
    (void)snprintf(here.socket, sizeof here.socket, "%s/redis", here.folder);
    here.pid = fork();
    if (here.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // it doesn't outlive a test that aborts
        (void)dup2(log[1], STDOUT_FILENO);
        (void)close(log[0]);
        (void)close(log[1]);
        (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", here.socket, "--save", "", "--dir", here.folder,
                     (char *)NULL);
        _exit(127);
    }
    (void)close(log[1]);
    *state = wait_until_ready(log[0]) ? &here : NULL; // the log stays open: the server writes on
    if (!*state) {
        (void)waitpid(here.pid, NULL, 0);
        (void)rmdir(here.folder);
    }
    return 0;
}

static int stop_server(void **state) {
    server *here = *state;
    if (!here) return 0;
    (void)kill(here->pid, SIGKILL);
    (void)waitpid(here->pid, NULL, 0);
    (void)unlink(here->socket);
    (void)rmdir(here->folder);
    return 0;
}

static int connect_to(const server *here) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", here->socket);
    int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0 || connect(socket_fd, (struct sockaddr *)&address, sizeof address) != 0) abort();
    return socket_fd;
}

// Sends a command and reads an array of integers, or one: how many; -1: an error, told.
static int ask(int client, int64_t *numbers, const char *const *words, size_t count) {
    dx_buffer command;
    char reply[REPLY_CAP];
    size_t size = 0;
    dx_buffer_init(&command, NULL, 1u << 16);
    dx_buffer_printf(&command, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) dx_buffer_printf(&command, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    if (dx_buffer_status(&command) != DX_OK || write(client, command.data, command.size) != (ssize_t)command.size) abort();
    dx_buffer_deinit(&command);
    for (int wanted = 1, lines = 0; lines < wanted;) {
        ssize_t got = read(client, reply + size, sizeof reply - 1 - size);
        if (got <= 0) abort();
        size += (size_t)got;
        reply[size] = 0;
        if (reply[0] == '*') wanted = 1 + (int)strtol(reply + 1, NULL, 10) * (strstr(reply, "$") ? 2 : 1);
        lines = 0;
        for (size_t i = 0; i < size; i++) lines += reply[i] == '\n';
    }
    if (reply[0] == '-') print_error("%s", reply);
    if (reply[0] == ':') return (numbers[0] = strtoll(reply + 1, NULL, 10), 1);
    if (reply[0] != '*') return -1;
    int found = 0;
    for (char *at = strchr(reply, '\n'); at && at[1] && found < 3; at = strchr(at + 1, '\n')) {
        if (at[1] != '$') numbers[found++] = strtoll(at + 1 + (at[1] == ':'), NULL, 10);
    }
    return found;
}

static dx_limit_script_reply take(int client, const char *key, uint32_t rate, dx_nanos window, uint32_t burst, int32_t n) {
    dx_limit_script_arguments arguments;
    dx_limit_script_reply reply;
    int64_t numbers[3];
    assert_int_equal(dx_limit_script_write(&arguments, rate, window, burst, n), DX_OK);
    const char *const words[] = {"EVAL", DX_LIMIT_SCRIPT, "1", key, arguments.interval, arguments.tolerance, arguments.n};
    int count = ask(client, numbers, words, DX_COUNT_OF(words));
    assert_int_equal(count, 3);
    assert_true(dx_limit_script_read(&reply, numbers, (size_t)count));
    return reply;
}

static int64_t number(int client, const char *command, const char *key) {
    int64_t numbers[3];
    const char *const words[] = {command, key};
    assert_int_equal(ask(client, numbers, words, 2), 1);
    return numbers[0];
}

static dx_micros_utc time_there(int client) {
    int64_t numbers[3];
    const char *const words[] = {"TIME"};
    if (ask(client, numbers, words, 1) != 2) abort();
    return numbers[0] * 1000000 + numbers[1];
}

static const dx_nanos HOUR = 3600 * DX_SECOND; // so that nothing comes back while a test runs

static void a_bucket_gives_its_burst_and_tells_the_wait(void **state) {
    if (!*state) skip();
    int client = connect_to(*state);
    assert_int_equal(take(client, "a", 10, HOUR, 5, 0).remaining, 5);
    assert_int_equal(number(client, "EXISTS", "a"), 0); // looking writes nothing
    for (uint64_t left = 5; left-- > 0;) {
        dx_limit_script_reply reply = take(client, "a", 10, HOUR, 5, 1);
        assert_true(reply.granted);
        assert_int_equal(reply.wait, 0);
        assert_int_equal(reply.remaining, left);
    }
    int64_t expires = number(client, "PEXPIRETIME", "a");
    for (int i = 0; i < 10; i++) {
        dx_limit_script_reply reply = take(client, "a", 10, HOUR, 5, 2);
        assert_false(reply.granted);
        assert_in_range(reply.wait, 2 * HOUR / 10 - 60 * DX_SECOND, 2 * HOUR / 10);
        assert_int_equal(reply.remaining, 0);
    }
    assert_int_equal(number(client, "PEXPIRETIME", "a"), expires); // a refusal neither
    assert_in_range(number(client, "PTTL", "a"), (5 * HOUR / 10 - 60 * DX_SECOND) / DX_MILLISECOND, 5 * HOUR / 10 / DX_MILLISECOND + 1);
    assert_true(take(client, "b", 10, HOUR, 5, 5).granted); // another key, another bucket
    assert_false(take(client, "b", 10, HOUR, 5, 1).granted);
    (void)close(client);
}

static void tokens_are_given_back(void **state) {
    if (!*state) skip();
    int client = connect_to(*state);
    assert_true(take(client, "c", 7, HOUR, 0, 7).granted);
    assert_int_equal(take(client, "c", 7, HOUR, 0, -3).remaining, 3);
    assert_true(take(client, "c", 7, HOUR, 0, 3).granted);
    assert_int_equal(take(client, "c", 7, HOUR, 0, -1000).remaining, 7);
    assert_int_equal(number(client, "EXISTS", "c"), 0);
    (void)close(client);
}

static void what_is_further_ahead_than_a_bucket_is_an_empty_one(void **state) {
    if (!*state) skip();
    int client = connect_to(*state);
    assert_true(take(client, "d", 10, HOUR, 100, 100).granted);
    assert_in_range(take(client, "d", 10, HOUR, 2, 1).wait, HOUR / 10 - 60 * DX_SECOND, HOUR / 10);
    const char *const words[] = {"SET", "d", "no number"};
    int64_t numbers[3];
    (void)ask(client, numbers, words, 3);
    assert_true(take(client, "d", 10, HOUR, 2, 2).granted); // another's key is taken for a full bucket, not for an error
    (void)close(client);
}

typedef struct client_work {
    const server *here;
    atomic_ullong *taken;
} client_work;

static void *ask_often(void *ctx) {
    client_work *work = ctx;
    int client = connect_to(work->here);
    dx_limit_script_arguments arguments;
    if (dx_limit_script_write(&arguments, 3000, DX_SECOND, 20, 1) != DX_OK) abort();
    const char *const words[] = {"EVAL", DX_LIMIT_SCRIPT, "1", "shared", arguments.interval, arguments.tolerance, arguments.n};
    for (int i = 0; i < ASKED; i++) {
        int64_t numbers[3];
        dx_limit_script_reply reply;
        if (!dx_limit_script_read(&reply, numbers, (size_t)ask(client, numbers, words, DX_COUNT_OF(words)))) abort();
        if (reply.granted) atomic_fetch_add(work->taken, 1);
    }
    (void)close(client);
    return NULL;
}

static void many_clients_at_once_get_the_rate_and_no_more(void **state) {
    if (!*state) skip();
    atomic_ullong taken = 0;
    client_work work = {.here = *state, .taken = &taken};
    pthread_t threads[CLIENTS];
    int client = connect_to(*state);
    dx_micros_utc begun = time_there(client);
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &work), 0);
    for (int i = 0; i < CLIENTS; i++) (void)pthread_join(threads[i], NULL);
    uint64_t most = 20 + (uint64_t)(time_there(client) - begun) * 3000 / 1000000;
    assert_in_range(atomic_load(&taken), 20, most);
    (void)close(client);
}

static void arguments_are_rounded_so_that_it_is_never_too_fast(void **state) {
    (void)state;
    dx_limit_script_arguments out;
    assert_int_equal(dx_limit_script_write(&out, 7, DX_SECOND, 3, -2), DX_OK);
    assert_string_equal(out.interval, "142857.1429");
    assert_string_equal(out.tolerance, "428571.4287");
    assert_string_equal(out.n, "-2");
    assert_int_equal(dx_limit_script_write(&out, 1000000, DX_SECOND, 1000000, 1000000), DX_OK);
    assert_string_equal(out.interval, "1.0000");
    assert_int_equal(dx_limit_script_write(&out, 1000001, DX_SECOND, 1, 1), DX_INVALID);
    assert_int_equal(dx_limit_script_write(&out, 0, DX_SECOND, 1, 1), DX_INVALID);
    assert_int_equal(dx_limit_script_write(&out, 1, 0, 1, 1), DX_INVALID);
    assert_int_equal(dx_limit_script_write(&out, 1, DX_SECOND, 3, 4), DX_INVALID);
    assert_int_equal(dx_limit_script_write(&out, 1, DX_LIMIT_SCRIPT_FILL_CAP + 1, 1, 1), DX_INVALID);
    assert_int_equal(dx_limit_script_write(&out, 1, DX_LIMIT_SCRIPT_FILL_CAP, 2, 1), DX_INVALID);
}

static void replies_that_are_not_the_scripts_are_refused(void **state) {
    (void)state;
    static const int64_t rows[][3] = {{2, 0, 0}, {-1, 0, 0}, {0, -1, 0}, {0, INT64_MAX, 0}, {0, 0, -1}};
    static const int64_t good[] = {0, 250, 3, 0};
    dx_limit_script_reply out;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) assert_false(dx_limit_script_read(&out, rows[i], 3));
    assert_false(dx_limit_script_read(&out, good, 2));
    assert_false(dx_limit_script_read(&out, good, 4));
    assert_true(dx_limit_script_read(&out, good, 3));
    assert_int_equal(out.wait, 250 * DX_MICROSECOND);
    assert_int_equal(out.remaining, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_gives_its_burst_and_tells_the_wait),
        cmocka_unit_test(tokens_are_given_back),
        cmocka_unit_test(what_is_further_ahead_than_a_bucket_is_an_empty_one),
        cmocka_unit_test(many_clients_at_once_get_the_rate_and_no_more),
        cmocka_unit_test(arguments_are_rounded_so_that_it_is_never_too_fast),
        cmocka_unit_test(replies_that_are_not_the_scripts_are_refused),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
