// Contexts: every mistake in a file is found and told, names lead to certificates, ticket keys rotate, staples are checked.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/test_certificates.h"
#include "net/tls_parts.h"

static const paper *root, *middle, *leaf, *alone, *other;
static char logged[65536];
static size_t logged_size;

static void keep_log(void *ctx, const char *line, size_t size) {
    (void)ctx;
    if (logged_size + size >= sizeof logged) return;
    memcpy(logged + logged_size, line, size);
    logged_size += size;
    logged[logged_size] = '\0';
}

static int begin(void **state) {
    (void)state;
    papers_begin();
    dx_log_setup(DX_LOG_WARN, keep_log, NULL);
    root = papers_make(&(recipe){.subject = "Root", .authority = true});
    middle = papers_make(&(recipe){.subject = "Middle", .issuer = root, .authority = true});
    leaf = papers_make(&(recipe){.subject = "a.test", .names = "DNS:a.test,DNS:*.B.test,DNS:b.test", .issuer = middle});
    alone = papers_make(&(recipe){.subject = "alone", .names = "DNS:alone.test"});
    other = papers_make(&(recipe){.subject = "other", .names = "DNS:other.test"});
    return 0;
}

static int end(void **state) {
    (void)state;
    papers_end();
    return 0;
}

// --- one attempt to create a context ----------------------------------------------------------------------------------------

static dx_arena *arena;
static dx_diags diags;
static char text[8192];

static dx_status attempt(dx_tls **out, const dx_tls_options *options) {
    arena = dx_arena_create(1 << 20);
    dx_diags_init(&diags, arena);
    logged_size = 0;
    logged[0] = '\0';
    *out = NULL;
    dx_status status = dx_tls_create(out, options, &diags);
    text[0] = '\0';
    for (const dx_diag *diag = diags.first; diag; diag = diag->next) {
        dx_slice line = dx_diag_text(diag, arena);
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s\n", DX_SLICE_ARG(line));
    }
    dx_arena_destroy(arena);
    return status;
}

static dx_tls_certificate entry(const char *certificate, const char *key) {
    return (dx_tls_certificate){.certificate = certificate, .key = key, .pointer = DX_SLICE("/server/tls/certificates/0")};
}

static dx_tls_options options_of(const dx_tls_certificate *certificates, size_t count) {
    return (dx_tls_options){.certificates = certificates, .count = count, .least_version = 12, .pointer = DX_SLICE("/server/tls")};
}

static void assert_refused(dx_tls_certificate one, const char *place, const char *told) {
    dx_tls *tls;
    dx_tls_options options = options_of(&one, 1);
    dx_status status = attempt(&tls, &options);
    if (status != DX_INVALID || !strstr(text, told) || !strstr(text, place))
        fail_msg("status %d, expected %s: %s; got %s", status, place, told, text);
    assert_null(tls);
}

static dx_tls *assert_taken(const dx_tls_options *options) {
    dx_tls *tls;
    if (attempt(&tls, options) != DX_OK) fail_msg("%s", text);
    return tls;
}

#define CERTIFICATE "/server/tls/certificates/0/certificate"
#define KEY         "/server/tls/certificates/0/key"
#define OCSP        "/server/tls/certificates/0/ocsp"

static void good_chain_is_taken_without_a_word(void **state) {
    (void)state;
    const paper *chain[] = {leaf, middle};
    dx_tls_certificate one = entry(papers_write_chain("good.pem", chain, 2), papers_write_key("good.key", leaf));
    dx_tls_options options = options_of(&one, 1);
    dx_tls *tls = assert_taken(&options);
    assert_string_equal(logged, "");
    int64_t days = (dx_tls_expires(tls) - dx_clock_utc() / 1000000) / TEST_DAY;
    assert_true(days == 364 || days == 365);
    dx_tls_release(tls);
}

