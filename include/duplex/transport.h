/* Transports: what carries the requests of a client. By default that is the network; a program may give another one in
 * dx_client_options.transport:
 *
 *     mock            answers by a table, or by a function, and remembers what it was asked: for tests without a network
 *     record, replay  writes every exchange to a file, without secrets, and answers from these files later
 *     fault           makes some requests fail, late or half, as networks do: over the network or any other transport
 *     custom          whatever a program brings
 *
 * A transport is made by the program, given to one client or several, and destroyed by the program after the last of them was closed. All
 * functions here may be called by any thread, but dx_transport_destroy, and setting one up (rules), which come before and after.
 *
 * Above a transport all is as ever: auth, limits, retries, redirects, validation. A transport sees one attempt at a time.
 */
#ifndef DUPLEX_TRANSPORT_H
#define DUPLEX_TRANSPORT_H

#include "duplex/client.h"

DX_BEGIN_DECLS

DX_API void dx_transport_destroy(dx_transport *transport); /* no client uses it any more; takes NULL */

/* --- a request and its answer, as transports see them ------------------------------------------------------------------------ */

/* One attempt, with credentials and all. Lives until the reply to it is finished. */
typedef struct dx_sent {
    const char *method;       /* "GET" */
    const char *url;          /* absolute */
    const dx_header *headers; /* ends with a NULL name */
    const char *body;         /* whole, also of an upload; never NULL */
    size_t body_size;
    const char *endpoint; /* "github.v1.get_user" */
} dx_sent;

/* Where the answer to one request goes. It is filled by one thread at a time, and ended once, by _finish or _fail, after which it is not
 * to be touched. What does not fit into memory makes the call fail. */
typedef struct dx_reply dx_reply;
DX_API void dx_reply_status(dx_reply *reply, int status);                                /* 100..599; 200 when nothing is said */
DX_API void dx_reply_header(dx_reply *reply, const char *name, const char *value);       /* copied; added, never replaced */
DX_API void dx_reply_body(dx_reply *reply, const void *data, size_t size);               /* copied; behind what is there */
DX_API void dx_reply_delay(dx_reply *reply, int64_t ms);                                 /* between _finish or _fail and the caller */
DX_API void dx_reply_finish(dx_reply *reply);                                            /* the answer is whole */
DX_API void dx_reply_fail(dx_reply *reply, dx_error_code code, const char *explanation); /* instead; NULL: what the code means */

/* --- a program's own --------------------------------------------------------------------------------------------------------- */

typedef struct dx_transport_custom {
    uint32_t size; /* DX_TRANSPORT_CUSTOM_INIT sets it */
    void *context;
    /* Sends the request. The reply is ended now or later, by any thread; a client that is closed does not wait for it. On one of the
     * client's threads, which must not be blocked for long. */
    void (*send)(void *context, const dx_sent *request, dx_reply *reply);
    /* Nobody wants the reply any more, which still has to be ended. NULL: nothing to do. Perhaps when it is being ended at the same time.
     */
    void (*cancel)(void *context, dx_reply *reply);
    void (*destroy)(void *context); /* from dx_transport_destroy; NULL: nothing to do */
} dx_transport_custom;
#define DX_TRANSPORT_CUSTOM_INIT                                                                                                           \
    { sizeof(dx_transport_custom), NULL, NULL, NULL, NULL }
/* `custom` is copied. NULL without memory. */
DX_API DX_NODISCARD dx_transport *dx_transport_custom_create(const dx_transport_custom *custom);

/* --- a mock ------------------------------------------------------------------------------------------------------------------ */

/* What is answered to requests of a kind. Begin with DX_MOCK_RULE_INIT. */
typedef struct dx_mock_rule {
    uint32_t size;
    const char *method; /* NULL: any */
    /* The URL's path, with "?" its query too, and with "http" at its start the whole URL. "*" stands for any text. NULL: any. */
    const char *pattern;
    unsigned times;           /* it answers so often, and then no more; 0: for ever */
    int status;               /* 0: 200 */
    const dx_header *headers; /* ends with a NULL name; NULL: none */
    const char *body;         /* NULL: none */
    size_t body_size;         /* 0: up to the NUL */
    int64_t delay_ms;         /* before it answers */
    dx_error_code failure;    /* instead of an answer: DX_ERROR_RESET, DX_ERROR_TIMEOUT, … */
} dx_mock_rule;
#define DX_MOCK_RULE_INIT                                                                                                                  \
    { sizeof(dx_mock_rule), NULL, NULL, 0, 0, NULL, NULL, 0, 0, DX_ERROR_NONE }

