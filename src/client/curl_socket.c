// libcurl's sockets: the descriptors that the loop watches for it, and the guard that judges addresses after names were resolved.
#include "client/curl_parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/memory.h"
#include "client/guard.h"

static curl_socket **place_of(dx_curl *curl, curl_socket_t fd) {
    curl_socket **at = &curl->sockets[(unsigned)fd % DX_CURL_SOCKETS];
    while (*at && (*at)->fd != fd) at = &(*at)->next;
    return at;
}

dx_descriptor *dx_curl_descriptor(dx_curl *curl, curl_socket_t fd) {
    curl_socket **at = place_of(curl, fd);
    if (*at) return (*at)->descriptor;
    curl_socket *made = dx_memory_zalloc(1, sizeof *made);
    if (!made) return NULL;
    made->fd = fd;
    if (dx_descriptor_create(&made->descriptor, curl->loop, fd, dx_curl_ready, curl) != DX_OK) {
        dx_memory_free(made);
        return NULL;
    }
    *at = made;
    return made->descriptor;
}

static void forget(curl_socket **at) {
    curl_socket *gone = *at;
    *at = gone->next;
    dx_descriptor_destroy(gone->descriptor);
    dx_memory_free(gone);
}

void dx_curl_forget_descriptor(dx_curl *curl, curl_socket_t fd) {
    curl_socket **at = place_of(curl, fd);
    if (*at) forget(at);
}

void dx_curl_forget_descriptors(dx_curl *curl) {
    for (size_t i = 0; i < DX_CURL_SOCKETS; i++)
        while (curl->sockets[i]) forget(&curl->sockets[i]);
}

curl_transfer *dx_curl_transfer_of(CURL *easy) {
    curl_handle *handle = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&handle);
    return handle ? handle->used_by : NULL;
}

int dx_curl_close_socket(void *ctx, curl_socket_t fd) {
    curl_socket **at = place_of(ctx, fd);
    if (*at) forget(at); // the loop must not watch a number that may soon be somebody else's
    return close(fd);
}

static bool guard_allows(const dx_wire_settings *wire, const char *ip) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (!wire->guard) return true;
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) return dx_guard_allows(wire, (struct sockaddr *)&v4);
    return inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1 && dx_guard_allows(wire, (struct sockaddr *)&v6);
}

// Of each connection that a request is about to go over. One that is used again may have been opened for settings without a guard; and
// where it turns out to be dead, libcurl sends the request once more on another, whatever the request.
// NOLINTNEXTLINE(readability-non-const-parameter): libcurl says the types
int dx_curl_before_request(void *ctx, char *ip, char *own_ip, int port, int own_port) {
    curl_handle *handle = ctx;
    curl_transfer *t = handle->used_by;
    (void)own_ip;
    (void)port;
    (void)own_port;
    if (!t) return CURL_PREREQFUNC_ABORT;
    dx_exchange *x = t->transfer->x;
    if (!guard_allows(t->transfer->wire, ip)) t->refused = DX_ERROR_BLOCKED;
    if (t->sent && (!x->request.repeatable || x->request.once)) t->sent_twice = true;
    if (t->sent && !t->sent_twice) x->attempt++;
    t->sent = true;
    return t->refused != DX_ERROR_NONE || t->sent_twice ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

curl_socket_t dx_curl_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address) {
    curl_handle *handle = ctx;
    curl_transfer *t = handle->used_by;
    (void)purpose;
    if (t && !dx_guard_allows(t->transfer->wire, &address->addr)) {
        t->refused = DX_ERROR_BLOCKED;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    // Watched from here on: without memory for it, libcurl would have a socket that nobody tells it of.
    if (fd < 0 || dx_curl_descriptor(handle->curl, fd)) return fd;
    (void)close(fd);
    return CURL_SOCKET_BAD;
}
