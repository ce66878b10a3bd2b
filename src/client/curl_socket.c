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

void dx_curl_forget_descriptors(dx_curl *curl) {
    for (size_t i = 0; i < DX_CURL_SOCKETS; i++)
        while (curl->sockets[i]) forget(&curl->sockets[i]);
}

int dx_curl_close_socket(void *ctx, curl_socket_t fd) {
    curl_socket **at = place_of(ctx, fd);
    if (*at) forget(at); // the loop must not watch a number that may soon be somebody else's
    return close(fd);
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
