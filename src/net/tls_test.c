// Connections over TLS: a real listener, and OpenSSL's own client against it. What travels byte by byte, all at once, too slowly or never
// to its end arrives all the same or is told as what it is.
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
#include "net/test_certificates.h"
#include "net/test_server.h"
#include "net/tls_parts.h"

static const paper *root, *leaf, *rsa, *named, *guest, *stranger;
static const char *root_file;
static server s;
static dx_tls *tls;
static dx_tls_tickets *tickets;
static SSL_SESSION *kept; // that the client was given last
static char out[SERVER_BIG + 65536];

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"

static dx_tls *make_tls(const dx_tls_options *change) {
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

static void start(const dx_tls_options *options, const dx_http_limits *limits) {
    tls = make_tls(options);
    server_start_at(&s, limits, "localhost:0", &(dx_endpoint){.tls = tls});
}

static int start_usual(void **state) {
    (void)state;
    start(&(dx_tls_options){.least_version = 12, .http2 = true, .tickets = tickets}, NULL);
    return 0;
}

static int stop(void **state) {
    (void)state;
    server_stop(&s, 0);
    dx_tls_release(tls);
    return 0;
}

static int begin(void **state) {
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

static int end(void **state) {
    (void)state;
    SSL_SESSION_free(kept);
    dx_tls_tickets_release(tickets);
    papers_end();
    return 0;
}

// --- the client -------------------------------------------------------------------------------------------------------------

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

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

static void prepare(client *c, const wish *w) {
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
static int open_client(client *c, const wish *w) {
    prepare(c, w);
    c->fd = w->small ? client_open_small(&s) : client_open(&s);
    assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
    ERR_clear_error();
    return SSL_do_handshake(c->ssl) == 1 ? 1 : -ERR_GET_REASON(ERR_peek_error());
}

static void close_client(client *c) {
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0) (void)close(c->fd);
    ERR_clear_error();
}

static void write_all(client *c, const char *data, size_t size) {
    while (size) {
        int n = SSL_write(c->ssl, data, size > 1 << 20 ? 1 << 20 : (int)size);
        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

// Reads until there is a head and as much body as it says; the body.
static char *read_answer(client *c, size_t *body_size) {
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

static const char *ask(client *c, const char *request) {
    write_all(c, request, strlen(request));
    return read_answer(c, NULL);
}

static void assert_served(const wish *w) {
    client c;
    assert_int_equal(open_client(&c, w), 1);
    assert_string_equal(ask(&c, GET("/fixed")), "fixed");
    close_client(&c);
}

// --- handshakes -------------------------------------------------------------------------------------------------------------

static void versions_are_those_of_today(void **state) {
    (void)state;
    client c;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_int_equal(open_client(&c, &(wish){.version = version}), 1);
        const char *told = ask(&c, GET("/tls"));
        assert_memory_equal(told, version == TLS1_2_VERSION ? "TLSv1.2|" : "TLSv1.3|", 8);
        close_client(&c);
    }
    assert_int_equal(open_client(&c, &(wish){.version = TLS1_1_VERSION}), -SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    close_client(&c);
}

static void least_version_is_kept(void **state) {
    (void)state;
    client c;
    start(&(dx_tls_options){.least_version = 13}, NULL);
    assert_int_equal(open_client(&c, &(wish){.version = TLS1_2_VERSION}), -SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    close_client(&c);
    assert_served(&(wish){.version = TLS1_3_VERSION});
    stop(NULL);
}

static void ciphers_without_forward_secrecy_are_not_spoken(void **state) {
    (void)state;
    client c;
    static const char *const weak[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"};
    for (size_t i = 0; i < DX_COUNT_OF(weak); i++) {
        assert_int_equal(open_client(&c, &(wish){.version = TLS1_2_VERSION, .ciphers = weak[i]}), -SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
        close_client(&c);
    }
}

static void protocols_are_agreed_on(void **state) {
    (void)state;
    static const struct {
        const char *offer, *chosen;
    } cases[] = {{"\x08http/1.1\x02h2", "h2"}, {"\x08http/1.1", "http/1.1"}, {"\x03xyz\x08http/1.1", "http/1.1"}, {NULL, ""}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        client c;
        const unsigned char *chosen;
        unsigned size;
        assert_int_equal(open_client(&c, &(wish){.alpn = cases[i].offer}), 1);
        SSL_get0_alpn_selected(c.ssl, &chosen, &size);
        assert_int_equal(size, strlen(cases[i].chosen));
        assert_memory_equal(chosen ? (const char *)chosen : "", cases[i].chosen, size);
        close_client(&c);
    }
}

static void protocol_that_nobody_speaks_is_refused_by_its_alert(void **state) {
    (void)state;
    client c;
    assert_int_equal(open_client(&c, &(wish){.alpn = "\x03xyz"}), -SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    close_client(&c);
}

static void http2_is_offered_only_where_it_is_spoken(void **state) {
    (void)state;
    client c;
    start(&(dx_tls_options){.least_version = 12}, NULL);
    assert_int_equal(open_client(&c, &(wish){.alpn = "\x02h2"}), -SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    close_client(&c);
    stop(NULL);
}

static const char *shown_subject(const client *c) {
    static char subject[64];
    X509 *shown = SSL_get0_peer_certificate(c->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, subject, sizeof subject);
    return subject;
}

static void names_pick_certificates(void **state) {
    (void)state;
    static const struct {
        const char *name, *subject, *told;
    } cases[] = {{"b.test", "named", "|b.test|"},
                 {"X.C.Test", "named", "|x.c.test|"},
                 {"a.test", "leaf", "|a.test|"},
                 {"who.test", "leaf", "|who.test|"},
                 {NULL, "leaf", "||"},
                 {"a.test.", "leaf", "|a.test|"}};
    for (size_t i = 0; i < 2 * DX_COUNT_OF(cases); i++) {
        client c;
        wish w = {.name = cases[i / 2].name, .version = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION};
        assert_int_equal(open_client(&c, &w), 1);
        assert_string_equal(shown_subject(&c), cases[i / 2].subject);
        const char *told = ask(&c, GET("/tls"));
        assert_memory_equal(told + 7, cases[i / 2].told, strlen(cases[i / 2].told));
        close_client(&c);
    }
}

static void client_gets_the_kind_of_key_that_it_can_check(void **state) {
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        client c;
        assert_int_equal(open_client(&c, &(wish){.version = version, .signatures = "ECDSA+SHA256"}), 1);
        assert_string_equal(shown_subject(&c), "leaf");
        close_client(&c);
        // The root signs with ECDSA, which the client must be able to check all the same.
        assert_int_equal(open_client(&c, &(wish){.version = version, .signatures = "rsa_pss_rsae_sha256:RSA+SHA256"}), version ? 1 : 0);
        assert_string_equal(shown_subject(&c), "rsa");
        close_client(&c);
    }
}

// --- resumption -------------------------------------------------------------------------------------------------------------

static SSL_SESSION *take_session(int version, const paper *with) {
    client c;
    SSL_SESSION_free(kept);
    kept = NULL;
    assert_int_equal(open_client(&c, &(wish){.version = version, .name = "a.test", .paper = with}), 1);
    (void)ask(&c, GET("/fixed")); // TLS 1.3 brings tickets behind the handshake
    (void)SSL_shutdown(c.ssl);    // without it OpenSSL takes the session for spoilt
    close_client(&c);
    SSL_SESSION *session = kept;
    kept = NULL;
    return session;
}

static bool resumes(int version, SSL_SESSION *session, const paper *with) {
    client c;
    assert_int_equal(open_client(&c, &(wish){.version = version, .name = "a.test", .session = session, .paper = with}), 1);
    bool resumed = SSL_session_reused(c.ssl) == 1;
    const char *told = strchr(strchr(ask(&c, GET("/tls")), '|') + 1, '|');
    assert_memory_equal(told, resumed ? "|0|1|" : "|0|0|", 5);
    (void)SSL_shutdown(c.ssl);
    close_client(&c);
    return resumed;
}

static void tickets_resume_sessions_even_in_another_context(void **state) {
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = take_session(version, NULL);
        assert_true(SSL_SESSION_has_ticket(session));
        assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), DX_TLS_TICKET_LIFE);
        assert_true(resumes(version, session, NULL));
        if (kept) { // TLS 1.3 brought a new one; OpenSSL uses each only once
            SSL_SESSION_free(session);
            session = kept;
            kept = NULL;
        }
        stop(NULL);
        start_usual(NULL);
        assert_true(resumes(version, session, NULL));
        SSL_SESSION_free(session);
    }
}

static void tickets_of_other_keys_lead_to_a_whole_handshake(void **state) {
    (void)state;
    dx_tls_tickets *others;
    SSL_SESSION *session = take_session(TLS1_3_VERSION, NULL), *old = take_session(TLS1_2_VERSION, NULL);
    stop(NULL);
    assert_int_equal(dx_tls_tickets_create(&others), DX_OK);
    start(&(dx_tls_options){.least_version = 12, .tickets = others}, NULL);
    assert_false(resumes(TLS1_3_VERSION, session, NULL));
    assert_false(resumes(TLS1_2_VERSION, old, NULL));
    SSL_SESSION_free(session);
    SSL_SESSION_free(old);
    dx_tls_tickets_release(others);
}

static void without_ticket_keys_nothing_is_resumed(void **state) {
    (void)state;
    start(&(dx_tls_options){.least_version = 12}, NULL);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = take_session(version, NULL);
        assert_true(!session || !SSL_SESSION_has_ticket(session));
        if (session) assert_false(resumes(version, session, NULL));
        SSL_SESSION_free(session);
    }
    stop(NULL);
}

// A ticket from where nobody is asked for a certificate must not open the door where one is required.
static void session_is_not_resumed_under_other_rules_for_clients(void **state) {
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        client c;
        SSL_SESSION *session = take_session(version, NULL);
        stop(NULL);
        start(&(dx_tls_options){.least_version = 12, .tickets = tickets, .client = DX_TLS_CLIENT_REQUIRED, .client_ca = root_file}, NULL);
        int opened = open_client(&c, &(wish){.version = version, .name = "a.test", .session = session});
        assert_false(SSL_session_reused(c.ssl));
        char byte;
        assert_true(opened != 1 || SSL_read(c.ssl, &byte, 1) <= 0);
        close_client(&c);
        SSL_SESSION_free(session);
        stop(NULL);
        start_usual(NULL);
    }
}

// --- client certificates ----------------------------------------------------------------------------------------------------

static int start_guarded(void **state) {
    (void)state;
    start(&(dx_tls_options){.least_version = 12, .tickets = tickets, .client = DX_TLS_CLIENT_REQUIRED, .client_ca = root_file}, NULL);
    return 0;
}

static int start_asking(void **state) {
    (void)state;
    start(&(dx_tls_options){.least_version = 12, .tickets = tickets, .client = DX_TLS_CLIENT_OPTIONAL, .client_ca = root_file}, NULL);
    return 0;
}

// Whether the server lets the client in: TLS 1.3's client believes so until it reads.
static bool let_in(const paper *with, int version) {
    client c;
    bool in = open_client(&c, &(wish){.paper = with, .version = version}) == 1;
    static const char request[] = GET("/fixed");
    char byte;
    in = in && SSL_write(c.ssl, request, sizeof request - 1) > 0 && SSL_read(c.ssl, &byte, 1) == 1;
    close_client(&c);
    return in;
}

static void required_certificate_is_required(void **state) {
    (void)state;
    const paper *old = papers_make(&(recipe){.subject = "old", .issuer = root, .from = -2 * TEST_DAY, .until = -TEST_DAY});
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_false(let_in(NULL, version));
        assert_false(let_in(stranger, version));
        assert_false(let_in(old, version));
        assert_true(let_in(guest, version));
    }
    assert_int_equal(server_counted(&s, BEGUN), 2);
}

static void optional_certificate_may_be_missing_but_not_wrong(void **state) {
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_true(let_in(NULL, version));
        assert_false(let_in(stranger, version));
        assert_true(let_in(guest, version));
    }
}

static void verified_subject_and_fingerprint_are_told_also_when_resumed(void **state) {
    (void)state;
    char wanted[256], hex[65];
    unsigned char digest[32];
    assert_int_equal(X509_digest(guest->certificate, EVP_sha256(), digest, NULL), 1);
    for (int i = 0; i < 32; i++) (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    (void)snprintf(wanted, sizeof wanted, "|CN=J\xc3\xbcrgen\\, \\\"J\\\",O=Acme|%s", hex);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = take_session(version, guest);
        for (int i = 0; i < 2; i++) {
            client c;
            assert_int_equal(open_client(&c, &(wish){.version = version, .name = "a.test", .paper = guest, .session = i ? session : NULL}),
                             1);
            assert_int_equal(SSL_session_reused(c.ssl), i);
            const char *told = ask(&c, GET("/tls"));
            assert_string_equal(told + strlen("TLSv1.x|a.test|0|0"), wanted);
            close_client(&c);
        }
        SSL_SESSION_free(session);
    }
}

static void authorities_are_named_to_the_client(void **state) {
    (void)state;
    client c;
    assert_int_equal(open_client(&c, &(wish){.version = TLS1_2_VERSION}), 1);
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(c.ssl);
    assert_int_equal(sk_X509_NAME_num(names), 1);
    assert_int_equal(X509_NAME_cmp(sk_X509_NAME_value(names, 0), X509_get_subject_name(root->certificate)), 0);
    close_client(&c);
}

// --- bytes in ---------------------------------------------------------------------------------------------------------------

// A client whose records the test carries by hand.
static void open_by_hand(client *c, int version) {
    prepare(c, &(wish){.version = version, .name = "a.test"});
    BIO *in = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, in, to);
    c->fd = client_open(&s);
    assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
}

static void send_records(client *c, size_t step) {
    char *data;
    size_t size = (size_t)BIO_get_mem_data(SSL_get_wbio(c->ssl), &data);
    for (size_t at = 0; at < size; at += step) client_send_bytes(c->fd, data + at, size - at < step ? size - at : step);
    (void)BIO_reset(SSL_get_wbio(c->ssl));
}

static bool take_records(client *c) {
    char data[16384];
    ssize_t size = recv(c->fd, data, sizeof data, 0);
    if (size <= 0) return false;
    assert_int_equal(BIO_write(SSL_get_rbio(c->ssl), data, (int)size), size);
    return true;
}

static void shake_hands(client *c, size_t step) {
    while (SSL_do_handshake(c->ssl) != 1) {
        send_records(c, step);
        assert_true(take_records(c));
    }
}

static const char *await_text(client *c, const char *text) {
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

static void records_split_at_every_byte_arrive(void **state) {
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        client c;
        open_by_hand(&c, version);
        shake_hands(&c, 1);
        assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
        send_records(&c, 1);
        assert_non_null(strstr(await_text(&c, "fixed"), "200 OK"));
        close_client(&c);
    }
}

static void request_that_comes_with_the_end_of_the_handshake_is_answered(void **state) {
    (void)state;
    client c;
    open_by_hand(&c, TLS1_3_VERSION);
    while (SSL_do_handshake(c.ssl) != 1) {
        send_records(&c, SIZE_MAX / 2);
        assert_true(take_records(&c));
    }
    assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
    send_records(&c, SIZE_MAX / 2);
    assert_non_null(strstr(await_text(&c, "fixed"), "200 OK"));
    close_client(&c);
}

static void body_in_one_burst_of_records_arrives_without_more_to_wake_for_it(void **state) {
    (void)state;
    static const size_t sizes[] = {16384, 65536, 65537, 300000};
    for (size_t i = 0; i < DX_COUNT_OF(sizes); i++) {
        client c;
        char head[128];
        char *body = calloc(1, sizes[i]);
        open_by_hand(&c, TLS1_3_VERSION);
        shake_hands(&c, 4096);
        int size = snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        assert_int_equal(SSL_write(c.ssl, head, size), size);
        for (size_t at = 0; at < sizes[i]; at += 16384)
            assert_true(SSL_write(c.ssl, body + at, (int)(sizes[i] - at < 16384 ? sizes[i] - at : 16384)) > 0);
        free(body);
        send_records(&c, SIZE_MAX / 2);
        server_await(&s, CLOSED_SENT, i + 1);
        close_client(&c);
    }
    assert_int_equal(server_counted(&s, BODY_BYTES), 16384 + 65536 + 65537 + 300000);
}

static void many_small_records_with_many_requests_are_all_answered(void **state) {
    (void)state;
    client c;
    open_by_hand(&c, TLS1_3_VERSION);
    shake_hands(&c, 4096);
    for (int i = 0; i < 200; i++) assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
    send_records(&c, SIZE_MAX / 2);
    server_await(&s, CLOSED_SENT, 200);
    close_client(&c);
}

// --- bytes out --------------------------------------------------------------------------------------------------------------

static void assert_big(const char *body, size_t size) {
    assert_int_equal(size, SERVER_BIG);
    for (size_t i = 0; i < size; i++)
        if (body[i] != (char)('!' + i % 89)) fail_msg("byte %zu", i);
}

static void large_answers_arrive_whole_also_where_the_peer_takes_little(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        client c;
        size_t size;
        assert_int_equal(open_client(&c, &(wish){.small = i & 1, .version = i & 2 ? TLS1_2_VERSION : TLS1_3_VERSION}), 1);
        for (int n = 0; n < 2; n++) { // the second one meets the first one's leavings
            write_all(&c, GET("/big"), sizeof GET("/big") - 1);
            const char *body = read_answer(&c, &size);
            assert_big(body, size);
        }
        close_client(&c);
    }
}

