// HTTP/1.1 requests out of bytes (RFC 9112), without sockets or memory of streams: bytes go in as they come, events come out. How the
// bytes are cut into calls never changes the events (but for how a body falls into pieces).
//
// llhttp in its strict mode reads heads and chunks. What it lets through and we do not is checked here, on the raw head: one blank line at
// most before a request, one space between the parts of the request line, no folded lines, Host and Transfer-Encoding as the RFC wants
// them, bounded chunk framing. A body of known length never touches llhttp.
#ifndef DX_NET_HTTP1_PARSER_H
#define DX_NET_HTTP1_PARSER_H

#include <llhttp.h>

#include "net/http_server.h"

typedef enum dx_http1_event {
    DX_HTTP1_MORE, // every byte is taken and more are needed
    DX_HTTP1_HEAD, // a head is complete: read it with dx_http1_head before the next call
    DX_HTTP1_BODY, // a piece of the body, in `piece`; it points into the input
    DX_HTTP1_END,  // the request is complete
    DX_HTTP1_ERROR // see `status` and `reason`; the connection is of no more use
} dx_http1_event;

// Bytes of chunk extensions (RFC 9112 section 7.1.1) that one chunk may have, and bytes of framing that a chunked body may have
// beyond eight for each byte of content: sizes, extensions and trailers together.
#define DX_HTTP1_EXTENSION_CAP 256
#define DX_HTTP1_FRAMING_CAP   16384
// What a client of HTTP/2 sends first (RFC 9113 section 3.4).
#define DX_HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

typedef struct dx_http1_parser {
    llhttp_t llhttp;
    const dx_http_limits *limits;
    const char *reason; // static
    dx_slice raw;       // at DX_HTTP1_HEAD: the whole head
    dx_slice piece;     // at DX_HTTP1_BODY
    char *partial;      // a head that came in pieces, so far, or trailers as "name:value\n"; on the heap
    uint32_t partial_size, partial_capacity;
    uint64_t left;      // bytes still owed of a body of known length
    uint64_t body;      // bytes of the body so far
    uint64_t framing;   // bytes of the chunked body that were not content
    uint32_t extension; // bytes of the present chunk's extensions
    uint32_t trailers;  // fields in `partial`; read them with dx_http1_trailers at DX_HTTP1_END
    uint8_t stage;
    uint8_t blank;  // of the blank line before a request: bytes seen
    uint8_t status; // a dx_status
    // Of the request whose head came last:
    bool http10;
    bool keep_alive; // as the client asked for
    bool chunked;
    bool expects; // 100-continue
    bool preface; // at DX_HTTP1_ERROR: not a request, but the greeting of HTTP/2, whole; the input stands behind it
} dx_http1_parser;

void dx_http1_parser_init(dx_http1_parser *parser, const dx_http_limits *limits);
void dx_http1_parser_deinit(dx_http1_parser *parser);
// Takes bytes from the front of `input` up to the next event.
dx_http1_event dx_http1_next(dx_http1_parser *parser, dx_slice *input);
// Reads the head that has just come: copies it to `arena` and slices it. Not DX_OK: the request is refused, with `reason` in the parser.
dx_status dx_http1_head(dx_http1_parser *parser, dx_arena *arena, dx_request_head *out) DX_MUST_USE;
// At DX_HTTP1_END: the fields behind a chunked body, copied to `arena`, but for those that may not stand there (RFC 9110 section 6.5.1).
// Frees what the parser has of them. Without an arena it does no more than that.
dx_status dx_http1_trailers(dx_http1_parser *parser, dx_arena *arena, dx_fields *out) DX_MUST_USE;
// Between requests, with no byte of the next one seen.
bool dx_http1_parser_idle(const dx_http1_parser *parser);
// Whether a head has begun and is not complete.
bool dx_http1_parser_in_head(const dx_http1_parser *parser);

// For this room's own use: marks the parser as failed and returns `status`.
dx_status dx_http1_refuse(dx_http1_parser *parser, dx_status status, const char *reason);

#endif
