// For tests: a server on a port of 127.0.0.1 that answers what it was told to, one request a connection, and keeps what it was asked.
#ifndef DX_CLIENT_TOY_SERVER_H
#define DX_CLIENT_TOY_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { TOY_ANSWERS = 16, TOY_REQUESTS = 64, TOY_REQUEST_SIZE = 8192 };

typedef struct toy_server {
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    const char *answers[TOY_ANSWERS]; // whole responses, in turn; then "200 OK" with {}
    unsigned answer_count, answered;
    const char *otherwise; // instead of that
    char requests[TOY_REQUESTS][TOY_REQUEST_SIZE];
    unsigned request_count;
    bool held, stopping;
} toy_server;

void toy_server_start(toy_server *server);
void toy_server_stop(toy_server *server);
void toy_server_hold(toy_server *server, bool hold); // answers wait meanwhile
void toy_server_answer(toy_server *server, const char *response);
unsigned toy_server_asked(toy_server *server);                          // how often so far
bool toy_server_got(toy_server *server, unsigned at, const char *text); // whether it stands in the at-th request
void toy_server_wait(toy_server *server, unsigned count);               // until it was asked so often

#endif
