// See net/test_certificates.h.
#include "net/test_certificates.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define PAPERS_CAP 64
#define PATHS_CAP  2048

static char folder[64];
static paper papers[PAPERS_CAP];
static size_t paper_count, path_count;
static char paths[PATHS_CAP][128];

void papers_begin(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/duplex-papers-XXXXXX");
    assert_non_null(mkdtemp(folder));
    paper_count = path_count = 0;
}

void papers_end(void) {
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') (void)unlink(path);
    }
    if (dir) (void)closedir(dir);
    (void)rmdir(folder);
    for (size_t i = 0; i < paper_count; i++) {
        X509_free(papers[i].certificate);
        EVP_PKEY_free(papers[i].key);
    }
    paper_count = 0;
}

const char *papers_path(const char *name) {
    assert_true(path_count < PATHS_CAP);
    char *path = paths[path_count++];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void add_extension(X509 *to, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, to, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(to, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void add_name(X509_NAME *name, const char *field, const char *value) {
    assert_int_equal(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0), 1);
}

const paper *papers_make(const recipe *r) {
    static long serial = 1000;
    assert_true(paper_count < PAPERS_CAP);
    paper *p = &papers[paper_count++];
    p->key = r->rsa_bits ? EVP_RSA_gen((unsigned)r->rsa_bits) : EVP_EC_gen(r->curve ? r->curve : "P-256");
    p->certificate = X509_new();
    assert_true(p->key && p->certificate);
    const paper *issuer = r->issuer ? r->issuer : p;
    bool own_times = r->from || r->until;
    X509 *x = p->certificate;
    (void)X509_set_version(x, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), own_times ? r->from : -TEST_DAY);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), own_times ? r->until : 365 * TEST_DAY);
    if (r->organization) add_name(X509_get_subject_name(x), "O", r->organization);
    add_name(X509_get_subject_name(x), "CN", r->subject);
    (void)X509_set_issuer_name(x, X509_get_subject_name(issuer->certificate));
    (void)X509_set_pubkey(x, p->key);
    if (r->authority) add_extension(x, issuer->certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (r->authority) add_extension(x, issuer->certificate, NID_key_usage, "keyCertSign,digitalSignature");
    if (r->names) add_extension(x, issuer->certificate, NID_subject_alt_name, r->names);
    assert_true(X509_sign(x, issuer->key, EVP_get_digestbyname(r->digest ? r->digest : "SHA256")) > 0);
    return p;
}

static FILE *create(const char *path) {
    (void)unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)chmod(path, 0600);
    return file;
}

const char *papers_write_chain(const char *name, const paper *const *chain, size_t count) {
    const char *path = papers_path(name);
    FILE *file = create(path);
    for (size_t i = 0; i < count; i++) assert_int_equal(PEM_write_X509(file, chain[i]->certificate), 1);
    (void)fclose(file);
    return path;
}

const char *papers_write_certificate(const char *name, const paper *p) {
    return papers_write_chain(name, &p, 1);
}

static const char *write_key(const char *name, const paper *p, const EVP_CIPHER *cipher) {
    const char *path = papers_path(name);
    FILE *file = create(path);
    static const unsigned char phrase[] = "four";
    assert_int_equal(PEM_write_PrivateKey(file, p->key, cipher, cipher ? phrase : NULL, cipher ? 4 : 0, NULL, NULL), 1);
    (void)fclose(file);
    return path;
}

const char *papers_write_key(const char *name, const paper *p) {
    return write_key(name, p, NULL);
}

const char *papers_write_locked_key(const char *name, const paper *p) {
    return write_key(name, p, EVP_aes_128_cbc());
}

const char *papers_write_text(const char *name, const void *data, size_t size) {
    const char *path = papers_path(name);
    FILE *file = create(path);
    if (size) assert_int_equal(fwrite(data, size, 1, file), 1);
    (void)fclose(file);
    return path;
}

const char *papers_write_ocsp(const char *name, const paper *subject, const paper *issuer, const paper *signer, int status, long from,
                              long until) {
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), subject->certificate, issuer->certificate);
    ASN1_TIME *this_update = X509_gmtime_adj(NULL, from), *next_update = X509_gmtime_adj(NULL, until);
    ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? this_update : NULL;
    assert_non_null(OCSP_basic_add1_status(basic, id, status, 0, revoked, this_update, next_update));
    assert_int_equal(OCSP_basic_sign(basic, signer->certificate, signer->key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char *der = NULL;
    int size = i2d_OCSP_RESPONSE(response, &der);
    assert_true(size > 0);
    const char *path = papers_write_text(name, der, (size_t)size);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(this_update);
    ASN1_TIME_free(next_update);
    return path;
}
