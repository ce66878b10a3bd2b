// The table of auth handlers, what they share, and the filter that applies them. The filter remembers the request as it was before, so that
// each attempt starts from it: a new token replaces the old one, and a redirect takes none along.
#include "client/auth.h"

#include "base/memory.h"
#include "client/call.h"
#include "codec/text.h"
#include "crypto/digest.h"

// --- making ------------------------------------------------------------------------------------------------------------------------

static const dx_auth_ops *ops_of(dx_slice type) {
    for (size_t i = 0; dx_auth_handlers[i]; i++)
        if (dx_slice_equal(type, dx_slice_str(dx_auth_handlers[i]->type))) return dx_auth_handlers[i];
    return NULL;
}

static dx_status refuse_type(dx_slice type, dx_slice at, dx_diags *diags) {
    dx_slice names[32];
    size_t count = 0;
    for (; dx_auth_handlers[count] && count < DX_COUNT_OF(names); count++) names[count] = dx_slice_str(dx_auth_handlers[count]->type);
    dx_diag *diag = dx_diags_add(diags, DX_INVALID, at, "there is no auth of the type \"%.*s\"", DX_SLICE_ARG(type));
    dx_diag_suggest(diags, diag, dx_nearest_word(type, names, count));
    return DX_INVALID;
}

// What it is as a key: the digest of all that it is made of.
static void set_identity(dx_auth *auth, yyjson_val *settings, dx_arena *scratch) {
    uint8_t digest[DX_SHA256_SIZE];
    dx_slice own = auth->ops->identity ? auth->ops->identity(auth, scratch) : (dx_slice){0};
    dx_buffer text;
    dx_buffer_init(&text, scratch, (size_t)1 << 20);
    if (own.size)
        dx_buffer_add(&text, own);
    else
        dx_json_write_value(&text, settings);
    dx_sha256(digest, dx_buffer_slice(&text));
    if (!own.size) dx_secret_wipe(text.data, text.size);
    dx_hex_encode(auth->identity, digest, 16);
    auth->identity[32] = '\0';
}

dx_status dx_auth_create(dx_auth **out, yyjson_val *settings, dx_slice upstream, dx_slice at, dx_diags *diags) {
    dx_slice type = dx_json_member_slice(settings, "type");
    const dx_auth_ops *ops = ops_of(type);
    *out = NULL;
    if (!ops) return refuse_type(type, at, diags);
    dx_auth *auth = NULL;
    dx_status status = ops->create(&auth, settings, upstream, at, diags);
    if (status != DX_OK) return status;
    auth->ops = ops;
    atomic_init(&auth->holders, 1);
    dx_arena *scratch = dx_arena_create((size_t)2 << 20);
    if (!scratch) {
        dx_auth_release(auth);
        return DX_NO_MEMORY;
    }
    set_identity(auth, settings, scratch);
    dx_arena_destroy(scratch);
    *out = auth;
    return DX_OK;
}

dx_auth *dx_auth_hold(dx_auth *auth) {
    (void)atomic_fetch_add_explicit(&auth->holders, 1, memory_order_relaxed);
    return auth;
}

void dx_auth_release(dx_auth *auth) {
    if (auth && atomic_fetch_sub_explicit(&auth->holders, 1, memory_order_acq_rel) == 1) auth->ops->destroy(auth);
}

// --- adding to a request -----------------------------------------------------------------------------------------------------------------

bool dx_auth_add_field(dx_exchange *x, dx_slice name, dx_slice value) {
    dx_fields *fields = &x->request.fields;
    for (uint32_t i = 0; i < fields->count; i++) { // what the definition or the call says of it gives way to the handler
        if (!dx_slice_equal_nocase(fields->items[i].name, name)) continue;
        memmove(&fields->items[i], &fields->items[i + 1], (--fields->count - i) * sizeof fields->items[0]);
        i--;
    }
    return dx_fields_add(fields, x->arena, name, value) == DX_OK;
}

bool dx_auth_add_query(dx_exchange *x, dx_slice name, dx_slice value) {
    dx_buffer target;
    dx_buffer_init(&target, x->arena, (size_t)2 << 20);
    dx_buffer_add(&target, x->request.target);
    dx_buffer_byte(&target, dx_slice_find(x->request.target, '?') == SIZE_MAX ? '?' : '&');
    dx_percent_encode(&target, name);
    dx_buffer_byte(&target, '=');
    dx_percent_encode(&target, value);
    x->request.target = dx_buffer_slice(&target);
    return dx_buffer_status(&target) == DX_OK;
}

bool dx_auth_add_cookie(dx_exchange *x, dx_slice name, dx_slice value) {
    dx_slice before = dx_fields_find(&x->request.fields, DX_SLICE("Cookie"));
    dx_slice text = dx_arena_printf(x->arena, "%.*s%s%.*s=%.*s", DX_SLICE_ARG(before), before.size ? "; " : "", DX_SLICE_ARG(name),
                                    DX_SLICE_ARG(value));
    return text.data && dx_auth_add_field(x, DX_SLICE("Cookie"), text);
}

