// What the two halves of the WebSocket handler kind share: the handshake and the running socket.
#ifndef DX_EXCHANGE_WEBSOCKET_PARTS_H
#define DX_EXCHANGE_WEBSOCKET_PARTS_H

#include "codec/deflate.h"
#include "codec/websocket.h"
#include "exchange/websocket.h"

#define DX_WS_REASON_CAP 123 // bytes of a close reason

typedef enum dx_ws_state {
    DX_WS_OPEN,
    DX_WS_CLOSING, // our close frame is out (or waits for room); the peer's is awaited
    DX_WS_ENDING,  // nothing is read any more; our close frame may wait for room
    DX_WS_OVER     // nothing is written any more
} dx_ws_state;

struct dx_websocket {
    dx_exchange *x;
    const dx_websocket_ops *ops;
    void *ctx;
    dx_websocket_options options;
    dx_slice protocol; // the chosen one
    dx_ws_parser parser;
    // The message being read: gathered here unless it lies whole in what the wire brought.
    dx_buffer message;
    dx_inflater *inflater; // while a compressed one is read
    dx_utf8_state utf8;
    bool is_text, is_compressed;
    uint64_t message_size; // of its frames so far
    dx_buffer held;        // read, not looked at: paused
    dx_buffer unsent;      // of a frame that found no room
    char pong[125], reason[DX_WS_REASON_CAP], close_payload[2 + DX_WS_REASON_CAP];
    uint8_t pong_size, reason_size, close_size;
    bool pong_due, ping_due, close_due; // for when there is room
    bool blocked;                       // the wire takes nothing
    bool wants;                         // dx_websocket_send has said false
    bool opened, paused, reading;       // reading: in the loop over the input
    bool finish_due;                    // when all this is sent
    bool end_due;                       // the peer has ended; what is held is still to be looked at
    uint8_t state;
    uint8_t window_bits; // of what we compress; 0: nothing
    uint16_t code;       // for `closed`, with `reason`
    bool code_known;
    dx_timer timer;
    dx_nanos heard, pinged; // when the last byte came; when a ping went out that nothing has come after (0: none)
    dx_nanos close_by;
};

// websocket_handshake.c: what was agreed on, and the fields of the answer. Anything but DX_NEXT is the answer.
dx_verdict dx_ws_shake_hands(dx_websocket *socket);
// What the peer offers of permessage-deflate (RFC 7692): the bits of the window that we compress with, 0: nothing that we take.
uint8_t dx_ws_agree_on_deflate(const dx_fields *fields, bool *echo_bits);

// websocket_send.c
void dx_ws_send_due(dx_websocket *socket); // what waits, as far as there is room
// The close frame. `code` 0: without one. `finish`: no answer to it is awaited, and nothing more is read.
void dx_ws_send_close(dx_websocket *socket, uint16_t code, dx_slice reason, bool finish);
void dx_ws_fail(dx_websocket *socket, uint16_t code, const char *reason); // RFC 6455 section 7.1.7
void dx_ws_end(dx_websocket *socket);                                     // in order, once everything is sent
void dx_ws_cut(dx_websocket *socket, dx_status why);
// websocket.c: has the timer strike when something is due next.
void dx_ws_plan(dx_websocket *socket);

#endif