static void files_that_cannot_be_read_are_named(void **state) {
    (void)state;
    const char *key = papers_write_key("r.key", alone), *certificate = papers_write_certificate("r.pem", alone);
    assert_refused(entry(papers_path("none.pem"), key), CERTIFICATE, "none.pem: there is no such file");
    assert_refused(entry(certificate, papers_path("none.key")), KEY, "none.key: there is no such file");
    assert_refused(entry("/tmp", key), CERTIFICATE, "not a regular file");
    assert_refused(entry(papers_write_text("empty.pem", "", 0), key), CERTIFICATE, "empty.pem is empty");
    char *large = calloc(1, DX_TLS_FILE_CAP + 1);
    assert_refused(entry(papers_write_text("large.pem", large, DX_TLS_FILE_CAP + 1), key), CERTIFICATE, "over 1 MiB");
    assert_refused(entry(papers_write_text("nul.pem", large, DX_TLS_FILE_CAP), key), CERTIFICATE, "found none");
    free(large);
}

static void file_that_permission_keeps_is_explained(void **state) {
    (void)state;
    const char *certificate = papers_write_certificate("p.pem", alone), *key = papers_write_key("p.key", alone);
    (void)chmod(key, 0);
    pid_t child = fork(); // root reads everything, so another user has to try
    if (child == 0) {
        if (getuid() == 0 && setuid(65534) != 0) _exit(2);
        (void)chmod(certificate, 0644);
        dx_tls_certificate one = entry(certificate, key);
        dx_tls_options options = options_of(&one, 1);
        dx_tls *tls;
        _exit(attempt(&tls, &options) == DX_INVALID && strstr(text, "permission is denied") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void what_is_no_pem_is_recognised(void **state) {
    (void)state;
    const char *key = papers_write_key("k.key", alone), *certificate = papers_write_certificate("k.pem", alone);
    unsigned char *der = NULL;
    int size = i2d_X509(alone->certificate, &der);
    assert_refused(entry(papers_write_text("der.pem", der, (size_t)size), key), CERTIFICATE, "seems to be in DER form");
    OPENSSL_free(der);
    assert_refused(entry(papers_write_text("t.pem", "hello\n", 6), key), CERTIFICATE, "found none");
    assert_refused(entry(key, key), CERTIFICATE, "holds a private key and no certificate");
    assert_refused(entry(certificate, certificate), KEY, "holds a certificate and no private key");
    static const char damaged[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_refused(entry(papers_write_text("d.pem", damaged, sizeof damaged - 1), key), CERTIFICATE, "damaged");
    static const char nothing[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_refused(entry(certificate, papers_write_text("d.key", nothing, sizeof nothing - 1)), KEY, "none that can be read");
}

static void keys_that_cannot_serve_are_refused(void **state) {
    (void)state;
    const char *certificate = papers_write_certificate("s.pem", alone);
    assert_refused(entry(certificate, papers_write_locked_key("locked.key", alone)), KEY, "is encrypted");
    assert_refused(entry(certificate, papers_write_key("other.key", other)), KEY, "is not that of the certificate");
    const paper *weak = papers_make(&(recipe){.subject = "weak", .names = "DNS:weak.test", .rsa_bits = 1024});
    assert_refused(entry(papers_write_certificate("weak.pem", weak), papers_write_key("weak.key", weak)), KEY, "too weak: 1024 bits");
    const paper *sha1 = papers_make(&(recipe){.subject = "sha1", .names = "DNS:sha1.test", .digest = "SHA1", .issuer = root});
    assert_refused(entry(papers_write_certificate("sha1.pem", sha1), papers_write_key("sha1.key", sha1)), CERTIFICATE, "md too weak");
}

static void both_files_mistakes_are_told_at_once(void **state) {
    (void)state;
    assert_refused(entry(papers_path("no.pem"), papers_path("no.key")), "no.pem", "no.key: there is no such file");
}

static void certificates_out_of_their_time_are_refused_with_the_date(void **state) {
    (void)state;
    const paper *old = papers_make(&(recipe){.subject = "old", .names = "DNS:old.test", .from = -2 * TEST_DAY, .until = -TEST_DAY});
    const paper *young = papers_make(&(recipe){.subject = "young", .names = "DNS:y.test", .from = TEST_DAY, .until = 2 * TEST_DAY});
    assert_refused(entry(papers_write_certificate("old.pem", old), papers_write_key("old.key", old)), CERTIFICATE, "has expired on 20");
    assert_refused(entry(papers_write_certificate("young.pem", young), papers_write_key("young.key", young)), CERTIFICATE,
                   "not valid before 20");
    const paper *chain[] = {NULL, papers_make(&(recipe){.subject = "OldCA", .authority = true, .from = -2 * TEST_DAY, .until = -TEST_DAY})};
    chain[0] = papers_make(&(recipe){.subject = "x", .names = "DNS:x.test", .issuer = chain[1]});
    assert_refused(entry(papers_write_chain("oldca.pem", chain, 2), papers_write_key("oldca.key", chain[0])), CERTIFICATE,
                   "an intermediate certificate");
}

static void chains_that_clients_would_not_follow_are_refused(void **state) {
    (void)state;
    const char *key = papers_write_key("chain.key", leaf);
    const paper *late[] = {middle, leaf}, *swapped[] = {leaf, root, middle}, *broken[] = {leaf, other};
    const paper *many[DX_TLS_CHAIN_CAP + 1];
    for (size_t i = 0; i < DX_COUNT_OF(many); i++) many[i] = alone;
    assert_refused(entry(papers_write_chain("late.pem", late, 2), key), CERTIFICATE, "the key belongs to certificate 2");
    assert_refused(entry(papers_write_chain("swapped.pem", swapped, 3), key), CERTIFICATE, "certificate 3 issued certificate 1");
    assert_refused(entry(papers_write_chain("broken.pem", broken, 2), key), CERTIFICATE, "certificate 2 did not issue certificate 1");
    assert_refused(entry(papers_write_chain("many.pem", many, DX_COUNT_OF(many)), papers_write_key("many.key", alone)), CERTIFICATE,
                   "more than 10 certificates");
}

static void what_works_but_is_not_wise_is_a_warning(void **state) {
    (void)state;
    const paper *soon =
        papers_make(&(recipe){.subject = "soon", .names = "DNS:soon.test", .issuer = root, .from = -1, .until = 13 * TEST_DAY + 60});
    const char *key = papers_write_key("soon.key", soon);
    (void)chmod(key, 0604);
    dx_tls_certificate one = entry(papers_write_certificate("soon.pem", soon), key);
    dx_tls_options options = options_of(&one, 1);
    dx_tls_release(assert_taken(&options));
    assert_non_null(strstr(logged, "expires in 13 days"));
    assert_non_null(strstr(logged, "chmod 600"));
    assert_non_null(strstr(logged, "no intermediate certificate"));
    const paper *nameless = papers_make(&(recipe){.subject = "nameless"});
    one = entry(papers_write_certificate("nameless.pem", nameless), papers_write_key("nameless.key", nameless));
    dx_tls_release(assert_taken(&options));
    assert_non_null(strstr(logged, "no subject alternative names"));
}

static void options_that_cannot_be_are_refused(void **state) {
    (void)state;
    dx_tls *tls;
    dx_tls_certificate one = entry(papers_write_certificate("o.pem", alone), papers_write_key("o.key", alone));
    dx_tls_options options = options_of(NULL, 0);
    assert_int_equal(attempt(&tls, &options), DX_INVALID);
    assert_non_null(strstr(text, "/server/tls/certificates: expected at least one certificate"));
    options = options_of(&one, 1);
    static const char *const ciphers[] = {"NO-SUCH-CIPHER", "RC4-SHA", "DEFAULT:@SECLEVEL=0", "TLS_AES_128_GCM_SHA256"};
    for (size_t i = 0; i < DX_COUNT_OF(ciphers); i++) {
        options.ciphers = ciphers[i];
        assert_int_equal(attempt(&tls, &options), DX_INVALID);
        assert_non_null(strstr(text, "/server/tls/ciphers: "));
    }
    options.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    dx_tls_release(assert_taken(&options));
}

static void authorities_of_clients_are_checked(void **state) {
    (void)state;
    dx_tls_certificate one = entry(papers_write_certificate("ca1.pem", alone), papers_write_key("ca1.key", alone));
    const paper *old = papers_make(&(recipe){.subject = "OldRoot", .authority = true, .from = -2 * TEST_DAY, .until = -TEST_DAY});
    const struct {
        const char *file, *told;
    } cases[] = {
        {NULL, "expected a file of the authorities"},
        {papers_path("no-ca.pem"), "there is no such file"},
        {papers_write_text("empty-ca.pem", "", 0), "is empty"},
        {papers_write_text("text-ca.pem", "x\n", 2), "found none"},
        {papers_write_certificate("leaf-ca.pem", leaf), "certificate 1 in"},
        {papers_write_certificate("old-ca.pem", old), "every authority in"},
    };
    dx_tls_options options = options_of(&one, 1);
    dx_tls *tls;
    options.client = DX_TLS_CLIENT_REQUIRED;
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        options.client_ca = cases[i].file;
        assert_int_equal(attempt(&tls, &options), DX_INVALID);
        if (!strstr(text, cases[i].told) || !strstr(text, "/server/tls/client/ca: ")) fail_msg("%s: %s", cases[i].told, text);
    }
    options.client_ca = papers_write_certificate("root-ca.pem", root);
    dx_tls_release(assert_taken(&options));
}

static const char *subject_for(const dx_tls *tls, const char *name) {
    static char subject[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_CTX_get0_certificate(dx_tls_host_for(tls, dx_slice_str(name))->ctx)),
                              NID_commonName, subject, sizeof subject);
    return subject;
}

static void names_lead_to_certificates(void **state) {
    (void)state;
    const paper *exact = papers_make(&(recipe){.subject = "exact", .names = "DNS:x.b.test,IP:127.0.0.1"});
    const paper *chain[] = {leaf, middle};
    dx_tls_certificate all[] = {
        entry(papers_write_certificate("n0.pem", alone), papers_write_key("n0.key", alone)),
        entry(papers_write_chain("n1.pem", chain, 2), papers_write_key("n1.key", leaf)),
        entry(papers_write_certificate("n2.pem", exact), papers_write_key("n2.key", exact)),
    };
    dx_tls_options options = options_of(all, 3);
    dx_tls *tls = assert_taken(&options);
    static const struct {
        const char *name, *subject;
    } cases[] = {
        {"alone.test", "alone"}, {"a.test", "a.test"},    {"b.test", "a.test"},   {"y.b.test", "a.test"},
        {"x.b.test", "exact"},   {"y.x.b.test", "alone"}, {".b.test", "alone"},   {"", "alone"},
        {"nobody", "alone"},     {"127.0.0.1", "alone"},  {"*.b.test", "a.test"}, // what it is called is what it is good for
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) assert_string_equal(subject_for(tls, cases[i].name), cases[i].subject);
    dx_tls_release(tls);
}

static void a_name_in_two_certificates_belongs_to_the_first(void **state) {
    (void)state;
    const paper *twice = papers_make(&(recipe){.subject = "twice", .names = "DNS:alone.test,DNS:more.test"});
    dx_tls_certificate all[] = {
        entry(papers_write_certificate("t0.pem", alone), papers_write_key("t0.key", alone)),
        entry(papers_write_certificate("t1.pem", twice), papers_write_key("t1.key", twice)),
    };
    dx_tls_options options = options_of(all, 2);
    dx_tls *tls = assert_taken(&options);
    assert_string_equal(subject_for(tls, "alone.test"), "alone");
    assert_string_equal(subject_for(tls, "more.test"), "twice");
    assert_non_null(strstr(logged, "alone.test is in more than one certificate"));
    dx_tls_release(tls);
}

static void two_kinds_of_key_for_one_name_share_a_context(void **state) {
    (void)state;
    const paper *rsa = papers_make(&(recipe){.subject = "rsa", .names = "DNS:alone.test", .rsa_bits = 2048});
    dx_tls_certificate all[] = {
        entry(papers_write_certificate("k0.pem", alone), papers_write_key("k0.key", alone)),
        entry(papers_write_certificate("k1.pem", rsa), papers_write_key("k1.key", rsa)),
    };
    dx_tls_options options = options_of(all, 2);
    dx_tls *tls = assert_taken(&options);
    assert_int_equal(tls->host_count, 1);
    assert_string_equal(logged, "");
    dx_tls_release(tls);
}

// --- tickets ----------------------------------------------------------------------------------------------------------------

static void ticket_keys_rotate_by_the_hour_and_open_for_two_more(void **state) {
    (void)state;
    dx_tls_tickets *tickets;
    dx_tls_ticket_key first, second, found;
    dx_nanos hour = DX_TLS_TICKET_ROTATION, t = 1000 * hour;
    assert_int_equal(dx_tls_tickets_create(&tickets), DX_OK);
    dx_tls_tickets_current(tickets, t, &first);
    dx_tls_tickets_current(tickets, t + hour - 1, &second);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(dx_tls_tickets_find(tickets, t + hour - 1, first.name, &found), 1);
    dx_tls_tickets_current(tickets, t + hour, &second);
    assert_memory_not_equal(first.name, second.name, 16);
    assert_memory_not_equal(first.cipher, second.cipher, 32);
    assert_memory_not_equal(first.mac, second.mac, 32);
    assert_int_equal(dx_tls_tickets_find(tickets, t + hour, first.name, &found), 2);
    assert_memory_equal(found.cipher, first.cipher, 32);
    assert_int_equal(dx_tls_tickets_find(tickets, t + 3 * hour - 1, first.name, &found), 2);
    assert_int_equal(dx_tls_tickets_find(tickets, t + 3 * hour, first.name, &found), 0);
    assert_int_equal(dx_tls_tickets_find(tickets, t + 100 * hour, second.name, &found), 0);
    dx_tls_tickets_release(tickets);
}

static void never_more_ticket_keys_are_kept_than_there_is_room_for(void **state) {
    (void)state;
    dx_tls_tickets *tickets;
    dx_tls_ticket_key key, found;
    assert_int_equal(dx_tls_tickets_create(&tickets), DX_OK);
    for (int i = 0; i < 50; i++) {
        dx_nanos now = (1000 + i) * DX_TLS_TICKET_ROTATION;
        dx_tls_tickets_current(tickets, now, &key);
        assert_int_equal(dx_tls_tickets_find(tickets, now, key.name, &found), 1);
    }
    dx_tls_tickets_release(tickets);
}

// --- stapling ---------------------------------------------------------------------------------------------------------------

static dx_tls_certificate stapled_entry(const char *ocsp) {
    const paper *chain[] = {leaf, middle};
    dx_tls_certificate one = entry(papers_write_chain("st.pem", chain, 2), papers_write_key("st.key", leaf));
    one.ocsp = ocsp;
    return one;
}

static void response_that_can_never_be_right_is_refused(void **state) {
    (void)state;
    assert_refused(stapled_entry(papers_path("none.ocsp")), OCSP, "there is no such file");
    assert_refused(stapled_entry(papers_write_text("x.ocsp", "garbage", 7)), OCSP, "not an OCSP response in DER form");
    assert_refused(stapled_entry(papers_write_text("e.ocsp", "", 0)), OCSP, "not of the size");
    const char *wrong = papers_write_ocsp("wrong.ocsp", middle, root, root, V_OCSP_CERTSTATUS_GOOD, -60, TEST_DAY);
    assert_refused(stapled_entry(wrong), OCSP, "is for another certificate");
    dx_tls_certificate one = entry(papers_write_certificate("nochain.pem", leaf), papers_write_key("nochain.key", leaf));
    one.ocsp = papers_write_ocsp("fine.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_GOOD, -60, TEST_DAY);
    assert_refused(one, OCSP, "cannot be checked without the issuer's certificate");
}

// Whether a handshake would be given a staple.
static bool staples(dx_tls *tls) {
    SSL *ssl = SSL_new(tls->hosts[0].ctx);
    dx_tls_staple_expire_look(tls->staples[0]);
    bool does = dx_tls_staple_use(tls->staples[0], ssl, NULL);
    SSL_free(ssl);
    return does;
}

static void only_a_good_response_in_its_time_is_stapled(void **state) {
    (void)state;
    const struct {
        const char *file, *told; // told NULL: stapled
    } cases[] = {
        {papers_write_ocsp("1.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_GOOD, -60, TEST_DAY), NULL},
        {papers_write_ocsp("2.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_GOOD, -2 * TEST_DAY, -TEST_DAY), "out of date"},
        {papers_write_ocsp("3.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_REVOKED, -60, TEST_DAY), "revoked"},
        {papers_write_ocsp("4.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_UNKNOWN, -60, TEST_DAY), "does not say"},
        {papers_write_ocsp("5.ocsp", leaf, middle, other, V_OCSP_CERTSTATUS_GOOD, -60, TEST_DAY), "not signed by the issuer"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_tls_certificate one = stapled_entry(cases[i].file);
        dx_tls_options options = options_of(&one, 1);
        dx_tls *tls = assert_taken(&options);
        if (cases[i].told && !strstr(logged, cases[i].told)) fail_msg("%s: %s", cases[i].told, logged);
        assert_int_equal(staples(tls), cases[i].told == NULL);
        dx_tls_release(tls);
    }
}

static void changed_response_is_taken_and_a_spoilt_one_is_not(void **state) {
    (void)state;
    const char *file = papers_write_ocsp("c.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_GOOD, -2 * TEST_DAY, -TEST_DAY);
    dx_tls_certificate one = stapled_entry(file);
    dx_tls_options options = options_of(&one, 1);
    dx_tls *tls = assert_taken(&options);
    assert_false(staples(tls));
    (void)papers_write_ocsp("c.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_GOOD, -60, TEST_DAY);
    assert_true(staples(tls));
    (void)papers_write_text("c.ocsp", "half", 4);
    assert_true(staples(tls));
    assert_non_null(strstr(logged, "not an OCSP response"));
    (void)papers_write_ocsp("c.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_REVOKED, -60, TEST_DAY);
    assert_false(staples(tls));
    dx_tls_release(tls);
}

// --- memory -----------------------------------------------------------------------------------------------------------------

static void every_failed_allocation_while_loading_is_told_and_leaks_nothing(void **state) {
    (void)state;
    dx_tls_certificate one = stapled_entry(papers_write_ocsp("m.ocsp", leaf, middle, middle, V_OCSP_CERTSTATUS_GOOD, -60, TEST_DAY));
    dx_tls_options options = options_of(&one, 1);
    dx_tls_tickets *tickets;
    assert_int_equal(dx_tls_tickets_create(&tickets), DX_OK);
    options.tickets = tickets;
    options.client = DX_TLS_CLIENT_OPTIONAL;
    options.client_ca = papers_write_certificate("m-ca.pem", root);
    uint64_t n = 1;
    for (;; n++) {
        dx_tls *tls = NULL;
        dx_memory_fail_at(n, false);
        dx_status status = dx_tls_create(&tls, &options, NULL);
        bool failed = dx_memory_fail_stop();
        dx_tls_release(tls);
        if (!failed) break;
        assert_true(status == DX_NO_MEMORY || (status == DX_OK && n > 1)); // a staple can be done without
    }
    assert_true(n > 5);
    dx_tls_tickets_release(tickets);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_chain_is_taken_without_a_word),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
        cmocka_unit_test(file_that_permission_keeps_is_explained),
        cmocka_unit_test(what_is_no_pem_is_recognised),
        cmocka_unit_test(keys_that_cannot_serve_are_refused),
        cmocka_unit_test(both_files_mistakes_are_told_at_once),
        cmocka_unit_test(certificates_out_of_their_time_are_refused_with_the_date),
        cmocka_unit_test(chains_that_clients_would_not_follow_are_refused),
        cmocka_unit_test(what_works_but_is_not_wise_is_a_warning),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(authorities_of_clients_are_checked),
        cmocka_unit_test(names_lead_to_certificates),
        cmocka_unit_test(a_name_in_two_certificates_belongs_to_the_first),
        cmocka_unit_test(two_kinds_of_key_for_one_name_share_a_context),
        cmocka_unit_test(ticket_keys_rotate_by_the_hour_and_open_for_two_more),
        cmocka_unit_test(never_more_ticket_keys_are_kept_than_there_is_room_for),
        cmocka_unit_test(response_that_can_never_be_right_is_refused),
        cmocka_unit_test(only_a_good_response_in_its_time_is_stapled),
        cmocka_unit_test(changed_response_is_taken_and_a_spoilt_one_is_not),
        cmocka_unit_test(every_failed_allocation_while_loading_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("tls_context", tests, begin, end);
}
