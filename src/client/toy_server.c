#include "client/toy_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t body_size(const char *head) {
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

static void read_request(int fd, char *out) {
    size_t size = 0;
    while (size < TOY_REQUEST_SIZE - 1) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        if (poll(&poller, 1, 200) <= 0) break; // one that says nothing does not hold up the others
        ssize_t got = read(fd, out + size, TOY_REQUEST_SIZE - 1 - size);
        if (got <= 0) break;
        size += (size_t)got;
        out[size] = '\0';
        const char *end = strstr(out, "\r\n\r\n");
        if (end && size >= (size_t)(end + 4 - out) + body_size(out)) break;
    }
}

static void serve(toy_server *server, int fd) {
    char request[TOY_REQUEST_SIZE] = "";
    read_request(fd, request);
    pthread_mutex_lock(&server->lock);
    const char *otherwise = server->otherwise
                                ? server->otherwise
                                : "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
               *answer = server->answered < server->answer_count ? server->answers[server->answered++] : otherwise;
    if (server->request_count < TOY_REQUESTS) memcpy(server->requests[server->request_count++], request, sizeof request);
    pthread_mutex_unlock(&server->lock);
    for (bool held = true; held;) {
        pthread_mutex_lock(&server->lock);
        held = server->held && !server->stopping;
        pthread_mutex_unlock(&server->lock);
        if (held) (void)poll(NULL, 0, 1);
    }
    (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static void *run(void *context) {
    toy_server *server = context;
    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0) return NULL;
        serve(server, fd);
        close(fd);
    }
}

void toy_server_start(toy_server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    memset(server, 0, sizeof *server);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->fd, (struct sockaddr *)&address, size) != 0 || listen(server->fd, 16) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    pthread_mutex_init(&server->lock, NULL);
    if (pthread_create(&server->thread, NULL, run, server) != 0) abort();
}

void toy_server_stop(toy_server *server) {
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_mutex_unlock(&server->lock);
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    pthread_mutex_destroy(&server->lock);
}

void toy_server_hold(toy_server *server, bool hold) {
    pthread_mutex_lock(&server->lock);
    server->held = hold;
    pthread_mutex_unlock(&server->lock);
}

void toy_server_answer(toy_server *server, const char *response) {
    pthread_mutex_lock(&server->lock);
    if (server->answer_count < TOY_ANSWERS) server->answers[server->answer_count++] = response;
    pthread_mutex_unlock(&server->lock);
}

unsigned toy_server_asked(toy_server *server) {
    pthread_mutex_lock(&server->lock);
    unsigned count = server->request_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

bool toy_server_got(toy_server *server, unsigned at, const char *text) {
    pthread_mutex_lock(&server->lock);
    bool got = at < server->request_count && strstr(server->requests[at], text);
    pthread_mutex_unlock(&server->lock);
    return got;
}

void toy_server_wait(toy_server *server, unsigned count) {
    while (toy_server_asked(server) < count) (void)poll(NULL, 0, 1);
}
