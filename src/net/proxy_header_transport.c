// The opening step that takes a PROXY header off a connection, before TLS or HTTP see a byte.
//
// The socket is peeked at, so that no byte behind the header is taken. Bytes that are surely the header's, but not all of it, are taken
// and kept: left in the socket, they would wake the loop until the rest has come.
#include <errno.h>

#include "base/memory.h"
#include "net/connection.h"
#include "net/gate.h"
#include "net/listener.h"
#include "net/proxy_header.h"

typedef struct kept {
    size_t size;
    char bytes[DX_PROXY_HEADER_CAP];
} kept;

// Lies where the protocol's state will lie once the connection speaks.
typedef struct expectation {
    const dx_transport *next;
    kept *kept; // NULL: nothing came yet, or all at once
} expectation;

static expectation *expectation_of(dx_connection *c) {
    return (expectation *)(void *)(c + 1);
}

static bool admit(dx_connection *c, const dx_address *client) {
    dx_gate *gate = c->listener->options.gate;
    if (c->gated) {
        dx_gate_leave(gate, &c->address);
        dx_entry entry = dx_gate_enter(gate, client);
        c->gated = entry == DX_ENTRY_OPEN;
        if (!c->gated) {
            dx_gate_refused(gate, entry);
            return false;
        }
    }
    dx_connection_set_peer(c, client);
    return true;
}

static dx_opening finish(dx_connection *c, const dx_proxy_header *header) {
    expectation *e = expectation_of(c);
    if (header->has_client && !admit(c, &header->client)) return DX_OPENING_FAILED;
    dx_memory_free(e->kept);
    c->transport = e->next;
    *e = (expectation){0};
    return DX_OPENING_DONE;
}

// Takes `size` bytes, which are known to be there.
static bool take(dx_connection *c, char *to, size_t size) {
    return recv(c->fd, to, size, MSG_DONTWAIT) == (ssize_t)size;
}

static dx_opening keep(dx_connection *c, size_t size) {
    expectation *e = expectation_of(c);
    if (!e->kept) e->kept = dx_memory_zalloc(1, sizeof *e->kept);
    if (!e->kept || !take(c, e->kept->bytes + e->kept->size, size)) return DX_OPENING_FAILED;
    e->kept->size += size;
    return DX_OPENING_READ;
}

static dx_opening open_behind_header(dx_connection *c) {
    expectation *e = expectation_of(c);
    char *all = c->listener->input;
    size_t before = e->kept ? e->kept->size : 0;
    if (before) memcpy(all, e->kept->bytes, before);
    ssize_t size = recv(c->fd, all + before, DX_PROXY_HEADER_CAP - before, MSG_PEEK | MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return DX_OPENING_READ;
    if (size <= 0) return DX_OPENING_FAILED;
    dx_proxy_header header;
    switch (dx_proxy_header_read(&header, dx_slice_of(all, before + (size_t)size))) {
    case DX_PROXY_WHOLE:
        return take(c, all, header.size - before) ? finish(c, &header) : DX_OPENING_FAILED;
    case DX_PROXY_MORE:
        return keep(c, (size_t)size);
    default:
        return DX_OPENING_FAILED;
    }
}

static void close_expectation(dx_connection *c) {
    expectation *e = expectation_of(c);
    dx_memory_free(e->kept);
    if (e->next->close) e->next->close(c);
}

// Of the rest nothing is called before `open` is done, and then `next` has taken its place.
static const dx_transport proxy_header_transport = {.open = open_behind_header, .close = close_expectation};

void dx_proxy_header_expect(dx_connection *c, const dx_transport *next) {
    *expectation_of(c) = (expectation){.next = next};
    c->transport = &proxy_header_transport;
}
