// The body of a request, from its parameters: a JSON object, a form, a multipart form; or what the caller gives as it is.
#ifndef DX_CLIENT_BIND_BODY_H
#define DX_CLIENT_BIND_BODY_H

#include "client/bind.h"
#include "client/value.h"

#define DX_BODY_TEXT_CAP ((size_t)256 << 20)
#define DX_BOUNDARY_SIZE 40

typedef struct dx_body_writer {
    dx_arena *arena;
    const dx_endpoint *endpoint;
    dx_buffer text;
    size_t count;      // parameters in it
    bool whole;        // endpoint->wrap was written
    dx_upload *upload; // of a multipart form
    char boundary[DX_BOUNDARY_SIZE];
} dx_body_writer;

void dx_body_writer_init(dx_body_writer *writer, dx_arena *arena, const dx_endpoint *endpoint);
dx_status dx_body_add(dx_body_writer *writer, const dx_param *param, const dx_given *value) DX_MUST_USE;
// Ends it, or takes what the options give instead, and adds Content-Type. (Its model is held against it later: modelling.h.)
dx_error_code dx_body_finish(dx_body_writer *writer, dx_bound *out, const dx_asked *asked, dx_error *error) DX_MUST_USE;

#endif