static void pieces_arrive_in_order_as_fast_as_they_are_taken(void **state) {
    (void)state;
    client c;
    assert_int_equal(open_client(&c, &(wish){.small = true}), 1);
    write_all(&c, GET("/stream"), sizeof GET("/stream") - 1);
    size_t size = 0;
    int n;
    while (size < 5 || memcmp(out + size - 5, "0\r\n\r\n", 5) != 0) {
        assert_true((n = SSL_read(c.ssl, out + size, (int)(sizeof out - size))) > 0);
        size += (size_t)n;
    }
    assert_true(size > (size_t)SERVER_PIECES * SERVER_PIECE);
    server_await(&s, CLOSED_SENT, 1);
    close_client(&c);
}

static void large_bodies_go_up_and_come_back(void **state) {
    (void)state;
    client c;
    size_t size;
    static char body[3 << 20];
    for (size_t i = 0; i < sizeof body; i++) body[i] = (char)(i * 7);
    assert_int_equal(open_client(&c, &(wish){0}), 1);
    char head[128];
    int length = snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", sizeof body);
    write_all(&c, head, (size_t)length);
    write_all(&c, body, sizeof body);
    const char *back = read_answer(&c, &size);
    assert_int_equal(size, sizeof body);
    assert_memory_equal(back, body, size);
    close_client(&c);
}

