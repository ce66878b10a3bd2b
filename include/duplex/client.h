/* Calling HTTP APIs that a definition describes: open a definition, call endpoints by name, read fields of the answers.
 *
 *     dx_client *client;
 *     dx_response *user = NULL;
 *     dx_error error = DX_ERROR_INIT;
 *     if (dx_client_open(&client, "github.json", NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
 *     if (!dx_client_call(&user, client, "github.get_user", DX_ARGS(DX_STR("username", "octocat")), NULL, &error))
 *         printf("%lld\n", (long long)dx_response_i64(user, "/id", -1));
 *     else
 *         fprintf(stderr, "%s\n", error.message);
 *     dx_response_release(user);
 *     dx_client_close(client);
 *
 * Thread rules: a dx_client is used by any number of threads at once. A dx_call belongs to one thread at a time, but dx_call_cancel may be
 * called by any. A dx_response never changes and may be read by several threads. After fork(2) the child must not use what the parent
 * opened. Nothing here writes to standard error, handles signals, or keeps state outside of its objects.
 *
 * Strings that are passed in are copied where they must live on; what is returned belongs to the object it was asked of and lives as long.
 */
#ifndef DUPLEX_CLIENT_H
#define DUPLEX_CLIENT_H

#include <string.h>

#include "duplex/error.h"

DX_BEGIN_DECLS

typedef struct dx_client dx_client;
typedef struct dx_call dx_call;
typedef struct dx_response dx_response;
typedef struct dx_loop_driver dx_loop_driver; /* duplex/loop.h */
typedef struct dx_transport dx_transport;     /* duplex/transport.h */

/* --- a client ------------------------------------------------------------------------------------------------------------------ */

typedef enum dx_level { DX_LEVEL_DEBUG = 0, DX_LEVEL_INFO = 1, DX_LEVEL_WARN = 2, DX_LEVEL_ERROR = 3, DX_LEVEL_OFF = 4 } dx_level;

/* Begin with DX_CLIENT_OPTIONS_INIT; 0 and NULL mean the default. */
typedef struct dx_client_options {
    uint32_t size;              /* of this struct, as the caller was compiled: set by DX_CLIENT_OPTIONS_INIT */
    unsigned threads;           /* of the client's own, for asynchronous calls; 1, at most 64 */
    const dx_loop_driver *loop; /* instead of threads of its own: the caller's event loop; see duplex/loop.h */
    dx_transport *transport;    /* instead of the network; see duplex/transport.h. Not owned; must outlive the client */
    dx_level log_level;         /* DX_LEVEL_DEBUG..OFF, read where `log` is set */
    /* One log record: a JSON object of `size` bytes without a newline. Secrets are redacted already. Any thread. NULL: nothing is logged.
     */
    void (*log)(void *context, dx_level level, const char *json, size_t size);
    void *log_context;
    /* Looks a variable of the definition up; NULL: not set. Instead of the environment and .env. During dx_client_open and _update only. */
    const char *(*variable)(void *context, const char *name);
    void *variable_context;
} dx_client_options;
#define DX_CLIENT_OPTIONS_INIT                                                                                                             \
    { sizeof(dx_client_options), 0, NULL, NULL, DX_LEVEL_INFO, NULL, NULL, NULL, NULL }

/* Reads the definition at `path` (docs: duplex.json(5)): its sections `apis` and `models`, or a file that is only the section `apis`.
 * `options` may be NULL. On failure *out is NULL and `error` names file, line, column and what was expected. Blocks. */
DX_API DX_NODISCARD dx_error_code dx_client_open(dx_client **out, const char *path, const dx_client_options *options, dx_error *error);
/* The same from a text in memory; relative paths in it count from the working directory. */
DX_API DX_NODISCARD dx_error_code dx_client_open_text(dx_client **out, const char *json, size_t size, const dx_client_options *options,
                                                      dx_error *error);
/* Takes no more calls, cancels those under way (their callbacks are called, with DX_ERROR_CLOSED, before this returns), and frees the
 * client. Not from inside a callback. Responses and finished calls stay until they are released. Takes NULL. */
DX_API void dx_client_close(dx_client *client);

/* --- parameters ---------------------------------------------------------------------------------------------------------------- */

