// The PROXY protocol (HAProxy's proxy-protocol.txt, versions 1 and 2): what a proxy says before the first byte of its client, of whom it
// speaks for. The reader is a pure function; the transport puts it before whatever an endpoint speaks, TLS included.
#ifndef DX_NET_PROXY_HEADER_H
#define DX_NET_PROXY_HEADER_H

#include "net/address.h"
#include "net/transport.h"

// Of a whole header. Version 1 has 107 bytes at most; version 2 could have 64 KiB of additions (TLVs), and real ones have a few hundred.
#define DX_PROXY_HEADER_CAP 4096u

typedef struct dx_proxy_header {
    size_t size;       // bytes of the input that are the header
    bool has_client;   // false: the proxy speaks for itself (LOCAL), or of what has no such address (UNKNOWN)
    dx_address client; // on a unix socket: its family alone
} dx_proxy_header;

typedef enum dx_proxy_reading {
    DX_PROXY_WHOLE,
    DX_PROXY_MORE,     // these are a header's first bytes
    DX_PROXY_MALFORMED // these are not, or no header that can be taken
} dx_proxy_reading;

// Strict: one space between words, no leading zeros, every TLV whole, a CRC32c that is there is right.
dx_proxy_reading dx_proxy_header_read(dx_proxy_header *out, dx_slice bytes);

// The connection, not begun, is to start with a header; then `next` opens. Without a proper header it is closed; so it is when the
// listener's gate does not admit the client that the header names.
void dx_proxy_header_expect(dx_connection *connection, const dx_transport *next);

#endif
