// The handlers that carry tokens: oauth2 and dynamic_token. They differ in where a token comes from, which is the source's business; all
// else is the keeper's.
#include <stdlib.h>

#include "client/client.h"
#include "client/dynamic_token.h"
#include "client/oauth2.h"
#include "codec/text.h"
#include "crypto/digest.h"

typedef struct token_auth {
    dx_auth base;
    dx_arena *arena;
    dx_tokens *tokens;
    dx_auth_place place;
} token_auth;

static token_auth *of(dx_auth *auth) {
    return DX_CONTAINER_OF(auth, token_auth, base);
}

static dx_verdict apply(dx_auth *auth, struct dx_engine *engine, dx_exchange *x) {
    (void)engine;
    return dx_tokens_apply(of(auth)->tokens, &of(auth)->place, x);
}

static bool refused(dx_auth *auth, dx_exchange *x) {
    return dx_tokens_refused(of(auth)->tokens, x);
}

static void accepted(dx_auth *auth, dx_exchange *x) {
    dx_tokens_accepted(of(auth)->tokens, x);
}

static void destroy(dx_auth *auth) {
    dx_tokens_release(of(auth)->tokens);
    dx_arena_destroy(of(auth)->arena);
}

// --- making --------------------------------------------------------------------------------------------------------------------------
static const char *look_up(void *ctx, const char *name) {
    const dx_client_options *options = ctx;
    return options->variable ? options->variable(options->variable_context, name) : getenv(name);
}

static void add_text(dx_buffer *out, const char *text) {
    dx_slice whole = dx_slice_str(text);
    dx_buffer_u64(out, whole.size);
    dx_buffer_byte(out, ':');
    dx_buffer_add(out, whole);
}

// All that a keeper depends on: its settings, and the connection that they are sent over.
static void write_all(dx_buffer *out, const dx_auth_plan *plan) {
    const dx_wire_settings *wire = plan->wire;
    dx_buffer_printf(out, "%.*s %.*s%.*s %lld %lld %lld %lld %d%d%d%d ", DX_SLICE_ARG(plan->upstream), DX_SLICE_ARG(plan->authority),
                     DX_SLICE_ARG(plan->base_path), (long long)wire->connect_timeout, (long long)wire->idle_timeout,
                     (long long)wire->max_idle, (long long)wire->max_lifetime, wire->verify_tls, wire->http2, wire->http1_only,
                     wire->guard);
    const char *const texts[] = {wire->ca_file, wire->certificate, wire->key, wire->key_password, wire->proxy};
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) add_text(out, texts[i]);
    for (size_t i = 0; i < wire->guard_host_count; i++) dx_buffer_printf(out, "%.*s,", DX_SLICE_ARG(wire->guard_hosts[i]));
    for (size_t i = 0; i < wire->guard_range_count; i++) dx_buffer_printf(out, "%.*s,", DX_SLICE_ARG(wire->guard_ranges[i]));
    dx_json_write_value(out, plan->settings);
}

// What a record is found by in a store: what would be another token, and nothing that rotates while the token stays.
static dx_slice key_of(dx_arena *arena, const dx_auth_plan *plan) {
    static const char *const members[] = {"grant",    "token_url", "client_id",     "username", "audience",
                                          "resource", "scopes",    "refresh_token", "login",    "params"};
    uint8_t digest[DX_SHA256_SIZE];
    dx_buffer text;
    dx_buffer_init(&text, arena, (size_t)1 << 20);
    dx_buffer_printf(&text, "%.*s %.*s", DX_SLICE_ARG(plan->upstream), DX_SLICE_ARG(dx_json_member_slice(plan->settings, "type")));
    for (size_t i = 0; i < DX_COUNT_OF(members); i++) {
        yyjson_val *value = yyjson_obj_get(plan->settings, members[i]);
        dx_buffer_byte(&text, '\n');
        dx_buffer_add(&text, dx_slice_str(members[i]));
        if (value) dx_json_write_value(&text, value);
    }
    char *hex = dx_buffer_status(&text) == DX_OK ? dx_arena_bytes(arena, 32) : NULL;
    if (!hex) return (dx_slice){0};
    dx_sha256(digest, dx_buffer_slice(&text));
    dx_secret_wipe(text.data, text.size);
    dx_hex_encode(hex, digest, 16);
    return dx_slice_of(hex, 32);
}

