// The authentication filter: `Authorization: Bearer …` becomes the exchange's principal. A token is verified once a worker; after that the
// worker's cache knows it, byte for byte. What can change behind a token's back (its session revoked, its account disabled or given other
// roles) is read from the store again when that was last done a second ago or more, and at once when this process itself has shut off
// a session since.
//
// An entry of the cache is one block of memory: the token, the principal and its texts. Exchanges hold it for as long as their arenas live,
// so an entry that is thrown out meanwhile stays whole until the last of them is through. One worker, one cache: no locks.
#include "base/memory.h"
#include "identity/parts.h"

enum { WAYS = 4, SETS = DX_TOKEN_CACHE_ENTRIES / WAYS };

typedef struct entry {
    dx_caller caller; // first: x->slots and x->principal point here
    const dx_identity *self;
    uint64_t hash;
    uint32_t holders; // the cache and exchanges
    uint32_t used;    // the cache's clock when it was last asked for
    size_t bytes;     // of this block
    int64_t expires_s;
    dx_nanos checked;
    uint64_t epoch;
    dx_micros_utc updated_at; // the account's, when it was read
    dx_slice token;
} entry;

typedef struct dx_token_cache {
    entry *slots[SETS][WAYS];
    size_t bytes;
    uint32_t clock;
    unsigned hand; // next set to give up from, when memory is short
} dx_token_cache;

// --- the cache --------------------------------------------------------------------------------------------------------------

dx_token_cache *dx_token_cache_create(void) {
    return dx_memory_zalloc(1, sizeof(dx_token_cache));
}

static void release(void *ctx) {
    entry *at = ctx;
    if (--at->holders == 0) dx_memory_free(at);
}

static void drop(dx_token_cache *cache, entry **slot) {
    if (!*slot) return;
    cache->bytes -= (*slot)->bytes;
    release(*slot);
    *slot = NULL;
}

void dx_token_cache_destroy(dx_token_cache *cache) {
    if (!cache) return;
    for (size_t i = 0; i < (size_t)SETS * WAYS; i++) drop(cache, &cache->slots[i / WAYS][i % WAYS]);
    dx_memory_free(cache);
}

size_t dx_token_cache_bytes(const dx_token_cache *cache) {
    return sizeof *cache + cache->bytes;
}

// The end of a token is its signature, which is as good as random, and nobody can choose the end of one that verifies.
static uint64_t hash_of(dx_slice token) {
    uint64_t low = 0, high = 0;
    size_t size = token.size < 16 ? token.size : 16;
    const char *tail = token.data + token.size - size;
    memcpy(&low, tail, size < 8 ? size : 8);
    if (size > 8) memcpy(&high, tail + 8, size - 8);
    uint64_t hash = (low ^ (high * 0x9e3779b97f4a7c15u) ^ token.size) * 0xff51afd7ed558ccdu;
    return hash ^ hash >> 32;
}

static entry **find(dx_token_cache *cache, dx_slice token, uint64_t hash) {
    entry **set = cache->slots[hash % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] && set[i]->hash == hash && dx_slice_equal(set[i]->token, token)) return &set[i];
    }
    return NULL;
}

// Takes over one hold on `made`. An entry for the same token is replaced.
static void keep(dx_token_cache *cache, entry *made) {
    entry **set = cache->slots[made->hash % SETS], **slot = find(cache, made->token, made->hash);
    for (size_t i = 0; i < WAYS && !slot; i++) {
        if (!set[i]) slot = &set[i];
    }
    if (!slot) {
        slot = set;
        for (size_t i = 1; i < WAYS; i++) {
            if (cache->clock - set[i]->used > cache->clock - (*slot)->used) slot = &set[i];
        }
    }
    drop(cache, slot);
    for (unsigned i = 0; i < SETS && cache->bytes + made->bytes > DX_TOKEN_CACHE_BYTES; i++) {
        for (size_t way = 0; way < WAYS; way++) drop(cache, &cache->slots[cache->hand][way]);
        cache->hand = (cache->hand + 1) % SETS;
    }
    if (cache->bytes + made->bytes > DX_TOKEN_CACHE_BYTES) {
        release(made); // larger than all of it
        return;
    }
    cache->bytes += made->bytes;
    made->used = ++cache->clock;
    *slot = made;
}

