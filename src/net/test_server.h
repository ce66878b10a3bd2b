// For tests: a real listener on a thread of its own, whose owner does what the path says and counts what happens; and a plain blocking
// client. Nothing sleeps: a test waits for an event, and fails when it does not come within half a minute.
//
//   /fixed     200 "fixed", from `end`          /early    200 "early", from `begin`
//   /echo      200 with the request's body      /wait     answered by server_release
//   /big       200 with SERVER_BIG bytes        /stream   SERVER_PIECES pieces of SERVER_PIECE bytes, as fast as they are taken
//   /empty     204    /none  304 with a length  /continue asks for the body, then as /echo
//   /drop      cut from `begin`                 /refuse   NULL from `begin`
//   /fields    200 with a head of 100 KB        /close    200 that asks for the end
//   /peer      200 with the peer and the endpoint's tag
//   /tls       200 with version|server name|HTTP/2|resumed|client's subject|its fingerprint
#ifndef DX_NET_TEST_SERVER_H
#define DX_NET_TEST_SERVER_H

#include <pthread.h>

#include "net/http_server.h"

#define SERVER_BIG    (16u << 20) // more than two sockets' buffers take
#define SERVER_PIECE  30000u
#define SERVER_PIECES 400u

typedef enum server_count {
    BEGUN,
    ENDED,
    ABORTED,
    CLOSED,
    CLOSED_SENT,
    WAITING, // at /wait, complete
    REJECTED,
    BODY_BYTES,
    DRAINED,
    SERVER_COUNTS
} server_count;

typedef struct server {
    dx_loop *loop;
    dx_listener *listener;
    dx_listener_options options;
    int fd; // listens; the listener's
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t counts[SERVER_COUNTS];
    dx_status abort_why; // of the last
    uint64_t last_bytes; // of the last stream closed
    dx_stream *waiting[64];
    int descriptors; // open before it started
} server;

void server_start(server *s, const dx_http_limits *limits);
// The same behind `endpoint`, whose descriptor is not looked at: it listens at `address`.
void server_start_at(server *s, const dx_http_limits *limits, const char *address, const dx_endpoint *endpoint);
extern struct dx_gate *server_gate; // of the servers that start from now on
// Drains with this grace, joins the thread, checks that every stream that began was closed and no descriptor is left.
void server_stop(server *s, dx_nanos grace);
void server_drain(server *s, dx_nanos grace); // only begins it
void server_drain_politely(server *s, dx_nanos grace);
void server_drained(void *ctx); // what a drain that a test begins by itself calls
void server_await(server *s, server_count count, size_t at_least);
size_t server_counted(server *s, server_count count);
void server_release(server *s, size_t waiting);    // answers the n-th request at /wait, counted from 0
void server_run(server *s, void (*fn)(server *s)); // on the loop's thread; returns when it has run
int count_descriptors(void);

int client_open(const server *s);
int client_open_small(const server *s); // takes little before it reads
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const char *data, size_t size);
// Reads one response (to a request that was not HEAD) into `out`, whole; fails the test when it does not come or is malformed.
void client_read(int fd, char *out, size_t capacity);
// Reads to the end of the connection; the number of bytes. A reset counts as an end and sets `*reset`.
size_t client_read_all(int fd, char *out, size_t capacity, bool *reset);
// One request, one response, on a connection of their own.
void client_ask(const server *s, const char *request, char *out, size_t capacity);

#endif
