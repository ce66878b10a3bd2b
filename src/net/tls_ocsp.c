// OCSP stapling (RFC 6066 section 8, RFC 6960) from a file that something else keeps fresh. A response is stapled only when it is for this
// certificate, signed by its issuer or whom that delegated, says "good", and is in date: a client that was promised a staple would turn
// away from a bad one, and from none it does not.
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/tls_parts.h"

#define RESPONSE_CAP ((size_t)64 << 10)
#define LOOK_EVERY   (60 * DX_SECOND)
#define CLOCK_SKEW   300 // seconds

struct dx_tls_staple {
    dx_work work;
    dx_tls *tls; // held while a look is under way
    const char *path;
    X509 *certificate, *issuer;
    struct timespec changed; // of the file that was read last
    off_t file_size;
    ino_t inode;
    _Atomic dx_nanos next_look;
    atomic_bool looking;
    pthread_mutex_t lock;
    unsigned char *response; // under the lock, as are the next three; NULL: none
    size_t size;
    int64_t until; // seconds since 1970
    bool told;     // that it is out of date
};

static void tell(const dx_tls_staple *staple, const char *what) {
    dx_log_record record;
    if (!dx_log_enabled(DX_LOG_WARN)) return;
    dx_log_begin(&record, DX_LOG_WARN, "tls_ocsp");
    dx_log_text(&record, "file", dx_slice_str(staple->path));
    dx_log_text(&record, "message", dx_slice_str(what));
    dx_log_end(&record);
}

// --- judging a response -----------------------------------------------------------------------------------------------------

typedef struct verdict {
    const char *fault; // NULL: good
    bool hopeless;     // a newer response from the same place would not mend it
    bool revoked;      // what was said before is not true any more
    int64_t until;
} verdict;

static verdict fault(bool hopeless, const char *text) {
    return (verdict){.fault = text, .hopeless = hopeless};
}

// The part of the response that is about our certificate: its id names the hash that it was made with.
static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const dx_tls_staple *staple) {
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
        ASN1_OBJECT *digest = NULL;
        if (OCSP_id_get0_info(NULL, &digest, NULL, NULL, id) != 1) continue;
        const EVP_MD *md = EVP_get_digestbyobj(digest);
        OCSP_CERTID *own = md ? OCSP_cert_to_id(md, staple->certificate, staple->issuer) : NULL;
        bool same = own && OCSP_id_cmp(own, id) == 0;
        OCSP_CERTID_free(own);
        if (same) return single;
    }
    return NULL;
}

static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer) {
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *certificates = sk_X509_new_null();
    bool good = store && certificates && X509_STORE_add_cert(store, issuer) == 1 && sk_X509_push(certificates, issuer) > 0 &&
                X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 && OCSP_basic_verify(basic, certificates, store, 0) == 1;
    sk_X509_free(certificates);
    X509_STORE_free(store);
    return good;
}

static verdict judge_single(OCSP_SINGLERESP *single) {
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    int status = OCSP_single_get0_status(single, NULL, NULL, &from, &until);
    if (status == V_OCSP_CERTSTATUS_REVOKED) return (verdict){"the response says that the certificate is revoked", false, true, 0};
    if (status != V_OCSP_CERTSTATUS_GOOD) return fault(false, "the response does not say that the certificate is good");
    if (!until) return fault(false, "the response has no time of its next update");
    if (OCSP_check_validity(from, until, CLOCK_SKEW, -1) != 1) return fault(false, "the response is out of date");
    return (verdict){.until = dx_tls_date_of(until).seconds};
}

static verdict judge_basic(OCSP_RESPONSE *response, const dx_tls_staple *staple) {
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    if (!basic) return fault(true, "the response has no basic OCSP response in it");
    OCSP_SINGLERESP *single = find_single(basic, staple);
    verdict v;
    if (!single)
        v = fault(true, "the response is for another certificate");
    else if (!is_signed(basic, staple->issuer))
        v = fault(false, "the response is not signed by the issuer of the certificate");
    else
        v = judge_single(single);
    OCSP_BASICRESP_free(basic);
    return v;
}

static verdict judge(const dx_tls_staple *staple, const unsigned char *data, size_t size) {
    const unsigned char *at = data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)size);
    verdict v;
    if (!response || at != data + size)
        v = fault(true, "the file is not an OCSP response in DER form");
    else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        v = fault(false, "the file is an error that an OCSP responder gave");
    else
        v = judge_basic(response, staple);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return v;
}

// --- the file ---------------------------------------------------------------------------------------------------------------

static bool changed(dx_tls_staple *staple, const struct stat *about) {
    bool same = about->st_ino == staple->inode && about->st_size == staple->file_size && about->st_mtim.tv_sec == staple->changed.tv_sec &&
                about->st_mtim.tv_nsec == staple->changed.tv_nsec;
    staple->inode = about->st_ino;
    staple->file_size = about->st_size;
    staple->changed = about->st_mtim;
    return !same;
}

static void replace(dx_tls_staple *staple, unsigned char *response, size_t size, int64_t until) {
    (void)pthread_mutex_lock(&staple->lock);
    unsigned char *old = staple->response;
    staple->response = response;
    staple->size = size;
    staple->until = until;
    staple->told = false;
    (void)pthread_mutex_unlock(&staple->lock);
    dx_memory_free(old);
}

