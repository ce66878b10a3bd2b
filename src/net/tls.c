// The TLS transport: a connection's bytes through OpenSSL. OpenSSL reads from the socket itself and writes into a piece of memory that all
// of the listener's connections share, which goes to the socket at the end of each call: one system call for as many records as an answer
// has, and OpenSSL is never stopped in the middle of a record.
//
// What the socket does not take is kept by the connection. The caller's bytes in it are *owed*: sealed, but not told as sent, so that the
// caller knows that there is something to wait for and brings the same bytes again (net/transport.h), which are then skipped. All but the
// last owed byte may be told as sent while the socket takes records, so that a slow peer is seen to be alive.
//
// OpenSSL's queue of errors is the thread's, not the connection's: it is cleared before each call, or SSL_get_error would tell one
// connection of another's misfortune.
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "net/listener.h"
#include "net/tls_parts.h"

#define QUEUE_CAP     (512u << 10)             // records that wait for the socket: the shared room, and what a handshake adds
#define SEND_MOST     (512u << 10)             // bytes of the caller's in one call: other connections want their turn
#define RECORD        SSL3_RT_MAX_PLAIN_LENGTH // bytes
#define RECORD_ROOM   (RECORD + 512)           // what it becomes at most
#define RECORD_FIRST  4096u                    // of the first records after a pause, which fit a fresh connection's first packets
#define FIRST_BYTES   (3 * RECORD_FIRST)
#define PAUSE         DX_SECOND
#define DRAINED_BYTES (64u << 10)
#define TAKEN_MOST    (64u << 10) // bytes off the socket in one call: records may bring nothing, and then nobody would count them

// --- records to the socket --------------------------------------------------------------------------------------------------

static bool fail_socket(dx_tls_session *s, int error) {
    if (!s->fault) s->fault = error;
    return false;
}

static size_t queued(const dx_tls_session *s) {
    return s->queue_size - s->queue_at;
}

// As much as the socket takes; the number of bytes.
static size_t put_on_wire(dx_tls_session *s, const char *data, size_t size) {
    size_t sent = 0;
    while (sent < size && !s->fault) {
        ssize_t n = send(s->fd, data + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            (void)fail_socket(s, errno);
        }
    }
    return sent;
}

static bool enqueue(dx_tls_session *s, const char *data, size_t size) {
    if (s->queue_at) {
        memmove(s->queue, s->queue + s->queue_at, queued(s));
        s->queue_size -= s->queue_at;
        s->queue_at = 0;
    }
    if (size > s->queue_capacity - s->queue_size) {
        size_t capacity = s->queue_size + size;
        char *grown = capacity <= QUEUE_CAP ? dx_memory_realloc(s->queue, capacity) : NULL;
        if (!grown) return fail_socket(s, ENOMEM);
        s->queue = grown;
        s->queue_capacity = (uint32_t)capacity;
    }
    memcpy(s->queue + s->queue_size, data, size);
    s->queue_size += (uint32_t)size;
    return true;
}

static size_t flush_queue(dx_tls_session *s) {
    size_t sent = queued(s) ? put_on_wire(s, s->queue + s->queue_at, queued(s)) : 0;
    s->queue_at += (uint32_t)sent;
    if (s->queue && queued(s) == 0) {
        dx_memory_free(s->queue);
        s->queue = NULL;
        s->queue_at = s->queue_size = s->queue_capacity = 0;
    }
    return sent;
}

// Empties the shared room; returns the bytes that went to the socket. What it did not take is in the queue afterwards.
static size_t flush(dx_tls_session *s) {
    size_t sent = flush_queue(s), size = s->desk->room_size, direct = 0;
    s->desk->room_size = 0;
    if (!queued(s) && size) sent += direct = put_on_wire(s, s->desk->room, size);
    if (direct < size && !s->fault) (void)enqueue(s, s->desk->room + direct, size - direct);
    return sent;
}

// --- OpenSSL's view of the socket -------------------------------------------------------------------------------------------

static int bio_write(BIO *bio, const char *data, int size) {
    dx_tls_session *s = BIO_get_data(bio);
    dx_tls_desk *desk = s->desk;
    BIO_clear_retry_flags(bio);
    if (s->fault || size < 0) return -1;
    if ((size_t)size > sizeof desk->room - desk->room_size) (void)flush(s);
    if ((size_t)size > sizeof desk->room) return !s->fault && enqueue(s, data, (size_t)size) ? size : -1;
    if (s->fault) return -1;
    memcpy(desk->room + desk->room_size, data, (size_t)size);
    desk->room_size += (size_t)size;
    return size;
}

