// The chains of a definition: which filters stand before a request, in which order. It is the same for all, so that what wraps what can be
// known.
#include "client/client.h"
#include "client/redirect.h"

enum { FILTERS_CAP = 16 };

typedef struct chain_list {
    dx_filter filters[FILTERS_CAP];
    uint16_t count;
} chain_list;

static void add(chain_list *list, const dx_filter_ops *ops, const void *conf) {
    list->filters[list->count++] = (dx_filter){ops, conf};
}

static void release_auth(void *ctx) {
    dx_auth_release(ctx);
}

static dx_status add_auth(chain_list *list, dx_client *client, const dx_api *api, const dx_settings *settings, dx_slice at, dx_arena *arena,
                          dx_diags *diags) {
    dx_auth *auth;
    if (!settings->auth) return DX_OK;
    // The API's own handler serves those below it that say nothing else: it may keep something between requests.
    bool same = settings != api->settings && api->settings->auth && dx_json_equal(settings->auth, api->settings->auth);
    dx_auth *shared = same ? dx_auth_of_chain(&api->settings->chain) : NULL;
    dx_auth_plan plan = {.settings = settings->auth,
                         .upstream = api->name,
                         .at = at,
                         .diags = diags,
                         .client = client,
                         .wire = &api->settings->wire,
                         .secure = api->secure,
                         .authority = api->authority,
                         .base_path = api->base_path};
    if (shared) auth = dx_auth_hold(shared);
    dx_status status = shared ? DX_OK : dx_auth_create(&auth, &plan);
    if (status != DX_OK) return status;
    status = dx_arena_defer(arena, release_auth, auth);
    if (status == DX_OK) add(list, &dx_auth_filter, auth);
    return status;
}

// `at`: where the auth stands.
static dx_status build(dx_client *client, const dx_api *api, dx_settings *settings, dx_slice at, dx_arena *arena, dx_diags *diags) {
    chain_list list = {.count = 0};
    if (settings->chain.handler) return DX_OK;
    dx_status status = add_auth(&list, client, api, settings, at, arena, diags);
    if (status != DX_OK) return status;
    add(&list, &dx_redirect_follow_filter, NULL);
    dx_filter *filters = DX_ARENA_ARRAY(arena, dx_filter, list.count);
    if (!filters) return DX_NO_MEMORY;
    memcpy(filters, list.filters, list.count * sizeof *filters);
    settings->chain = (dx_chain){filters, list.count, dx_call_send, NULL};
    return DX_OK;
}

dx_status dx_client_build_chain(dx_client *client, const dx_api *api, dx_settings *settings, dx_arena *arena, dx_diags *diags) {
    return build(client, api, settings, DX_SLICE("/auth"), arena, diags);
}

// --- of a whole definition -----------------------------------------------------------------------------------------------------------

// The nearest layer with an auth of its own.
static dx_slice auth_place(const dx_apis *apis, dx_slice endpoint, dx_slice api) {
    const dx_slice layers[] = {endpoint, api};
    yyjson_val *root = dx_definition_root(apis->definition);
    for (size_t i = 0; i < DX_COUNT_OF(layers); i++) {
        dx_slice at = layers[i].size ? dx_json_pointer_join(apis->arena, layers[i], DX_SLICE("auth")) : (dx_slice){0};
        if (at.data && dx_json_at(root, at)) return at;
    }
    return DX_SLICE("/apis/defaults/auth");
}

static void tell(const dx_apis *apis, const dx_diags *found, dx_diags *diags) {
    for (const dx_diag *diag = found->first; diag; diag = diag->next) {
        dx_diag *told = dx_definition_complain(apis->definition, diags, diag->pointer, "%.*s", DX_SLICE_ARG(diag->message));
        dx_diag_suggest(diags, told, diag->suggestion);
    }
}

static dx_status build_located(dx_client *client, dx_apis *apis, const dx_api *api, const dx_settings *settings, dx_slice endpoint,
                               dx_diags *diags) {
    dx_diags found;
    dx_diags_init(&found, apis->arena);
    dx_slice at = auth_place(apis, endpoint, api->pointer);
    dx_status status = build(client, api, (dx_settings *)(uintptr_t)settings, at, apis->arena, &found);
    tell(apis, &found, diags);
    return status;
}

dx_status dx_client_build_chains(dx_client *client, dx_apis *apis, dx_diags *diags) {
    dx_map_entry *entry;
    dx_status result = DX_OK;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        const dx_api *api = entry->value;
        dx_status status = build_located(client, apis, api, api->settings, (dx_slice){0}, diags);
        for (size_t j = 0; j < api->endpoint_count && status == DX_OK; j++)
            status = build_located(client, apis, api, api->endpoints[j]->settings, api->endpoints[j]->pointer, diags);
        if (status == DX_NO_MEMORY) return status;
        if (status != DX_OK) result = status;
    }
    return result;
}
