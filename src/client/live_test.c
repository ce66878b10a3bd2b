// The client over libcurl, against a small server in a process of its own (whose descriptors' numbers would be taken for ours): every
// allocation that fails, and many threads at once.
#include <netinet/in.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/fixture.h"

// --- a server --------------------------------------------------------------------------------------------------------------------------

static int listener;
static pid_t server;
static char definition[1024];

static bool answer(int peer) {
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"id\": 1}";
    char data[4096];
    size_t size = 0;
    while (size < sizeof data - 1) {
        ssize_t got = read(peer, data + size, sizeof data - 1 - size);
        if (got <= 0) return false;
        size += (size_t)got;
        data[size] = '\0';
        const char *end = strstr(data, "\r\n\r\n"), *length = strstr(data, "Content-Length: ");
        if (!end) continue;
        size_t body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
        if (size < (size_t)(end - data) + 4 + body) continue;
        if (strncmp(data, "GET /hang", 9) == 0) return read(peer, data, 1) > 0;
        if (strncmp(data, "GET /break", 10) == 0) return false;
        return write(peer, text, sizeof text - 1) == sizeof text - 1;
    }
    return false;
}

static void *serve_one(void *ctx) {
    int peer = (int)(intptr_t)ctx;
    while (answer(peer)) continue;
    (void)close(peer);
    return NULL;
}

static void *serve(void *ctx) {
    (void)ctx;
    for (int peer; (peer = accept(listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)peer) == 0)
            (void)pthread_detach(thread);
        else
            (void)close(peer);
    }
    return NULL;
}

static int start_server(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    (void)state;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 512) != 0) return -1;
    if (getsockname(listener, (struct sockaddr *)&address, &size) != 0) return -1;
    server = fork();
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)serve(NULL);
        _exit(0);
    }
    (void)close(listener);
    if (server < 0) return -1;
    (void)snprintf(definition, sizeof definition,
                   "{\"a\": {\"base_url\": \"http://127.0.0.1:%d\", \"retry\": {\"delay\": 0, \"attempts\": 2}, \"breaker\": {\"enabled\": "
                   "true, \"min_calls\": 1000000},"
                   " \"rate_limit\": {\"max_requests\": 1000000, \"time_window\": 1}, \"auth\": {\"type\": \"bearer\", \"token\": \"t\"},"
                   " \"pool\": {\"max_connections\": 4}}}",
                   ntohs(address.sin_port));
    return 0;
}

static int stop_server(void **state) {
    (void)state;
    (void)kill(server, SIGKILL);
    return waitpid(server, NULL, 0) == server ? 0 : -1;
}

// --- without memory --------------------------------------------------------------------------------------------------------------------

static bool piece(void *context, dx_call *call, const char *data, size_t size) {
    (void)call;
    (void)data;
    *(size_t *)context += size;
    return true;
}

static dx_error_code whole_life(void) {
    dx_client *client;
    dx_response *response = NULL;
    dx_call *call = NULL;
    size_t bytes = 0;
    dx_sink sink = {NULL, piece, &bytes};
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.sink = &sink;
    dx_error_code code = dx_client_open_text(&client, definition, strlen(definition), NULL, NULL);
    if (!code) code = dx_client_post(&response, client, "a", "/x", DX_ARGS(DX_INT("n", 1)), NULL, NULL);
    if (!code && dx_response_i64(response, "/id", -1) != 1) code = DX_ERROR_NO_MEMORY;
    dx_response_release(response);
    response = NULL;
    if (!code) code = dx_client_get(&response, client, "a", "/s", NULL, &options, NULL);
    dx_response_release(response);
    if (!code) code = dx_call_start_request(&call, client, "a", "GET", "/y", NULL, NULL, NULL, NULL, NULL);
    if (!code) {
        (void)dx_call_wait(call, -1);
        code = dx_call_error(call)->code;
    }
    dx_call_release(call);
    dx_client_close(client);
    return code;
}

static void without_memory_a_call_over_the_network_fails_whole(void **state) {
    (void)state;
    assert_int_equal(whole_life(), DX_ERROR_NONE);
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_error_code code = whole_life();
        if (!dx_memory_fail_stop()) {
            assert_int_equal(code, DX_ERROR_NONE);
            break;
        }
        if (code != DX_ERROR_NO_MEMORY && code != DX_ERROR_NONE) fail_msg("allocation %d: %s", (int)n, dx_error_name(code));
    }
}

// --- many threads ------------------------------------------------------------------------------------------------------------------------

enum { THREADS = 16, ROUNDS = 30 };

static dx_client *client;
static atomic_size_t told, started;
static atomic_bool closing;

