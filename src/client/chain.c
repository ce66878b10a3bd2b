// The chains of a definition: which filters stand before a request, in which order. It is the same for all, so that what wraps what can be
// known (docs/client/overview.md tells it).
#include "client/client.h"
#include "client/log.h"
#include "client/meter.h"
#include "client/policies.h"
#include "client/redirect.h"

enum { FILTERS_CAP = 16 };

typedef struct chain_maker {
    dx_client *client;
    const dx_api *api;
    const dx_endpoint *endpoint;
    dx_settings *settings;
    dx_slice name; // whose limits these are
    dx_arena *arena;
    dx_diags *diags;
    dx_filter filters[FILTERS_CAP];
    uint16_t count;
} chain_maker;

static void add(chain_maker *m, const dx_filter_ops *ops, const void *conf) {
    m->filters[m->count++] = (dx_filter){ops, conf};
}

static dx_status add_retry(chain_maker *m) {
    dx_retry_budget *budget;
    dx_status status = dx_policy_budget(&budget, m->client, m->settings, m->api->name, m->arena);
    if (status != DX_OK) return status;
    m->settings->retry.conf.budget = budget;
    add(m, &dx_retry_filter, &m->settings->retry.conf);
    return DX_OK;
}

static dx_status add_breaker(chain_maker *m) {
    dx_breaker *breaker;
    dx_status status = dx_policy_breaker(&breaker, m->client, m->settings, m->api->name, m->arena, m->diags);
    if (status == DX_OK && breaker) add(m, &dx_breaker_filter, breaker);
    return status;
}

// Whether the endpoint has a bucket of its own: its layer or a call's says so, or the limit is for each of them.
static bool has_own_limit(const chain_maker *m) {
    const dx_settings *above = m->api->settings, *endpoint = m->endpoint->settings;
    return (m->settings != above && m->settings->own_limit) || (endpoint != above && endpoint->own_limit) ||
           dx_slice_equal(dx_json_member_slice(m->settings->rate_limit, "per"), DX_SLICE("endpoint"));
}

static dx_status add_limit(chain_maker *m) {
    const dx_limit_conf *conf;
    bool own = has_own_limit(m);
    dx_status status = dx_policy_limit(&conf, m->client, m->settings, own ? m->name : m->api->name, m->arena, m->diags);
    if (status == DX_OK && conf) add(m, &dx_limit_filter, conf);
    return status;
}

// The nearest layer with an auth of its own.
static dx_slice auth_place(const chain_maker *m) {
    const dx_definition *definition = m->api->apis->definition;
    const dx_slice layers[] = {dx_endpoint_pointer(m->endpoint, m->arena), m->api->pointer};
    for (size_t i = 0; definition && i < DX_COUNT_OF(layers); i++) {
        dx_slice at = dx_json_pointer_join(m->arena, layers[i], DX_SLICE("auth"));
        if (at.data && dx_json_at(dx_definition_root(definition), at)) return at;
    }
    return definition ? DX_SLICE("/apis/defaults/auth") : DX_SLICE("/auth");
}

static void release_auth(void *ctx) {
    dx_auth_release(ctx);
}

static dx_status make_auth(dx_auth **out, chain_maker *m) {
    const dx_api *api = m->api;
    // The API's own handler serves those below it that say nothing else: it may keep something between requests.
    bool same = m->settings != api->settings && api->settings->auth && dx_json_equal(m->settings->auth, api->settings->auth);
    dx_auth *shared = same ? dx_auth_of_chain(&api->settings->chain) : NULL;
    dx_auth_plan plan = {.settings = m->settings->auth,
                         .upstream = api->name,
                         .at = auth_place(m),
                         .diags = m->diags,
                         .client = m->client,
                         .wire = &api->settings->wire,
                         .secure = api->secure,
                         .authority = api->authority,
                         .base_path = api->base_path};
    if (!shared) return dx_auth_create(out, &plan);
    *out = dx_auth_hold(shared);
    return DX_OK;
}

