// One certificate of the definition: its chain and its key are read and checked against each other, so that whatever would make every
// client turn away is found at start, and said in words that tell what to do.
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "net/tls_parts.h"

#define SECURITY_BITS_LEAST 112 // RSA 2048, or any curve of 224 bits

static void warn(const char *path, const char *what) {
    dx_log_record record;
    if (!dx_log_enabled(DX_LOG_WARN)) return;
    dx_log_begin(&record, DX_LOG_WARN, "tls");
    dx_log_text(&record, "file", dx_slice_str(path));
    dx_log_text(&record, "message", dx_slice_str(what));
    dx_log_end(&record);
}

// --- the key ----------------------------------------------------------------------------------------------------------------

// A file that is locked with a passphrase cannot be used: nobody is there to type it.
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says the type
static int no_passphrase(char *buffer, int size, int writing, void *ctx) {
    (void)buffer, (void)size, (void)writing;
    *(bool *)ctx = true;
    return 0;
}

static dx_status parse_key(EVP_PKEY **out, const dx_tls_file *file, const dx_tls_place *place, const char *path) {
    bool locked = false;
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->size);
    if (!bio) return DX_NO_MEMORY;
    *out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &locked);
    BIO_free(bio);
    ERR_clear_error();
    if (*out) return DX_OK;
    if (locked)
        return dx_tls_fault(place, "key", "take the passphrase off: openssl pkey -in FILE -out NEW; keep NEW at mode 0600",
                            "the private key in %s is encrypted, and nobody is there to type its passphrase", path);
    if (strstr(file->data, "-----BEGIN CERTIFICATE"))
        return dx_tls_fault(place, "key", "are certificate and key the wrong way round?", "%s holds a certificate and no private key",
                            path);
    if (strstr(file->data, "-----BEGIN PUBLIC KEY"))
        return dx_tls_fault(place, "key", NULL, "%s holds a public key; the private one is needed", path);
    return dx_tls_fault(place, "key", "a PEM file has lines like -----BEGIN PRIVATE KEY-----",
                        "expected a private key in PEM form in %s, found none that can be read", path);
}

static dx_status check_key(EVP_PKEY *key, const dx_tls_place *place, const char *path) {
    if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "RSA-PSS") && !EVP_PKEY_is_a(key, "EC") && !EVP_PKEY_is_a(key, "ED25519") &&
        !EVP_PKEY_is_a(key, "ED448"))
        return dx_tls_fault(place, "key", "make an ECDSA P-256 or an RSA 2048 key", "TLS has no use for the kind of key in %s", path);
    if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS_LEAST)
        return dx_tls_fault(place, "key", "use ECDSA P-256, or RSA of at least 2048 bits", "the key in %s is too weak: %d bits", path,
                            EVP_PKEY_get_bits(key));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (!ctx) return DX_NO_MEMORY;
    bool good = EVP_PKEY_pairwise_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return good ? DX_OK : dx_tls_fault(place, "key", NULL, "the numbers of the key in %s do not belong together", path);
}

static dx_status load_key(EVP_PKEY **out, const dx_tls_place *place, const char *path) {
    dx_tls_file file;
    dx_status status = dx_tls_file_read(&file, place, "key", path);
    if (status != DX_OK) return status;
    status = parse_key(out, &file, place, path);
    if (status == DX_OK && file.open_to_others) warn(path, "everybody on this machine may read or change the private key; chmod 600 it");
    if (status == DX_OK) status = check_key(*out, place, path);
    dx_tls_file_free(&file);
    return status;
}

// --- the certificate and its chain ------------------------------------------------------------------------------------------