/* A named parameter. Lists end with DX_END; DX_ARGS(…) makes one. The values are read before the call returns. */
typedef enum dx_arg_kind {
    DX_ARG_END = 0,
    DX_ARG_STR = 1,
    DX_ARG_INT = 2,
    DX_ARG_UINT = 3,
    DX_ARG_FLOAT = 4,
    DX_ARG_BOOL = 5,
    DX_ARG_JSON = 6, /* JSON text: lists, objects, null */
    DX_ARG_FILE = 7  /* the path of a file: a part of a multipart form */
} dx_arg_kind;
typedef struct dx_arg {
    const char *name;
    dx_arg_kind kind;
    size_t size; /* of the text of STR and JSON */
    union {
        const char *text;
        int64_t i64;
        uint64_t u64;
        double f64;
        bool boolean;
    } value;
} dx_arg;

static inline dx_arg dx_arg_text(const char *name, dx_arg_kind kind, const char *text) {
    dx_arg arg;
    arg.name = name;
    arg.kind = kind;
    arg.size = text ? strlen(text) : 0;
    arg.value.text = text;
    return arg;
}
static inline dx_arg dx_arg_i64(const char *name, int64_t value) {
    dx_arg arg;
    arg.name = name;
    arg.kind = DX_ARG_INT;
    arg.size = 0;
    arg.value.i64 = value;
    return arg;
}
static inline dx_arg dx_arg_u64(const char *name, uint64_t value) {
    dx_arg arg;
    arg.name = name;
    arg.kind = DX_ARG_UINT;
    arg.size = 0;
    arg.value.u64 = value;
    return arg;
}
static inline dx_arg dx_arg_f64(const char *name, double value) {
    dx_arg arg;
    arg.name = name;
    arg.kind = DX_ARG_FLOAT;
    arg.size = 0;
    arg.value.f64 = value;
    return arg;
}
static inline dx_arg dx_arg_bool(const char *name, bool value) {
    dx_arg arg;
    arg.name = name;
    arg.kind = DX_ARG_BOOL;
    arg.size = 0;
    arg.value.boolean = value;
    return arg;
}
#define DX_STR(name, text)    dx_arg_text((name), DX_ARG_STR, (text))
#define DX_JSON(name, text)   dx_arg_text((name), DX_ARG_JSON, (text))
#define DX_FILE(name, path)   dx_arg_text((name), DX_ARG_FILE, (path))
#define DX_INT(name, value)   dx_arg_i64((name), (value))
#define DX_UINT(name, value)  dx_arg_u64((name), (value))
#define DX_FLOAT(name, value) dx_arg_f64((name), (value))
#define DX_BOOL(name, value)  dx_arg_bool((name), (value))
#define DX_END                dx_arg_text(NULL, DX_ARG_END, NULL)
#ifndef __cplusplus
#define DX_ARGS(...) ((const dx_arg[]){__VA_ARGS__, DX_END})
#else
struct dx_arg_list { /* C++ has no array literals: at most 63 parameters, and what is behind them is zero, which is DX_END */
    dx_arg items[64];
};
#define DX_ARGS(...) (dx_arg_list{{__VA_ARGS__, DX_END}}.items)
#endif

/* --- one call's own settings --------------------------------------------------------------------------------------------------- */

typedef struct dx_header {
    const char *name, *value;
} dx_header;

/* Takes a streamed response in pieces. All are called where the call's callback would be (or on the calling thread, for dx_client_call). */
typedef struct dx_sink {
    /* The head is here, and no retry will follow: dx_call_response(call) tells status and headers. NULL: nothing to do. */
    void (*head)(void *context, dx_call *call);
    /* A piece, after content decoding. False pauses: the piece counts as taken, and dx_call_resume has the next ones come. */
    bool (*piece)(void *context, dx_call *call, const char *data, size_t size);
    void *context;
} dx_sink;

/* Gives a request's body in pieces. */
typedef struct dx_source {
    /* Writes up to `room` bytes to `data` and returns how many; 0: the body is whole; -1: it cannot be had, the call fails. May block for a
     * short time only. On one of the client's threads. */
    int64_t (*read)(void *context, char *data, size_t room);
    bool (*rewind)(void *context); /* to the start, for another attempt; NULL: the request is never sent again */
    int64_t length;                /* bytes; -1: not known */
    void *context;
} dx_source;

typedef enum dx_raise { DX_RAISE_AS_DEFINED = 0, DX_RAISE_NEVER = 1, DX_RAISE_ALWAYS = 2 } dx_raise;

