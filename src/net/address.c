// Socket addresses as text, and sockets that listen, with findings that say what to do.
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// listen(2) cuts it to net.core.somaxconn.
#define BACKLOG 4096

static const dx_slice unix_scheme = DX_SLICE_INIT("unix:");

// --- text ------------------------------------------------------------------------------------------------------------------

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

bool dx_address_parse(dx_address *out, dx_slice text) {
    char host[INET6_ADDRSTRLEN + 3];
    size_t colon = text.size;
    int64_t port;
    while (colon > 0 && text.data[colon - 1] != ':') colon--;
    if (colon < 2 || colon > sizeof host || !dx_slice_to_i64(dx_slice_from(text, colon), &port) || port < 0 || port > 65535) return false;
    memcpy(host, text.data, colon - 1);
    host[colon - 1] = 0;
    if (strlen(host) != colon - 1 || (host[0] != '[' && strchr(host, ':'))) return false;
    return dx_address_read(out, host, (uint16_t)port);
}

void dx_address_text(const dx_address *address, char out[DX_ADDRESS_TEXT_CAP]) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_UNIX) {
        memcpy(out, "unix", 5);
    } else if (address->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        (void)snprintf(out, DX_ADDRESS_TEXT_CAP, "[%s]:%u", host, (unsigned)ntohs(address->v6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        (void)snprintf(out, DX_ADDRESS_TEXT_CAP, "%s:%u", host, (unsigned)ntohs(address->v4.sin_port));
    }
}

bool dx_address_is_loopback(const dx_address *address) {
    switch (address->any.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    default:
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    }
}

// --- findings --------------------------------------------------------------------------------------------------------------

typedef struct finder {
    dx_diags *diags;
    dx_slice pointer;
    const char *text; // of the address
} finder;

static dx_status complain(const finder *f, dx_status status, const char *what, const char *advice) {
    dx_diag *diag = dx_diags_add(f->diags, status, f->pointer, "cannot listen on %s: %s", f->text, what);
    if (diag) diag->suggestion = dx_slice_str(advice);
    return status;
}

static dx_status explain(const finder *f, int error) {
    switch (error) {
    case EADDRINUSE:
        return complain(f, DX_UNAVAILABLE, "another program is listening there", "stop it, or choose another address");
    case EACCES:
        return complain(f, DX_UNAVAILABLE, "the system does not permit it",
                        strncmp(f->text, "unix:", 5) == 0
                            ? "let the user that duplex runs as write to the folder, or choose another one"
                            : "choose a port from 1024 up, start as root with server.user, or give the program the "
                              "capability CAP_NET_BIND_SERVICE");
    case EADDRNOTAVAIL:
        return complain(f, DX_UNAVAILABLE, "no interface of this machine has this address",
                        "use 127.0.0.1 for this machine alone, or 0.0.0.0 for every interface");
    case EAFNOSUPPORT:
        return complain(f, DX_UNAVAILABLE, "this machine does not have that kind of address", "leave the address out");
    case ENOENT:
        return complain(f, DX_UNAVAILABLE, "the folder does not exist", "make it first");
    case EMFILE:
    case ENFILE:
        return complain(f, DX_UNAVAILABLE, "there are no more file descriptors", "raise the limit of open files (ulimit -n)");
    default:
        return complain(f, DX_UNAVAILABLE, strerror(error), "");
    }
}

// --- TCP -------------------------------------------------------------------------------------------------------------------

static int close_keeping_errno(int fd) {
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static int open_tcp(const dx_address *address, bool reuse_port) {
    static const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    bool six = address->any.sa_family == AF_INET6;
    bool set = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
               (!six || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
               (!reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
    if (set && bind(fd, &address->any, address->size) == 0) return fd;
    return close_keeping_errno(fd);
}

static dx_status listen_tcp(int *out, const dx_address *address, const dx_socket_options *options, const finder *f) {
    if (options->probe && options->reuse_port) {
        int alone = open_tcp(address, false);
        if (alone < 0) return explain(f, errno);
        (void)close(alone);
    }
    int fd = open_tcp(address, options->reuse_port);
    if (fd < 0) return explain(f, errno);
    if (listen(fd, BACKLOG) != 0) return close_keeping_errno(fd), explain(f, errno);
    *out = fd;
    return DX_OK;
}

// --- unix sockets ----------------------------------------------------------------------------------------------------------

// Whether the file at the path is a socket that nobody listens on: what a killed server leaves behind.
static bool is_stale(const struct sockaddr_un *name) {
    struct stat file;
    if (lstat(name->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool refused = connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return refused;
}

// Clients can connect only from listen(2) on, so the permissions are right before anybody could use them.
static int open_unix(const struct sockaddr_un *name, unsigned mode) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const struct sockaddr *address = (const struct sockaddr *)name;
    if (fchmod(fd, mode) != 0) return close_keeping_errno(fd);
    bool bound = bind(fd, address, sizeof *name) == 0;
    if (!bound && errno == EADDRINUSE) {
        bound = is_stale(name) && unlink(name->sun_path) == 0 && bind(fd, address, sizeof *name) == 0;
        if (!bound) errno = EADDRINUSE;
    }
    if (!bound) return close_keeping_errno(fd);
    if (chmod(name->sun_path, mode) == 0 && listen(fd, BACKLOG) == 0) return fd; // bind has masked the mode by the umask
    (void)close_keeping_errno(fd);
    (void)unlink(name->sun_path);
    return -1;
}

static dx_status listen_unix(int *out, dx_slice path, const dx_socket_options *options, const finder *f) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (path.size == 0 || path.data[0] == '@')
        return complain(f, DX_INVALID, "it is not the path of a file",
                        "write \"unix:/run/duplex.sock\"; names in the abstract namespace (@…) have no permissions and are not taken");
    if (path.size >= sizeof name.sun_path)
        return complain(f, DX_INVALID, "the path is longer than the 107 bytes that a unix socket's may have", "choose a shorter one");
    memcpy(name.sun_path, path.data, path.size);
    *out = open_unix(&name, options->mode ? options->mode : DX_SOCKET_MODE);
    if (*out >= 0) return DX_OK;
    int error = errno;
    struct stat file;
    if (error == EADDRINUSE && lstat(name.sun_path, &file) == 0 && !S_ISSOCK(file.st_mode))
        return complain(f, DX_UNAVAILABLE, "a file that is not a socket is there", "move it away, or choose another path");
    return explain(f, error);
}

// --- both ------------------------------------------------------------------------------------------------------------------

dx_status dx_socket_listen(int *fd, const char *address, const dx_socket_options *options, dx_diags *diags) {
    static const dx_socket_options none = {0};
    if (!options) options = &none;
    finder f = {diags, options->pointer.size ? options->pointer : DX_SLICE("/server/listen"), address};
    dx_slice text = dx_slice_str(address);
    if (dx_slice_starts(text, unix_scheme)) return listen_unix(fd, dx_slice_from(text, unix_scheme.size), options, &f);
    dx_address tcp;
    if (dx_address_parse(&tcp, text)) return listen_tcp(fd, &tcp, options, &f);
    return complain(&f, DX_INVALID, "it is not an address",
                    "write HOST:PORT with an IPv4 address, an IPv6 address in brackets or localhost, or unix:/path");
}

void dx_socket_remove(const char *address) {
    if (dx_slice_starts(dx_slice_str(address), unix_scheme)) (void)unlink(address + unix_scheme.size);
}

// The socket's file itself, whatever may be put in its place afterwards. -1: it is not there, or no socket.
static int open_file(const char *address, struct stat *file) {
    int fd = open(address + unix_scheme.size, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (fstat(fd, file) == 0 && S_ISSOCK(file->st_mode))) return fd;
    (void)close(fd);
    errno = ENOTSOCK;
    return -1;
}

bool dx_socket_set_mode(const char *address, unsigned mode) {
    char path[32];
    struct stat file;
    if (mode == 0) mode = DX_SOCKET_MODE;
    if (!dx_slice_starts(dx_slice_str(address), unix_scheme)) return true;
    int fd = open_file(address, &file);
    if (fd < 0) return false;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd); // fchmod(2) does not take a descriptor like this
    bool done = (file.st_mode & 07777) == mode || chmod(path, mode) == 0;
    (void)close_keeping_errno(fd);
    return done;
}

bool dx_socket_give(const char *address, uid_t user, gid_t group) {
    if (!dx_slice_starts(dx_slice_str(address), unix_scheme)) return true;
    struct stat file;
    int fd = open_file(address, &file);
    bool done = fd >= 0 && fchownat(fd, "", user, group, AT_EMPTY_PATH) == 0;
    if (fd >= 0) (void)close_keeping_errno(fd);
    return done;
}

uint16_t dx_socket_port(int fd) {
    dx_address address = {.size = sizeof address.v6};
    if (getsockname(fd, &address.any, &address.size) != 0 || address.any.sa_family == AF_UNIX) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

void dx_socket_text(int fd, char out[DX_SOCKET_TEXT_CAP]) {
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        struct sockaddr_in6 six;
    } name = {0};
    socklen_t size = sizeof name;
    dx_address address = {0};
    memcpy(out, "?", 2);
    if (getsockname(fd, &name.any, &size) != 0) return;
    if (name.any.sa_family == AF_UNIX) {
        (void)snprintf(out, DX_SOCKET_TEXT_CAP, "unix:%.*s", (int)sizeof name.path.sun_path, name.path.sun_path);
        return;
    }
    memcpy(&address.v6, &name.six, sizeof address.v6);
    dx_address_text(&address, out);
}
