// For tests: a Redis of Debian's on a Unix socket in a directory of its own (or a free port of 127.0.0.1), which keeps nothing on disk and
// ends with the test; and a stand-in that sends what it was told to.
#ifndef DX_REDIS_TEST_SERVER_H
#define DX_REDIS_TEST_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"

typedef struct test_server {
    char directory[64], path[96], url[128];
    const char *password;
    uint16_t port; // 0: the socket
    pid_t pid;     // 0: not running
} test_server;

bool test_server_installed(void);
void test_server_start(test_server *server); // after zeroing it, setting `password` and `port` as wanted; and again after a stop
void test_server_stop(test_server *server);  // as a crash does
void test_server_remove(test_server *server);
uint16_t test_server_free_port(void);

// Sends `greeting` to each connection in turn and waits for its end; counts them.
typedef struct fake_server {
    char path[96];
    dx_slice greeting;
    int fd;
    pthread_t thread;
} fake_server;
void fake_server_start(fake_server *server, const char *directory, dx_slice greeting);
void fake_server_stop(fake_server *server);

#endif