typedef struct making {
    const dx_auth_plan *plan;
    const dx_token_source_ops *ops;
    void *source;
    bool keep; // in a file, if nothing else is said
} making;

static dx_status get_tokens(token_auth *auth, dx_auth_reader *reader, const making *m) {
    dx_buffer all;
    dx_tokens_plan plan = {.upstream = m->plan->upstream, .wire = m->plan->wire, .ops = m->ops, .source = m->source};
    dx_buffer_init(&all, auth->arena, (size_t)2 << 20);
    dx_token_settings_read(&plan.times, reader);
    plan.key = key_of(auth->arena, m->plan);
    write_all(&all, m->plan);
    plan.settings = dx_buffer_slice(&all);
    dx_status status = plan.key.data ? dx_buffer_status(&all) : DX_NO_MEMORY;
    dx_token_store_plan store = {
        m->plan->upstream, plan.key, m->keep, plan.times.timeout + 10 * DX_SECOND, look_up, (void *)(uintptr_t)&m->plan->client->options};
    if (status == DX_OK) status = dx_token_store_create(&plan.store, reader, &store);
    if (status == DX_OK) status = reader->status;
    if (status == DX_OK) {
        status = dx_tokens_get(&auth->tokens, m->plan->client->tokens, &plan);
    } else {
        m->ops->destroy(m->source);
        dx_token_store_destroy(plan.store);
    }
    if (all.data) dx_secret_wipe(all.data, all.size);
    return status;
}

static dx_status create(dx_auth **out, const dx_auth_plan *plan,
                        void *(*read)(dx_auth_reader *reader, const dx_auth_plan *plan, bool *keep), const dx_token_source_ops *ops) {
    dx_arena *arena = dx_arena_create((size_t)8 << 20);
    token_auth *auth = arena ? DX_ARENA_NEW(arena, token_auth) : NULL;
    making m = {.plan = plan, .ops = ops};
    if (!auth) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    auth->arena = arena;
    dx_auth_reader reader = dx_auth_reader_of(plan, arena);
    m.source = read(&reader, plan, &m.keep);
    dx_auth_place_read(&auth->place, &reader, "Authorization", "Bearer");
    dx_status status = m.source ? get_tokens(auth, &reader, &m) : DX_NO_MEMORY;
    if (status == DX_OK) {
        *out = &auth->base;
        return DX_OK;
    }
    dx_arena_destroy(arena);
    return status;
}

// A refresh token that rotates must live longer than the process.
static void *read_oauth2(dx_auth_reader *reader, const dx_auth_plan *plan, bool *keep) {
    dx_oauth2 *oauth2 = dx_oauth2_read(reader, plan->upstream);
    if (oauth2) *keep = oauth2->grant == DX_GRANT_REFRESH_TOKEN || oauth2->grant >= DX_GRANT_AUTHORIZATION_CODE;
    return oauth2;
}

static void *read_dynamic(dx_auth_reader *reader, const dx_auth_plan *plan, bool *keep) {
    *keep = false;
    return dx_dynamic_token_read(reader, plan);
}

static dx_status oauth2_create(dx_auth **out, const dx_auth_plan *plan) {
    return create(out, plan, read_oauth2, &dx_oauth2_source);
}

static dx_status dynamic_create(dx_auth **out, const dx_auth_plan *plan) {
    return create(out, plan, read_dynamic, &dx_dynamic_token_source);
}

const dx_auth_ops dx_auth_oauth2 = {
    .type = "oauth2", .create = oauth2_create, .apply = apply, .refused = refused, .accepted = accepted, .destroy = destroy};
const dx_auth_ops dx_auth_dynamic_token = {
    .type = "dynamic_token", .create = dynamic_create, .apply = apply, .refused = refused, .accepted = accepted, .destroy = destroy};

// --- for `duplex auth` ---------------------------------------------------------------------------------------------------------------
dx_tokens *dx_auth_tokens(dx_auth *auth) {
    return auth->ops == &dx_auth_oauth2 || auth->ops == &dx_auth_dynamic_token ? of(auth)->tokens : NULL;
}

const dx_oauth2 *dx_auth_oauth2_of(dx_auth *auth) {
    return auth->ops == &dx_auth_oauth2 ? dx_tokens_source(of(auth)->tokens) : NULL;
}
