// The way in looks up, and answers, follows a fetch that is under way, or goes on; the way out stores, confirms, or falls back on what is
// stale. One struct in the exchange's arena carries all of it; what pends elsewhere (a backend, a leader on another loop) is let go by
// x->stop.
#include "policy/cache_filter.h"

#include "base/memory.h"
#include "duplex/client.h"
#include "policy/vary.h"

typedef struct cached {
    const dx_cache_conf *conf;
    dx_cache *cache; // the one for this caller
    dx_exchange *x;
    char credential[DX_CACHE_CREDENTIAL_SIZE];
    dx_cache_key key;
    dx_cache_call call;
    dx_cache_entry *entry; // what was found, held by the arena
    dx_cache_decision decision;
    dx_micros_utc now; // when it came, near enough for what is decided on the way in
    dx_micros_utc asked_at;
    dx_flight_waiter waiter;
    dx_task task;  // news of the flight
    bool answered; // by this filter itself
    bool leads;    // the flight is this one's to land
    bool waits;    // for the flight
    bool given_up; // it went on while news was on its way
} cached;

// --- holding ---------------------------------------------------------------------------------------------------------------------------

static void let_go(void *entry) {
    dx_cache_entry_release(entry);
}

// The exchange reads out of the entry for as long as its arena lives. Without memory the entry is let go.
static bool hold(dx_exchange *x, dx_cache_entry *entry) {
    return dx_arena_defer(x->arena, let_go, entry) == DX_OK;
}

// --- answering ---------------------------------------------------------------------------------------------------------------------------

static dx_verdict answer(cached *c, dx_cache_entry *entry, dx_cache_state state, int64_t age_s) {
    dx_exchange *x = c->x;
    dx_exchange_forget(x);
    x->response.status = entry->status;
    x->response.fields = entry->fields; // one more is added to a copy
    x->response.fields.capacity = entry->fields.count;
    x->response.body = entry->body;
    x->cached = (uint8_t)state;
    dx_slice age = dx_arena_printf(x->arena, "%lld", (long long)age_s);
    if (age.data) (void)!dx_fields_add(&x->response.fields, x->arena, DX_SLICE("Age"), age);
    return DX_ANSWER;
}

static dx_slice url_of(dx_exchange *x) {
    const dx_exchange_request *request = &x->request;
    const char *scheme = request->secure ? "https://" : "http://";
    size_t size = strlen(scheme), all = size + request->authority.size + request->target.size;
    char *url = dx_arena_bytes(x->arena, all);
    if (!url) return (dx_slice){0};
    memcpy(url, scheme, size);
    memcpy(url + size, request->authority.data, request->authority.size);
    memcpy(url + size + request->authority.size, request->target.data, request->target.size);
    return dx_slice_of(url, all);
}

static dx_status make_key(cached *c, dx_method method) {
    dx_exchange *x = c->x;
    dx_slice url = url_of(x);
    if (!url.data) return DX_NO_MEMORY;
    dx_slice identity = x->principal ? x->principal->id : (dx_slice){0};
    dx_slice whose = dx_cache_credential_of_call(c->credential, identity, &x->request.fields, NULL, 0);
    c->cache = whose.size && c->conf->private_cache ? c->conf->private_cache : c->conf->cache;
    dx_cache_key_parts parts = {c->conf->space, whose, method, url};
    return dx_cache_key_make(&c->key, x->arena, &parts);
}

// --- asking the server
// --------------------------------------------------------------------------------------------------------------------

static bool add_conditions(cached *c) {
    dx_slice tag, since;
    dx_exchange *x = c->x;
    dx_freshness_conditions(&c->entry->fields, &tag, &since);
    return (!tag.data || dx_fields_add(&x->request.fields, x->arena, DX_SLICE("If-None-Match"), tag) == DX_OK) &&
           (!since.data || dx_fields_add(&x->request.fields, x->arena, DX_SLICE("If-Modified-Since"), since) == DX_OK);
}

static dx_verdict go_on(cached *c) {
    dx_exchange *x = c->x;
    x->cached = DX_CACHED_MISS;
    c->asked_at = dx_clock_utc();
    if (c->decision.verdict == DX_CACHE_REVALIDATE && c->entry && !add_conditions(c))
        return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    return DX_NEXT;
}

static dx_verdict take_shared(cached *c, dx_cache_entry *entry) {
    if (!hold(c->x, entry)) return go_on(c);
    if (!dx_vary_matches(entry->vary, &c->x->request.fields)) return go_on(c);
    c->answered = true;
    return answer(c, entry, DX_CACHED_SHARED, 0);
}

// On the exchange's loop.
static void on_news(dx_task *task) {
    cached *c = DX_CONTAINER_OF(task, cached, task);
    dx_exchange *x = c->x;
    dx_flight_news news = c->waiter.news;
    x->stop = NULL;
    c->waits = false;
    if (c->given_up) { // the deadline was faster: whoever leads must not be waited for
        if (news == DX_FLIGHT_LEAD && !dx_flight_leave(c->conf->flight, &c->waiter)) news = c->waiter.news;
        if (news == DX_FLIGHT_ENTRY) dx_cache_entry_release(c->waiter.entry);
        dx_exchange_resume(x, DX_ANSWER);
        return;
    }
    c->leads = news == DX_FLIGHT_LEAD;
    dx_exchange_resume(x, news == DX_FLIGHT_ENTRY ? take_shared(c, c->waiter.entry) : go_on(c));
}

