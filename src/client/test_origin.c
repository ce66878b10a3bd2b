#include "client/test_origin.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void *serve(void *ctx) {
    const test_connection *c = ctx;
    char head[8192], out[8192];
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(c->fd, head + size, sizeof head - 1 - size, 0);
        if (got <= 0) return NULL;
        size += (size_t)got;
        head[size] = '\0';
        if (!strstr(head, "\r\n\r\n")) continue;
        (void)atomic_fetch_add(&c->origin->asked, 1);
        c->origin->answer(c->origin->ctx, head, out, sizeof out);
        if (send(c->fd, out, strlen(out), MSG_NOSIGNAL) < 0) return NULL;
        size = 0;
    }
}

static void *take_connections(void *ctx) {
    test_origin *origin = ctx;
    while (origin->count < TEST_ORIGIN_CONNECTIONS) {
        int fd = accept(origin->fd, NULL, NULL);
        if (fd < 0) return NULL;
        origin->connections[origin->count] = (test_connection){origin, fd};
        if (pthread_create(&origin->threads[origin->count], NULL, serve, &origin->connections[origin->count]) != 0) return NULL;
        origin->count++;
    }
    return NULL;
}

void test_origin_start(test_origin *origin) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    origin->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(origin->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(origin->fd, 64), 0);
    assert_int_equal(getsockname(origin->fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(origin->url, sizeof origin->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&origin->thread, NULL, take_connections, origin), 0);
}

void test_origin_stop(test_origin *origin) {
    (void)shutdown(origin->fd, SHUT_RDWR);
    (void)pthread_join(origin->thread, NULL);
    (void)close(origin->fd);
    for (int i = 0; i < origin->count; i++) {
        (void)shutdown(origin->connections[i].fd, SHUT_RDWR);
        (void)pthread_join(origin->threads[i], NULL);
        (void)close(origin->connections[i].fd);
    }
    origin->count = 0;
}

void test_origin_ok(char *out, size_t room, const char *lines, const char *body) {
    (void)snprintf(out, room, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nContent-Type: application/json\r\n%s\r\n%s", strlen(body), lines,
                   body);
}
