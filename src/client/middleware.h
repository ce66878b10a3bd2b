// Middleware in the chain: one filter that runs the list of `middleware` from outside in and back. Names are looked up when a call first
// needs them, since the program registers after the definition is read.
#ifndef DX_CLIENT_MIDDLEWARE_H
#define DX_CLIENT_MIDDLEWARE_H

#include "client/call.h"
#include "duplex/middleware.h"

typedef struct dx_used { // a middleware of a client's
    dx_slice name;
    dx_middleware ops;
    void *context;
} dx_used;

typedef struct dx_model_hooked { // hooks of a model
    dx_slice model;
    dx_model_ops ops;
    void *context;
} dx_model_hooked;
#define DX_HOOKS_CAP 64

struct dx_middleware_view { // of one call, in its arena
    dx_call *call;
    const dx_used **list;
    size_t count, at; // `at` have said NEXT
    atomic_int state;
    dx_middleware_verdict verdict;
    dx_task task;
};

extern const dx_filter_ops dx_middleware_filter; // conf: the array of names, a yyjson_val

#endif
