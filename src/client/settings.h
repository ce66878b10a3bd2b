// The settings that may stand in several layers (all APIs, one API, one endpoint, one call), merged and read. What they mean is told by
// apis.schema.json, which also has the defaults (x-default): it is the innermost layer.
#ifndef DX_CLIENT_SETTINGS_H
#define DX_CLIENT_SETTINGS_H

#include "codec/http.h"
#include "codec/json.h"
#include "exchange/chain.h"
#include "policy/retry.h"

// What a transport is told. A serial number stands for the whole of it: equal numbers, equal settings.
typedef struct dx_wire_settings {
    uint64_t serial;
    dx_nanos connect_timeout, idle_timeout;                         // 0: none
    dx_nanos max_idle, max_lifetime;                                // of connections
    bool verify_tls, http2, http1_only;                             // http2: over TLS, without asking
    const char *ca_file, *certificate, *key, *key_password, *proxy; // NULL: not given
    uint64_t max_body;
    bool guard;
    const dx_slice *guard_hosts, *guard_ranges;
    size_t guard_host_count, guard_range_count;
    size_t max_connections, max_queue;
    dx_nanos queue_timeout; // 0: none
} dx_wire_settings;

uint64_t dx_wire_serial(void); // a number that no settings have yet; any thread

typedef struct dx_retry_settings {
    dx_retry_conf conf;
    dx_slice key_header; // of the Idempotency-Key to make; empty: none
    double budget_ratio;
    unsigned budget_reserve;
} dx_retry_settings;

typedef struct dx_redirect_settings {
    bool follow, cross_origin;
    unsigned max;
} dx_redirect_settings;

typedef struct dx_log_settings {
    int level; // dx_log_level; DEBUG: all that the program wants
    bool bodies;
    size_t body_cap;
    yyjson_val *redact;
} dx_log_settings;

typedef struct dx_settings {
    yyjson_val *tree; // merged, whole
    dx_wire_settings wire;
    dx_nanos timeout; // 0: none
    bool raise;
    bool validate_request, validate_response, strict, trace;
    uint8_t naming;    // dx_case of what callers see; DX_CASE_AS_IS: as the API has it
    dx_fields headers; // default_headers, and what a request says of itself if they don't
    bool own_accept;   // the last one is ours
    dx_retry_settings retry;
    dx_redirect_settings redirect;
    dx_log_settings log;
    yyjson_val *auth, *breaker, *hedge, *rate_limit, *cache, *sanitize, *filter_output, *middleware; // NULL: none
    bool own_limit;                 // the layer that these settings were made for has a rate_limit itself
    dx_chain chain;                 // built by chain.c
    struct dx_hedge_kept *hedging;  // likewise; NULL: none
    const struct dx_auth *identity; // likewise: who calls; NULL: nobody
} dx_settings;

typedef struct dx_settings_maker dx_settings_maker;
// Reads the schema's defaults. In the arena, as everything that is made by it.
dx_status dx_settings_maker_create(dx_settings_maker **out, dx_arena *arena) DX_MUST_USE;
// Memory for what is thrown away, until it is set to NULL again.
void dx_settings_maker_scratch(dx_settings_maker *maker, dx_arena *scratch);
// `above` laid over `below` (NULL: the defaults), field by field; `*out` is `below` itself when `above` says nothing. `arena` may be
// another than the maker's. What a schema can't say goes to `diags` with pointers below `at`: DX_INVALID.
dx_status dx_settings_make(const dx_settings **out, const dx_settings_maker *maker, dx_arena *arena, const dx_settings *below,
                           yyjson_val *above, dx_slice at, dx_diags *diags) DX_MUST_USE;
// Whether a field says where a message ends or what becomes of its connection: not to be set by hand.
bool dx_field_frames(dx_slice name);
// Whether a member of an API or endpoint is one of the layered settings.
bool dx_settings_has(const dx_settings_maker *maker, dx_slice name);

#endif
