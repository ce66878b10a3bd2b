// For tests of connections over TLS: a real listener with certificates, OpenSSL's own client against it, and one whose records the test
// carries by hand.
#ifndef DX_NET_TEST_TLS_H
#define DX_NET_TEST_TLS_H

#include "net/test_certificates.h"
#include "net/test_server.h"
#include "net/tls_parts.h"

extern const paper *root, *leaf, *rsa, *named, *guest, *stranger;
extern const char *root_file;
extern server s;
extern dx_tls *tls;
extern dx_tls_tickets *tickets;
extern SSL_SESSION *kept; // that the client was given last
extern char out[SERVER_BIG + 65536];

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"

// Of the group of tests, and of each.
int begin(void **state);
int end(void **state);
dx_tls *make_tls(const dx_tls_options *change);
void start(const dx_tls_options *options, const dx_http_limits *limits);
int start_usual(void **state);
int stop(void **state);

typedef struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
} client;

typedef struct wish {
    int version; // 0: any
    const char *name, *ciphers, *signatures;
    const char *alpn; // wire form
    const paper *paper;
    SSL_SESSION *session;
    bool small; // takes little before it reads
} wish;

// 1, or OpenSSL's reason for the failure, negative.
int open_client(client *c, const wish *w);
void prepare(client *c, const wish *w); // without a connection
void close_client(client *c);
void write_all(client *c, const char *data, size_t size);
// Reads until there is a head and as much body as it says; the body.
char *read_answer(client *c, size_t *body_size);
const char *ask(client *c, const char *request);
void assert_served(const wish *w);

// By hand.
void open_by_hand(client *c, int version);
void send_records(client *c, size_t step); // `step` bytes at a time
bool take_records(client *c);
void shake_hands(client *c, size_t step);
const char *await_text(client *c, const char *text);

#define usual(test) cmocka_unit_test_setup_teardown(test, start_usual, stop)

#endif
