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

static dx_status add_limit(chain_maker *m) {
    dx_limit_conf *conf;
    bool nearer = m->settings != m->api->settings; // an endpoint's layer, or a call's
    bool own =
        (nearer && m->settings->own_limit) || dx_slice_equal(dx_json_member_slice(m->settings->rate_limit, "per"), DX_SLICE("endpoint"));
    dx_status status = dx_policy_limit(&conf, m->client, m->settings, own ? m->name : m->api->name, m->arena, m->diags);
    if (status == DX_OK && conf) add(m, &dx_limit_filter, conf);
    return status;
}

static dx_status add_auth(chain_maker *m) {
    dx_auth *auth;
    dx_slice at = dx_json_pointer_join(m->arena, m->api->pointer, DX_SLICE("auth"));
    dx_status status = dx_policy_auth(&auth, m->client, m->settings, m->api->name, at, m->arena, m->diags);
    m->settings->identity = auth;
    if (status == DX_OK && auth) add(m, &dx_auth_filter, auth);
    return status;
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
    chain_maker m = {.client = client, .api = endpoint->api, .settings = settings, .name = endpoint->full, .arena = arena, .diags = diags};
    dx_status status = add_all(&m);
    if (status != DX_OK) return status;
    dx_filter *filters = DX_ARENA_ARRAY(arena, dx_filter, m.count);
    if (!filters) return DX_NO_MEMORY;
    memcpy(filters, m.filters, m.count * sizeof *filters);
    settings->chain = (dx_chain){filters, m.count, dx_call_send, NULL};
    return DX_OK;
}

dx_status dx_client_build_chains(dx_client *client, dx_apis *apis, dx_diags *diags) {
    dx_map_entry *entry;
    dx_status result = DX_OK;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        dx_api *api = entry->value;
        if (dx_policy_meters(&api->meters, client, api->name, apis->arena) != DX_OK) return DX_NO_MEMORY;
        dx_status status = dx_client_build_chain(client, &api->plain, (dx_settings *)(uintptr_t)api->settings, apis->arena, diags);
        for (size_t j = 0; j < api->endpoint_count && status != DX_NO_MEMORY; j++) {
            const dx_endpoint *endpoint = api->endpoints[j];
            dx_status own = dx_client_build_chain(client, endpoint, (dx_settings *)(uintptr_t)endpoint->settings, apis->arena, diags);
            if (own != DX_OK) status = own;
        }
        if (status == DX_NO_MEMORY) return status;
        if (status != DX_OK) result = status;
    }
    return result;
}
