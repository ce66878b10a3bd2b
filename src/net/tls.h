// TLS 1.2 and 1.3 by OpenSSL 3 (RFC 5246, 8446; ALPN RFC 7301, SNI and OCSP stapling RFC 6066, tickets RFC 5077). A context is built from
// files once, immutable afterwards and shared by all workers; connections hold theirs, so that a reload swaps contexts under live ones.
#ifndef DX_NET_TLS_H
#define DX_NET_TLS_H

#include "base/diag.h"
#include "net/transport.h"

typedef struct dx_tls dx_tls;
typedef struct dx_tls_tickets dx_tls_tickets;

typedef struct dx_tls_certificate {
    const char *certificate; // PEM file: the certificate, then its intermediates
    const char *key;         // PEM file, not encrypted
    const char *ocsp;        // DER file of an OCSP response to staple, read again when it changes; NULL: none
    dx_slice pointer;        // of this entry in the definition, for findings
} dx_tls_certificate;

typedef enum dx_tls_client { DX_TLS_CLIENT_NONE, DX_TLS_CLIENT_OPTIONAL, DX_TLS_CLIENT_REQUIRED } dx_tls_client;

typedef struct dx_tls_options {
    const dx_tls_certificate *certificates; // the first one is the default; SNI picks by the DNS names (and wildcards) each one has
    size_t count;
    dx_tls_client client;
    const char *client_ca;   // PEM file of the authorities that client certificates must come from
    int least_version;       // 12 or 13
    const char *ciphers;     // of TLS 1.2, OpenSSL's form; NULL: forward-secret AEAD ones
    bool http2;              // offered by ALPN beside http/1.1
    dx_tls_tickets *tickets; // held; NULL: no resumption
    dx_slice pointer;        // of the section, for findings
} dx_tls_options;

// Session ticket keys: random, a new one each hour, older ones open tickets for two hours more. One a process, outliving contexts.
dx_status dx_tls_tickets_create(dx_tls_tickets **out) DX_MUST_USE;
void dx_tls_tickets_release(dx_tls_tickets *tickets); // any thread; takes NULL

// Reads and checks every file. A missing, unreadable or malformed file, a key that is not the certificate's, one that is expired or not
// valid yet, a too small key, a broken chain: DX_INVALID, and located findings that say what to do. A certificate that expires within 14
// days is a warning in the log. `diags` may get several.
dx_status dx_tls_create(dx_tls **out, const dx_tls_options *options, dx_diags *diags) DX_MUST_USE;
dx_tls *dx_tls_hold(dx_tls *tls);          // any thread
void dx_tls_release(dx_tls *tls);          // any thread; takes NULL
int64_t dx_tls_expires(const dx_tls *tls); // seconds since 1970 of the first certificate to expire

// What is known of a connection's TLS once it is open; lives as long as the connection.
typedef struct dx_tls_facts {
    const char *version;  // "TLSv1.3"
    const char *cipher;   // "TLS_AES_128_GCM_SHA256"
    dx_slice server_name; // SNI; empty: none
    bool http2;           // ALPN chose h2
    bool resumed;
    dx_slice client_subject;     // RFC 4514 text of the verified client certificate's subject; empty: none
    dx_slice client_fingerprint; // SHA-256 of the certificate, lower hex
} dx_tls_facts;

// A connection's own TLS: made when the endpoint has a context, freed by the transport's `close`.
extern const dx_transport dx_tls_transport;
dx_status dx_tls_attach(dx_connection *connection, dx_tls *tls) DX_MUST_USE; // holds `tls`; sets connection->tls
const dx_tls_facts *dx_tls_facts_of(const dx_connection *connection);        // once open; NULL in the clear

#endif