// --- what the store says of a token ----------------------------------------------------------------------------------------

typedef struct state {
    dx_script script;
    dx_arena *arena;
    dx_stored_session session;
    dx_account account;
    dx_micros_utc updated_at; // 0: the account is of no interest as long as it is unchanged since
    bool unchanged;
} state;

static dx_status take_session(void *ctx, const dx_row *row) {
    dx_session_read(&((state *)ctx)->session, row);
    return DX_OK;
}

static dx_status take_account(void *ctx, const dx_row *row) {
    state *self = ctx;
    if (self->updated_at && dx_row_value(row, DX_ACCOUNT_UPDATED_AT).integer == self->updated_at) {
        self->unchanged = true;
        return DX_OK;
    }
    return dx_account_read(&self->account, self->arena, row);
}

// DX_OK, DX_BAD_TOKEN when session or account no longer stand, or what the store said.
static dx_status read_state(state *out, const dx_identity *self, dx_exchange *x, dx_slice session, int64_t account) {
    dx_value session_id = DX_TEXT_VALUE(session), account_id = DX_INT_VALUE(account);
    dx_step steps[] = {
        {self->statements.session_by_id, &session_id, 1, take_session, false},
        {self->statements.by_id, &account_id, 1, take_account, false},
    };
    out->arena = x->arena;
    dx_script_init(&out->script, DX_TX_BRIEF, steps, DX_COUNT_OF(steps), out);
    dx_store_submit(dx_identity_session(self, x), &out->script.tx); // brief: done when this returns
    if (out->script.outcome != DX_OK) return out->script.outcome;
    if (!out->session.found || out->session.account != account || out->session.revoked_at) return DX_BAD_TOKEN;
    if (out->session.expires_at <= dx_identity_now(self, x)) return DX_BAD_TOKEN;
    return out->unchanged || (out->account.id && !out->account.disabled) ? DX_OK : DX_BAD_TOKEN;
}

// --- entries ----------------------------------------------------------------------------------------------------------------

static dx_slice put(char **to, dx_slice text) {
    char *at = *to;
    if (text.size) memcpy(at, text.data, text.size);
    *to += text.size;
    return dx_slice_of(at, text.size);
}

static dx_status recheck(dx_exchange *x);

// One hold is the caller's.
static dx_status make_entry(entry **out, const dx_identity *self, dx_arena *arena, const dx_account *account, dx_slice session,
                            dx_slice token) {
    const dx_slice *roles;
    size_t role_count, text_size = token.size + session.size + account->username.size;
    dx_status status = dx_roles_read(&roles, &role_count, arena, account->roles);
    if (status != DX_OK) return status;
    dx_slice id = dx_arena_printf(arena, "%lld", (long long)account->id);
    if (!id.data) return DX_NO_MEMORY;
    text_size += id.size;
    for (size_t i = 0; i < role_count; i++) text_size += roles[i].size;
    size_t bytes = sizeof(entry) + role_count * sizeof(dx_slice) + text_size;
    entry *made = dx_memory_zalloc(1, bytes);
    if (!made) return DX_NO_MEMORY;
    dx_slice *own_roles = (dx_slice *)(made + 1);
    char *to = (char *)(own_roles + role_count);
    for (size_t i = 0; i < role_count; i++) own_roles[i] = put(&to, roles[i]);
    made->self = self;
    made->caller.principal = (dx_principal){.id = put(&to, id),
                                            .number = account->id,
                                            .name = put(&to, account->username),
                                            .roles = own_roles,
                                            .role_count = role_count,
                                            .recheck = recheck};
    made->caller.session = put(&to, session);
    made->token = put(&to, token);
    made->hash = hash_of(token);
    made->holders = 1;
    made->bytes = bytes;
    made->updated_at = account->updated_at;
    *out = made;
    return DX_OK;
}

typedef struct claims {
    dx_slice session;
    int64_t account, expires_s;
} claims;

