/* Auth handlers of a program's own: what makes a request somebody's, where no type of the definition fits. A handler is registered by name,
 * and an auth object names it: "auth": {"type": "custom", "name": "vault", …}. It adds header fields, query parameters or cookies to each
 * attempt of a request, at once or later, and may make calls itself, on the same client too (with dx_call_start: it must not block).
 *
 *     static void apply(void *context, dx_auth_request *request) {
 *         dx_auth_set_header(request, "X-Session", session_of(context));
 *         dx_auth_done(request, NULL);
 *     }
 *     static const dx_auth_handler handler = {sizeof handler, apply, NULL, NULL};
 *     dx_client_add_auth(client, "session", &handler, context, &error);
 */
#ifndef DUPLEX_AUTH_H
#define DUPLEX_AUTH_H

#include "duplex/client.h"

DX_BEGIN_DECLS

typedef struct dx_auth_request dx_auth_request;

typedef struct dx_auth_handler {
    uint32_t size; /* of this struct, as the caller was compiled */
    /* Has `request` authenticated: sets what it needs, then calls dx_auth_done, from here or later, from any thread, exactly once, also
     * when the call has been cancelled meanwhile. Called before each attempt, on one of the client's threads (or the caller's loop, or the
     * thread that calls), by several at once. Must not block. */
    void (*apply)(void *context, dx_auth_request *request);
    /* The server answered 401: whether `apply` would set something else now. True has the request sent once more. As `apply`, but it says
     * so at once and keeps nothing of `request`; dx_auth_request_status and dx_auth_request_answer tell of the answer. NULL: never. */
    bool (*refused)(void *context, dx_auth_request *request);
    /* Once, by dx_client_close. A request that is not done by then is cancelled, and still to be given to dx_auth_done. NULL: nothing
     * to do. */
    void (*destroy)(void *context);
} dx_auth_handler;

/* Registers a handler under a name that none has yet. The struct is copied. Calls find it by name when they are made, so before the first
 * call is soon enough. On failure nothing is registered and `destroy` is not called. Any thread. */
DX_API DX_NODISCARD dx_error_code dx_client_add_auth(dx_client *client, const char *name, const dx_auth_handler *handler, void *context,
                                                     dx_error *error);

/* --- from apply until dx_auth_done, by one thread at a time; texts live as long */
DX_API const char *dx_auth_request_method(const dx_auth_request *request);   /* "GET" */
DX_API const char *dx_auth_request_url(const dx_auth_request *request);      /* absolute */
DX_API const char *dx_auth_request_endpoint(const dx_auth_request *request); /* "github.v3.get_user" */
/* A header field of the request as it is so far, in any case; NULL: none. */
DX_API const char *dx_auth_request_header(const dx_auth_request *request, const char *name);
/* The body, where it lies in memory: inside of `apply` alone. NULL: none, or a file or pieces. */
DX_API const char *dx_auth_request_body(const dx_auth_request *request, size_t *size);
/* The auth object of the definition, as JSON. */
DX_API const char *dx_auth_request_settings(const dx_auth_request *request);
DX_API dx_client *dx_auth_request_client(const dx_auth_request *request);
/* Whether nobody waits for it any more. dx_auth_done is to be called all the same. */
DX_API bool dx_auth_request_is_cancelled(const dx_auth_request *request);
/* In `refused`: the status and a header field of the answer. */
DX_API int dx_auth_request_status(const dx_auth_request *request);
DX_API const char *dx_auth_request_answer(const dx_auth_request *request, const char *name);

/* Each copies. False without memory, or for what HTTP does not allow there (line breaks, no name). */
DX_API bool dx_auth_set_header(dx_auth_request *request, const char *name, const char *value); /* instead of what has the name */
DX_API bool dx_auth_set_query(dx_auth_request *request, const char *name, const char *value);  /* added, percent-encoded */
DX_API bool dx_auth_set_cookie(dx_auth_request *request, const char *name, const char *value); /* added */

/* The request goes on, or (`error`: what is wrong, for people; no secret in it) its call fails with DX_ERROR_AUTH. Any thread; `request` is
 * not to be used any more. */
DX_API void dx_auth_done(dx_auth_request *request, const char *error);

DX_END_DECLS

#endif