/* Begin with DX_CALL_OPTIONS_INIT; 0 and NULL mean: as the definition says. Everything is copied but `sink`, `source` and what they point
 * at, and `body`, which must live until the call is over. */
typedef struct dx_call_options {
    uint32_t size;
    dx_raise raise_on_error;  /* whether an error status of HTTP is an error of the call */
    int64_t timeout_ms;       /* the deadline of all of it: queue, limiter, tokens, every attempt and the body */
    const dx_header *headers; /* added to the definition's, or instead of those of the same name; ends with a NULL name */
    const char *body;         /* bytes of a request body, instead of parameters in it */
    size_t body_size;
    const char *body_file;       /* likewise: the path of a file to upload */
    const dx_source *source;     /* likewise: pieces */
    const char *content_type;    /* of these */
    const dx_sink *sink;         /* the response is not gathered in memory but handed on in pieces */
    const char *idempotency_key; /* sent as Idempotency-Key, the same in every attempt, which makes POST and PATCH safe to retry */
    const char *settings; /* JSON object: settings of the definition (retry, rate_limit, cache, …) that this call overrides, field by
                             field */
    bool fresh;           /* not from a cache, though the answer may be stored */
    bool only_cached;     /* from a cache or not at all (DX_ERROR_NOT_CACHED) */
    const char *correlation_id; /* in logs and the X-Request-Id field; NULL: one is made */
} dx_call_options;
#define DX_CALL_OPTIONS_INIT                                                                                                               \
    { sizeof(dx_call_options), DX_RAISE_AS_DEFINED, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, false, false, NULL }

/* --- calling and waiting ------------------------------------------------------------------------------------------------------- */

/* Calls an endpoint by name: "api.endpoint" (in the API's default version) or "api.version.endpoint". Blocks until the answer is here, on
 * the calling thread. `args` and `options` may be NULL. *out is set whenever the server answered, also with DX_ERROR_STATUS or
 * DX_ERROR_INVALID: release it in any case. */
DX_API DX_NODISCARD dx_error_code dx_client_call(dx_response **out, dx_client *client, const char *name, const dx_arg *args,
                                                 const dx_call_options *options, dx_error *error);
/* What no endpoint describes: a request to an API's base URL + `path` ("/users?since=5"), with its auth, limits and all else. `args` become
 * query parameters, or members of a JSON body for POST, PUT and PATCH. */
DX_API DX_NODISCARD dx_error_code dx_client_request(dx_response **out, dx_client *client, const char *api, const char *method,
                                                    const char *path, const dx_arg *args, const dx_call_options *options, dx_error *error);
#define dx_client_get(out, client, api, path, args, options, error)                                                                        \
    dx_client_request((out), (client), (api), "GET", (path), (args), (options), (error))
#define dx_client_post(out, client, api, path, args, options, error)                                                                       \
    dx_client_request((out), (client), (api), "POST", (path), (args), (options), (error))
#define dx_client_put(out, client, api, path, args, options, error)                                                                        \
    dx_client_request((out), (client), (api), "PUT", (path), (args), (options), (error))
#define dx_client_patch(out, client, api, path, args, options, error)                                                                      \
    dx_client_request((out), (client), (api), "PATCH", (path), (args), (options), (error))
#define dx_client_delete(out, client, api, path, args, options, error)                                                                     \
    dx_client_request((out), (client), (api), "DELETE", (path), (args), (options), (error))

/* --- calling without waiting --------------------------------------------------------------------------------------------------- */

/* Called exactly once for every call that was started, whatever becomes of it, on one of the client's threads (or the caller's loop). May
 * start, cancel and release calls, this one too. Must not block. */
typedef void (*dx_call_done)(void *context, dx_call *call);

/* Starts a call; parameters as for dx_client_call. What is wrong with name or parameters is told at once: then nothing was started, *out is
 * NULL and `done` is not called. `done` may be NULL: use dx_call_wait. The call is released by the caller, before or after it is over. */
DX_API DX_NODISCARD dx_error_code dx_call_start(dx_call **out, dx_client *client, const char *name, const dx_arg *args,
                                                const dx_call_options *options, dx_call_done done, void *context, dx_error *error);
DX_API DX_NODISCARD dx_error_code dx_call_start_request(dx_call **out, dx_client *client, const char *api, const char *method,
                                                        const char *path, const dx_arg *args, const dx_call_options *options,
                                                        dx_call_done done, void *context, dx_error *error);