DX_API DX_NODISCARD dx_transport *dx_transport_mock_create(void); /* NULL without memory */
/* Adds a rule, which is copied. The first that fits and is not used up answers; a request that none fits fails with DX_ERROR_RECORDING. */
DX_API DX_NODISCARD dx_error_code dx_mock_rule_add(dx_transport *mock, const dx_mock_rule *rule);
/* What answers where no rule does, by the dx_reply_ functions; it need not say _finish. May be called by several threads at once. */
DX_API void dx_mock_answer(dx_transport *mock, void (*answer)(void *context, const dx_sent *request, dx_reply *reply), void *context);
/* What it was asked, in order, up to DX_MOCK_ASKED_CAP; NULL past the end. It lives until dx_mock_forget or the end of the mock. */
#define DX_MOCK_ASKED_CAP 100000
DX_API size_t dx_mock_count(const dx_transport *mock);
DX_API const dx_sent *dx_mock_asked(const dx_transport *mock, size_t index);
DX_API void dx_mock_forget(dx_transport *mock); /* what it was asked; rules and how often they were used stay */

/* --- recordings -------------------------------------------------------------------------------------------------------------- */

/* Writes each exchange that is answered over `inner` (NULL: the network; otherwise not owned) to a file of its own in `folder`, which is
 * made if need be: 000001-get-github.v1.get_user.json. Secrets are taken out before anything is written: of the request's headers only
 * those are kept that can't be one; what auth added to the URL, secret parameters, and what looks like a secret go from URL, bodies and the
 * answer's headers. The folder's files must not be written by others meanwhile. A file that can't be written fails the call
 * (DX_ERROR_FILE). */
DX_API DX_NODISCARD dx_error_code dx_transport_record_create(dx_transport **out, const char *folder, dx_transport *inner, dx_error *error);
/* Answers from such a folder, which is read now. A request is found by method, URL and body, all as they are without secrets, so that
 * another credential finds the same. Recordings of the same request are given in the order of their files' names, and the last of them
 * again and again. What was not recorded fails with DX_ERROR_RECORDING, and the message names the nearest that was. */
DX_API DX_NODISCARD dx_error_code dx_transport_replay_create(dx_transport **out, const char *folder, dx_error *error);
/* For a transport that records or replays: one more secret value or name (of a header, parameter or member) to be taken out. Both must be
 * told alike. */
DX_API DX_NODISCARD dx_error_code dx_transport_secret_value(dx_transport *transport, const char *value);
DX_API DX_NODISCARD dx_error_code dx_transport_secret_name(dx_transport *transport, const char *name);

/* --- faults ------------------------------------------------------------------------------------------------------------------ */

typedef enum dx_fault_kind {
    DX_FAULT_LATENCY = 1,  /* the request is sent later, by delay_ms */
    DX_FAULT_STATUS = 2,   /* it is not sent; `status` is answered, with retry_after_s as Retry-After if that is over 0 */
    DX_FAULT_RESET = 3,    /* it is not sent; the connection breaks */
    DX_FAULT_LOST = 4,     /* it is sent and answered, but the connection breaks before the answer's head is here */
    DX_FAULT_TRUNCATE = 5, /* the connection breaks behind the answer's head and `bytes` of its body */
    DX_FAULT_SLOW = 6      /* the answer's body comes in pieces of `bytes`, delay_ms apart */
} dx_fault_kind;

/* What goes wrong, and when. Begin with DX_FAULT_RULE_INIT. */
typedef struct dx_fault_rule {
    uint32_t size;
    const char *method, *pattern; /* as of dx_mock_rule */
    double rate;                  /* how many of the requests that fit: 0 to 1 */
    unsigned times;               /* so often at most; 0: for ever */
    dx_fault_kind kind;
    int status, retry_after_s;
    int64_t delay_ms;
    size_t bytes;
} dx_fault_rule;
#define DX_FAULT_RULE_INIT                                                                                                                 \
    { sizeof(dx_fault_rule), NULL, NULL, 1.0, 0, DX_FAULT_RESET, 0, 0, 0, 0 }

/* Faults before `inner` (NULL: the network; otherwise not owned). With the same seed and the same requests in the same order the same
 * faults happen. NULL without memory. */
DX_API DX_NODISCARD dx_transport *dx_transport_fault_create(dx_transport *inner, uint64_t seed);
/* Adds a rule, which is copied. For each request the first that fits and whose rate hits it counts. DX_ERROR_ARGUMENT: it makes no sense.
 */
DX_API DX_NODISCARD dx_error_code dx_fault_rule_add(dx_transport *fault, const dx_fault_rule *rule);
DX_API uint64_t dx_fault_count(const dx_transport *fault); /* faults so far */

DX_END_DECLS

#endif