static dx_status load_chain(dx_tls_identity *identity, const dx_tls_place *place, const char *path) {
    dx_tls_file file;
    dx_tls_pem pem = {0};
    dx_status status = dx_tls_file_read(&file, place, "certificate", path);
    if (status != DX_OK) return status;
    status = dx_tls_pem_read(&pem, &file, DX_TLS_CHAIN_CAP);
    if (status == DX_OK && (sk_X509_num(pem.certificates) == 0 || pem.broken))
        status = dx_tls_pem_complain(&pem, &file, place, "certificate", path);
    else if (status == DX_OK && sk_X509_num(pem.certificates) > DX_TLS_CHAIN_CAP)
        status = dx_tls_fault(place, "certificate", "a certificate and its intermediates are wanted, not a list of authorities",
                              "%s holds more than %d certificates", path, DX_TLS_CHAIN_CAP);
    if (status == DX_OK && pem.has_key && file.open_to_others) warn(path, "everybody on this machine may read the private key in it");
    dx_tls_file_free(&file);
    if (status == DX_OK) identity->certificate = sk_X509_shift(pem.certificates);
    identity->chain = pem.certificates;
    return status;
}

static X509 *nth(const dx_tls_identity *identity, int i) {
    return i == 0 ? identity->certificate : sk_X509_value(identity->chain, i - 1);
}

static bool issued(X509 *issuer, X509 *subject) {
    return X509_check_issued(issuer, subject) == X509_V_OK && X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
}

static dx_status check_chain(const dx_tls_identity *identity, const dx_tls_place *place, const char *path) {
    int count = 1 + sk_X509_num(identity->chain);
    for (int i = 1; i < count; i++) {
        if (issued(nth(identity, i), nth(identity, i - 1))) continue;
        ERR_clear_error();
        for (int j = 1; j < count; j++)
            if (j != i && issued(nth(identity, j), nth(identity, i - 1)))
                return dx_tls_fault(place, "certificate", "order: the server's certificate, the one that issued it, and so on upwards",
                                    "the chain in %s is in the wrong order: certificate %d issued certificate %d", path, j + 1, i);
        ERR_clear_error();
        return dx_tls_fault(place, "certificate", "put the intermediates of this certificate, and nothing else, behind it",
                            "the chain in %s is broken: certificate %d did not issue certificate %d", path, i + 1, i);
    }
    if (count == 1 && X509_self_signed(identity->certificate, 1) != 1)
        warn(path,
             "there is no intermediate certificate in the file; clients that lack it will not trust this one (is there a fullchain.pem?)");
    ERR_clear_error();
    return DX_OK;
}

static dx_status check_times(dx_tls_identity *identity, const dx_tls_place *place, const char *path) {
    int64_t now = dx_clock_utc() / 1000000;
    identity->expires = INT64_MAX;
    for (int i = 0; i <= sk_X509_num(identity->chain); i++) {
        dx_tls_date from = dx_tls_date_of(X509_get0_notBefore(nth(identity, i)));
        dx_tls_date until = dx_tls_date_of(X509_get0_notAfter(nth(identity, i)));
        const char *which = i == 0 ? "the certificate" : "an intermediate certificate";
        if (until.seconds < now)
            return dx_tls_fault(place, "certificate", "renew it", "%s in %s has expired on %s", which, path, until.text);
        if (from.seconds > now)
            return dx_tls_fault(place, "certificate", "is this machine's clock right?", "%s in %s is not valid before %s", which, path,
                                from.text);
        if (until.seconds < identity->expires) identity->expires = until.seconds;
    }
    if (identity->expires - now < DX_TLS_EXPIRY_NEAR) {
        char text[96];
        (void)snprintf(text, sizeof text, "the certificate expires in %d days", (int)((identity->expires - now) / 86400));
        warn(path, text);
    }
    return DX_OK;
}

static dx_status check_match(const dx_tls_identity *identity, const dx_tls_place *place, const dx_tls_certificate *entry) {
    bool fits = X509_check_private_key(identity->certificate, identity->key) == 1;
    ERR_clear_error();
    if (fits) return DX_OK;
    for (int i = 0; i < sk_X509_num(identity->chain); i++) {
        fits = X509_check_private_key(sk_X509_value(identity->chain, i), identity->key) == 1;
        ERR_clear_error();
        if (!fits) continue;
        return dx_tls_fault(place, "certificate", "put the server's certificate first, then the one that issued it, and so on upwards",
                            "the chain in %s is in the wrong order: the key belongs to certificate %d", entry->certificate, i + 2);
    }
    return dx_tls_fault(place, "key", "give the key that the certificate was made with",
                        "the key in %s is not that of the certificate in %s", entry->key, entry->certificate);
}

