// Handshakes over a real listener, with OpenSSL's own client: what is spoken, to whom, by whom; and what misuse leads to.
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

// A ticket from where nobody is asked for a certificate, or nobody has to show one, must not open the door where one is required.
static void session_is_not_resumed_under_other_rules_for_clients(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        int version = i & 1 ? TLS1_2_VERSION : TLS1_3_VERSION;
        client c;
        if (i & 2) {
            stop(NULL);
            start(&(dx_tls_options){.least_version = 12, .tickets = tickets, .client = DX_TLS_CLIENT_OPTIONAL, .client_ca = root_file},
                  NULL);
        }
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
        usual(plain_http_is_told_so_in_the_clear),
        usual(garbage_costs_no_more_than_its_connection),
        usual(handshake_abandoned_anywhere_is_forgotten),
        cmocka_unit_test(handshake_that_takes_too_long_is_ended),
        usual(renegotiation_is_refused_and_the_connection_serves_on),
        usual(key_updates_are_followed),
        usual(record_with_a_broken_seal_ends_the_connection),
    };
    return cmocka_run_group_tests_name("tls", tests, begin, end);
}
