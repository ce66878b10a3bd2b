// For tests: certificates of every kind, right ones and wrong ones, made on the spot and written to a folder that goes with the test.
#ifndef DX_NET_TEST_CERTIFICATES_H
#define DX_NET_TEST_CERTIFICATES_H

#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#define TEST_DAY 86400L

// A certificate and its key. Owned by the folder.
typedef struct paper {
    X509 *certificate;
    EVP_PKEY *key;
} paper;

typedef struct recipe {
    const char *subject;      // common name
    const char *names;        // "DNS:a.test,DNS:*.b.test"; NULL: none
    const paper *issuer;      // NULL: itself
    int rsa_bits;             // 0: ECDSA P-256
    const char *curve;        // NULL: P-256
    bool authority;           // may issue
    long from, until;         // seconds from now; both 0: yesterday to in a year
    const char *digest;       // NULL: SHA256
    const char *organization; // in the subject, before the name
} recipe;

void papers_begin(void);                   // makes the folder
void papers_end(void);                     // removes it and frees every paper
const char *papers_path(const char *name); // of a file in the folder; lives until the end
const paper *papers_make(const recipe *r);
// PEM files; each returns its path.
const char *papers_write_chain(const char *name, const paper *const *papers, size_t count);
const char *papers_write_certificate(const char *name, const paper *p);
const char *papers_write_key(const char *name, const paper *p);
const char *papers_write_locked_key(const char *name, const paper *p); // with a passphrase
const char *papers_write_text(const char *name, const void *data, size_t size);
// An OCSP response for `subject` by its `issuer`, signed by `signer`; `status` is a V_OCSP_CERTSTATUS_…, times are seconds from now.
const char *papers_write_ocsp(const char *name, const paper *subject, const paper *issuer, const paper *signer, int status, long from,
                              long until);

#endif
