// Fetching again what a stale answer was given for (RFC 5861 section 3): a call of the client's own with the same request, which asks the
// server whatever is cached, and stores what comes.
#include "client/client.h"

static bool copy_request(dx_bound *to, dx_arena *arena, const dx_call *from) {
    to->method = from->bound.method;
    to->target = dx_arena_copy(arena, from->bound.target);
    if (!to->target.data) return false;
    for (uint32_t i = 0; i < from->bound.fields.count; i++) {
        const dx_field *field = &from->bound.fields.items[i];
        dx_slice name = dx_arena_copy(arena, field->name), value = dx_arena_copy(arena, field->value);
        if (!name.data || !value.data || dx_fields_add(&to->fields, arena, name, value) != DX_OK) return false;
    }
    return dx_fields_add(&to->fields, arena, DX_SLICE("Cache-Control"), DX_SLICE("no-cache")) == DX_OK;
}

void dx_client_fetch_again(void *ctx, dx_exchange *x) {
    const dx_call *from = dx_call_of(x);
    dx_call *call;
    (void)ctx;
    if (from->settings != from->endpoint->settings || atomic_load(&from->client->closing)) return; // its own settings go with it
    if (dx_call_clone(&call, from, copy_request) == DX_ERROR_NONE) (void)dx_client_start_own(from->client, call, NULL, NULL);
}
