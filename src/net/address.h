// Socket addresses as text, and sockets that listen.
#ifndef DX_NET_ADDRESS_H
#define DX_NET_ADDRESS_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/diag.h"

typedef struct dx_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
} dx_address;

#define DX_ADDRESS_TEXT_CAP 56 // "[IPv6]:port"

// `host` is an IPv4 or IPv6 address (brackets allowed) or "localhost", which is 127.0.0.1. False for anything else: names are not looked
// up.
bool dx_address_read(dx_address *out, const char *host, uint16_t port);
void dx_address_text(const dx_address *address, char out[DX_ADDRESS_TEXT_CAP]);
// A non-blocking socket that listens; or DX_UNAVAILABLE and a finding. `probe`: whoever listens there already is an error, though
// `reuse_port` would share the port with them.
dx_status dx_address_listen(int *out, const dx_address *address, bool reuse_port, bool probe, dx_diags *diags) DX_MUST_USE;
uint16_t dx_address_bound_port(int fd); // 0 on failure

#endif