static int bio_read(BIO *bio, char *to, int size) {
    dx_tls_session *s = BIO_get_data(bio);
    ssize_t got = -1;
    BIO_clear_retry_flags(bio);
    if (!s->drained) {
        do got = recv(s->fd, to, (size_t)size, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            (void)fail_socket(s, errno);
            return -1;
        }
        if (got > 0) s->taken += (uint32_t)got;
        s->drained = got < size || s->taken >= TAKEN_MOST; // epoll tells when there is more (epoll(7))
    }
    if (got > 0 && !s->began) {
        s->began = true;
        s->first_byte = to[0];
    }
    if (got == 0) s->at_end = true;
    if (got < 0) BIO_set_retry_read(bio);
    return (int)got;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    const dx_tls_session *s = BIO_get_data(bio);
    (void)number, (void)pointer;
    if (command == BIO_CTRL_FLUSH) return 1;
    return command == BIO_CTRL_EOF && s->at_end;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "duplex connection");
    if (!method) return;
    (void)BIO_meth_set_write(method, bio_write);
    (void)BIO_meth_set_read(method, bio_read);
    (void)BIO_meth_set_ctrl(method, bio_ctrl);
    bio_method = method;
}

static BIO *new_bio(dx_tls_session *s) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_bio_method);
    BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
    if (!bio) return NULL;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    return bio;
}

static dx_tls_session *enter(const dx_connection *c) {
    dx_tls_session *s = c->tls;
    s->drained = false;
    s->taken = 0;
    ERR_clear_error();
    return s;
}

// --- the handshake ----------------------------------------------------------------------------------------------------------

static bool may_work(dx_tls_session *s) {
    dx_nanos turn = dx_loop_now(s->loop);
    if (s->desk->turn != turn) {
        s->desk->turn = turn;
        s->desk->spent = 0;
    }
    return s->desk->spent < DX_TLS_TURN_BUDGET;
}

// A browser that was told the wrong scheme gets to know it in the language that it speaks.
static void answer_plain_http(dx_tls_session *s) {
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 63\r\nConnection: close\r\n\r\n"
                                 "The plain HTTP request was sent to an HTTPS port: use https://\n";
    char rest[4096];
    (void)put_on_wire(s, answer, sizeof answer - 1);
    (void)shutdown(s->fd, SHUT_WR);
    // What is left unread would make the kernel reset the connection, and the answer with it.
    for (size_t i = 0; i < DRAINED_BYTES / sizeof rest && recv(s->fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++) continue;
}

static bool speaks_plain_http(const dx_tls_session *s) {
    return (s->first_byte >= 'A' && s->first_byte <= 'Z') || (s->first_byte >= 'a' && s->first_byte <= 'z');
}

static dx_opening fail(dx_connection *c, dx_tls_session *s, const char *reason) {
    unsigned long error = ERR_peek_last_error();
    long verified = SSL_get_verify_result(s->ssl);
    const char *detail = verified == X509_V_OK ? NULL : X509_verify_cert_error_string(verified);
    bool gone = !error && (s->at_end || s->fault);
    s->failed = true;
    if (speaks_plain_http(s)) {
        s->desk->room_size = 0; // an alert would only garble the answer
        answer_plain_http(s);
        reason = "plain HTTP";
    } else {
        (void)flush(s);
    }
    if (!reason) reason = error ? ERR_reason_error_string(error) : gone ? "the client went away" : NULL;
    dx_tls_failure_log(c->peer, reason ? reason : "unknown", detail, gone);
    ERR_clear_error();
    return DX_OPENING_FAILED;
}

static dx_status note_facts(dx_tls_session *s) {
    dx_tls_facts *facts = &s->facts;
    const unsigned char *protocol;
    unsigned size;
    SSL_get0_alpn_selected(s->ssl, &protocol, &size);
    facts->http2 = size == 2 && memcmp(protocol, "h2", 2) == 0;
    facts->version = SSL_get_version(s->ssl);
    facts->cipher = SSL_get_cipher_name(s->ssl);
    facts->resumed = SSL_session_reused(s->ssl) == 1;
    size_t subject_size = 0;
    dx_status status = dx_tls_client_facts(s->ssl, &s->subject, &subject_size, s->fingerprint);
    if (status != DX_OK || !s->subject) return status;
    facts->client_subject = dx_slice_of(s->subject, subject_size);
    facts->client_fingerprint = dx_slice_of(s->fingerprint, sizeof s->fingerprint);
    return DX_OK;
}

static dx_opening finish_opening(dx_connection *c, dx_tls_session *s) {
    if (queued(s)) return DX_OPENING_WRITE;
    if (note_facts(s) != DX_OK) return fail(c, s, "the client's certificate cannot be used");
    s->open = true;
    return DX_OPENING_DONE;
}

static dx_opening tls_open(dx_connection *c) {
    dx_tls_session *s = enter(c);
    if (SSL_is_init_finished(s->ssl)) {
        (void)flush(s);
        return s->fault ? fail(c, s, NULL) : finish_opening(c, s);
    }
    if (!may_work(s)) return DX_OPENING_YIELD;
    dx_nanos start = dx_clock_monotonic();
    int result = SSL_do_handshake(s->ssl);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, result);
    s->desk->spent += dx_clock_monotonic() - start;
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) return fail(c, s, NULL);
    (void)flush(s);
    if (s->fault) return fail(c, s, NULL);
    if (error == SSL_ERROR_NONE) return finish_opening(c, s);
    return queued(s) ? DX_OPENING_WRITE : DX_OPENING_READ;
}

