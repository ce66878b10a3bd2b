// What the files of TLS share: a context's insides, and the pieces it is built from. For src/net/tls*.c and their tests alone.
#ifndef DX_NET_TLS_PARTS_H
#define DX_NET_TLS_PARTS_H

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/map.h"
#include "loop/loop.h"
#include "net/tls.h"

#define DX_TLS_FILE_CAP     ((size_t)1 << 20) // a PEM file; far above any chain or list of authorities
#define DX_TLS_CHAIN_CAP    10                // certificates in a file, the first one counted
#define DX_TLS_NAMES_CAP    1000              // names of one certificate
#define DX_TLS_AUTHORITIES  1000              // in a file of authorities
#define DX_TLS_CLIENT_DEPTH 4                 // intermediates between a client's certificate and its authority
#define DX_TLS_EXPIRY_NEAR  (14 * 86400)      // seconds
#define DX_TLS_NAME_CAP     256               // a host name (RFC 1035: 253) and its end

// --- files and findings (tls_files.c) ---------------------------------------------------------------------------------------

// Where findings go: to `member` of the entry at `pointer`. `diags` may be NULL.
typedef struct dx_tls_place {
    dx_diags *diags;
    dx_slice pointer;
} dx_tls_place;
// Adds a finding; `advice` may be NULL. Returns DX_INVALID.
dx_status dx_tls_fault(const dx_tls_place *place, const char *member, const char *advice, const char *format, ...) DX_PRINTF(4, 5);

typedef struct dx_tls_file {
    char *data; // NUL behind it; heap
    size_t size;
    bool open_to_others; // group or others may read it
} dx_tls_file;
// Reads all of a regular file; a finding when that does not work.
dx_status dx_tls_file_read(dx_tls_file *out, const dx_tls_place *place, const char *member, const char *path) DX_MUST_USE;
void dx_tls_file_free(dx_tls_file *file); // wipes
// Every certificate of PEM text, in order, and what else was there. NULL without memory.
typedef struct dx_tls_pem {
    STACK_OF(X509) * certificates;
    bool has_key, broken; // a private key is there; a block could not be read
} dx_tls_pem;
dx_status dx_tls_pem_read(dx_tls_pem *out, const dx_tls_file *file, int cap) DX_MUST_USE;
// The complaint for a file without a certificate that can be read.
dx_status dx_tls_pem_complain(const dx_tls_pem *pem, const dx_tls_file *file, const dx_tls_place *place, const char *member,
                              const char *path);
// "2026-01-31" and seconds since 1970.
typedef struct dx_tls_date {
    int64_t seconds;
    char text[16];
} dx_tls_date;
dx_tls_date dx_tls_date_of(const ASN1_TIME *time);

// --- certificates (tls_certificate.c) ---------------------------------------------------------------------------------------

// One entry of the options, read and found good.
typedef struct dx_tls_identity {
    X509 *certificate;
    STACK_OF(X509) * chain; // the intermediates
    EVP_PKEY *key;
    dx_slice *names; // DNS names, lower case, sorted, without doubles; in the arena
    size_t name_count;
    int64_t expires;
} dx_tls_identity;
dx_status dx_tls_identity_load(dx_tls_identity *out, const dx_tls_certificate *entry, dx_arena *arena, dx_diags *diags) DX_MUST_USE;
void dx_tls_identity_free(dx_tls_identity *identity);

// --- session tickets (tls_tickets.c) ----------------------------------------------------------------------------------------

#define DX_TLS_TICKET_ROTATION (3600 * DX_SECOND)
#define DX_TLS_TICKET_LIFE     7200 // seconds that a ticket is good for
#define DX_TLS_TICKET_KEYS     4    // more than are ever alive at once
typedef struct dx_tls_ticket_key {
    uint8_t name[16], cipher[32], mac[32];
    dx_nanos born;
} dx_tls_ticket_key;
// The key to seal with at the time `now`: a new one when the last is an hour old.
void dx_tls_tickets_current(dx_tls_tickets *tickets, dx_nanos now, dx_tls_ticket_key *out);
// The key with this name, if it still opens tickets: 0 no, 1 it is the current one, 2 it is an older one.
int dx_tls_tickets_find(dx_tls_tickets *tickets, dx_nanos now, const uint8_t name[16], dx_tls_ticket_key *out);
dx_tls_tickets *dx_tls_tickets_hold(dx_tls_tickets *tickets);
void dx_tls_tickets_use(SSL_CTX *ctx, dx_tls_tickets *tickets); // NULL: switches resumption off

// --- stapling (tls_ocsp.c) --------------------------------------------------------------------------------------------------