// --- the end ----------------------------------------------------------------------------------------------------------------

static void end_is_said_when_all_was_sent_and_not_when_cut(void **state) {
    (void)state;
    client c;
    char byte;
    assert_int_equal(open_client(&c, &(wish){0}), 1);
    assert_string_equal(ask(&c, GET("/close")), "last");
    assert_true(SSL_read(c.ssl, &byte, 1) <= 0);
    assert_true(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    close_client(&c);
    assert_int_equal(open_client(&c, &(wish){0}), 1);
    write_all(&c, GET("/drop"), sizeof GET("/drop") - 1);
    assert_true(SSL_read(c.ssl, &byte, 1) <= 0);
    assert_false(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    close_client(&c);
}

static void half_closed_client_gets_its_answer(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        client c;
        assert_int_equal(open_client(&c, &(wish){0}), 1);
        write_all(&c, GET("/wait"), sizeof GET("/wait") - 1);
        server_await(&s, WAITING, (size_t)how + 1);
        if (how == 0) (void)SSL_shutdown(c.ssl);
        if (how == 1) assert_int_equal(shutdown(c.fd, SHUT_WR), 0); // as many programs do
        server_release(&s, (size_t)how);
        assert_non_null(read_answer(&c, NULL));
        close_client(&c);
    }
}

static void body_cut_short_without_a_word_is_no_whole_body(void **state) {
    (void)state;
    static const char part[] = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (size_t how = 0; how < 2; how++) {
        client c;
        assert_int_equal(open_client(&c, &(wish){0}), 1);
        write_all(&c, part, sizeof part - 1);
        server_await(&s, BODY_BYTES, 5 * (how + 1));
        if (how == 1) (void)SSL_shutdown(c.ssl);
        assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
        server_await(&s, ABORTED, how + 1);
        close_client(&c);
    }
    assert_int_equal(server_counted(&s, ENDED), 0);
}

// --- misuse -----------------------------------------------------------------------------------------------------------------

static void plain_http_is_told_so_in_the_clear(void **state) {
    (void)state;
    static const char *const requests[] = {GET("/"), "DELETE /x HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < DX_COUNT_OF(requests); i++) {
        bool reset;
        int fd = client_open(&s);
        client_send(fd, requests[i]);
        size_t size = client_read_all(fd, out, sizeof out, &reset);
        assert_false(reset);
        assert_memory_equal(out, "HTTP/1.1 400 Bad Request\r\n", 26);
        const char *body = strstr(out, "\r\n\r\n") + 4;
        assert_int_equal(strtoul(strstr(out, "Content-Length: ") + 16, NULL, 10), size - (size_t)(body - out));
        (void)close(fd);
    }
    assert_served(&(wish){0});
}

static void garbage_costs_no_more_than_its_connection(void **state) {
    (void)state;
    static const char *const junk[] = {"\x16\x03\x01\x00\x05hello", "\x16\x03\x01\xff\xff",  "\x15\x03\x03\x00\x02\x02\x28",
                                       "\x80\x2e\x01\x03\x01",      "\x17\x03\x03\x00\x01x", "\x01\x02\x03\x04\x05\x06\x07\x08"};
    for (size_t i = 0; i < DX_COUNT_OF(junk); i++) {
        bool reset;
        int fd = client_open(&s);
        client_send_bytes(fd, junk[i], strlen(junk[i]) > 4 ? strlen(junk[i]) : 5);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        size_t size = client_read_all(fd, out, sizeof out, &reset);
        assert_true(size == 0 || out[0] == 0x15); // an alert
        (void)close(fd);
    }
    assert_served(&(wish){0});
}

static void handshake_abandoned_anywhere_is_forgotten(void **state) {
    (void)state;
    client c;
    char *data;
    open_by_hand(&c, TLS1_3_VERSION);
    (void)SSL_do_handshake(c.ssl);
    size_t size = (size_t)BIO_get_mem_data(SSL_get_wbio(c.ssl), &data);
    for (size_t cut = 0; cut <= size; cut += 7) {
        int fd = client_open(&s);
        if (cut) client_send_bytes(fd, data, cut);
        (void)close(fd);
    }
    close_client(&c);
    assert_served(&(wish){0});
}

static void handshake_that_takes_too_long_is_ended(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    bool reset;
    limits.head_time = 200 * DX_MILLISECOND;
    start(&(dx_tls_options){.least_version = 12}, &limits);
    int fd = client_open(&s);
    client_send_bytes(fd, "\x16\x03\x01\x02", 4);
    assert_int_equal(client_read_all(fd, out, sizeof out, &reset), 0);
    (void)close(fd);
    stop(NULL);
}

static void renegotiation_is_refused_and_the_connection_serves_on(void **state) {
    (void)state;
    client c;
    assert_int_equal(open_client(&c, &(wish){.version = TLS1_2_VERSION}), 1);
    assert_string_equal(ask(&c, GET("/fixed")), "fixed");
    assert_int_equal(SSL_renegotiate(c.ssl), 1);
    assert_int_not_equal(SSL_do_handshake(c.ssl), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    close_client(&c);
    assert_served(&(wish){.version = TLS1_2_VERSION});
}

static void key_updates_are_followed(void **state) {
    (void)state;
    client c;
    assert_int_equal(open_client(&c, &(wish){.version = TLS1_3_VERSION}), 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_string_equal(ask(&c, GET("/fixed")), "fixed");
    }
    close_client(&c);
}

static void record_with_a_broken_seal_ends_the_connection(void **state) {
    (void)state;
    client c;
    char *data;
    open_by_hand(&c, TLS1_3_VERSION);
    shake_hands(&c, 4096);
    assert_true(SSL_write(c.ssl, GET("/fixed"), sizeof GET("/fixed") - 1) > 0);
    size_t size = (size_t)BIO_get_mem_data(SSL_get_wbio(c.ssl), &data);
    data[size - 1] ^= 1;
    send_records(&c, SIZE_MAX / 2);
    ERR_clear_error();
    (void)await_text(&c, "never");
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    assert_int_equal(server_counted(&s, BEGUN), 0);
    close_client(&c);
    assert_served(&(wish){0});
}

// --- turns, memory ----------------------------------------------------------------------------------------------------------

static void handshakes_yield_when_their_share_of_a_turn_is_used(void **state) {
    (void)state;
    dx_loop *loop;
    int pair[2];
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    dx_tls *context = make_tls(&(dx_tls_options){.least_version = 12});
    dx_listener listener = {.loop = loop};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    dx_connection connection = {.listener = &listener, .fd = pair[0]};
    assert_int_equal(dx_tls_attach(&connection, context), DX_OK);
    dx_tls_desk *desk = listener.tls_desk;
    assert_int_equal(dx_tls_transport.open(&connection), DX_OPENING_READ); // the first step of a turn is always made
    desk->spent = DX_TLS_TURN_BUDGET - 1;
    assert_int_equal(dx_tls_transport.open(&connection), DX_OPENING_READ);
    assert_true(desk->spent > DX_TLS_TURN_BUDGET - 1); // what it took is counted
    desk->spent = DX_TLS_TURN_BUDGET;
    assert_int_equal(dx_tls_transport.open(&connection), DX_OPENING_YIELD);
    desk->turn--; // another turn
    assert_int_equal(dx_tls_transport.open(&connection), DX_OPENING_READ);
    dx_tls_transport.close(&connection);
    dx_memory_free(desk);
    dx_tls_release(context);
    (void)close(pair[0]);
    (void)close(pair[1]);
    dx_loop_destroy(loop);
}

static void use_up_the_turn(server *server_) {
    dx_tls_desk *desk = server_->listener->tls_desk;
    if (!desk) return;
    desk->turn = dx_loop_now(server_->loop);
    desk->spent = DX_TLS_TURN_BUDGET;
}

static void handshake_that_has_yielded_goes_on_by_itself(void **state) {
    (void)state;
    assert_served(&(wish){0});
    for (int i = 0; i < 20; i++) {
        client c;
        open_by_hand(&c, TLS1_3_VERSION);
        (void)SSL_do_handshake(c.ssl);
        send_records(&c, SIZE_MAX / 2);
        server_run(&s, use_up_the_turn);
        assert_true(take_records(&c));
        shake_hands(&c, SIZE_MAX / 2);
        close_client(&c);
    }
}

static void every_failed_allocation_costs_no_more_than_its_connection(void **state) {
    (void)state;
    assert_served(&(wish){0});
    for (uint64_t n = 1; n < 60; n++) {
        client c;
        dx_memory_fail_at(n, false);
        if (open_client(&c, &(wish){.small = true}) == 1 && SSL_write(c.ssl, GET("/big"), sizeof GET("/big") - 1) > 0) {
            while (SSL_read(c.ssl, out, sizeof out) > 0 && SSL_pending(c.ssl) == 0) break;
        }
        bool failed = dx_memory_fail_stop();
        close_client(&c);
        assert_served(&(wish){0});
        if (!failed) break;
    }
}

#define usual(test) cmocka_unit_test_setup_teardown(test, start_usual, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        usual(versions_are_those_of_today),
        cmocka_unit_test(least_version_is_kept),
        usual(ciphers_without_forward_secrecy_are_not_spoken),
        usual(protocols_are_agreed_on),
        usual(protocol_that_nobody_speaks_is_refused_by_its_alert),
        cmocka_unit_test(http2_is_offered_only_where_it_is_spoken),
        usual(names_pick_certificates),
        usual(client_gets_the_kind_of_key_that_it_can_check),
        usual(tickets_resume_sessions_even_in_another_context),
        usual(tickets_of_other_keys_lead_to_a_whole_handshake),
        cmocka_unit_test(without_ticket_keys_nothing_is_resumed),
        usual(session_is_not_resumed_under_other_rules_for_clients),
        cmocka_unit_test_setup_teardown(required_certificate_is_required, start_guarded, stop),
        cmocka_unit_test_setup_teardown(optional_certificate_may_be_missing_but_not_wrong, start_asking, stop),
        cmocka_unit_test_setup_teardown(verified_subject_and_fingerprint_are_told_also_when_resumed, start_guarded, stop),
        cmocka_unit_test_setup_teardown(authorities_are_named_to_the_client, start_asking, stop),
        usual(records_split_at_every_byte_arrive),
        usual(request_that_comes_with_the_end_of_the_handshake_is_answered),
        usual(body_in_one_burst_of_records_arrives_without_more_to_wake_for_it),
        usual(many_small_records_with_many_requests_are_all_answered),
        usual(large_answers_arrive_whole_also_where_the_peer_takes_little),
        usual(pieces_arrive_in_order_as_fast_as_they_are_taken),
        usual(large_bodies_go_up_and_come_back),
        usual(end_is_said_when_all_was_sent_and_not_when_cut),
        usual(half_closed_client_gets_its_answer),
        usual(body_cut_short_without_a_word_is_no_whole_body),
        usual(plain_http_is_told_so_in_the_clear),
        usual(garbage_costs_no_more_than_its_connection),
        usual(handshake_abandoned_anywhere_is_forgotten),
        cmocka_unit_test(handshake_that_takes_too_long_is_ended),
        usual(renegotiation_is_refused_and_the_connection_serves_on),
        usual(key_updates_are_followed),
        usual(record_with_a_broken_seal_ends_the_connection),
        cmocka_unit_test(handshakes_yield_when_their_share_of_a_turn_is_used),
        usual(handshake_that_has_yielded_goes_on_by_itself),
        usual(every_failed_allocation_costs_no_more_than_its_connection),
    };
    return cmocka_run_group_tests_name("tls", tests, begin, end);
}
