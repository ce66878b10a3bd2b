// How a connection's bytes travel: in the clear, through TLS, or in memory. The connection (connection.c) knows its transport by these
// functions alone, and its protocol knows nothing of it. Everything here runs on the listener's loop and never blocks. What a transport
// keeps hangs on the connection (`tls`, `loopback`).
#ifndef DX_NET_TRANSPORT_H
#define DX_NET_TRANSPORT_H

#include <sys/types.h>

#include "base/slice.h"

typedef struct dx_connection dx_connection;
struct dx_tls_facts;

typedef enum dx_opening {
    DX_OPENING_DONE,
    DX_OPENING_READ,  // wants bytes
    DX_OPENING_WRITE, // wants room
    DX_OPENING_YIELD, // has used its share of this turn of the loop: is called again in the next, after requests in flight
    DX_OPENING_FAILED // the peer was told what the transport could tell it; the connection is closed without more
} dx_opening;

typedef struct dx_transport {
    // Gets ready to carry bytes (a TLS handshake). Called again whenever what it waits for has come. NULL: ready at once. The connection's
    // deadline while opening is the limits' head_time. One that only goes before another (a PROXY header's) sets connection->transport to
    // that and says DONE: then that one opens. It reads from the socket itself, and no byte more than is its own.
    dx_opening (*open)(dx_connection *connection);
    // As recv(2): bytes, 0 for the peer's end, or -1 and errno (EAGAIN: nothing now).
    ssize_t (*receive)(dx_connection *connection, char *to, size_t size);
    // Whether bytes wait inside the transport that epoll will not tell of. NULL: never.
    bool (*holds_input)(const dx_connection *connection);
    // As sendmsg(2), of up to 3 pieces. After EAGAIN it is called again with the same bytes at the front, perhaps at another address, and
    // perhaps more behind them.
    ssize_t (*send)(dx_connection *connection, const dx_slice *pieces, unsigned count);
    // As sendfile(2). NULL: the connection reads the file and uses `send`; so it does after EINVAL or ENOSYS, which mean "not this file".
    ssize_t (*send_file)(dx_connection *connection, int file, int64_t offset, size_t size);
    // As recv(2) of one byte with MSG_PEEK, for a connection whose input nobody wants: is there input (1), the peer's end (0), nothing
    // (-1, EAGAIN) or an error? NULL: asks the socket.
    ssize_t (*peek)(dx_connection *connection);
    // Says to the peer that no more will come, as shutdown(2) with SHUT_WR; not 0: that is no longer possible.
    int (*end)(dx_connection *connection);
    // The connection is gone: frees what the transport holds. The descriptor is the connection's to close. NULL: nothing to free.
    void (*close)(dx_connection *connection);
    // Changes what is waited for (UV_READABLE, UV_WRITABLE, UV_DISCONNECT, UV_PRIORITIZED); not 0: failed. NULL: uv_poll on the descriptor.
    int (*wait)(dx_connection *connection, int interest);
    // What is known of the connection's TLS, once it is open (dx_tls_facts_of). NULL: in the clear.
    const struct dx_tls_facts *(*facts)(const dx_connection *connection);
} dx_transport;

extern const dx_transport dx_plain_transport; // plain.c

#endif