static dx_status verify(claims *out, const dx_identity *self, dx_exchange *x, dx_slice token) {
    yyjson_doc *doc;
    dx_jwt_expect expect = {.issuer = self->settings.issuer,
                            .audience = self->settings.audience,
                            .type = DX_SLICE_INIT("access"),
                            .now_s = dx_identity_now(self, x) / 1000000};
    dx_status status = dx_jwt_verify(&doc, x->arena, self->key, token, &expect);
    if (status != DX_OK) return status;
    yyjson_val *root = yyjson_doc_get_root(doc);
    out->session = dx_json_member_slice(root, "sid");
    return dx_jwt_date(yyjson_obj_get(root, "exp"), &out->expires_s) && out->session.size &&
                   dx_slice_to_i64(dx_json_member_slice(root, "sub"), &out->account)
               ? DX_OK
               : DX_BAD_TOKEN;
}

// Reads the state of session and account and puts an entry for the token in the cache; `*out` has a hold for the caller too.
static dx_status renew(entry **out, const dx_identity *self, dx_exchange *x, dx_slice token, const claims *from) {
    state read = {0};
    uint64_t epoch = atomic_load_explicit(&self->memory->epoch, memory_order_acquire); // before the state is read
    dx_status status = read_state(&read, self, x, from->session, from->account);
    if (status == DX_OK) status = make_entry(out, self, x->arena, &read.account, from->session, token);
    if (status != DX_OK) return status;
    (*out)->expires_s = from->expires_s;
    (*out)->checked = self->clock.monotonic(x->loop);
    (*out)->epoch = epoch;
    (*out)->holders++;
    keep(self->caches[x->worker], *out);
    return DX_OK;
}

// A cached token whose state was read too long ago. Mostly nothing has changed, and the entry goes on.
static dx_status refresh(entry **slot, entry **out, const dx_identity *self, dx_exchange *x) {
    entry *at = *slot;
    state read = {.updated_at = at->updated_at};
    uint64_t epoch = atomic_load_explicit(&self->memory->epoch, memory_order_acquire);
    dx_status status = read_state(&read, self, x, at->caller.session, at->caller.principal.number);
    if (status == DX_OK && read.unchanged) {
        at->checked = self->clock.monotonic(x->loop);
        at->epoch = epoch;
        at->holders++;
        *out = at;
    } else if (status == DX_OK) {
        claims same = {at->caller.session, at->caller.principal.number, at->expires_s};
        at->holders++; // the entry's texts are read while it is replaced
        status = renew(out, self, x, at->token, &same);
        release(at);
    } else if (status == DX_BAD_TOKEN) {
        drop(self->caches[x->worker], slot);
    }
    return status;
}

// `*out` has a hold for the caller.
static dx_status look_up(entry **out, const dx_identity *self, dx_exchange *x, dx_slice token) {
    dx_token_cache *cache = self->caches[x->worker];
    entry **slot = find(cache, token, hash_of(token));
    if (DX_UNLIKELY(!slot)) {
        claims from;
        dx_status status = verify(&from, self, x, token);
        return status == DX_OK ? renew(out, self, x, token, &from) : status;
    }
    entry *at = *slot;
    if (DX_UNLIKELY(at->expires_s <= dx_identity_now(self, x) / 1000000)) {
        drop(cache, slot);
        return DX_EXPIRED_TOKEN;
    }
    at->used = ++cache->clock;
    if (DX_UNLIKELY(self->clock.monotonic(x->loop) - at->checked >= DX_TOKEN_FRESH ||
                    at->epoch != atomic_load_explicit(&self->memory->epoch, memory_order_acquire)))
        return refresh(slot, out, self, x);
    at->holders++;
    *out = at;
    return DX_OK;
}