static verdict take(dx_tls_staple *staple, int fd, size_t size) {
    if (size == 0 || size > RESPONSE_CAP) return fault(true, "the file is not of the size of an OCSP response");
    unsigned char *data = dx_memory_alloc(size);
    if (!data) return fault(false, "out of memory");
    ssize_t got = read(fd, data, size);
    verdict v = got == (ssize_t)size ? judge(staple, data, size) : fault(false, "the file cannot be read");
    if (!v.fault) {
        replace(staple, data, size, v.until);
        return v;
    }
    dx_memory_free(data);
    if (v.revoked) replace(staple, NULL, 0, 0);
    return v;
}

// A response that was good stays, until its time is over, when what has come in its place is no use: perhaps it is being written just now.
static verdict look(dx_tls_staple *staple) {
    struct stat about;
    int fd = open(staple->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fault(true, errno == ENOENT ? "there is no such file" : "the file cannot be opened");
    verdict v = {0};
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        v = fault(true, "the file is not a regular file");
    else if (changed(staple, &about))
        v = take(staple, fd, (size_t)about.st_size);
    (void)close(fd);
    return v;
}

static void look_again(dx_tls_staple *staple) {
    verdict v = look(staple);
    if (v.fault) tell(staple, v.fault);
}

static void work_look(dx_work *work) {
    look_again(DX_CONTAINER_OF(work, dx_tls_staple, work));
}

static void work_done(dx_work *work) {
    dx_tls_staple *staple = DX_CONTAINER_OF(work, dx_tls_staple, work);
    atomic_store_explicit(&staple->looking, false, memory_order_release);
    dx_tls_release(staple->tls);
}

static void look_when_due(dx_tls_staple *staple, dx_loop *loop) {
    dx_nanos now = dx_clock_monotonic();
    if (now < atomic_load_explicit(&staple->next_look, memory_order_relaxed)) return;
    if (atomic_exchange_explicit(&staple->looking, true, memory_order_acq_rel)) return;
    atomic_store_explicit(&staple->next_look, now + LOOK_EVERY, memory_order_relaxed);
    if (!loop) {
        look_again(staple);
    } else {
        (void)dx_tls_hold(staple->tls);
        staple->work = (dx_work){.work = work_look, .done = work_done, .loop = loop};
        if (dx_loop_work(loop, &staple->work) == DX_OK) return;
        dx_tls_release(staple->tls);
    }
    atomic_store_explicit(&staple->looking, false, memory_order_release);
}

bool dx_tls_staple_use(dx_tls_staple *staple, SSL *ssl, dx_loop *loop) {
    bool used = false, outdated = false;
    look_when_due(staple, loop);
    int64_t now = dx_clock_utc() / 1000000;
    (void)pthread_mutex_lock(&staple->lock);
    if (staple->response && staple->until > now) {
        unsigned char *copy = OPENSSL_memdup(staple->response, staple->size);
        used = copy && SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->size) == 1;
        if (!used) OPENSSL_free(copy);
    } else if (staple->response && !staple->told) {
        staple->told = outdated = true;
    }
    (void)pthread_mutex_unlock(&staple->lock);
    if (outdated) tell(staple, "the response is out of date and is not stapled any more");
    return used;
}

void dx_tls_staple_expire_look(dx_tls_staple *staple) {
    atomic_store(&staple->next_look, 0);
}

const X509 *dx_tls_staple_certificate(const dx_tls_staple *staple) {
    return staple->certificate;
}

// --- making -----------------------------------------------------------------------------------------------------------------

dx_status dx_tls_staple_create(dx_tls_staple **out, dx_tls *tls, const dx_tls_certificate *entry, const dx_tls_identity *identity,
                               dx_diags *diags) {
    dx_tls_place place = {diags, entry->pointer};
    X509 *issuer = sk_X509_num(identity->chain) ? sk_X509_value(identity->chain, 0) : NULL;
    if (!issuer && X509_self_signed(identity->certificate, 0) == 1) issuer = identity->certificate;
    if (!issuer)
        return dx_tls_fault(&place, "ocsp", "put the issuer's certificate behind the certificate",
                            "an OCSP response cannot be checked without the issuer's certificate, which is not in %s", entry->certificate);
    dx_tls_staple *staple = dx_memory_zalloc(1, sizeof *staple);
    dx_slice path = dx_arena_copy(tls->arena, dx_slice_str(entry->ocsp));
    if (!staple || !path.data || pthread_mutex_init(&staple->lock, NULL) != 0) {
        dx_memory_free(staple);
        return DX_NO_MEMORY;
    }
    staple->tls = tls;
    staple->path = path.data;
    staple->certificate = identity->certificate;
    staple->issuer = issuer;
    (void)X509_up_ref(staple->certificate);
    (void)X509_up_ref(staple->issuer);
    atomic_init(&staple->next_look, dx_clock_monotonic() + LOOK_EVERY);
    verdict v = look(staple);
    if (v.fault && v.hopeless) {
        dx_tls_staple_destroy(staple);
        return dx_tls_fault(&place, "ocsp", "fetch it: openssl ocsp -issuer ISSUER -cert CERTIFICATE -url URL -respout FILE",
                            "cannot staple %s: %s", entry->ocsp, v.fault);
    }
    if (v.fault) tell(staple, v.fault);
    *out = staple;
    return DX_OK;
}

void dx_tls_staple_destroy(dx_tls_staple *staple) {
    if (!staple) return;
    X509_free(staple->certificate);
    X509_free(staple->issuer);
    (void)pthread_mutex_destroy(&staple->lock);
    dx_memory_free(staple->response);
    dx_memory_free(staple);
}