typedef struct dx_tls_staple dx_tls_staple;
// Reads the file for the first time. A file that is no response for this certificate is a finding; one that is out of date, or says
// anything but "good", is a warning in the log, and is not stapled.
dx_status dx_tls_staple_create(dx_tls_staple **out, dx_tls *tls, const dx_tls_certificate *entry, const dx_tls_identity *identity,
                               dx_diags *diags) DX_MUST_USE;
void dx_tls_staple_destroy(dx_tls_staple *staple); // no look is under way: each holds the context
const X509 *dx_tls_staple_certificate(const dx_tls_staple *staple);
// Has the connection's handshake carry the response, if there is one that is good now; and looks after the file off the loop when the last
// look is a minute old. NULL `loop`: looks at once.
bool dx_tls_staple_use(dx_tls_staple *staple, SSL *ssl, dx_loop *loop);
void dx_tls_staple_expire_look(dx_tls_staple *staple); // for tests: the next use looks

// --- client certificates (tls_client.c) -------------------------------------------------------------------------------------

typedef struct dx_tls_authorities {
    STACK_OF(X509) * certificates;
} dx_tls_authorities;
dx_status dx_tls_authorities_load(dx_tls_authorities *out, const char *path, dx_slice pointer, dx_diags *diags) DX_MUST_USE;
void dx_tls_authorities_free(dx_tls_authorities *authorities);
dx_status dx_tls_authorities_use(const dx_tls_authorities *authorities, SSL_CTX *ctx, bool required) DX_MUST_USE;
// The subject as RFC 4514 text and the fingerprint, both on the heap. DX_OK with `*subject` NULL when the client showed no certificate.
#define DX_TLS_SUBJECT_CAP 4096
dx_status dx_tls_client_facts(SSL *ssl, char **subject, size_t *subject_size, char fingerprint[64]) DX_MUST_USE;

// --- contexts (tls_context.c) -----------------------------------------------------------------------------------------------

// Certificates of the same names: at most one of each kind of key, of which OpenSSL takes the one that the client can check.
typedef struct dx_tls_host {
    SSL_CTX *ctx;
    const dx_tls_identity *identity; // the first, while the context is built
    unsigned kinds;                  // of keys
} dx_tls_host;

struct dx_tls {
    atomic_uint holders;
    dx_arena *arena;
    dx_tls_host *hosts; // [0] is the default
    size_t host_count;
    dx_map exact, wildcard; // name (a wildcard's without "*.") → dx_tls_host
    dx_tls_staple **staples;
    size_t staple_count;
    dx_tls_tickets *tickets;
    bool http2;
    int64_t expires;
};
// The certificates for a name in lower case; the default ones when none has it.
const dx_tls_host *dx_tls_host_for(const dx_tls *tls, dx_slice name);

// --- connections (tls.c) ----------------------------------------------------------------------------------------------------

// For handshakes, each time that the loop has looked at its clock: twice a turn, before descriptors and before tasks.
#define DX_TLS_TURN_BUDGET DX_MILLISECOND

// What the TLS connections of one listener share.
typedef struct dx_tls_desk {
    dx_nanos turn, spent; // the turn that handshakes were last worked on in, and for how long
    size_t room_size;     // of records in `room`, not sent yet; 0 between calls
    char gather[SSL3_RT_MAX_PLAIN_LENGTH];
    char room[5 * (SSL3_RT_MAX_PLAIN_LENGTH + 512)];
} dx_tls_desk;

typedef struct dx_tls_session {
    SSL *ssl;
    dx_tls *tls;
    dx_loop *loop;
    dx_tls_desk *desk; // the listener's
    char *queue;       // records that the socket did not take
    uint32_t queue_at, queue_size, queue_capacity;
    uint32_t owed;   // bytes of the caller's that are in those records and not yet told as sent
    uint32_t burst;  // bytes sent since the last pause
    uint32_t taken;  // bytes off the socket in this call
    dx_nanos rested; // when bytes were last sent
    int fd;
    int fault; // an errno: the socket is of no more use
    char first_byte;
    bool began : 1;    // has seen the first byte
    bool open : 1;     // the handshake is done
    bool failed : 1;   // it never will be
    bool drained : 1;  // in this call: the socket has nothing more, or enough was taken
    bool starved : 1;  // OpenSSL can do nothing with what it holds until more comes
    bool at_end : 1;   // the peer has ended the socket
    bool ended : 1;    // we have said that no more will come
    bool told_end : 1; // the connection knows that the peer will send no more
    dx_tls_facts facts;
    char name[DX_TLS_NAME_CAP];
    char *subject; // heap
    char fingerprint[64];
} dx_tls_session;

// Logs why a handshake failed, at most so many a minute of the process; a later line says how many were left out.
#define DX_TLS_FAILURES_A_MINUTE 20
void dx_tls_failure_log(const char *peer, const char *reason, const char *detail, bool by_peer);

#endif
