// Socket addresses as text, and sockets that listen, with findings that say what to do.
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

// listen(2) cuts it to net.core.somaxconn.
#define BACKLOG 4096

bool dx_address_read(dx_address *out, const char *host, uint16_t port) {
    memset(out, 0, sizeof *out);
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        out->size = sizeof out->v4;
        return true;
    }
    char inner[INET6_ADDRSTRLEN];
    size_t size = strlen(host);
    if (size > 2 && size - 2 < sizeof inner && host[0] == '[' && host[size - 1] == ']') {
        memcpy(inner, host + 1, size - 2);
        inner[size - 2] = 0;
        host = inner;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1) return false;
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    out->size = sizeof out->v6;
    return true;
}

void dx_address_text(const dx_address *address, char out[DX_ADDRESS_TEXT_CAP]) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        (void)snprintf(out, DX_ADDRESS_TEXT_CAP, "[%s]:%u", host, (unsigned)ntohs(address->v6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        (void)snprintf(out, DX_ADDRESS_TEXT_CAP, "%s:%u", host, (unsigned)ntohs(address->v4.sin_port));
    }
}

static int open_socket(const dx_address *address, bool reuse_port) {
    static const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    // Accepted sockets inherit TCP_NODELAY: a response never waits for the acknowledgement of the one before.
    bool set = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
               setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
               (!reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
    if (set && bind(fd, &address->any, address->size) == 0) return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static void explain(dx_diags *diags, const char *text, int error) {
    const char *what, *advice;
    switch (error) {
    case EADDRINUSE:
        what = "another program is listening there";
        advice = "stop it, or choose another port";
        break;
    case EACCES:
        what = "the system does not permit it";
        advice = "choose a port from 1024 up, or give the program the capability CAP_NET_BIND_SERVICE";
        break;
    case EADDRNOTAVAIL:
        what = "no interface of this machine has this address";
        advice = "use 127.0.0.1 for this machine alone, or 0.0.0.0 for every interface";
        break;
    case EMFILE:
    case ENFILE:
        what = "there are no more file descriptors";
        advice = "raise the limit of open files (ulimit -n)";
        break;
    default:
        what = strerror(error);
        advice = "";
        break;
    }
    dx_diag *diag = dx_diags_add(diags, DX_UNAVAILABLE, DX_SLICE("/server/listen"), "cannot listen on %s: %s", text, what);
    if (diag) diag->suggestion = dx_slice_str(advice);
}

dx_status dx_address_listen(int *out, const dx_address *address, bool reuse_port, bool probe, dx_diags *diags) {
    char text[DX_ADDRESS_TEXT_CAP];
    dx_address_text(address, text);
    if (probe && reuse_port) {
        int alone = open_socket(address, false);
        if (alone < 0) {
            explain(diags, text, errno);
            return DX_UNAVAILABLE;
        }
        (void)close(alone);
    }
    int fd = open_socket(address, reuse_port);
    if (fd >= 0 && listen(fd, BACKLOG) == 0) {
        *out = fd;
        return DX_OK;
    }
    explain(diags, text, errno);
    if (fd >= 0) (void)close(fd);
    return DX_UNAVAILABLE;
}

uint16_t dx_address_bound_port(int fd) {
    dx_address address = {.size = sizeof address.v6};
    if (getsockname(fd, &address.any, &address.size) != 0) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