/* Has it end soon, with DX_ERROR_CANCELLED, if it is not over. As often as one likes; any thread. `done` is still called. */
DX_API void dx_call_cancel(dx_call *call);
/* Blocks until the call is over and `done` has returned, or `timeout_ms` (-1: for ever) have passed: DX_ERROR_NONE or DX_ERROR_TIMEOUT,
 * which leaves the call as it is. Not from inside a callback, and not on the caller's own loop. */
DX_API dx_error_code dx_call_wait(dx_call *call, int64_t timeout_ms);
/* Goes on with a response that its sink paused. Any thread. */
DX_API void dx_call_resume(dx_call *call);
/* Whether it is over. Any thread. */
DX_API bool dx_call_is_over(const dx_call *call);
/* Once it is over: how it ended. Lives as long as the call. */
DX_API const dx_error *dx_call_error(const dx_call *call);
/* Once it is over, or from a sink: the answer; NULL when there is none. It lives as long as the call; dx_response_hold keeps it longer. */
DX_API dx_response *dx_call_response(const dx_call *call);
/* Gives the call up: one that is not over goes on by itself. Takes NULL. */
DX_API void dx_call_release(dx_call *call);

/* --- responses ----------------------------------------------------------------------------------------------------------------- */

DX_API dx_response *dx_response_hold(dx_response *response);
DX_API void dx_response_release(dx_response *response); /* takes NULL */
DX_API int dx_response_status(const dx_response *response);
/* The index-th header of that name (in any case), from 0; NULL: there is none. NUL-terminated. */
DX_API const char *dx_response_header(const dx_response *response, const char *name, size_t index);
/* Headers in the order they came; false past the end. */
DX_API bool dx_response_header_at(const dx_response *response, size_t index, const char **name, const char **value);
/* The body after content decoding, NUL-terminated behind its `*size` bytes (`size` may be NULL); empty for a streamed one. */
DX_API const char *dx_response_body(const dx_response *response, size_t *size);
DX_API bool dx_response_is_json(const dx_response *response); /* the body can be read as JSON; it is parsed when first asked for */

/* Fields of a JSON body by JSON pointer (RFC 6901): "" is the whole of it, "/items/0/id" a member. What is not there, or not of that type
 * (an integer that does not fit its 64 bits, too), gives `otherwise`. */
DX_API const char *dx_response_str(const dx_response *response, const char *pointer, const char *otherwise);
DX_API int64_t dx_response_i64(const dx_response *response, const char *pointer, int64_t otherwise);
DX_API uint64_t dx_response_u64(const dx_response *response, const char *pointer, uint64_t otherwise);
DX_API double dx_response_f64(const dx_response *response, const char *pointer, double otherwise);
DX_API bool dx_response_bool(const dx_response *response, const char *pointer, bool otherwise);
DX_API bool dx_response_has(const dx_response *response, const char *pointer);
DX_API size_t dx_response_count(const dx_response *response, const char *pointer); /* of members or items; 0 for all else */
/* The value as JSON text, NUL-terminated, to be freed by dx_text_free; NULL: there is none, or no memory. */
DX_API char *dx_response_json(const dx_response *response, const char *pointer, size_t *size);
DX_API void dx_text_free(char *text);

typedef enum dx_cache_state {
    DX_CACHED_UNUSED = 0,      /* no cache was asked */
    DX_CACHED_MISS = 1,        /* fetched */
    DX_CACHED_HIT = 2,         /* from a cache, fresh */
    DX_CACHED_STALE = 3,       /* from a cache, stale, as the server or the definition allows */
    DX_CACHED_REVALIDATED = 4, /* the server said that what the cache had is still right */
    DX_CACHED_SHARED = 5       /* fetched once for several calls */
} dx_cache_state;
DX_API dx_cache_state dx_response_cache(const dx_response *response);
DX_API unsigned dx_response_attempts(const dx_response *response);                /* how often the request was sent */
DX_API int64_t dx_response_time_ns(const dx_response *response);                  /* of the whole call */
DX_API int64_t dx_response_phase_ns(const dx_response *response, dx_phase phase); /* of one phase of it */
DX_API const char *dx_response_endpoint(const dx_response *response);             /* "github.v1.get_user" */
DX_API const char *dx_response_correlation_id(const dx_response *response);

DX_END_DECLS

#endif
