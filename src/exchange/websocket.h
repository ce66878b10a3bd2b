// WebSocket (RFC 6455; over HTTP/2 RFC 8441) as a handler kind: a handler checks what it must and calls dx_websocket_accept; from then on
// messages go both ways. The frames are codec/websocket.h's. Pings, pongs, the closing handshake, UTF-8, fragments, masks, caps and
// permessage-deflate (RFC 7692) are dealt with here. All on the exchange's loop.
#ifndef DX_EXCHANGE_WEBSOCKET_H
#define DX_EXCHANGE_WEBSOCKET_H

#include "exchange/exchange.h"

typedef struct dx_websocket dx_websocket;

typedef struct dx_websocket_ops {
    void (*opened)(void *ctx, dx_websocket *socket); // may send. NULL: nothing to do
    // A whole message; text is valid UTF-8. It lives only during the call.
    void (*message)(void *ctx, dx_websocket *socket, dx_slice message, bool text);
    // There is room again after dx_websocket_send said false. NULL for those that never fill it.
    void (*writable)(void *ctx, dx_websocket *socket);
    // The last call. `code`: what the peer sent, what we sent, 1005 (no code) or 1006 (no closing handshake).
    void (*closed)(void *ctx, dx_websocket *socket, uint16_t code, dx_slice reason);
} dx_websocket_ops;

typedef struct dx_websocket_options {
    size_t message_cap;        // bytes of a message from the peer; over it: closed with 1009. 1 MiB
    dx_nanos heartbeat;        // a ping after that long without a byte from the peer; 30 s
    dx_nanos patience;         // closed (1011) when a ping has no answer for that long; 20 s
    dx_nanos close_time;       // how long the peer has for its close frame; 5 s
    bool deflate;              // permessage-deflate, when the peer offers it; no context takeover. Off unless set
    const dx_slice *protocols; // subprotocols in order of preference; the first that the peer offers is chosen
    size_t protocol_count;
    const dx_slice *origins; // Origins that may connect from a browser; NULL: only the request's own host
    size_t origin_count;
} dx_websocket_options;
#define DX_WEBSOCKET_OPTIONS_INIT                                                                                                          \
    { .message_cap = 1u << 20, .heartbeat = 30 * DX_SECOND, .patience = 20 * DX_SECOND, .close_time = 5 * DX_SECOND }

// Checks the handshake (426 with Upgrade for a request that asks for none, 400 for a wrong one, 403 for a foreign Origin) and accepts. What
// it returns the handler returns. On DX_ANSWER with response.tunnel the socket is open and `ops` will be called; `ctx` must live until
// `closed`.
dx_verdict dx_websocket_accept(dx_exchange *x, const dx_websocket_options *options, const dx_websocket_ops *ops, void *ctx);
// False: too much is waiting for the peer; nothing of it was taken, `writable` will come.
bool dx_websocket_send(dx_websocket *socket, dx_slice message, bool text) DX_MUST_USE;
// Begins the closing handshake: 1000 (done), 1001 (going away; sent by itself when the server drains), 1008, 1011, 1013, 3000 to 4999.
void dx_websocket_close(dx_websocket *socket, uint16_t code, dx_slice reason);
dx_exchange *dx_websocket_exchange(dx_websocket *socket);
dx_slice dx_websocket_protocol(const dx_websocket *socket); // the chosen subprotocol; empty: none

#endif
