// From a call's parameters to a request: checked, converted, and put where the endpoint says: path, query, headers, cookies, body.
#ifndef DX_CLIENT_BIND_H
#define DX_CLIENT_BIND_H

#include "client/apis.h"
#include "client/upload.h"
#include "duplex/client.h"

// What a call is made of.
typedef struct dx_asked {
    const dx_endpoint *endpoint;
    const dx_settings *settings;
    dx_slice method, path; // of a plain request; else empty
    // Path and query, as they are, instead of the endpoint's: the next page of a list, as the server said. Of the parameters those in path
    // and query are left out, but for secret ones that the query does not have. Empty: as the endpoint says.
    dx_slice target;
    const dx_arg *args; // NULL: none
    const dx_call_options *options;
} dx_asked;

// The text of a secret parameter, as it was given.
typedef struct dx_bound_secret {
    const struct dx_bound_secret *next;
    dx_slice text;
} dx_bound_secret;

typedef struct dx_bound {
    dx_method method;
    dx_slice target; // origin-form: the API's base path, the endpoint's path, the query
    dx_fields fields;
    dx_slice body;
    dx_upload *upload;              // instead of `body`; NULL: none
    bool keyed;                     // it carries an Idempotency-Key
    bool has_secret;                // a parameter that is secret is in it
    const dx_bound_secret *secrets; // scalars; of lists and objects there is only `has_secret`
} dx_bound;

#define DX_ARG_COUNT_CAP 1024

// All of it in the arena; slices may point into the definition, the arguments' texts are copied. On failure `error` says which parameter.
dx_error_code dx_bind(dx_bound *out, dx_arena *arena, const dx_asked *asked, dx_error *error) DX_MUST_USE;

#endif
