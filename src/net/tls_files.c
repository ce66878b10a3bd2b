// Files of certificates and keys: read whole, with findings that name the file and say what to do; and PEM blocks out of them.
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/tls_parts.h"

dx_status dx_tls_fault(const dx_tls_place *place, const char *member, const char *advice, const char *format, ...) {
    char pointer[512], message[1024];
    int size = snprintf(pointer, sizeof pointer, "%.*s/%s", DX_SLICE_ARG(place->pointer), member);
    size_t length = size < (int)sizeof pointer ? (size_t)size : sizeof pointer - 1;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    dx_diag *diag = dx_diags_add(place->diags, DX_INVALID, dx_slice_of(pointer, length), "%s", message);
    if (diag && advice) dx_diag_suggest(place->diags, diag, dx_slice_str(advice));
    return DX_INVALID;
}

// --- reading ----------------------------------------------------------------------------------------------------------------

static const char *error_text(int error) {
    if (error == ENOENT) return "there is no such file";
    if (error == EACCES) return "permission is denied";
    return strerror(error);
}

static const char *error_advice(int error) {
    if (error == ENOENT) return "check the path; a relative one is looked for beside the definition";
    if (error == EACCES) return "let the user that duplex runs as read the file and search the folders above it";
    return NULL;
}

static dx_status read_all(dx_tls_file *out, int fd, size_t size) {
    out->data = dx_memory_alloc(size + 1);
    if (!out->data) return DX_NO_MEMORY;
    while (out->size < size) {
        ssize_t got = read(fd, out->data + out->size, size - out->size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return DX_UNAVAILABLE;
        if (got == 0) break;
        out->size += (size_t)got;
    }
    out->data[out->size] = '\0';
    return DX_OK;
}

dx_status dx_tls_file_read(dx_tls_file *out, const dx_tls_place *place, const char *member, const char *path) {
    struct stat about;
    *out = (dx_tls_file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &about) != 0) {
        int error = errno;
        if (fd >= 0) (void)close(fd);
        return dx_tls_fault(place, member, error_advice(error), "cannot read %s: %s", path, error_text(error));
    }
    dx_status status = DX_OK;
    if (!S_ISREG(about.st_mode))
        status = dx_tls_fault(place, member, NULL, "cannot read %s: it is not a regular file", path);
    else if (about.st_size == 0)
        status = dx_tls_fault(place, member, NULL, "%s is empty", path);
    else if ((uint64_t)about.st_size > DX_TLS_FILE_CAP)
        status = dx_tls_fault(place, member, NULL, "%s is over 1 MiB, more than such a file has", path);
    if (status == DX_OK) {
        status = read_all(out, fd, (size_t)about.st_size);
        if (status == DX_UNAVAILABLE) status = dx_tls_fault(place, member, NULL, "cannot read %s: %s", path, strerror(errno));
    }
    out->open_to_others = (about.st_mode & (S_IROTH | S_IWOTH)) != 0;
    (void)close(fd);
    if (status != DX_OK) dx_tls_file_free(out);
    return status;
}

void dx_tls_file_free(dx_tls_file *file) {
    if (file->data) OPENSSL_cleanse(file->data, file->size);
    dx_memory_free(file->data);
    *file = (dx_tls_file){0};
}

// --- PEM --------------------------------------------------------------------------------------------------------------------

static bool add_block(dx_tls_pem *out, const char *name, const unsigned char *data, long size) {
    if (strstr(name, "PRIVATE KEY")) out->has_key = true;
    if (strcmp(name, PEM_STRING_X509) != 0 && strcmp(name, PEM_STRING_X509_OLD) != 0) return true;
    X509 *certificate = d2i_X509(NULL, &data, size);
    if (!certificate) {
        out->broken = true;
        return true;
    }
    if (sk_X509_push(out->certificates, certificate) > 0) return true;
    X509_free(certificate);
    return false;
}

dx_status dx_tls_pem_read(dx_tls_pem *out, const dx_tls_file *file, int cap) {
    *out = (dx_tls_pem){.certificates = sk_X509_new_null()};
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->size);
    dx_status status = out->certificates && bio ? DX_OK : DX_NO_MEMORY;
    while (status == DX_OK && sk_X509_num(out->certificates) <= cap) {
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        long size = 0;
        ERR_clear_error();
        if (PEM_read_bio(bio, &name, &header, &data, &size) != 1) {
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) out->broken = true;
            break;
        }
        if (!add_block(out, name, data, size)) status = DX_NO_MEMORY;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)size);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (status != DX_OK) {
        sk_X509_pop_free(out->certificates, X509_free);
        out->certificates = NULL;
    }
    return status;
}

dx_status dx_tls_pem_complain(const dx_tls_pem *pem, const dx_tls_file *file, const dx_tls_place *place, const char *member,
                              const char *path) {
    if (pem->broken)
        return dx_tls_fault(place, member, "copy the file anew: a block in it is damaged", "%s holds a damaged PEM block", path);
    if (pem->has_key)
        return dx_tls_fault(place, member, "are certificate and key the wrong way round?", "%s holds a private key and no certificate",
                            path);
    if ((unsigned char)file->data[0] == 0x30)
        return dx_tls_fault(place, member, "convert it: openssl x509 -inform der -in FILE -out FILE.pem",
                            "expected a certificate in PEM form in %s; it seems to be in DER form", path);
    return dx_tls_fault(place, member, "a PEM file has lines like -----BEGIN CERTIFICATE-----",
                        "expected a certificate in PEM form in %s, found none", path);
}

dx_tls_date dx_tls_date_of(const ASN1_TIME *time) {
    dx_tls_date date = {.text = "?"};
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1) return date;
    date.seconds = (int64_t)timegm(&tm);
    (void)strftime(date.text, sizeof date.text, "%Y-%m-%d", &tm);
    return date;
}