static void told(dx_flight_waiter *waiter) {
    cached *c = waiter->ctx;
    c->task.run = on_news;
    dx_loop_post(c->x->loop, &c->task);
}

static void stop_following(dx_exchange *x) {
    cached *c = x->slots[DX_SLOT_CACHE];
    if (!dx_flight_leave(c->conf->flight, &c->waiter)) c->given_up = true;
}

static dx_verdict fetch(cached *c) {
    dx_exchange *x = c->x;
    if (!c->conf->flight) return go_on(c);
    c->waiter = (dx_flight_waiter){.told = told, .ctx = c, .key = c->key.text, .hash = c->key.hash};
    if (dx_flight_join(c->conf->flight, &c->waiter)) {
        c->leads = true;
        return go_on(c);
    }
    c->waits = true;
    x->stop = stop_following;
    dx_exchange_enter(x, DX_PHASE_CACHE, dx_clock_monotonic());
    return DX_WAIT;
}

// --- looking up
// ----------------------------------------------------------------------------------------------------------------------------

static dx_verdict decide(cached *c) {
    dx_exchange *x = c->x;
    dx_cache_entry *entry = c->call.status == DX_OK ? c->call.entry : NULL;
    if (entry && !hold(x, entry)) entry = NULL;
    c->entry = entry;
    c->decision = dx_freshness_decide(entry ? &entry->freshness : NULL, DX_GET, &x->request.fields, c->now);
    switch (c->decision.verdict) {
    case DX_CACHE_FRESH:
    case DX_CACHE_STALE_REVALIDATE:
        c->answered = true;
        (void)answer(c, entry, c->decision.stale ? DX_CACHED_STALE : DX_CACHED_HIT, c->decision.age_s);
        if (c->decision.verdict == DX_CACHE_STALE_REVALIDATE && c->conf->revalidate) c->conf->revalidate(c->conf->ctx, x);
        return DX_ANSWER;
    case DX_CACHE_UNSATISFIABLE:
        c->answered = true;
        return dx_exchange_fail_out(x, DX_ERROR_NOT_CACHED, NULL);
    default:
        return fetch(c);
    }
}

static void on_found(dx_cache_call *call) {
    cached *c = DX_CONTAINER_OF(call, cached, call);
    c->x->stop = NULL;
    dx_verdict verdict = decide(c);
    if (verdict != DX_WAIT) dx_exchange_resume(c->x, verdict);
}

static void stop_looking(dx_exchange *x) {
    cached *c = x->slots[DX_SLOT_CACHE];
    dx_cache_cancel(c->cache, &c->call);
}

static dx_verdict look_up(cached *c) {
    dx_exchange *x = c->x;
    c->call = (dx_cache_call){.done = on_found, .loop = x->loop, .key = &c->key, .fields = &x->request.fields, .now = c->now};
    if (dx_cache_get(c->cache, &c->call)) return decide(c);
    x->stop = stop_looking;
    dx_exchange_enter(x, DX_PHASE_CACHE, dx_clock_monotonic());
    return DX_WAIT;
}

static dx_verdict cache_in(const void *conf, dx_exchange *x) {
    x->slots[DX_SLOT_CACHE] = NULL;
    if (x->streams) return DX_NEXT;
    cached *c = DX_ARENA_NEW(x->arena, cached);
    if (!c) return DX_NEXT; // a cache is a help, not a need
    c->conf = conf;
    c->x = x;
    x->slots[DX_SLOT_CACHE] = c;
    if (x->request.method != DX_GET) return DX_NEXT;
    c->now = dx_clock_utc();
    c->decision = dx_freshness_decide(NULL, DX_GET, &x->request.fields, c->now);
    if (c->decision.verdict == DX_CACHE_BYPASS || make_key(c, DX_GET) != DX_OK) {
        x->slots[DX_SLOT_CACHE] = NULL;
        return DX_NEXT;
    }
    return look_up(c);
}

// --- the way out
// ---------------------------------------------------------------------------------------------------------------------------

static void put(cached *c, dx_cache_entry *entry) {
    dx_cache_call call = {.loop = c->x->loop, .key = &c->key, .now = dx_clock_utc(), .entry = entry};
    dx_cache_put(c->cache, &call);
}

// Pending ones (Redis) outlive the exchange: they have memory of their own.
static void end_detached(dx_cache_call *call) {
    dx_memory_free(call);
}