// --- the filter --------------------------------------------------------------------------------------------------------------------------

typedef struct applied {
    dx_slice target; // before
    dx_fields fields;
    bool replayed;
} applied;

static bool copy_fields(dx_fields *out, dx_arena *arena, const dx_fields *from) {
    *out = (dx_fields){0};
    for (uint32_t i = 0; i < from->count; i++)
        if (dx_fields_add(out, arena, from->items[i].name, from->items[i].value) != DX_OK) return false;
    return true;
}

static dx_verdict auth_in(const void *conf, dx_exchange *x) {
    dx_auth *auth = (dx_auth *)(uintptr_t)conf;
    dx_call *call = dx_call_of(x);
    if (!call->endpoint->auth_required) return DX_NEXT;
    applied *state = x->slots[DX_SLOT_AUTH];
    if (!state) {
        state = DX_ARENA_NEW(x->arena, applied);
        if (!state) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
        state->target = x->request.target;
        state->fields = x->request.fields;
        x->slots[DX_SLOT_AUTH] = state;
    }
    x->request.target = state->target;
    if (!copy_fields(&x->request.fields, x->arena, &state->fields)) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    dx_verdict verdict = auth->ops->apply(auth, call->engine, x);
    if (verdict == DX_WAIT) dx_exchange_enter(x, DX_PHASE_AUTH, dx_clock_monotonic());
    return verdict;
}

// 401: the credential is made anew, and the request sent once more, if that can be done.
static dx_verdict auth_again(const void *conf, dx_exchange *x) {
    dx_auth *auth = (dx_auth *)(uintptr_t)conf;
    applied *state = x->slots[DX_SLOT_AUTH];
    dx_call *call = dx_call_of(x);
    if (!state || x->response.status != 401 || x->failure != DX_ERROR_NONE || state->replayed || x->request.once) return DX_ANSWER;
    if (!auth->ops->refused || !auth->ops->refused(auth, x)) return DX_ANSWER;
    state->replayed = true;
    dx_exchange_forget(x);
    x->stop = NULL;
    // The filter's own way in, as if it came by for the first time.
    dx_verdict verdict = auth_in(conf, x);
    (void)call;
    return verdict;
}

const dx_filter_ops dx_auth_filter = {.name = "auth", .in = auth_in, .again = auth_again};

// --- handlers without tokens
// ---------------------------------------------------------------------------------------------------------------

typedef struct plain_auth {
    dx_auth base;
    dx_arena *arena;
    dx_slice name, value; // of the header, query parameter or cookie
    enum { IN_HEADER, IN_QUERY, IN_COOKIE, NOWHERE } place;
} plain_auth;

static void wipe(void *ctx) {
    plain_auth *auth = ctx;
    dx_secret_wipe((void *)(uintptr_t)auth->value.data, auth->value.size);
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
    bool added = auth->place == NOWHERE     ? true
                 : auth->place == IN_QUERY  ? dx_auth_add_query(x, auth->name, auth->value)
                 : auth->place == IN_COOKIE ? dx_auth_add_cookie(x, auth->name, auth->value)
                                            : dx_auth_add_field(x, auth->name, auth->value);
    return added ? DX_NEXT : dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
}

// The text of a member; an empty one is refused, so that a variable that was forgotten does not call as nobody.
static dx_slice needed(yyjson_val *settings, const char *name, dx_slice at, dx_diags *diags) {
    dx_slice text = dx_json_member_slice(settings, name);
    if (!text.size) (void)dx_diags_add(diags, DX_INVALID, at, "auth needs \"%s\", a text that is not empty", name);
    return text;
}

static dx_status know_only(yyjson_val *settings, const char *const *names, dx_slice at, dx_diags *diags) {
    size_t index, count;
    yyjson_val *key, *value;
    dx_status status = DX_OK;
    yyjson_obj_foreach(settings, index, count, key, value) {
        bool known = dx_slice_equal(dx_json_slice(key), DX_SLICE("type"));
        for (size_t i = 0; names[i]; i++) known = known || dx_slice_equal(dx_json_slice(key), dx_slice_str(names[i]));
        if (known) continue;
        (void)dx_diags_add(diags, DX_INVALID, at, "auth of this type has no \"%.*s\"", DX_SLICE_ARG(dx_json_slice(key)));
        status = DX_INVALID;
    }
    return status;
}

// A header that carries a text, or another place of it.
static dx_status finish(dx_auth **out, plain_auth *auth, dx_slice name, dx_slice value, dx_status status) {
    if (status == DX_OK) {
        auth->name = dx_arena_copy(auth->arena, name);
        auth->value = dx_arena_copy(auth->arena, value);
        if (!auth->name.data || !auth->value.data) status = DX_NO_MEMORY;
    }
    if (status == DX_OK) {
        *out = &auth->base;
        return DX_OK;
    }
    dx_arena_destroy(auth->arena);
    return status;
}

