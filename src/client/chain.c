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

static dx_status add_auth(chain_list *list, dx_client *client, const dx_api *api, const dx_settings *settings, dx_arena *arena, dx_diags *diags) {
    dx_auth *auth;
    if (!settings->auth) return DX_OK;
    dx_auth_plan plan = {.settings = settings->auth,
                         .upstream = api->name,
                         .at = dx_json_pointer_join(arena, api->pointer, DX_SLICE("auth")),
                         .diags = diags,
                         .client = client,
                         .wire = &api->settings->wire,
                         .secure = api->secure,
                         .authority = api->authority,
                         .base_path = api->base_path};
    dx_status status = dx_auth_create(&auth, &plan);
    if (status != DX_OK) return status;
    status = dx_arena_defer(arena, release_auth, auth);
    if (status == DX_OK) add(list, &dx_auth_filter, auth);
    return status;
}

dx_status dx_client_build_chain(dx_client *client, const dx_api *api, dx_settings *settings, dx_arena *arena, dx_diags *diags) {
    chain_list list = {.count = 0};
    if (settings->chain.handler) return DX_OK;
    dx_status status = add_auth(&list, client, api, settings, arena, diags);
    if (status != DX_OK) return status;
    add(&list, &dx_redirect_follow_filter, NULL);
    dx_filter *filters = DX_ARENA_ARRAY(arena, dx_filter, list.count);
    if (!filters) return DX_NO_MEMORY;
    memcpy(filters, list.filters, list.count * sizeof *filters);
    settings->chain = (dx_chain){filters, list.count, dx_call_send, NULL};
    return DX_OK;
}

dx_status dx_client_build_chains(dx_client *client, dx_apis *apis, dx_diags *diags) {
    dx_map_entry *entry;
    dx_status result = DX_OK;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        dx_api *api = entry->value;
        dx_status status = dx_client_build_chain(client, api, (dx_settings *)(uintptr_t)api->settings, apis->arena, diags);
        for (size_t j = 0; j < api->endpoint_count && status != DX_NO_MEMORY; j++) {
            dx_status own = dx_client_build_chain(client, api, (dx_settings *)(uintptr_t)api->endpoints[j]->settings, apis->arena, diags);
            if (own != DX_OK) status = own;
        }
        if (status == DX_NO_MEMORY) return status;
        if (status != DX_OK) result = status;
    }
    return result;
}
