// WebSocket frames (RFC 6455 section 5), without connections: bytes in as they come, frames out. The server's side: frames from the peer
// must be masked, ours are not. How the bytes are cut into calls changes nothing.
#ifndef DX_CODEC_WEBSOCKET_H
#define DX_CODEC_WEBSOCKET_H

#include "codec/text.h" // dx_utf8_feed: text comes in pieces

typedef enum dx_ws_opcode {
    DX_WS_CONTINUE = 0,
    DX_WS_TEXT = 1,
    DX_WS_BINARY = 2,
    DX_WS_CLOSE = 8,
    DX_WS_PING = 9,
    DX_WS_PONG = 10
} dx_ws_opcode;

typedef enum dx_ws_event {
    DX_WS_MORE,    // every byte is taken
    DX_WS_BEGIN,   // a data frame's header: opcode, fin, compressed; `left` is its size
    DX_WS_PIECE,   // `piece`: part of a data frame's payload, unmasked, in the caller's input (which is written over)
    DX_WS_END,     // the data frame is complete
    DX_WS_CONTROL, // a whole control frame: opcode and `piece` (at most 125 bytes); of a close frame `close_code` too (1005: none in it)
    DX_WS_ERROR    // `close_code` and `reason` say why; no more calls
} dx_ws_event;

typedef struct dx_ws_parser {
    uint64_t left;    // payload bytes still to come
    uint8_t head[14]; // a header that came in pieces
    uint8_t head_size, head_need;
    uint8_t mask[4];
    uint8_t mask_at;
    uint8_t stage;
    uint8_t opcode; // of the frame
    bool fin, compressed, in_message, deflate, require_mask;
    uint16_t close_code;
    uint8_t control_size;
    char control[125];
    const char *reason; // static
    dx_slice piece;
} dx_ws_parser;

void dx_ws_parser_init(dx_ws_parser *parser, bool deflate, bool require_mask);
dx_ws_event dx_ws_next(dx_ws_parser *parser, char **data, size_t *size); // takes bytes off the front
// A frame's header for `size` bytes of payload, unmasked; at most 10 bytes are written; the number is returned.
size_t dx_ws_header(char out[10], dx_ws_opcode opcode, bool fin, bool compressed, uint64_t size);
// XORs `size` bytes with the mask, from the mask's byte `at` on (section 5.3).
void dx_ws_mask(char *data, size_t size, const uint8_t mask[4], unsigned at);
bool dx_ws_close_code_valid(uint16_t code); // may stand in a close frame (section 7.4)
// Whether a Sec-WebSocket-Key is base64 of 16 bytes (section 4.2.1).
bool dx_ws_key_valid(dx_slice key);

#endif
