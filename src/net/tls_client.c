// Client certificates (RFC 8446 section 4.3.2): which authorities they must come from, and what is told of a verified one.
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/log.h"
#include "base/memory.h"
#include "codec/text.h"
#include "net/tls_parts.h"

// --- authorities ------------------------------------------------------------------------------------------------------------

static dx_status check_authorities(const dx_tls_authorities *authorities, const dx_tls_place *place, const char *path) {
    int64_t now = dx_clock_utc() / 1000000;
    int valid = 0, count = sk_X509_num(authorities->certificates);
    for (int i = 0; i < count; i++) {
        X509 *one = sk_X509_value(authorities->certificates, i);
        if (X509_check_ca(one) == 0)
            return dx_tls_fault(place, "client/ca", "list the authorities that issue client certificates, not the certificates themselves",
                                "certificate %d in %s is not one of an authority", i + 1, path);
        dx_tls_date until = dx_tls_date_of(X509_get0_notAfter(one));
        if (until.seconds >= now)
            valid++;
        else
            dx_log(DX_LOG_WARN, "tls", "an authority for client certificates, number %d in %s, has expired on %s", i + 1, path, until.text);
    }
    if (valid) return DX_OK;
    return dx_tls_fault(place, "client/ca", "renew it; no client could be let in", "every authority in %s has expired", path);
}

dx_status dx_tls_authorities_load(dx_tls_authorities *out, const char *path, dx_slice pointer, dx_diags *diags) {
    dx_tls_place place = {diags, pointer};
    dx_tls_file file;
    dx_tls_pem pem = {0};
    *out = (dx_tls_authorities){0};
    if (!path) return dx_tls_fault(&place, "client/ca", NULL, "expected a file of the authorities that client certificates must come from");
    dx_status status = dx_tls_file_read(&file, &place, "client/ca", path);
    if (status != DX_OK) return status;
    status = dx_tls_pem_read(&pem, &file, DX_TLS_AUTHORITIES);
    out->certificates = pem.certificates;
    if (status == DX_OK && (sk_X509_num(pem.certificates) == 0 || pem.broken))
        status = dx_tls_pem_complain(&pem, &file, &place, "client/ca", path);
    else if (status == DX_OK && sk_X509_num(pem.certificates) > DX_TLS_AUTHORITIES)
        status = dx_tls_fault(&place, "client/ca", NULL, "%s holds more than %d certificates", path, DX_TLS_AUTHORITIES);
    else if (status == DX_OK)
        status = check_authorities(out, &place, path);
    dx_tls_file_free(&file);
    ERR_clear_error();
    if (status != DX_OK) dx_tls_authorities_free(out);
    return status;
}

void dx_tls_authorities_free(dx_tls_authorities *authorities) {
    sk_X509_pop_free(authorities->certificates, X509_free);
    authorities->certificates = NULL;
}

dx_status dx_tls_authorities_use(const dx_tls_authorities *authorities, SSL_CTX *ctx, bool required) {
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    for (int i = 0; i < sk_X509_num(authorities->certificates); i++) {
        X509 *one = sk_X509_value(authorities->certificates, i);
        if (X509_STORE_add_cert(store, one) != 1 || SSL_CTX_add_client_CA(ctx, one) != 1) return DX_NO_MEMORY;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(ctx, DX_TLS_CLIENT_DEPTH);
    return DX_OK;
}

// --- a client's certificate -------------------------------------------------------------------------------------------------

static dx_status write_subject(const X509 *certificate, char **out, size_t *size) {
    const char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio) return DX_NO_MEMORY;
    // RFC 4514 is UTF-8: what lies above ASCII stands as it is.
    dx_status status = DX_NO_MEMORY;
    if (X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) goto out;
    long length = BIO_get_mem_data(bio, &text);
    status = length > DX_TLS_SUBJECT_CAP ? DX_TOO_LARGE : DX_NO_MEMORY;
    if (length < 0 || length > DX_TLS_SUBJECT_CAP || !(*out = dx_memory_alloc((size_t)length + 1))) goto out;
    if (length) memcpy(*out, text, (size_t)length);
    (*out)[length] = '\0';
    *size = (size_t)length;
    status = DX_OK;
out:
    BIO_free(bio);
    return status;
}

dx_status dx_tls_client_facts(SSL *ssl, char **subject, size_t *subject_size, char fingerprint[64]) {
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    *subject = NULL;
    if (!certificate) return DX_OK;
    if (SSL_get_verify_result(ssl) != X509_V_OK) return DX_BAD_CREDENTIALS;
    // A resumed session brings the certificate along without verifying it again; the authorities are the same ones (tls_context.c sees to
    // that), but time has gone by.
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) return DX_EXPIRED_TOKEN;
    if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1 || size != 32) return DX_NO_MEMORY;
    dx_hex_encode(fingerprint, digest, size);
    return write_subject(certificate, subject, subject_size);
}
