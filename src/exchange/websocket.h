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
    // The last call, exactly once, also when `opened` never came. `code`: what the peer sent, what we sent, 1005 (no code) or 1006 (no
    // closing handshake).
    void (*closed)(void *ctx, dx_websocket *socket, uint16_t code, dx_slice reason);
} dx_websocket_ops;

typedef struct dx_websocket_options {
    size_t message_cap;        // bytes of a message from the peer; over it: closed with 1009. 1 MiB
    dx_nanos heartbeat;        // a ping after that long without a byte from the peer; 30 s
    dx_nanos patience;         // closed (1011) when no byte has come for that long after a ping; 20 s
    dx_nanos close_time;       // how long the peer has for its close frame; 5 s
    bool deflate;              // permessage-deflate, when the peer offers it; no context takeover. Off unless set
    const dx_slice *protocols; // subprotocols in order of preference; the first that the peer offers is chosen
    size_t protocol_count;
    const dx_slice *origins; // Origins ("https://example.com", "*") that may connect from a browser; NULL: only the request's own host
    size_t origin_count;
} dx_websocket_options;
#define DX_WEBSOCKET_OPTIONS_INIT                                                                                                          \
    { .message_cap = 1u << 20, .heartbeat = 30 * DX_SECOND, .patience = 20 * DX_SECOND, .close_time = 5 * DX_SECOND }

// Checks the handshake (426 with Upgrade for a request that asks for none or for another version, 400 for a wrong one, 403 for a foreign
// Origin) and accepts. What it returns the handler returns. With response.tunnel the socket is agreed on and `ops` will be called; `ctx`
// must live until `closed`. Else nothing of `ops` is called. `options` is copied; what it points at must live as long as the socket.
dx_verdict dx_websocket_accept(dx_exchange *x, const dx_websocket_options *options, const dx_websocket_ops *ops, void *ctx);
// True: the message is taken, to be sent whole. False: too much is waiting for the peer and nothing of it was taken: `writable` will come;
// or the socket is closing.
bool dx_websocket_send(dx_websocket *socket, dx_slice message, bool text) DX_MUST_USE;
// Whether dx_websocket_send would take a message now. False: `writable` will come, as after a refusal.
bool dx_websocket_has_room(dx_websocket *socket);
// Begins the closing handshake: 1000 (done), 1001 (going away; sent by itself when the server drains), 1008, 1011, 1013, 3000 to 4999. The
// reason is UTF-8; what is over 123 bytes of it is left out. No message comes any more; `closed` will.
void dx_websocket_close(dx_websocket *socket, uint16_t code, dx_slice reason);
// While paused no message comes, and the peer is held back once the window (256 KiB) is full; its pings wait too. For those who answer
// messages: pause when there is no room any more, resume in `writable`. dx_websocket_resume delivers what waits from inside.
void dx_websocket_pause(dx_websocket *socket);
void dx_websocket_resume(dx_websocket *socket);
dx_exchange *dx_websocket_exchange(dx_websocket *socket);
dx_slice dx_websocket_protocol(const dx_websocket *socket); // the chosen subprotocol; empty: none

#endif