// The exchange's own entry, which the cache may have given up since: nothing is looked up, and nothing taken from the exchange's arena
// unless the account has changed.
static dx_status recheck(dx_exchange *x) {
    entry *at = DX_CONTAINER_OF(x->principal, entry, caller.principal), *changed;
    const dx_identity *self = at->self;
    dx_nanos now = self->clock.monotonic(x->loop);
    uint64_t epoch = atomic_load_explicit(&self->memory->epoch, memory_order_acquire);
    if (at->expires_s <= dx_identity_now(self, x) / 1000000) return DX_EXPIRED_TOKEN;
    if (now - at->checked < DX_TOKEN_FRESH && at->epoch == epoch) return DX_OK;
    state read = {.updated_at = at->updated_at};
    dx_status status = read_state(&read, self, x, at->caller.session, at->caller.principal.number);
    if (status != DX_OK) return status;
    if (read.unchanged) {
        at->checked = now;
        at->epoch = epoch;
        return DX_OK;
    }
    status = make_entry(&changed, self, x->arena, &read.account, at->caller.session, at->token);
    if (status != DX_OK) return status;
    changed->expires_s = at->expires_s;
    changed->checked = now;
    changed->epoch = epoch;
    if (dx_arena_defer(x->arena, release, changed) != DX_OK) return DX_NO_MEMORY; // has released it
    x->principal = &changed->caller.principal;
    x->slots[self->slot] = &changed->caller;
    return DX_OK;
}

// --- the filter -------------------------------------------------------------------------------------------------------------

dx_verdict dx_bearer_refuse(dx_exchange *x, dx_status status, const char *detail) {
    static const dx_slice expired = DX_SLICE_INIT("Bearer error=\"invalid_token\", error_description=\"The token has expired\"");
    static const dx_slice invalid = DX_SLICE_INIT("Bearer error=\"invalid_token\", error_description=\"The token is not valid\"");
    dx_exchange_field(x, DX_SLICE("www-authenticate"), status == DX_EXPIRED_TOKEN ? expired : invalid);
    return dx_exchange_fail(x, status, "%s", detail);
}

// Clients send what they have along to where they get a new one: an old token must not keep them from that.
static bool needs_no_token(const dx_exchange *x) {
    const dx_operation *operation = x->operation;
    return operation && (operation->handler == dx_login_handle || operation->handler == dx_refresh_handle ||
                         operation->handler == dx_register_handle || operation->handler == dx_logout_handle);
}

static DX_COLD dx_verdict refuse(dx_exchange *x, dx_status status) {
    if (status == DX_BAD_TOKEN || status == DX_EXPIRED_TOKEN) {
        if (needs_no_token(x)) return DX_NEXT;
        return dx_bearer_refuse(x, status, status == DX_EXPIRED_TOKEN ? "get a new one at /auth/refresh" : "log in to get a new one");
    }
    return dx_exchange_fail(x, status, "the account could not be read");
}

// The one Authorization field (RFC 9110 section 11.6.2: it is no list). Of two, whoever stands before this server may have looked at the
// other, so neither is believed.
static inline bool read_credentials(dx_slice *out, const dx_fields *fields) {
    *out = (dx_slice){NULL, 0};
    for (uint32_t i = 0; i < fields->count; i++) {
        if (DX_LIKELY(fields->items[i].id != DX_FIELD_AUTHORIZATION)) continue;
        if (DX_UNLIKELY(out->data)) return false;
        *out = fields->items[i].value;
    }
    return true;
}

static dx_verdict bearer_in(const void *conf, dx_exchange *x) {
    const dx_identity *self = conf;
    entry *found;
    dx_slice value;
    if (DX_UNLIKELY(!read_credentials(&value, &x->request.fields)))
        return dx_bearer_refuse(x, DX_BAD_TOKEN, "send one Authorization field");
    if (value.size < 7 || !dx_slice_equal_nocase(dx_slice_of(value.data, 7), DX_SLICE("bearer "))) return DX_NEXT; // none, or not ours
    dx_slice token = dx_slice_from(value, 7);
    while (token.size && token.data[0] == ' ') token = dx_slice_from(token, 1);
    dx_status status = token.size ? look_up(&found, self, x, token) : DX_BAD_TOKEN;
    if (DX_UNLIKELY(status != DX_OK)) return refuse(x, status);
    if (DX_UNLIKELY(dx_arena_defer(x->arena, release, found) != DX_OK)) // has released it
        return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    x->principal = &found->caller.principal;
    x->slots[self->slot] = &found->caller;
    return DX_NEXT;
}

const dx_filter_ops dx_bearer_filter = {.name = "bearer", .in = bearer_in};