// --- bytes in ---------------------------------------------------------------------------------------------------------------

// OpenSSL reads more than it is asked for (read-ahead), so what it holds must be used up here, or be told by `holds_input`.
static ssize_t tls_receive(dx_connection *c, char *to, size_t size) {
    dx_tls_session *s = enter(c);
    size_t got = 0;
    int error = SSL_ERROR_NONE;
    do {
        size_t more = 0;
        int result = SSL_read_ex(s->ssl, to + got, size - got, &more);
        error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, result);
        got += more;
    } while (error == SSL_ERROR_NONE && got < size && SSL_has_pending(s->ssl));
    s->starved = error == SSL_ERROR_WANT_READ;
    (void)flush(s); // the answer to a KeyUpdate, an alert
    if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL) (void)fail_socket(s, ECONNRESET);
    if (error == SSL_ERROR_SSL) ERR_clear_error();
    if (got) return (ssize_t)got;
    if (error == SSL_ERROR_ZERO_RETURN) {
        s->told_end = true;
        return 0;
    }
    errno = s->fault ? s->fault : EAGAIN;
    return -1;
}

static bool tls_holds_input(const dx_connection *c) {
    const dx_tls_session *s = c->tls;
    if (s->fault) return true;
    if (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN) return !s->told_end;
    return !s->starved && SSL_has_pending(s->ssl);
}

