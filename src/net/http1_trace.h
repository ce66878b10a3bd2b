// For tests and the fuzz target: what the HTTP/1.1 parser makes of some bytes, as text, so that ways of cutting them can be compared.
#ifndef DX_NET_HTTP1_TRACE_H
#define DX_NET_HTTP1_TRACE_H

#include "base/buffer.h"
#include "net/http1_parser.h"

// Feeds `bytes` in pieces of `step` (0: whole; the parser never sees a byte twice). One line an event: `HEAD GET /path ?query length=-1
// keep name=value,…`, `BODY …` (pieces of one body joined), `END`, `ERROR 400 reason`. Aborts when a head breaks what http_server.h
// promises.
void dx_http1_trace(dx_buffer *out, dx_slice bytes, size_t step, const dx_http_limits *limits);

#endif
