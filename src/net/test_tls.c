// See net/test_tls.h.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/listener.h"
#include "net/test_tls.h"

const paper *root, *leaf, *rsa, *named, *guest, *stranger;
const char *root_file;
server s;
dx_tls *tls;
dx_tls_tickets *tickets;
SSL_SESSION *kept; // that the client was given last
char out[SERVER_BIG + 65536];

dx_tls *make_tls(const dx_tls_options *change) {
    dx_tls_certificate all[] = {
        {.certificate = papers_write_certificate("leaf.pem", leaf), .key = papers_write_key("leaf.key", leaf)},
        {.certificate = papers_write_certificate("rsa.pem", rsa), .key = papers_write_key("rsa.key", rsa)},
        {.certificate = papers_write_certificate("named.pem", named), .key = papers_write_key("named.key", named)},
    };
    dx_tls_options options = *change;
    dx_tls *made = NULL;
    options.certificates = all;
    options.count = DX_COUNT_OF(all);
    assert_int_equal(dx_tls_create(&made, &options, NULL), DX_OK);
    return made;
}

void start(const dx_tls_options *options, const dx_http_limits *limits) {
    tls = make_tls(options);
    server_start_at(&s, limits, "localhost:0", &(dx_endpoint){.tls = tls});
}

int start_usual(void **state) {
    (void)state;
    start(&(dx_tls_options){.least_version = 12, .http2 = true, .tickets = tickets}, NULL);
    return 0;
}

int stop(void **state) {
    (void)state;
    server_stop(&s, 0);
    dx_tls_release(tls);
    return 0;
}

int begin(void **state) {
    (void)state;
    dx_log_setup(DX_LOG_OFF, NULL, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    papers_begin();
    root = papers_make(&(recipe){.subject = "Root", .authority = true});
    leaf = papers_make(&(recipe){.subject = "leaf", .names = "DNS:a.test", .issuer = root});
    rsa = papers_make(&(recipe){.subject = "rsa", .names = "DNS:a.test", .issuer = root, .rsa_bits = 2048});
    named = papers_make(&(recipe){.subject = "named", .names = "DNS:b.test,DNS:*.c.test", .issuer = root});
    guest = papers_make(&(recipe){.subject = "J\xc3\xbcrgen, \"J\"", .organization = "Acme", .issuer = root});
    stranger = papers_make(&(recipe){.subject = "stranger"});
    root_file = papers_write_certificate("root.pem", root);
    return dx_tls_tickets_create(&tickets) == DX_OK ? 0 : -1;
}

int end(void **state) {
    (void)state;
    SSL_SESSION_free(kept);
    dx_tls_tickets_release(tickets);
    papers_end();
    return 0;
}

// --- the client -------------------------------------------------------------------------------------------------------------

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

void prepare(client *c, const wish *w) {
    c->ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_load_verify_locations(c->ctx, root_file, NULL), 1);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
    if (w->version && w->version < TLS1_2_VERSION) SSL_CTX_set_security_level(c->ctx, 0);
    (void)SSL_CTX_set_min_proto_version(c->ctx, w->version);
    (void)SSL_CTX_set_max_proto_version(c->ctx, w->version);
    if (w->ciphers) assert_int_equal(SSL_CTX_set_cipher_list(c->ctx, w->ciphers), 1);
    if (w->signatures) assert_int_equal(SSL_CTX_set1_sigalgs_list(c->ctx, w->signatures), 1);
    if (w->alpn) assert_int_equal(SSL_CTX_set_alpn_protos(c->ctx, (const unsigned char *)w->alpn, (unsigned)strlen(w->alpn)), 0);
    if (w->paper) {
        assert_int_equal(SSL_CTX_use_certificate(c->ctx, w->paper->certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, w->paper->key), 1);
    }
    c->ssl = SSL_new(c->ctx);
    if (w->name) (void)SSL_set_tlsext_host_name(c->ssl, w->name);
    if (w->session) assert_int_equal(SSL_set_session(c->ssl, w->session), 1);
    SSL_set_connect_state(c->ssl);
}

// 1, or OpenSSL's reason for the failure, negative.
int open_client(client *c, const wish *w) {
    prepare(c, w);
    c->fd = w->small ? client_open_small(&s) : client_open(&s);
    assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
    ERR_clear_error();
    return SSL_do_handshake(c->ssl) == 1 ? 1 : -ERR_GET_REASON(ERR_peek_error());
}

void close_client(client *c) {
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0) (void)close(c->fd);
    ERR_clear_error();
}

void write_all(client *c, const char *data, size_t size) {
    while (size) {
        int n = SSL_write(c->ssl, data, size > 1 << 20 ? 1 << 20 : (int)size);
        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

// Reads until there is a head and as much body as it says; the body.
char *read_answer(client *c, size_t *body_size) {
    size_t size = 0, wanted = SIZE_MAX;
    char *body = NULL;
    while (size < wanted) {
        int n = SSL_read(c->ssl, out + size, (int)(sizeof out - 1 - size < 1 << 20 ? sizeof out - 1 - size : 1 << 20));
        assert_true(n > 0);
        size += (size_t)n;
        out[size] = '\0';
        if (body || !(body = strstr(out, "\r\n\r\n"))) continue;
        body += 4;
        const char *length = strcasestr(out, "content-length: ");
        assert_non_null(length);
        wanted = (size_t)(body - out) + strtoul(length + 16, NULL, 10);
    }
    assert_int_equal(size, wanted);
    if (body_size) *body_size = wanted - (size_t)(body - out);
    return body;
}

const char *ask(client *c, const char *request) {
    write_all(c, request, strlen(request));
    return read_answer(c, NULL);
}

void assert_served(const wish *w) {
    client c;
    assert_int_equal(open_client(&c, w), 1);
    assert_string_equal(ask(&c, GET("/fixed")), "fixed");
    close_client(&c);
}

// --- records carried by hand ---------------------------------------------------------------------------------------------------

// A client whose records the test carries by hand.
void open_by_hand(client *c, int version) {
    prepare(c, &(wish){.version = version, .name = "a.test"});
    BIO *in = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, in, to);
    c->fd = client_open(&s);
    assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
}

void send_records(client *c, size_t step) {
    char *data;
    size_t size = (size_t)BIO_get_mem_data(SSL_get_wbio(c->ssl), &data);
    for (size_t at = 0; at < size; at += step) client_send_bytes(c->fd, data + at, size - at < step ? size - at : step);
    (void)BIO_reset(SSL_get_wbio(c->ssl));
}

bool take_records(client *c) {
    char data[16384];
    ssize_t size = recv(c->fd, data, sizeof data, 0);
    if (size <= 0) return false;
    assert_int_equal(BIO_write(SSL_get_rbio(c->ssl), data, (int)size), size);
    return true;
}

void shake_hands(client *c, size_t step) {
    while (SSL_do_handshake(c->ssl) != 1) {
        send_records(c, step);
        assert_true(take_records(c));
    }
}

const char *await_text(client *c, const char *text) {
    size_t size = 0;
    do {
        int n = SSL_read(c->ssl, out + size, (int)(65536 - size));
        if (n > 0)
            size += (size_t)n;
        else if (!take_records(c))
            break;
        out[size] = '\0';
    } while (!strstr(out, text));
    return out;
}
