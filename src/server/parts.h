// What the files of this room share, and nobody else sees: the settings, the app's inside, a worker, and the parts a chain is made of.
#ifndef DX_SERVER_PARTS_H
#define DX_SERVER_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/map.h"
#include "exchange/router.h"
#include "net/gate.h"
#include "net/http_server.h"
#include "net/tls.h"
#include "server/app.h"
#include "server/worker.h"

// --- settings: the section `server`, read ---------------------------------------------------------------------------------------

typedef struct dx_cors {
    const dx_slice *origins; // lower case; empty: no CORS at all
    size_t origin_count;
    bool any_origin, credentials;
    dx_slice methods, headers, expose, max_age; // as they are sent
} dx_cors;

// Bits of an endpoint's tag, which each of its requests carries.
#define DX_TAG_REDIRECT 1u // everything but health checks is sent to TLS

// An address to listen on, and what is spoken there.
typedef struct dx_listen_setting {
    const char *address; // as dx_socket_listen takes it, with unix:/absolute/path; or "systemd:NAME"
    bool tls, proxy_protocol, redirect;
    bool open_to_others; // not loopback, not a unix socket; or not known
    uint16_t port;       // 0: the system picks one, or there is none
    uint16_t tag;        // for dx_endpoint
    unsigned mode;       // of a unix socket's file; 0: the default
    dx_slice pointer;    // of the entry, for findings
} dx_listen_setting;

typedef struct dx_certificate_roles {
    dx_slice subject;
    const dx_slice *roles;
    size_t count;
} dx_certificate_roles;

typedef struct dx_compression {
    unsigned codings; // bits of dx_coding; 0: off
    int level;
    uint64_t floor; // bytes of an answer from which on it is worth it
} dx_compression;

typedef struct dx_settings {
    dx_slice title, version, description, base_path;
    dx_slice store; // relative files are made relative to the definition's folder
    dx_slice secret;
    unsigned workers;
    bool production, security_headers, request_id, log_requests, docs;
    dx_log_level log_level;
    dx_http_limits limits;
    uint64_t body_cap, arena_cap;
    uint32_t inflate_ratio;
    uint64_t spool; // bytes of a whole body in memory while it comes; UINT64_MAX: all of it
    const char *spool_folder;
    dx_nanos request_time, statement_time, drain, overload_turn, overload_wait;
    dx_cors cors;
    dx_compression compression;
    const dx_listen_setting *listens;
    size_t listen_count;
    uint16_t redirect_port; // of TLS, for the addresses that redirect
    dx_tls_options tls;     // `count` 0: no TLS. `tickets` is whoever makes the context's to set
    const dx_certificate_roles *certificate_roles;
    size_t certificate_role_count;
    dx_slice hsts;            // Strict-Transport-Security of answers over TLS; empty: none
    bool reads_forwarded;     // of trusted proxies: Forwarded, else X-Forwarded-For and -Proto
    dx_gate_rules gate;       // its ranges live as long as the settings; also dx_endpoint's `proxies`
    const char *user, *group; // NULL: as started
} dx_settings;

extern const dx_section dx_server_section;
// Reads the section and what `options` overrides; complains of what the schema can't say.
dx_status dx_settings_read(dx_settings *out, dx_arena *arena, const dx_definition *definition, const dx_app_options *options,
                           dx_diags *diags) DX_MUST_USE;

// --- the root secret -----------------------------------------------------------------------------------------------------------------

// From the setting, the environment (DUPLEX_SECRET), or the key file beside the store, which is made when it is not there.
dx_status dx_secret_obtain(dx_slice *out, dx_arena *arena, const dx_settings *settings, const dx_definition *definition, bool offline,
                           dx_diags *diags) DX_MUST_USE;

// --- the request log: lines gathered by a worker, written by one thread of its own -----------------------------------------------------

struct dx_request_facts {
    bool sent;
    uint64_t bytes;
    dx_nanos duration;
};
dx_status dx_request_log_start(dx_request_log **out, int descriptor) DX_MUST_USE;
void dx_request_log_stop(dx_request_log *log); // after every logger was closed: writes the rest; takes NULL
void dx_request_logger_init(dx_request_logger *logger, dx_request_log *log, dx_loop *loop);
void dx_request_logger_deinit(dx_request_logger *logger); // hands the rest over
void dx_request_log_add(dx_request_logger *logger, const dx_exchange *x, const struct dx_request_facts *facts);

// --- a document that is made on the first request for it, off the loop, and kept
// -----------------------------------------------------------

typedef struct dx_document {
    dx_slice type, cache_control;
    // Makes the text in `out`; called once, on a pool thread.
    dx_status (*make)(const void *conf, dx_buffer *out);
    const void *conf;
    dx_slice packed; // gzip; given from the start, then `make` is not called; else made with the text
    char etag[20];
    pthread_mutex_t lock;
    _Atomic(const struct dx_document_text *) text;
} dx_document;
void dx_document_init(dx_document *document, dx_slice type, dx_slice cache_control, dx_slice packed);
void dx_document_deinit(dx_document *document);
dx_verdict dx_document_answer(const void *document, dx_exchange *x); // a handler