// --- the names --------------------------------------------------------------------------------------------------------------

// A DNS name, or "*." before one. RFC 9525 section 6.3: the wildcard is the whole of the leftmost label.
static bool is_name(dx_slice text) {
    if (dx_slice_starts(text, DX_SLICE("*."))) text = dx_slice_from(text, 2);
    if (text.size == 0 || text.size >= DX_TLS_NAME_CAP) return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_') return false;
    }
    return true;
}

static int compare(const void *a, const void *b) {
    return dx_slice_compare(*(const dx_slice *)a, *(const dx_slice *)b);
}

static dx_status take_name(dx_tls_identity *identity, dx_arena *arena, const ASN1_STRING *from) {
    dx_slice name = dx_arena_copy(arena, dx_slice_of((const char *)ASN1_STRING_get0_data(from), (size_t)ASN1_STRING_length(from)));
    if (!name.data) return DX_NO_MEMORY;
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] >= 'A' && name.data[i] <= 'Z') ((char *)name.data)[i] |= 0x20;
    if (is_name(name)) identity->names[identity->name_count++] = name;
    return DX_OK;
}

static void drop_doubles(dx_tls_identity *identity) {
    size_t kept = 0;
    if (identity->name_count > 1) qsort(identity->names, identity->name_count, sizeof *identity->names, compare);
    for (size_t i = 0; i < identity->name_count; i++)
        if (i == 0 || !dx_slice_equal(identity->names[i], identity->names[kept - 1])) identity->names[kept++] = identity->names[i];
    identity->name_count = kept;
}

static dx_status read_names(dx_tls_identity *identity, dx_arena *arena, const dx_tls_place *place, const char *path) {
    GENERAL_NAMES *all = X509_get_ext_d2i(identity->certificate, NID_subject_alt_name, NULL, NULL);
    int count = all ? sk_GENERAL_NAME_num(all) : 0;
    dx_status status = DX_OK;
    if (!all) warn(path, "the certificate has no subject alternative names; clients of today look at nothing else");
    if (count > DX_TLS_NAMES_CAP) {
        status = dx_tls_fault(place, "certificate", NULL, "the certificate in %s has more than %d names", path, DX_TLS_NAMES_CAP);
    } else {
        identity->names = DX_ARENA_ARRAY(arena, dx_slice, (size_t)count + 1);
        if (!identity->names) status = DX_NO_MEMORY;
    }
    for (int i = 0; i < count && status == DX_OK; i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        if (one->type == GEN_DNS) status = take_name(identity, arena, one->d.dNSName);
    }
    GENERAL_NAMES_free(all);
    ERR_clear_error();
    if (status == DX_OK) drop_doubles(identity);
    return status;
}

// --- all of it --------------------------------------------------------------------------------------------------------------

dx_status dx_tls_identity_load(dx_tls_identity *out, const dx_tls_certificate *entry, dx_arena *arena, dx_diags *diags) {
    dx_tls_place place = {diags, entry->pointer};
    *out = (dx_tls_identity){0};
    dx_status status = load_chain(out, &place, entry->certificate);
    dx_status key_status = load_key(&out->key, &place, entry->key); // both files' mistakes are told at once
    if (status == DX_OK) status = key_status;
    if (status == DX_OK) status = check_match(out, &place, entry);
    if (status == DX_OK) status = check_chain(out, &place, entry->certificate);
    if (status == DX_OK) status = check_times(out, &place, entry->certificate);
    if (status == DX_OK) status = read_names(out, arena, &place, entry->certificate);
    if (status != DX_OK) dx_tls_identity_free(out);
    return status;
}

void dx_tls_identity_free(dx_tls_identity *identity) {
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    *identity = (dx_tls_identity){0};
}