static void done(void *context, dx_call *call) {
    (void)context;
    assert_true(dx_call_is_over(call));
    atomic_fetch_add(&told, 1);
    dx_call_release(call);
}

static bool is_expected(dx_error_code code) {
    return code == DX_ERROR_NONE || code == DX_ERROR_CANCELLED || code == DX_ERROR_RESET ||
           (code == DX_ERROR_CLOSED && atomic_load(&closing)) || code == DX_ERROR_TIMEOUT;
}

static void *call_much(void *ctx) {
    int number = (int)(intptr_t)ctx;
    dx_call_options hurried = DX_CALL_OPTIONS_INIT;
    hurried.timeout_ms = 5;
    for (int i = 0; i < ROUNDS; i++) {
        dx_response *response;
        dx_call *call, *other;
        dx_error error;
        if (!is_expected(dx_client_get(&response, client, "a", i % 7 == 3 ? "/break" : "/x", NULL, NULL, &error))) abort();
        dx_response_release(response);
        if (!dx_call_start_request(&call, client, "a", "GET", (number + i) % 3 ? "/y" : "/hang", NULL, (number + i) % 3 ? NULL : &hurried,
                                   done, NULL, &error))
            atomic_fetch_add(&started, 1); // released by `done`
        if (dx_call_start_request(&other, client, "a", "GET", "/hang", NULL, NULL, NULL, NULL, &error)) continue;
        dx_call_cancel(other);
        dx_call_cancel(other);
        (void)dx_call_wait(other, -1);
        if (!is_expected(dx_call_error(other)->code)) abort();
        dx_call_release(other);
    }
    return NULL;
}

static void threads_call_start_cancel_and_wait_at_once(void **state) {
    pthread_t threads[THREADS];
    dx_error error;
    (void)state;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    options.threads = 3;
    atomic_store(&told, 0);
    atomic_store(&started, 0);
    assert_int_equal(dx_client_open_text(&client, definition, strlen(definition), &options, &error), DX_ERROR_NONE);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_much, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    dx_client_close(client);
    assert_int_equal(atomic_load(&told), atomic_load(&started));
    assert_true(atomic_load(&started) > 0);
}

// Calls of a thread while another closes the client: each of them is over, and the thread stops when it is told so.
static void *call_until_closed(void *ctx) {
    dx_call *calls[64];
    size_t count = 0;
    dx_error error;
    (void)ctx;
    while (count < 64 && !dx_call_start_request(&calls[count], client, "a", "GET", "/hang", NULL, NULL, done, NULL, &error)) {
        atomic_fetch_add(&started, 1);
        count++;
    }
    return NULL;
}

static void *call_and_wait(void *ctx) {
    dx_response *response;
    (void)ctx;
    if (!is_expected(dx_client_get(&response, client, "a", "/hang", NULL, NULL, NULL))) abort();
    return NULL;
}

static void closing_ends_what_threads_wait_for(void **state) {
    pthread_t threads[8];
    dx_error error;
    (void)state;
    for (int round = 0; round < 10; round++) {
        dx_client_options options = DX_CLIENT_OPTIONS_INIT;
        options.threads = 2;
        atomic_store(&told, 0);
        atomic_store(&started, 0);
        atomic_store(&closing, true);
        assert_int_equal(dx_client_open_text(&client, definition, strlen(definition), &options, &error), DX_ERROR_NONE);
        for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_until_closed, NULL), 0);
        for (int i = 0; i < 8; i++) (void)pthread_join(threads[i], NULL); // who starts calls must not meet a client that is gone
        dx_client_close(client);
        assert_int_equal(atomic_load(&told), atomic_load(&started));
    }
}

static void closing_ends_a_call_that_a_thread_is_in(void **state) {
    pthread_t thread;
    dx_error error;
    dx_call *call;
    (void)state;
    atomic_store(&closing, true);
    assert_int_equal(dx_client_open_text(&client, definition, strlen(definition), NULL, &error), DX_ERROR_NONE);
    assert_int_equal(pthread_create(&thread, NULL, call_and_wait, NULL), 0);
    for (int i = 0; i < 20; i++) { // until the other has surely begun
        assert_int_equal(dx_call_start_request(&call, client, "a", "GET", "/x", NULL, NULL, NULL, NULL, NULL), DX_ERROR_NONE);
        (void)dx_call_wait(call, -1);
        dx_call_release(call);
    }
    dx_client_close(client);
    (void)pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_a_call_over_the_network_fails_whole),
        cmocka_unit_test(threads_call_start_cancel_and_wait_at_once),
        cmocka_unit_test(closing_ends_what_threads_wait_for),
        cmocka_unit_test(closing_ends_a_call_that_a_thread_is_in),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
