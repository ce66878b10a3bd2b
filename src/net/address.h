// Socket addresses as text, and sockets that listen. Names are not looked up.
#ifndef DX_NET_ADDRESS_H
#define DX_NET_ADDRESS_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/diag.h"

// Of a peer or of a socket that listens. Of one on a unix socket only the family is kept: peers there have no names.
typedef struct dx_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
} dx_address;

#define DX_ADDRESS_TEXT_CAP 56  // "[IPv6]:port"; "unix" for a peer on a unix socket
#define DX_SOCKET_TEXT_CAP  128 // "unix:/path" with the longest path that a unix socket can have

// `host` is an IPv4 or IPv6 address (brackets allowed) or "localhost", which is 127.0.0.1. False for anything else.
bool dx_address_read(dx_address *out, const char *host, uint16_t port);
// "HOST:PORT", with IPv6 in brackets.
bool dx_address_parse(dx_address *out, dx_slice text);
void dx_address_text(const dx_address *address, char out[DX_ADDRESS_TEXT_CAP]);
bool dx_address_is_loopback(const dx_address *address); // also of a unix socket: only this machine reaches it

typedef struct dx_socket_options {
    bool reuse_port;  // every worker has its own socket at the address; unix sockets can't be shared so and ignore it
    bool probe;       // whoever listens there already is an error, though `reuse_port` would share the port with them
    unsigned mode;    // permissions of a unix socket's file; 0: DX_SOCKET_MODE
    dx_slice pointer; // for findings; empty: /server/listen
} dx_socket_options;
#define DX_SOCKET_MODE 0660u

// A non-blocking socket that listens at `address`: "127.0.0.1:80", "localhost:80", "[::1]:443" or "unix:/run/x.sock". A port of 0 has the
// system pick one (dx_socket_port). An IPv6 socket takes IPv6 alone, so that "[::]:80" and "0.0.0.0:80" can stand side by side. A unix
// socket's file that nobody listens on any more is replaced; names in the abstract namespace are refused, for they have no permissions.
// `options` may be NULL. DX_INVALID: not an address. DX_UNAVAILABLE: it can't be had. Both with a finding that says what to do.
dx_status dx_socket_listen(int *fd, const char *address, const dx_socket_options *options, dx_diags *diags) DX_MUST_USE;
// Takes a unix socket's file away, so that the next client is refused by name; does nothing for other addresses.
void dx_socket_remove(const char *address);
// A unix socket's file gets these permissions, or another owner; nothing at other addresses. Whatever lies there that is no socket stays as
// it is. False, with errno: it can't be done.
bool dx_socket_set_mode(const char *address, unsigned mode) DX_MUST_USE;
bool dx_socket_give(const char *address, uid_t user, gid_t group) DX_MUST_USE;
uint16_t dx_socket_port(int fd); // 0 for unix sockets and on failure
void dx_socket_text(int fd, char out[DX_SOCKET_TEXT_CAP]);

#endif
