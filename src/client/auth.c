// The table of auth handlers, what they share, and the filter that applies them. The filter remembers the request as it was before, so that
// each attempt starts from it: a new token replaces the old one, and a redirect takes none along.
#include "client/auth.h"

#include "base/memory.h"
#include "client/call.h"
#include "codec/text.h"
#include "crypto/digest.h"

// --- making --------------------------------------------------------------------------------------------------------------------------

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

dx_status dx_auth_create(dx_auth **out, const dx_auth_plan *plan) {
    dx_slice type = dx_json_member_slice(plan->settings, "type");
    const dx_auth_ops *ops = ops_of(type);
    *out = NULL;
    if (!ops) return refuse_type(type, plan->at, plan->diags);
    dx_auth *auth = NULL;
    dx_status status = ops->create(&auth, plan);
    if (status != DX_OK) return status;
    auth->ops = ops;
    atomic_init(&auth->holders, 1);
    dx_arena *scratch = dx_arena_create((size_t)2 << 20);
    if (!scratch) {
        dx_auth_release(auth);
        return DX_NO_MEMORY;
    }
    set_identity(auth, plan->settings, scratch);
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

// --- adding to a request -------------------------------------------------------------------------------------------------------------

bool dx_auth_add_field(dx_exchange *x, dx_slice name, dx_slice value) {
    dx_fields *fields = &x->request.fields;
    for (uint32_t i = 0; i < fields->count; i++) { // what the definition or the call says of it gives way to the handler
        if (!dx_slice_equal_nocase(fields->items[i].name, name)) continue;
        memmove(&fields->items[i], &fields->items[i + 1], (--fields->count - i) * sizeof fields->items[0]);
        i--;
    }
    return dx_fields_add(fields, x->arena, name, value) == DX_OK;
}

static bool append_pair(dx_exchange *x, dx_slice pair) {
    char between = dx_slice_find(x->request.target, '?') == SIZE_MAX ? '?' : '&';
    dx_slice target = dx_arena_printf(x->arena, "%.*s%c%.*s", DX_SLICE_ARG(x->request.target), between, DX_SLICE_ARG(pair));
    if (target.data) x->request.target = target;
    return target.data != NULL;
}

bool dx_auth_add_query(dx_exchange *x, dx_slice name, dx_slice value) {
    dx_buffer pair;
    dx_buffer_init(&pair, x->arena, (size_t)2 << 20);
    dx_percent_encode(&pair, name);
    dx_buffer_byte(&pair, '=');
    dx_percent_encode(&pair, value);
    if (dx_buffer_status(&pair) != DX_OK) return false;
    dx_auth_applied *state = dx_auth_applied_of(x);
    if (state) state->query = dx_buffer_slice(&pair);
    return append_pair(x, dx_buffer_slice(&pair));
}

bool dx_auth_add_cookie(dx_exchange *x, dx_slice name, dx_slice value) {
    dx_slice before = dx_fields_find(&x->request.fields, DX_SLICE("Cookie"));
    dx_slice text = dx_arena_printf(x->arena, "%.*s%s%.*s=%.*s", DX_SLICE_ARG(before), before.size ? "; " : "", DX_SLICE_ARG(name),
                                    DX_SLICE_ARG(value));
    return text.data && dx_auth_add_field(x, DX_SLICE("Cookie"), text);
}

void dx_auth_set_body(dx_exchange *x, dx_slice body) {
    x->request.body = dx_call_of(x)->bound.body = body; // redirects start from what is bound
}

// --- the filter ----------------------------------------------------------------------------------------------------------------------

static dx_auth_applied *remember(dx_exchange *x, const dx_call *call) {
    dx_auth_applied *state = DX_ARENA_NEW(x->arena, dx_auth_applied);
    if (!state) return NULL;
    state->target = x->request.target;
    state->body = call->bound.body;
    state->fields = x->request.fields;
    return x->slots[DX_SLOT_AUTH] = state;
}

enum { ADDED = 2 }; // fields that most handlers add at most

static dx_verdict auth_in(const void *conf, dx_exchange *x) {
    dx_auth *auth = (dx_auth *)(uintptr_t)conf;
    dx_call *call = dx_call_of(x);
    if (!call->endpoint->auth_required) return DX_NEXT;
    dx_auth_applied *state = dx_auth_applied_of(x);
    if (!state) state = remember(x, call);
    if (!state) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    state->query = (dx_slice){0};
    x->request.target = state->target;
    x->request.body = call->bound.body = state->body; // what redirects start from, too
    if (!dx_fields_copy(&x->request.fields, x->arena, &state->fields, ADDED)) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    dx_verdict verdict = auth->ops->apply(auth, call->engine, x);
    if (verdict == DX_WAIT) dx_exchange_enter(x, DX_PHASE_AUTH, dx_clock_monotonic());
    return verdict;
}

// Servers often say where to go with the query that they were asked with.
static bool has_pair_of(dx_slice target, dx_slice pair) {
    dx_slice rest = target, name = dx_slice_cut(&pair, '=');
    (void)dx_slice_cut(&rest, '?');
    while (rest.data) {
        dx_slice one = dx_slice_cut(&rest, '&');
        if (dx_slice_equal(dx_slice_cut(&one, '='), name)) return true;
    }
    return false;
}

// Without what the handler added, so that it signs what it would have signed at first.
static bool drop_added(dx_exchange *x, const dx_fields *before) {
    dx_fields *fields = &x->request.fields, kept;
    if (!dx_fields_copy(&kept, x->arena, fields, 0)) return false;
    kept.count = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (dx_fields_find(before, fields->items[i].name).data) kept.items[kept.count++] = fields->items[i];
    *fields = kept;
    return true;
}

dx_verdict dx_auth_follow(dx_exchange *x) {
    dx_call *call = dx_call_of(x);
    dx_auth_applied *state = dx_auth_applied_of(x);
    dx_auth *auth = dx_auth_of_chain(&call->settings->chain);
    if (!state || !auth) return DX_NEXT;
    bool done = !state->query.size || has_pair_of(x->request.target, state->query) || append_pair(x, state->query);
    if (done && auth->ops->signs) done = drop_added(x, &state->fields);
    if (!done) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    return auth->ops->signs ? auth->ops->apply(auth, call->engine, x) : DX_NEXT;
}

static bool is_refusal(const dx_auth *auth, int status) {
    return status == 401 || (status == 403 && auth->ops->refused_by_403);
}

// Refused: the credential is made anew, and the request sent once more, if that can be done.
static dx_verdict auth_again(const void *conf, dx_exchange *x) {
    dx_auth *auth = (dx_auth *)(uintptr_t)conf;
    dx_auth_applied *state = dx_auth_applied_of(x);
    if (!state || x->failure != DX_ERROR_NONE) return DX_ANSWER;
    if (!is_refusal(auth, x->response.status)) {
        if (auth->ops->accepted) auth->ops->accepted(auth, x);
        return DX_ANSWER;
    }
    if (state->replayed || x->request.once) return DX_ANSWER;
    if (!auth->ops->refused || !auth->ops->refused(auth, x)) return DX_ANSWER;
    state->replayed = true;
    dx_exchange_forget(x);
    x->stop = NULL;
    return auth_in(conf, x); // the filter's own way in, as if the call came by for the first time
}

const dx_filter_ops dx_auth_filter = {.name = "auth", .in = auth_in, .again = auth_again};

dx_auth *dx_auth_of_chain(const dx_chain *chain) {
    for (uint16_t i = 0; i < chain->filter_count; i++)
        if (chain->filters[i].ops == &dx_auth_filter) return (dx_auth *)(uintptr_t)chain->filters[i].conf;
    return NULL;
}

// --- the table -----------------------------------------------------------------------------------------------------------------------

extern const dx_auth_ops dx_auth_none, dx_auth_bearer, dx_auth_basic, dx_auth_api_key, dx_auth_oauth2, dx_auth_dynamic_token, dx_auth_jwt,
    dx_auth_hmac, dx_auth_aws_sigv4, dx_auth_custom;

const dx_auth_ops *const dx_auth_handlers[] = {&dx_auth_none,
                                               &dx_auth_bearer,
                                               &dx_auth_basic,
                                               &dx_auth_api_key,
                                               &dx_auth_oauth2,
                                               &dx_auth_dynamic_token,
                                               &dx_auth_jwt,
                                               &dx_auth_hmac,
                                               &dx_auth_aws_sigv4,
                                               &dx_auth_custom,
                                               NULL};