// --- the app ------------------------------------------------------------------------------------------------------------------------

#define DX_STAGES             (DX_STAGE_INNER + 1)
#define DX_SECURITY_FIELD_CAP 8

// What the edge filter adds to every answer.
typedef struct dx_edge {
    dx_field fields[DX_SECURITY_FIELD_CAP];
    uint32_t count;
    bool request_id;
    dx_slice hsts; // over TLS alone; empty: none
} dx_edge;

typedef struct dx_named_schema {
    dx_slice name;
    dx_describe_schema describe;
    const void *conf;
} dx_named_schema;

// A list that grows in the app's arena while the app is built.
typedef struct dx_list {
    void *items;
    size_t count, capacity;
} dx_list;

struct dx_app {
    dx_arena *arena;
    dx_definition *definition;
    dx_settings settings;
    bool offline;
    dx_slice secret;
    dx_store *store; // the process's
    dx_keep *keep;   // statements of this app
    void **states;   // of the features
    size_t states_loaded;
    dx_list operations; // dx_operation *
    dx_list filters[DX_STAGES];
    dx_list tables;           // const dx_table *
    dx_list schemas, schemes; // dx_named_schema
    dx_map schema_names;      // of `schemas`
    dx_router *router;
    dx_edge edge;
    dx_chain unmatched, misread; // for 404, 405 and OPTIONS; for a path that can't be decoded
    dx_document openapi;
    struct dx_docs *docs;
    dx_process *process;
    dx_worker *workers; // the process's
    unsigned worker_count;
    dx_tenure *tenures;  // one a worker
    atomic_uint tenants; // workers that use it
    dx_tls *tls;         // NULL: none
    // The host's, once it is served no more:
    dx_app *next;
    dx_nanos drain_at; // when what is still under way is asked to end
    bool drain_asked;
};

dx_status dx_list_add(dx_list *list, dx_arena *arena, const void *item, size_t size) DX_MUST_USE;
static inline dx_worker *dx_worker_of(const dx_app *app, const dx_exchange *x) {
    return &app->workers[x->worker];
}

// --- parts ------------------------------------------------------------------------------------------------------------------------------

// serve.c: the listener's side.
extern const dx_stream_ops dx_serve_ops;
extern const dx_filter_ops dx_body_filter; // conf: the app
// chains.c
dx_status dx_chains_build(dx_app *app, dx_diags *diags) DX_MUST_USE;
// edge.c
extern const dx_filter_ops dx_edge_filter; // conf: dx_edge
void dx_edge_init(dx_edge *edge, const dx_settings *settings, dx_slice content_security_policy);
void dx_trace_take(dx_exchange *x, dx_worker *worker); // sets request_id and trace_id
// forwarded.c: whom the trusted proxies speak for
extern const dx_filter_ops dx_forwarded_filter; // conf: dx_settings
// redirect.c
extern const dx_filter_ops dx_redirect_filter; // conf: dx_settings
// certificate_principal.c: behind the features' own IDENTIFY filters
extern const dx_filter_ops dx_certificate_filter; // conf: dx_settings
int64_t dx_certificate_number(dx_slice subject);
// cors.c
extern const dx_filter_ops dx_cors_filter; // conf: dx_cors
// compress.c: responses compressed by Accept-Encoding; the outermost filter
extern const dx_filter_ops dx_compress_filter; // conf: dx_compression
void dx_compress_setup(void);                  // before threads
// overload.c
extern const dx_filter_ops dx_overload_filter; // conf: the app
bool dx_overload_spares(const dx_app *app, const dx_operation *operation);
// access.c
extern const dx_filter_ops dx_access_filter; // conf: dx_access
extern const dx_filter_ops dx_accept_filter;
// problem.c
dx_status dx_problem_setup(void) DX_MUST_USE; // before anything is answered; again: nothing
void dx_problem_show_inside(bool shown);      // of 5xx; not shown until then. Any thread
typedef struct dx_problem {
    dx_status status;
    dx_slice detail, path, trace_id;
    dx_micros_utc now;
    const dx_diags *findings;
} dx_problem;
void dx_problem_write(dx_buffer *out, const dx_problem *problem);
void dx_problem_answer(dx_exchange *x, dx_status status, dx_slice detail, const dx_diags *findings);
// problem_pages.c, health.c, openapi.c, docs.c: the server's own operations
dx_status dx_problem_pages_add(dx_app *app) DX_MUST_USE;
dx_status dx_health_add(dx_app *app) DX_MUST_USE;
dx_status dx_openapi_add(dx_app *app) DX_MUST_USE;
dx_status dx_openapi_write(const dx_app *app, dx_buffer *out, bool pretty) DX_MUST_USE;
extern const dx_slice dx_docs_policy; // Content-Security-Policy
dx_status dx_docs_add(dx_app *app) DX_MUST_USE;
void dx_docs_destroy(dx_app *app);
bool dx_health_has(const dx_operation *operation);     // a health check
bool dx_health_is_bare(const dx_operation *operation); // a probe that passes no filters but the edge

#endif