static ssize_t tls_peek(dx_connection *c) {
    const dx_tls_session *s = c->tls;
    char byte;
    if (s->fault) {
        errno = s->fault;
        return -1;
    }
    if (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN) return 0;
    return tls_holds_input(c) ? 1 : recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

// --- bytes out --------------------------------------------------------------------------------------------------------------

// The caller's pieces as one run of bytes.
typedef struct run {
    const dx_slice *pieces;
    unsigned count;
    size_t at; // in the first one
} run;

static void skip(run *r, size_t size) {
    r->at += size;
    while (r->count && r->at >= r->pieces->size) {
        r->at -= r->pieces->size;
        r->pieces++;
        r->count--;
    }
}

// The next bytes in one piece: where they lie, or gathered when the record would take more than one piece of them.
static dx_slice next(const run *r, char *gather, size_t most) {
    dx_slice first = dx_slice_from(r->pieces[0], r->at);
    if (first.size >= most) return dx_slice_of(first.data, most);
    if (r->count == 1) return first;
    size_t size = first.size;
    memcpy(gather, first.data, size);
    for (unsigned i = 1; i < r->count && size < most; i++) {
        size_t more = r->pieces[i].size < most - size ? r->pieces[i].size : most - size;
        if (more) memcpy(gather + size, r->pieces[i].data, more);
        size += more;
    }
    return dx_slice_of(gather, size);
}

static size_t record_size(dx_tls_session *s) {
    return s->burst < FIRST_BYTES ? RECORD_FIRST : RECORD;
}

// Seals as much as the room takes; the number of the caller's bytes.
static size_t seal(dx_tls_session *s, run *r, size_t most) {
    size_t sealed = 0;
    while (r->count && sealed < most && sizeof s->desk->room - s->desk->room_size >= RECORD_ROOM) {
        dx_slice bytes = next(r, s->desk->gather, record_size(s));
        size_t wrote = 0;
        int result = SSL_write_ex(s->ssl, bytes.data, bytes.size, &wrote);
        if (result != 1) {
            (void)fail_socket(s, EPIPE);
            break;
        }
        skip(r, wrote);
        sealed += wrote;
        s->burst = s->burst > FIRST_BYTES ? s->burst : s->burst + (uint32_t)wrote;
    }
    return sealed;
}

// What is owed when records wait: tells as much as the socket took of them, but never all.
static size_t tell_some(dx_tls_session *s, size_t taken) {
    if (s->owed == 0) return 0;
    size_t told = taken < s->owed - 1u ? taken : s->owed - 1u;
    s->owed -= (uint32_t)told;
    return told;
}

static ssize_t outcome(dx_tls_session *s, size_t told) {
    if (s->fault && !told) {
        errno = s->fault;
        return -1;
    }
    if (told) s->rested = dx_loop_now(s->loop);
    if (told) return (ssize_t)told;
    errno = EAGAIN;
    return -1;
}

// Our last word of TLS, which a response that ends the connection takes along.
static void seal_end(dx_tls_session *s) {
    if (s->ended || !s->open || s->fault) return;
    s->ended = true;
    (void)SSL_shutdown(s->ssl); // only sends: the peer's close_notify is found by reading
    ERR_clear_error();
}

static ssize_t tls_send(dx_connection *c, const dx_slice *pieces, unsigned count) {
    dx_tls_session *s = enter(c);
    run r = {pieces, count, 0};
    size_t told = 0;
    if (queued(s)) {
        size_t taken = flush_queue(s);
        if (queued(s) || s->fault) return outcome(s, s->fault ? 0 : tell_some(s, taken));
    }
    told = s->owed;
    s->owed = 0;
    skip(&r, told);
    if (dx_loop_now(s->loop) - s->rested > PAUSE) s->burst = 0;
    while (r.count && told < SEND_MOST && !s->fault) {
        size_t sealed = seal(s, &r, SEND_MOST);
        if (!r.count && c->finish == DX_FINISH_CLOSE && !c->file) seal_end(s);
        size_t taken = flush(s);
        if (!queued(s) && !s->fault) {
            told += sealed;
            continue;
        }
        s->owed = (uint32_t)sealed;
        told += tell_some(s, taken);
        break;
    }
    return outcome(s, told);
}

// --- the end ----------------------------------------------------------------------------------------------------------------

static void say_end(dx_tls_session *s) {
    if (queued(s)) return;
    seal_end(s);
    (void)flush(s);
}

static int tls_end(dx_connection *c) {
    dx_tls_session *s = enter(c);
    say_end(s);
    return s->fault ? -1 : shutdown(s->fd, SHUT_WR);
}

// close_notify says that all was sent (RFC 8446 section 6.1), so a connection that is broken off does not say it.
static void tls_close(dx_connection *c) {
    dx_tls_session *s = c->tls;
    if (!s) return;
    ERR_clear_error();
    // Nor does one that answers nothing know whether its last answer was whole, but for one that has been idle for too long.
    if (c->finish || (c->idle && !c->answered && c->deadline <= dx_loop_now(s->loop))) say_end(s);
    if (!s->open && !s->failed) dx_tls_failure_log(c->peer, s->began ? "not finished in time" : "nothing was sent", NULL, true);
    SSL_free(s->ssl);
    ERR_clear_error();
    dx_tls_release(s->tls);
    dx_memory_free(s->queue);
    dx_memory_free(s->subject);
    dx_memory_free(s);
    c->tls = NULL;
}

// --- making -----------------------------------------------------------------------------------------------------------------

static dx_tls_desk *desk_of(dx_listener *listener) {
    if (!listener->tls_desk) listener->tls_desk = dx_memory_zalloc(1, sizeof(dx_tls_desk));
    return listener->tls_desk;
}

dx_status dx_tls_attach(dx_connection *c, dx_tls *tls) {
    dx_tls_session *s = dx_memory_zalloc(1, sizeof *s);
    BIO *bio = NULL;
    if (!s || !(s->desk = desk_of(c->listener))) goto failed;
    s->loop = c->listener->loop;
    s->fd = c->fd;
    s->ssl = SSL_new(tls->hosts[0].ctx);
    bio = new_bio(s);
    if (!s->ssl || !bio || SSL_set_app_data(s->ssl, s) != 1) goto failed;
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_accept_state(s->ssl);
    s->tls = dx_tls_hold(tls);
    c->tls = s;
    return DX_OK;
failed:
    BIO_free(bio);
    if (s) SSL_free(s->ssl);
    dx_memory_free(s);
    ERR_clear_error();
    return DX_NO_MEMORY;
}

const dx_tls_facts *dx_tls_facts_of(const dx_connection *c) {
    const dx_tls_session *s = c->tls;
    return s && s->open ? &s->facts : NULL;
}

const dx_transport dx_tls_transport = {
    .open = tls_open,
    .receive = tls_receive,
    .holds_input = tls_holds_input,
    .send = tls_send,
    .peek = tls_peek,
    .end = tls_end,
    .close = tls_close,
    .facts = dx_tls_facts_of,
};
