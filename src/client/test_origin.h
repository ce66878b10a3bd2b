// For tests: an HTTP server on a free port of 127.0.0.1, with a thread for each connection, that answers what a function says.
#ifndef DX_CLIENT_TEST_ORIGIN_H
#define DX_CLIENT_TEST_ORIGIN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum { TEST_ORIGIN_CONNECTIONS = 32 };

typedef struct test_connection {
    struct test_origin *origin;
    int fd;
} test_connection;

typedef struct test_origin {
    // Writes a whole answer for a request's head; any of the threads.
    void (*answer)(void *ctx, const char *head, char *out, size_t room);
    void *ctx;
    char url[64]; // "http://127.0.0.1:port"
    atomic_int asked;
    int fd;
    test_connection connections[TEST_ORIGIN_CONNECTIONS];
    pthread_t thread, threads[TEST_ORIGIN_CONNECTIONS];
    int count;
} test_origin;

void test_origin_start(test_origin *origin);
void test_origin_stop(test_origin *origin);
// An answer of 200 with these header lines ("A: b\r\n") and body.
void test_origin_ok(char *out, size_t room, const char *lines, const char *body);

#endif