static dx_status none_create(dx_auth **out, yyjson_val *settings, dx_slice upstream, dx_slice at, dx_diags *diags) {
    static const char *const names[] = {NULL};
    plain_auth *auth = plain_make();
    (void)upstream;
    if (!auth) return DX_NO_MEMORY;
    auth->place = NOWHERE;
    return finish(out, auth, DX_SLICE("-"), DX_SLICE("-"), know_only(settings, names, at, diags));
}

static dx_status bearer_create(dx_auth **out, yyjson_val *settings, dx_slice upstream, dx_slice at, dx_diags *diags) {
    static const char *const names[] = {"token", "prefix", "header", NULL};
    dx_slice token = needed(settings, "token", at, diags), prefix = dx_json_member_slice(settings, "prefix"),
             header = dx_json_member_slice(settings, "header");
    plain_auth *auth = plain_make();
    (void)upstream;
    if (!auth) return DX_NO_MEMORY;
    dx_status status = know_only(settings, names, at, diags);
    if (!token.size) status = DX_INVALID;
    if (!yyjson_obj_get(settings, "prefix")) prefix = DX_SLICE("Bearer");
    dx_slice value = dx_arena_printf(auth->arena, "%.*s%s%.*s", DX_SLICE_ARG(prefix), prefix.size ? " " : "", DX_SLICE_ARG(token));
    if (!value.data) status = DX_NO_MEMORY;
    return finish(out, auth, header.size ? header : DX_SLICE("Authorization"), value, status);
}

static dx_status basic_create(dx_auth **out, yyjson_val *settings, dx_slice upstream, dx_slice at, dx_diags *diags) {
    static const char *const names[] = {"username", "password", NULL};
    dx_slice user = needed(settings, "username", at, diags), password = dx_json_member_slice(settings, "password");
    plain_auth *auth = plain_make();
    (void)upstream;
    if (!auth) return DX_NO_MEMORY;
    dx_status status = know_only(settings, names, at, diags);
    if (!user.size) status = DX_INVALID;
    if (dx_slice_find(user, ':') != SIZE_MAX) {
        (void)dx_diags_add(diags, DX_INVALID, at, "a user name can't have a colon in it (RFC 7617)");
        status = DX_INVALID;
    }
    dx_slice plain = dx_arena_printf(auth->arena, "%.*s:%.*s", DX_SLICE_ARG(user), DX_SLICE_ARG(password));
    char *text = plain.data ? dx_arena_bytes(auth->arena, 6 + 4 * (plain.size / 3 + 1)) : NULL;
    if (!text) return finish(out, auth, (dx_slice){0}, (dx_slice){0}, DX_NO_MEMORY);
    memcpy(text, "Basic ", 6);
    size_t size = 6 + dx_base64_encode(text + 6, plain.data, plain.size, false);
    return finish(out, auth, DX_SLICE("Authorization"), dx_slice_of(text, size), status);
}

static dx_status api_key_create(dx_auth **out, yyjson_val *settings, dx_slice upstream, dx_slice at, dx_diags *diags) {
    static const char *const names[] = {"in", "name", "value", "prefix", NULL};
    dx_slice value = needed(settings, "value", at, diags), name = dx_json_member_slice(settings, "name"),
             in = dx_json_member_slice(settings, "in"), prefix = dx_json_member_slice(settings, "prefix");
    plain_auth *auth = plain_make();
    (void)upstream;
    if (!auth) return DX_NO_MEMORY;
    dx_status status = know_only(settings, names, at, diags);
    if (!value.size) status = DX_INVALID;
    if (dx_slice_equal(in, DX_SLICE("query"))) {
        auth->place = IN_QUERY;
    } else if (dx_slice_equal(in, DX_SLICE("cookie"))) {
        auth->place = IN_COOKIE;
    } else if (in.size && !dx_slice_equal(in, DX_SLICE("header"))) {
        (void)dx_diags_add(diags, DX_INVALID, at, "\"in\" must be header, query or cookie");
        status = DX_INVALID;
    }
    dx_slice whole = dx_arena_printf(auth->arena, "%.*s%s%.*s", DX_SLICE_ARG(prefix), prefix.size ? " " : "", DX_SLICE_ARG(value));
    if (!whole.data) status = DX_NO_MEMORY;
    return finish(out, auth, name.size ? name : DX_SLICE("X-API-Key"), whole, status);
}

#define PLAIN(name)                                                                                                                        \
    { .type = #name, .create = name##_create, .apply = plain_apply, .destroy = plain_destroy }
static const dx_auth_ops none = PLAIN(none), bearer = PLAIN(bearer), basic = PLAIN(basic), api_key = PLAIN(api_key);

const dx_auth_ops *const dx_auth_handlers[] = {&none, &bearer, &basic, &api_key, NULL};