static void take_away(cached *c, dx_cache *cache, dx_slice url) {
    dx_slice space = c->conf->space;
    dx_cache_call *call = dx_memory_zalloc(1, sizeof *call + url.size + space.size);
    if (!call) return;
    char *text = memcpy(call + 1, url.data, url.size);
    if (space.size) memcpy(text + url.size, space.data, space.size);
    *call = (dx_cache_call){.done = end_detached,
                            .loop = c->x->loop,
                            .what = DX_CACHE_URL,
                            .space = dx_slice_of(text + url.size, space.size),
                            .text = dx_slice_of(text, url.size)};
    if (dx_cache_invalidate(cache, call)) dx_memory_free(call);
}

static void remove_key(cached *c) {
    if (c->cache == c->conf->cache) take_away(c, c->cache, c->key.url); // more than this key, and never less
    if (c->conf->private_cache) take_away(c, c->conf->private_cache, c->key.url);
}

// An entry of the answer with these fields; NULL: it is not to be kept.
static dx_cache_entry *make_entry(cached *c, int status, const dx_fields *fields, dx_slice body) {
    dx_exchange *x = c->x;
    dx_cache_entry *entry = NULL;
    dx_freshness freshness;
    dx_buffer vary;
    dx_freshness_input input = {DX_GET, status, &x->request.fields, fields, c->asked_at, dx_clock_utc()};
    if (!dx_freshness_judge(&freshness, &input, &c->conf->options)) return NULL;
    dx_buffer_init(&vary, x->arena, DX_VARY_BLOCK_CAP);
    if (!dx_vary_write(&vary, fields, &x->request.fields) || dx_buffer_status(&vary) != DX_OK) return NULL;
    dx_cache_entry_parts parts = {status, &freshness, c->key.text, dx_buffer_slice(&vary), body, fields, c->conf->tags, c->conf->tag_count};
    return dx_cache_entry_create(&entry, &parts) == DX_OK ? entry : NULL;
}

// 304: what is stored is right still, with some newer fields.
static dx_cache_entry *confirm(cached *c) {
    dx_exchange *x = c->x;
    dx_fields updated = {0};
    dx_cache_entry *old = c->entry;
    if (!dx_freshness_confirms(&old->fields, &x->response.fields)) return NULL;
    if (dx_freshness_update(&updated, x->arena, &old->fields, &x->response.fields) != DX_OK) return NULL;
    dx_cache_entry *entry = make_entry(c, old->status, &updated, old->body);
    dx_cache_entry *given = entry ? entry : old;
    if (entry && !hold(x, dx_cache_entry_hold(entry))) given = old;
    (void)answer(c, given, DX_CACHED_REVALIDATED, 0);
    return entry;
}

static bool may_fall_back(const cached *c) {
    const dx_exchange *x = c->x;
    if (!c->entry || c->decision.error_until <= dx_clock_utc()) return false;
    if (x->failure != DX_ERROR_NONE) return x->failure != DX_ERROR_CANCELLED && x->failure != DX_ERROR_CLOSED;
    return dx_freshness_is_error(x->response.status);
}

// What the flight's followers get.
static void land(cached *c, dx_cache_entry *entry, bool failed) {
    if (!c->leads) return;
    c->leads = false;
    if (failed) {
        (void)dx_flight_leave(c->conf->flight, &c->waiter); // the next one tries
    } else if (dx_flight_land(c->conf->flight, &c->waiter, entry)) {
        remove_key(c);
    }
}

static void store(cached *c) {
    dx_exchange *x = c->x;
    bool failed = x->failure != DX_ERROR_NONE;
    dx_cache_entry *entry = NULL;
    if (!failed && x->response.status == 304 && c->entry)
        entry = confirm(c);
    else if (!failed)
        entry = make_entry(c, x->response.status, &x->response.fields, x->response.body);
    if (entry) put(c, entry);
    land(c, entry, failed);
    dx_cache_entry_release(entry);
    if (may_fall_back(c)) (void)answer(c, c->entry, DX_CACHED_STALE, dx_freshness_age_us(&c->entry->freshness, dx_clock_utc()) / 1000000);
}

// An unsafe method was let through: what is stored of its target is not right any more (section 4.4).
static void invalidate(cached *c) {
    dx_exchange *x = c->x;
    dx_slice urls[DX_INVALIDATED_CAP], target = url_of(x);
    size_t count = 0;
    if (!target.data || dx_freshness_invalidated(urls, &count, x->arena, target, &x->response.fields) != DX_OK) return;
    for (size_t i = 0; i < count; i++) {
        if (c->conf->flight) dx_flight_spoil(c->conf->flight, NULL);
        take_away(c, c->conf->cache, urls[i]);
        if (c->conf->private_cache) take_away(c, c->conf->private_cache, urls[i]);
    }
}

static void cache_out(const void *conf, dx_exchange *x) {
    cached *c = x->slots[DX_SLOT_CACHE];
    (void)conf;
    if (!c || c->answered || c->waits) return;
    if (x->request.method == DX_GET && c->key.text.size)
        store(c);
    else if (x->failure == DX_ERROR_NONE && dx_freshness_invalidates(x->request.method, x->response.status))
        invalidate(c);
}

const dx_filter_ops dx_cache_filter = {.name = "cache", .in = cache_in, .out = cache_out};
