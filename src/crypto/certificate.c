// See crypto/certificate.h.
#include "crypto/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "codec/text.h"
#include "crypto/digest.h"

#define NAME_CAP 253 // RFC 1035
#define HOUR     3600

// --- names ------------------------------------------------------------------------------------------------------------------

static int address_bytes(unsigned char out[16], dx_slice name) {
    char text[INET6_ADDRSTRLEN];
    if (name.size >= sizeof text) return 0;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    if (inet_pton(AF_INET, text, out) == 1) return 4;
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static bool label_valid(dx_slice label) {
    if (label.size == 0 || label.size > 63 || label.data[0] == '-' || label.data[label.size - 1] == '-') return false;
    for (size_t i = 0; i < label.size; i++) {
        char c = (char)(label.data[i] | 0x20);
        if (!(c >= 'a' && c <= 'z') && !(label.data[i] >= '0' && label.data[i] <= '9') && label.data[i] != '-') return false;
    }
    return true;
}

static bool all_digits(dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9') return false;
    return true;
}

bool dx_certificate_name_valid(dx_slice name) {
    unsigned char bytes[16];
    if (name.size == 0 || name.size > NAME_CAP) return false;
    if (address_bytes(bytes, name)) return true;
    dx_slice rest = dx_slice_starts(name, DX_SLICE("*.")) ? dx_slice_from(name, 2) : name, last = {NULL, 0};
    while (rest.data) {
        last = dx_slice_cut(&rest, '.');
        if (!label_valid(last)) return false;
    }
    return last.size > 0 && !all_digits(last); // "1.2.3.999" is an address that went wrong
}

static bool add_name(GENERAL_NAMES *names, dx_slice name) {
    unsigned char bytes[16];
    int size = address_bytes(bytes, name);
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_STRING *value = size ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (!one || !value || ASN1_STRING_set(value, size ? (const void *)bytes : name.data, size ? size : (int)name.size) != 1) {
        GENERAL_NAME_free(one);
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(one, size ? GEN_IPADD : GEN_DNS, value);
    if (sk_GENERAL_NAME_push(names, one) > 0) return true;
    GENERAL_NAME_free(one);
    return false;
}

static bool add_names(X509 *to, const dx_slice *names, size_t count) {
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    bool good = all != NULL;
    for (size_t i = 0; i < count && good; i++) good = add_name(all, names[i]);
    good = good && X509_add1_ext_i2d(to, NID_subject_alt_name, all, 0, 0) == 1;
    GENERAL_NAMES_free(all);
    return good;
}

// --- making -----------------------------------------------------------------------------------------------------------------

static bool add_extension(X509 *to, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, to, to, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool good = extension && X509_add_ext(to, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool set_serial(X509 *x) {
    unsigned char bytes[16];
    dx_random_bytes(bytes, sizeof bytes);
    bytes[0] &= 0x7f; // positive (RFC 5280 section 4.1.2.2)
    bytes[0] |= 0x40;
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
    BN_free(number);
    return good;
}

// The first name, where it fits: clients look at the alternative names alone.
static bool set_subject(X509 *x, dx_slice name) {
    X509_NAME *subject = X509_get_subject_name(x);
    if (name.size > 64) name = DX_SLICE("localhost");
    return X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"duplex development", -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name.data, (int)name.size, -1, 0) == 1 &&
           X509_set_issuer_name(x, subject) == 1;
}

static X509 *make(EVP_PKEY *key, const dx_slice *names, size_t count, unsigned days) {
    X509 *x = X509_new();
    bool good = x && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && X509_gmtime_adj(X509_getm_notBefore(x), -HOUR) &&
                X509_gmtime_adj(X509_getm_notAfter(x), (long)days * 24 * HOUR) && set_subject(x, names[0]) &&
                X509_set_pubkey(x, key) == 1 && add_names(x, names, count) &&
                add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
                add_extension(x, NID_key_usage, "critical,digitalSignature") && add_extension(x, NID_ext_key_usage, "serverAuth") &&
                add_extension(x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()) > 0;
    if (good) return x;
    X509_free(x);
    return NULL;
}

static dx_status take_text(BIO *bio, dx_buffer *out) {
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    if (size <= 0) return DX_NO_MEMORY;
    dx_buffer_append(out, text, (size_t)size);
    return dx_buffer_status(out);
}

static dx_status write_key(EVP_PKEY *key, dx_buffer *out) {
    BIO *bio = BIO_new(BIO_s_secmem()); // wiped when freed
    dx_status status = DX_NO_MEMORY;
    if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) status = take_text(bio, out);
    BIO_free(bio);
    return status;
}

static dx_status write_certificate(X509 *x, dx_buffer *out) {
    BIO *bio = BIO_new(BIO_s_mem());
    dx_status status = DX_NO_MEMORY;
    if (bio && PEM_write_bio_X509(bio, x) == 1) status = take_text(bio, out);
    BIO_free(bio);
    return status;
}

dx_status dx_certificate_self_signed(const dx_slice *names, size_t count, unsigned days, dx_buffer *certificate, dx_buffer *key) {
    if (count == 0 || count > DX_CERTIFICATE_NAMES_CAP || days == 0 || days > DX_CERTIFICATE_DAYS_CAP) return DX_INVALID;
    for (size_t i = 0; i < count; i++)
        if (!dx_certificate_name_valid(names[i])) return DX_INVALID;
    dx_status status = DX_NO_MEMORY;
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = pair ? make(pair, names, count, days) : NULL;
    if (x) status = write_key(pair, key);
    if (x && status == DX_OK) status = write_certificate(x, certificate);
    X509_free(x);
    EVP_PKEY_free(pair);
    ERR_clear_error();
    return status;
}

// --- describing -------------------------------------------------------------------------------------------------------------

static void add_line(dx_buffer *out, const char *title, BIO *bio) {
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    dx_buffer_printf(out, "  %-12s", title);
    dx_buffer_append(out, text, size > 0 ? (size_t)size : 0);
    dx_buffer_byte(out, '\n');
    (void)BIO_reset(bio);
}

static void describe_name(dx_buffer *out, const char *title, const X509_NAME *name, BIO *bio) {
    (void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    add_line(out, title, bio);
}

static void describe_names(dx_buffer *out, const X509 *x, BIO *bio) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (i) (void)BIO_puts(bio, ", ");
        if (name->type == GEN_IPADD && name->d.iPAddress->length <= 16) {
            char text[INET6_ADDRSTRLEN] = "?";
            (void)inet_ntop(name->d.iPAddress->length == 4 ? AF_INET : AF_INET6, name->d.iPAddress->data, text, sizeof text);
            (void)BIO_puts(bio, text);
        } else if (name->type == GEN_DNS) {
            (void)ASN1_STRING_print(bio, name->d.dNSName);
        } else {
            (void)GENERAL_NAME_print(bio, (GENERAL_NAME *)name);
        }
    }
    if (sk_GENERAL_NAME_num(names) <= 0) (void)BIO_puts(bio, "none");
    add_line(out, "names", bio);
    GENERAL_NAMES_free(names);
}

static void describe_times(dx_buffer *out, const X509 *x, BIO *bio) {
    struct tm from, until;
    char text[2][16] = {"?", "?"};
    if (ASN1_TIME_to_tm(X509_get0_notBefore(x), &from) != 1 || ASN1_TIME_to_tm(X509_get0_notAfter(x), &until) != 1) return;
    (void)strftime(text[0], sizeof text[0], "%Y-%m-%d", &from);
    (void)strftime(text[1], sizeof text[1], "%Y-%m-%d", &until);
    int64_t now = dx_clock_utc() / 1000000, left = (int64_t)timegm(&until) - now;
    (void)BIO_printf(bio, "%s to %s (", text[0], text[1]);
    if ((int64_t)timegm(&from) > now)
        (void)BIO_puts(bio, "not valid yet)");
    else if (left < 0)
        (void)BIO_puts(bio, "expired)");
    else
        (void)BIO_printf(bio, "%ld days left)", (long)(left / 86400));
    add_line(out, "valid", bio);
}

static void describe_key(dx_buffer *out, const X509 *x, BIO *bio) {
    EVP_PKEY *key = X509_get0_pubkey(x);
    char group[64] = "";
    if (key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
        (void)BIO_printf(bio, "ECDSA %s", strcmp(group, "prime256v1") == 0 ? "P-256" : group);
    else
        (void)BIO_printf(bio, "%s %d bits", key ? EVP_PKEY_get0_type_name(key) : "unknown", key ? EVP_PKEY_get_bits(key) : 0);
    add_line(out, "key", bio);
}

static bool describe_fingerprint(dx_buffer *out, const X509 *x) {
    unsigned char digest[DX_SHA256_SIZE];
    char hex[2 * DX_SHA256_SIZE];
    unsigned size = 0;
    if (X509_digest(x, EVP_sha256(), digest, &size) != 1) return false;
    dx_hex_encode(hex, digest, sizeof digest);
    dx_buffer_printf(out, "  %-12s%.*s\n", "SHA-256", (int)sizeof hex, hex);
    return true;
}

static bool describe(dx_buffer *out, const X509 *x, size_t number) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio) return false;
    dx_buffer_printf(out, "certificate %zu\n", number);
    describe_name(out, "subject", X509_get_subject_name(x), bio);
    describe_name(out, "issuer", X509_get_issuer_name(x), bio);
    describe_names(out, x, bio);
    describe_times(out, x, bio);
    describe_key(out, x, bio);
    BIO_free(bio);
    return describe_fingerprint(out, x);
}

dx_status dx_certificate_describe(dx_slice pem, dx_buffer *out) {
    if (pem.size > INT32_MAX) return DX_TOO_LARGE;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    dx_status status = bio ? DX_OK : DX_NO_MEMORY;
    size_t count = 0;
    for (X509 *x; status == DX_OK && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)); X509_free(x))
        if (!describe(out, x, ++count)) status = DX_NO_MEMORY;
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    ERR_clear_error();
    if (status == DX_OK && (count == 0 || !ended)) status = DX_MALFORMED;
    return status == DX_OK ? dx_buffer_status(out) : status;
}
