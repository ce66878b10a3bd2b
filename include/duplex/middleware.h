/* Middleware: functions of the program around each call of an API or endpoint, outside of cache and retries: `before` sees the request as
 * the parameters made it and `after` the answer as the caller will get it. Named by the setting `middleware`, outermost first:
 *
 *     "middleware": ["audit", "tenant"]     or     "middleware": ["*"]: all that were registered, in that order
 *
 * Credentials are not to be seen here: they are put on later, for each attempt. A call whose list has a name that was never registered
 * fails with DX_ERROR_UNKNOWN_NAME: register what the definition names right after dx_client_open.
 *
 * Hooks of models (below) are the other way in: they change the JSON of bodies, by the name of its model. */
#ifndef DUPLEX_MIDDLEWARE_H
#define DUPLEX_MIDDLEWARE_H

#include "duplex/client.h"
#include "duplex/model.h"

DX_BEGIN_DECLS

/* A call as middleware sees it: from `before` until `after` has returned. */
typedef struct dx_middleware_view dx_middleware_view;

typedef enum dx_middleware_verdict {
    DX_MIDDLEWARE_NEXT = 0,   /* go on */
    DX_MIDDLEWARE_ANSWER = 1, /* dx_middleware_answer or dx_middleware_fail was called: nothing is sent */
    DX_MIDDLEWARE_WAIT = 2    /* dx_middleware_resume will be called, or was already */
} dx_middleware_verdict;

/* Both run on the call's thread and must not block; either may be NULL. `after` runs, innermost first, for all whose `before` said NEXT (or
 * resumed so), also when there is no answer. */
typedef struct dx_middleware {
    uint32_t size;
    dx_middleware_verdict (*before)(void *context, dx_middleware_view *view);
    void (*after)(void *context, dx_middleware_view *view);
} dx_middleware;
#define DX_MIDDLEWARE_INIT                                                                                                                 \
    { sizeof(dx_middleware), NULL, NULL }

#define DX_MIDDLEWARE_CAP 64 /* of one client */

/* Registers it under a name, for as long as the client lives; `ops` is copied. Any thread. DX_ERROR_ARGUMENT: the name is taken, empty or
 * "*", or there are too many. */
DX_API DX_NODISCARD dx_error_code dx_client_use(dx_client *client, const char *name, const dx_middleware *ops, void *context,
                                                dx_error *error);

/* --- the request: from `before`, and to be read from `after` ---------------------------------------------------------------------- */

DX_API const char *dx_middleware_endpoint(const dx_middleware_view *view); /* "github.v1.get_user" */
DX_API const char *dx_middleware_method(const dx_middleware_view *view);   /* "GET" */
DX_API const char *dx_middleware_path(dx_middleware_view *view);           /* with the base URL's, encoded; NULL: no memory */
DX_API const char *dx_middleware_query(dx_middleware_view *view);          /* encoded, without "?"; "" when there is none */
DX_API const char *dx_middleware_header(const dx_middleware_view *view, const char *name); /* NULL: there is none */
/* NUL-terminated; NULL for one that is uploaded in pieces or from a file. */
DX_API const char *dx_middleware_body(const dx_middleware_view *view, size_t *size);
/* Each copies. False: no memory, or what can't be sent. A NULL value takes the header away. */
DX_API bool dx_middleware_set_header(dx_middleware_view *view, const char *name, const char *value);
DX_API bool dx_middleware_set_query(dx_middleware_view *view, const char *query);
DX_API bool dx_middleware_set_body(dx_middleware_view *view, const char *body, size_t size);

/* --- answering: from `before` (with DX_MIDDLEWARE_ANSWER) or `after` (instead of what is there) ------------------------------------ */

/* Copies; `content_type` may be NULL. False: no memory, and the call fails so. */
DX_API bool dx_middleware_answer(dx_middleware_view *view, int status, const char *content_type, const char *body, size_t size);
DX_API void dx_middleware_fail(dx_middleware_view *view, dx_error_code code, const char *message); /* message may be NULL */
/* After WAIT, exactly once, from any thread, with NEXT or ANSWER; also when the call was cancelled meanwhile. */
DX_API void dx_middleware_resume(dx_middleware_view *view, dx_middleware_verdict verdict);

/* --- the answer: from `after` -------------------------------------------------------------------------------------------------- */

DX_API dx_error_code dx_middleware_error(const dx_middleware_view *view); /* why there is none; DX_ERROR_NONE: there is one */
DX_API int dx_middleware_status(const dx_middleware_view *view);          /* 0: there is none */
DX_API const char *dx_middleware_response_header(const dx_middleware_view *view, const char *name);
DX_API const char *dx_middleware_response_body(const dx_middleware_view *view, size_t *size); /* empty for one that is streamed */
DX_API bool dx_middleware_set_response_header(dx_middleware_view *view, const char *name, const char *value);
DX_API bool dx_middleware_set_response_body(dx_middleware_view *view, const char *body, size_t size);

/* --- hooks of models ----------------------------------------------------------------------------------------------------------- */

/* A JSON text on its way; a hook reads it and may put another in its place. */
typedef struct dx_model_text dx_model_text;
DX_API const char *dx_model_text_get(const dx_model_text *text, size_t *size);     /* NUL-terminated */
DX_API bool dx_model_text_set(dx_model_text *text, const char *json, size_t size); /* copies; false: no memory */
DX_API void dx_model_text_refuse(dx_model_text *text, const char *why);            /* for the error's message; copies */

/* Around the calls whose endpoint names the model as request_model or response_model. Each may be NULL, and runs on the calls' threads,
 * several at once; false ends the call with DX_ERROR_INVALID. */
typedef struct dx_model_ops {
    uint32_t size;
    bool (*before_request)(void *context, dx_model_text *text); /* before the body is validated, on the thread that starts the call */
    bool (*after_response)(void *context, dx_model_text *text); /* before the answer is validated */
    bool (*validate)(void *context, const dx_model_text *text); /* behind the schema: what it can't say */
} dx_model_ops;
#define DX_MODEL_OPS_INIT                                                                                                                  \
    { sizeof(dx_model_ops), NULL, NULL, NULL }

/* Adds hooks to a model of the definition, behind those that it has; `ops` is copied. At most 64 in all. DX_ERROR_UNKNOWN_NAME,
 * DX_ERROR_ARGUMENT. */
DX_API DX_NODISCARD dx_error_code dx_client_on_model(dx_client *client, const char *model, const dx_model_ops *ops, void *context,
                                                     dx_error *error);
/* Binds a response's JSON, or what `pointer` (RFC 6901) leads to in it, to a C struct: see dx_model_from_json. The struct is the caller's
 * (dx_model_clear). DX_ERROR_MALFORMED: the body is no JSON, or there is nothing at `pointer`. */
DX_API DX_NODISCARD dx_error_code dx_response_model(const dx_response *response, const dx_model *model, void *out, const char *pointer,
                                                    dx_error *error);

DX_END_DECLS

#endif
