// The APIs of a definition, read and made ready: an immutable snapshot that calls hold while they are under way. Names are looked up in one
// table, so a thousand APIs are found as fast as one.
#ifndef DX_CLIENT_APIS_H
#define DX_CLIENT_APIS_H

#include <stdatomic.h>

#include "base/map.h"
#include "client/settings.h"
#include "config/definition.h"
#include "model/registry.h"

extern const dx_section dx_apis_section; // "apis"

typedef enum dx_param_in { DX_IN_PATH, DX_IN_QUERY, DX_IN_HEADER, DX_IN_COOKIE, DX_IN_BODY } dx_param_in;
typedef enum dx_param_type {
    DX_TYPE_ANY,
    DX_TYPE_INT,
    DX_TYPE_FLOAT,
    DX_TYPE_STR,
    DX_TYPE_BOOL,
    DX_TYPE_LIST,
    DX_TYPE_DICT,
    DX_TYPE_FILE
} dx_param_type;
typedef enum dx_param_style { DX_STYLE_FORM, DX_STYLE_SPACE, DX_STYLE_PIPE, DX_STYLE_DEEP } dx_param_style;

typedef struct dx_param {
    dx_slice name, wire; // the callers' and the API's
    dx_param_in in : 8;
    dx_param_type type : 8;
    dx_param_style style : 8;
    bool required : 1, secret : 1, explode : 1;
    const struct dx_given *otherwise; // its default (client/value.h); NULL: none
    const dx_schema *schema;          // NULL: none
    dx_slice description;
} dx_param;
#define DX_PARAM_COUNT_CAP 256

// A path is literals and parameters in turn: `literal`, then the parameter (at the end NULL).
typedef struct dx_path_piece {
    dx_slice literal;
    const dx_param *param;
} dx_path_piece;

typedef enum dx_body_form { DX_BODY_FORM_JSON, DX_BODY_FORM_URLENCODED, DX_BODY_FORM_MULTIPART, DX_BODY_FORM_BYTES } dx_body_form;

typedef struct dx_api dx_api;
// Kept small: a definition may have ten thousand.
typedef struct dx_endpoint {
    const dx_api *api;
    const dx_settings *settings;
    dx_slice full; // "github.v1.get_user", NUL-terminated; name and version are parts of it
    dx_slice name, version, summary;
    dx_slice path; // as written
    const dx_path_piece *pieces;
    const dx_param *params;
    const dx_param *wrap;                   // the one that is the whole body; NULL: none
    dx_slice content_type;                  // of a body of its parameters
    dx_slice request_model, response_model; // empty: none
    yyjson_val *paginate;                   // NULL: no pages
    _Atomic(struct dx_meter *) meter;       // what is counted of it, once it is called; outlives snapshots
    uint16_t piece_count, param_count;
    uint8_t method, body_form; // dx_method, dx_body_form
    bool auth_required, idempotent;
    bool open;          // parameters that it does not know are taken too (plain requests)
    bool response_list; // response_model is of the items
} dx_endpoint;

// When an API counts as well: of all APIs, or its own member `health`.
typedef struct dx_health_settings {
    const dx_endpoint *endpoint; // that is called to find out; NULL: none
    dx_nanos interval, window, slow;
    double degraded_below, unhealthy_below; // of calls that went well, 0 to 1
    uint64_t min_calls;
} dx_health_settings;

struct dx_api {
    dx_slice name, title;
    bool secure;
    dx_slice authority, base_path, origin; // "api.example.com", "/v3" or "", "https://api.example.com"
    const dx_settings *settings;
    dx_endpoint plain; // what no endpoint describes: its path is the request's own
    const dx_endpoint **endpoints;
    size_t endpoint_count;
    dx_health_settings health_settings;
    dx_slice pointer; // in the definition
    struct dx_apis *apis;
    struct dx_meters *meters; // what is counted of it; outlives snapshots. NULL until its chains are built
    bool registered;          // at run time
    int64_t since;            // milliseconds since 1970: when it was read
};

typedef struct dx_apis {
    atomic_size_t holders;
    uint16_t serial; // of a client's snapshots: no two that are near each other have the same
    dx_arena *arena;
    const dx_definition *definition; // NULL: forgotten
    dx_definition *owned;            // the same; NULL: it is the caller's
    struct dx_apis *base;            // held: whose defaults and models count; NULL: its own
    const dx_settings *defaults;
    dx_settings_maker *maker;
    dx_schema_set *schemas; // of parameters and models
    dx_models *models;      // built
    dx_map names;           // "api.endpoint" and "api.version.endpoint" → dx_endpoint; on the heap, so that growing leaves nothing behind
    dx_map apis;            // name → dx_api
    void (*gone)(void *ctx, struct dx_apis *apis); // when the last holder lets go, before the memory goes; NULL: nothing
    void *gone_ctx;
} dx_apis;

#define DX_APIS_ARENA_CAP ((size_t)1 << 30)

// Reads the sections `apis` and `models` of a definition, which it takes over (also on failure). What is needed of it is copied, so that it
// can be forgotten once nothing more is to be said of it; with `keep` nothing is, and it must stay: for those who show where things come
// from. Findings are located: DX_INVALID. One holder. `definition` was loaded with both sections.
dx_status dx_apis_create(dx_apis **out, dx_definition *definition, bool keep, dx_diags *diags) DX_MUST_USE;
// The same, kept, of a definition that stays the caller's and outlives it.
dx_status dx_apis_read(dx_apis **out, const dx_definition *definition, dx_diags *diags) DX_MUST_USE;
// The same of the file `path`, or of `text` when that is not empty, with all that is not for callers passed over. Of `options` (NULL: none)
// the variables count. DX_INVALID and the like, with findings.
dx_status dx_apis_load(dx_apis **out, const char *path, dx_slice text, const dx_definition_options *options, bool keep,
                       dx_diags *diags) DX_MUST_USE;
// Likewise of APIs that come at run time, over the defaults and models of `base` (NULL: none), which is held.
dx_status dx_apis_load_over(dx_apis **out, const char *path, dx_slice text, const dx_definition_options *options, bool keep, dx_apis *base,
                            dx_diags *diags) DX_MUST_USE;
// All APIs of `from` but the one named `without` (empty: all), and those of `with` (NULL: none), which count where both have a name. Holds
// whom they belong to. `base` is whose maker and models stand for it.
dx_status dx_apis_compose(dx_apis **out, dx_apis *from, dx_slice without, dx_apis *with, dx_apis *base) DX_MUST_USE;
void dx_apis_forget_definition(dx_apis *apis); // not of one made with `keep`
dx_apis *dx_apis_hold(dx_apis *apis);          // any thread
void dx_apis_release(dx_apis *apis);           // takes NULL
// Where it stands in the definition, "/apis/github/endpoints/v1/get_user"; of a plain request the API's place. In the arena.
dx_slice dx_endpoint_pointer(const dx_endpoint *endpoint, dx_arena *arena);
// The endpoint of a name; NULL: there is none, and `*nearest` (may be NULL) is a name that was perhaps meant, or empty.
const dx_endpoint *dx_apis_find(const dx_apis *apis, dx_slice name, dx_slice *nearest);
const dx_api *dx_apis_api(const dx_apis *apis, dx_slice name, dx_slice *nearest);

#endif
