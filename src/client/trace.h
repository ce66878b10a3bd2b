// What a call is known by, here and at the other end: a correlation id (the caller's, or one that is made) and the trace of W3C Trace
// Context. A call that was given an id sends both, where the setting `trace` is on.
#ifndef DX_CLIENT_TRACE_H
#define DX_CLIENT_TRACE_H

#include "client/call.h"

#define DX_CORRELATION_CAP 128 // bytes of a caller's id

// Sets call->correlation_id and, where one is sent or was given, x.trace_id. DX_ERROR_ARGUMENT: an id that no header can carry.
dx_error_code dx_trace_begin(dx_call *call, const char *given, dx_error *error) DX_MUST_USE;
// Adds X-Request-Id and traceparent to what was bound, unless they are there.
dx_error_code dx_trace_send(dx_call *call, const char *given, dx_error *error) DX_MUST_USE;

#endif