static dx_status add_auth(chain_maker *m) {
    dx_auth *auth;
    if (!m->settings->auth) return DX_OK;
    dx_status status = make_auth(&auth, m);
    if (status == DX_OK) status = dx_arena_defer(m->arena, release_auth, auth);
    if (status != DX_OK) return status;
    m->settings->identity = auth;
    add(m, &dx_auth_filter, auth);
    return DX_OK;
}

static dx_status add_cache(chain_maker *m) {
    dx_cache_conf *conf;
    dx_slice at = dx_json_pointer_join(m->arena, m->api->pointer, DX_SLICE("cache"));
    dx_status status = dx_policy_cache(&conf, m->client, m->settings, m->api, at, m->arena, m->diags);
    if (status == DX_OK && conf) add(m, &dx_cache_filter, conf);
    return status;
}

// Outermost first: a hit in the cache costs nothing else; what is tried again is everything below it; what waits, waits for each attempt;
// the credential is put on last.
static dx_status add_all(chain_maker *m) {
    if (yyjson_arr_size(m->settings->middleware)) add(m, &dx_middleware_filter, m->settings->middleware);
    dx_status status = add_cache(m);
    if (status == DX_OK) status = add_retry(m);
    if (m->client->options.log && m->client->options.log_level < DX_LEVEL_OFF) add(m, &dx_log_filter, NULL);
    if (status == DX_OK) status = add_breaker(m);
    if (status == DX_OK) status = add_limit(m);
    if (status == DX_OK) status = add_auth(m);
    if (status == DX_OK) add(m, &dx_redirect_follow_filter, NULL);
    if (status == DX_OK) status = dx_policy_hedge(&m->settings->hedging, m->client, m->settings, m->api->name, m->arena);
    return status;
}

dx_status dx_client_build_chain(dx_client *client, const dx_endpoint *endpoint, dx_settings *settings, dx_arena *arena, dx_diags *diags) {
    if (settings->chain.handler) return DX_OK;
    chain_maker m = {.client = client,
                     .api = endpoint->api,
                     .endpoint = endpoint,
                     .settings = settings,
                     .name = endpoint->full,
                     .arena = arena,
                     .diags = diags};
    dx_status status = add_all(&m);
    if (status != DX_OK) return status;
    dx_filter *filters = DX_ARENA_ARRAY(arena, dx_filter, m.count);
    if (!filters) return DX_NO_MEMORY;
    memcpy(filters, m.filters, m.count * sizeof *filters);
    settings->chain = (dx_chain){filters, m.count, dx_call_send, NULL};
    return DX_OK;
}

// The chain of one of a definition's endpoints; findings get their place in the file, those without one the API's.
static dx_status build_located(dx_client *client, const dx_endpoint *endpoint, const dx_settings *settings, dx_apis *apis,
                               dx_diags *diags) {
    dx_diags found;
    dx_diags_init(&found, apis->arena);
    dx_status status = dx_client_build_chain(client, endpoint, (dx_settings *)(uintptr_t)settings, apis->arena, &found);
    for (const dx_diag *diag = found.first; diag; diag = diag->next) {
        dx_slice at = diag->pointer.size ? diag->pointer : endpoint->api->pointer;
        if (diags && diags->last && dx_slice_equal(diags->last->message, diag->message))
            continue; // an endpoint's before it, of the same layer
        dx_diag *told = dx_definition_complain(apis->definition, diags, at, "%.*s", DX_SLICE_ARG(diag->message));
        dx_diag_suggest(diags, told, diag->suggestion);
    }
    return status;
}

dx_status dx_client_build_chains(dx_client *client, dx_apis *apis, dx_diags *diags) {
    dx_map_entry *entry;
    dx_status result = DX_OK;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        dx_api *api = entry->value;
        if (dx_policy_meters(&api->meters, client, api->name, apis->arena) != DX_OK) return DX_NO_MEMORY;
        dx_status status = build_located(client, &api->plain, api->settings, apis, diags);
        for (size_t j = 0; j < api->endpoint_count && status != DX_NO_MEMORY; j++) {
            dx_status own = build_located(client, api->endpoints[j], api->endpoints[j]->settings, apis, diags);
            if (own != DX_OK) status = own;
        }
        if (status == DX_NO_MEMORY) return status;
        if (status != DX_OK) result = status;
    }
    return result;
}
