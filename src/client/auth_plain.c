// Credentials that stand in the definition: nothing to fetch, nothing to renew.
#include "client/auth_settings.h"
#include "codec/text.h"
#include "crypto/digest.h"

typedef struct plain_auth {
    dx_auth base;
    dx_arena *arena;
    dx_auth_place place;
    dx_slice value; // with its prefix
    bool nobody;
} plain_auth;

static void wipe(void *ctx) {
    plain_auth *auth = ctx;
    if (auth->value.size) dx_secret_wipe((void *)(uintptr_t)auth->value.data, auth->value.size);
}

static void plain_destroy(dx_auth *auth) {
    dx_arena_destroy(DX_CONTAINER_OF(auth, plain_auth, base)->arena);
}

static plain_auth *plain_make(void) {
    dx_arena *arena = dx_arena_create((size_t)1 << 20);
    plain_auth *auth = arena ? DX_ARENA_NEW(arena, plain_auth) : NULL;
    if (!auth) {
        dx_arena_destroy(arena);
        return NULL;
    }
    auth->arena = arena;
    if (dx_arena_defer(arena, wipe, auth) == DX_OK) return auth;
    dx_arena_destroy(arena);
    return NULL;
}

static dx_verdict plain_apply(dx_auth *base, struct dx_engine *engine, dx_exchange *x) {
    (void)engine;
    const plain_auth *auth = DX_CONTAINER_OF(base, plain_auth, base);
    return auth->nobody ? DX_NEXT : dx_auth_place_put(&auth->place, x, auth->value);
}

// The prefix is put before the value once, not for every call.
static bool join_prefix(plain_auth *auth) {
    if (!auth->place.prefix.size) return true;
    dx_slice whole = dx_arena_printf(auth->arena, "%.*s %.*s", DX_SLICE_ARG(auth->place.prefix), DX_SLICE_ARG(auth->value));
    wipe(auth);
    auth->place.prefix = (dx_slice){0};
    auth->value = whole;
    return whole.data != NULL;
}

static dx_status finish(dx_auth **out, plain_auth *auth, dx_auth_reader *reader) {
    if (reader->status == DX_OK && !join_prefix(auth)) reader->status = DX_NO_MEMORY;
    if (reader->status == DX_OK) {
        *out = &auth->base;
        return DX_OK;
    }
    dx_arena_destroy(auth->arena);
    return reader->status;
}

static dx_status none_create(dx_auth **out, const dx_auth_plan *plan) {
    static const char *const names[] = {NULL};
    plain_auth *auth = plain_make();
    if (!auth) return DX_NO_MEMORY;
    dx_auth_reader reader = dx_auth_reader_of(plan, auth->arena);
    dx_auth_know(&reader, names);
    auth->nobody = true;
    return finish(out, auth, &reader);
}

static dx_status bearer_create(dx_auth **out, const dx_auth_plan *plan) {
    static const char *const names[] = {"token", "prefix", "header", NULL};
    plain_auth *auth = plain_make();
    if (!auth) return DX_NO_MEMORY;
    dx_auth_reader reader = dx_auth_reader_of(plan, auth->arena);
    dx_auth_know(&reader, names);
    dx_auth_place_read(&auth->place, &reader, "Authorization", "Bearer");
    dx_slice header = dx_auth_text(&reader, "header");
    if (header.size) auth->place.name = header;
    if (!dx_field_name_valid(auth->place.name)) dx_auth_refuse(&reader, "header", "\"header\" must be the name of a header");
    auth->value = dx_auth_needed(&reader, "token");
    return finish(out, auth, &reader);
}

static void encode_basic(plain_auth *auth, dx_auth_reader *reader, dx_slice user, dx_slice password) {
    dx_slice plain = dx_arena_printf(auth->arena, "%.*s:%.*s", DX_SLICE_ARG(user), DX_SLICE_ARG(password));
    char *text = plain.data ? dx_arena_bytes(auth->arena, 4 * (plain.size / 3 + 1)) : NULL;
    if (text) auth->value = dx_slice_of(text, dx_base64_encode(text, plain.data, plain.size, false));
    if (plain.data) dx_secret_wipe((void *)(uintptr_t)plain.data, plain.size);
    if (!text) reader->status = DX_NO_MEMORY;
}

static dx_status basic_create(dx_auth **out, const dx_auth_plan *plan) {
    static const char *const names[] = {"username", "password", NULL};
    plain_auth *auth = plain_make();
    if (!auth) return DX_NO_MEMORY;
    dx_auth_reader reader = dx_auth_reader_of(plan, auth->arena);
    dx_auth_know(&reader, names);
    dx_slice user = dx_auth_needed(&reader, "username"), password = dx_auth_text(&reader, "password");
    if (dx_slice_find(user, ':') != SIZE_MAX) dx_auth_refuse(&reader, "username", "a user name can't have a colon in it (RFC 7617)");
    auth->place = (dx_auth_place){DX_AUTH_HEADER, DX_SLICE("Authorization"), DX_SLICE("Basic")};
    encode_basic(auth, &reader, user, password);
    return finish(out, auth, &reader);
}

static dx_status api_key_create(dx_auth **out, const dx_auth_plan *plan) {
    static const char *const names[] = {"in", "name", "value", "prefix", NULL};
    plain_auth *auth = plain_make();
    if (!auth) return DX_NO_MEMORY;
    dx_auth_reader reader = dx_auth_reader_of(plan, auth->arena);
    dx_auth_know(&reader, names);
    dx_auth_place_read(&auth->place, &reader, "X-API-Key", "");
    if (!yyjson_obj_get(plan->settings, "name")) auth->place.name = DX_SLICE("X-API-Key");
    auth->value = dx_auth_needed(&reader, "value");
    return finish(out, auth, &reader);
}

#define PLAIN(name)                                                                                                                        \
    { .type = #name, .create = name##_create, .apply = plain_apply, .destroy = plain_destroy }
const dx_auth_ops dx_auth_none = PLAIN(none), dx_auth_bearer = PLAIN(bearer), dx_auth_basic = PLAIN(basic),
                  dx_auth_api_key = PLAIN(api_key);
