// The way in looks up, and answers, follows a fetch that is under way, or goes on; the way out stores, confirms, or falls back on what is
// stale. One struct in the exchange's arena carries all of it. What pends elsewhere (a backend, a leader on another loop) is let go by
// x->stop. A place in a flight has memory of its own: news of it may be on its way when the exchange is gone.
#include "policy/cache_filter.h"

#include "base/memory.h"
#include "duplex/client.h"
#include "policy/vary.h"

enum { TIMED_ONE_IN = 64 }; // look-ups that end at once: the clock costs more than they do

typedef struct cached cached;
typedef struct place {
    dx_flight_waiter waiter;
    dx_task task; // news of the flight
    dx_loop *loop;
    cached *owner; // NULL: it went on without
} place;

struct cached {
    const dx_cache_conf *conf;
    dx_cache *cache; // the one for this caller
    dx_exchange *x;
    char credential[DX_CACHE_CREDENTIAL_SIZE];
    dx_cache_key key; // empty: past the cache
    dx_cache_call call;
    dx_cache_entry *entry; // what was found, held by the arena
    dx_cache_entry *given; // what it was answered with, likewise
    dx_cache_decision decision;
    dx_micros_utc now; // when it came, near enough for what is decided on the way in
    dx_micros_utc asked_at;
    dx_exchange_request asked; // as it came: those behind may change it. Its fields are a copy once it is let past
    place *place;              // in a flight; NULL: none
    bool answered;             // by this filter itself
    bool leads;                // the flight is this one's to land
    bool asks;                 // conditions were added
};

// --- holding ---------------------------------------------------------------------------------------------------------------------------

static void let_go(void *entry) {
    dx_cache_entry_release(entry);
}

// The exchange reads out of the entry for as long as its arena lives. Without memory the entry is let go.
static bool hold(dx_exchange *x, dx_cache_entry *entry) {
    return dx_arena_defer(x->arena, let_go, entry) == DX_OK;
}

// --- answering ---------------------------------------------------------------------------------------------------------------------------

// The entry's fields, and how old it is now (section 5.1) instead of how old it was. Without memory the age is left out.
static void answer_fields(dx_exchange *x, const dx_fields *stored, int64_t age_s) {
    enum { DIGITS = 20 };
    static const dx_slice name = DX_SLICE_INIT("Age");
    dx_field *items = dx_arena_alloc(x->arena, (stored->count + 1) * sizeof *items);
    char *digits = items ? dx_arena_bytes(x->arena, DIGITS) : NULL;
    x->response.fields = *stored;
    x->response.fields.capacity = stored->count; // one more would be added to a copy
    if (!digits) return;
    char *at = digits + DIGITS - 1;
    *at = '\0';
    do *--at = (char)('0' + age_s % 10);
    while (age_s /= 10);
    uint32_t count = 0;
    for (uint32_t i = 0; i < stored->count; i++) {
        const dx_field *field = &stored->items[i];
        if (field->name.size != name.size || !dx_slice_equal_nocase(field->name, name)) items[count++] = *field;
    }
    items[count++] = (dx_field){name, dx_slice_of(at, (size_t)(digits + DIGITS - 1 - at)), DX_FIELD_OTHER};
    x->response.fields = (dx_fields){items, count, stored->count + 1};
}

static dx_verdict answer(cached *c, dx_cache_entry *entry, dx_cache_state state, int64_t age_s) {
    dx_exchange *x = c->x;
    if (x->response.status || x->failure != DX_ERROR_NONE) dx_exchange_forget(x);
    x->response.status = entry->status;
    answer_fields(x, &entry->fields, age_s > 0 ? age_s : 0);
    x->response.body = c->asked.method == DX_HEAD ? (dx_slice){0} : entry->body;
    x->cached = (uint8_t)state;
    c->given = entry;
    if (c->conf->answered) c->conf->answered(c->conf->watcher, x->cached);
    return DX_ANSWER;
}

static int64_t age_s(const dx_cache_entry *entry, dx_micros_utc now) {
    return dx_freshness_age_us(&entry->freshness, now) / 1000000;
}

static dx_slice url_of(cached *c) {
    const dx_exchange_request *request = &c->asked;
    const char *scheme = request->secure ? "https://" : "http://";
    size_t size = strlen(scheme), all = size + request->authority.size + request->target.size;
    char *url = dx_arena_bytes(c->x->arena, all);
    if (!url) return (dx_slice){0};
    memcpy(url, scheme, size);
    memcpy(url + size, request->authority.data, request->authority.size);
    memcpy(url + size + request->authority.size, request->target.data, request->target.size);
    return dx_slice_of(url, all);
}

static dx_status make_key(cached *c) {
    dx_exchange *x = c->x;
    dx_slice url = url_of(c);
    if (!url.data) return DX_NO_MEMORY;
    dx_slice identity = x->principal ? x->principal->id : (dx_slice){0};
    dx_slice whose = dx_cache_credential_of_call(c->credential, identity, &x->request.fields, NULL, 0);
    c->cache = whose.size && c->conf->private_cache ? c->conf->private_cache : c->conf->cache;
    dx_cache_key_parts parts = {c->conf->space, whose, DX_GET, url};
    return dx_cache_key_make(&c->key, x->arena, &parts);
}

// --- asking the server -----------------------------------------------------------------------------------------------------------------

static bool add_conditions(cached *c) {
    dx_slice tag, since;
    dx_exchange *x = c->x;
    dx_freshness_conditions(&c->entry->fields, &tag, &since);
    c->asks = tag.data || since.data;
    return (!tag.data || dx_fields_add(&x->request.fields, x->arena, DX_SLICE("If-None-Match"), tag) == DX_OK) &&
           (!since.data || dx_fields_add(&x->request.fields, x->arena, DX_SLICE("If-Modified-Since"), since) == DX_OK);
}

static dx_verdict go_on(cached *c) {
    dx_exchange *x = c->x;
    x->cached = DX_CACHED_MISS;
    c->asked_at = dx_clock_utc();
    bool conditional = c->decision.verdict == DX_CACHE_REVALIDATE && c->entry && c->asked.method == DX_GET;
    if (!dx_fields_copy(&c->asked.fields, x->arena, &c->asked.fields, 0) || (conditional && !add_conditions(c)))
        return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    return DX_NEXT;
}

static void leave_place(cached *c) {
    dx_memory_free(c->place);
    c->place = NULL;
}

// Somebody else's fetch has brought it. It may be what was stale already, when his fetch failed: then it is as good as one's own.
static dx_verdict take_shared(cached *c, dx_cache_entry *entry) {
    dx_micros_utc now = dx_clock_utc();
    bool stale = c->entry && entry->freshness.response_time <= c->entry->freshness.response_time;
    if (!hold(c->x, entry)) return go_on(c);
    if (!dx_vary_matches(entry->vary, &c->asked.fields) || (stale && c->decision.error_until <= now)) return go_on(c);
    c->answered = true;
    return answer(c, entry, stale ? DX_CACHED_STALE : DX_CACHED_SHARED, age_s(entry, now));
}

// On the exchange's loop.
static void on_news(dx_task *task) {
    place *p = DX_CONTAINER_OF(task, place, task);
    cached *c = p->owner;
    dx_cache_entry *entry = p->waiter.news == DX_FLIGHT_ENTRY ? p->waiter.entry : NULL;
    if (!c) { // the deadline was faster
        dx_cache_entry_release(entry);
        dx_memory_free(p);
        return;
    }
    c->x->stop = NULL;
    c->leads = p->waiter.news == DX_FLIGHT_LEAD;
    if (!c->leads) leave_place(c);
    dx_exchange_resume(c->x, entry ? take_shared(c, entry) : go_on(c));
}

static void told(dx_flight_waiter *waiter) {
    place *p = waiter->ctx;
    dx_loop_post(p->loop, &p->task);
}

static void stop_following(dx_exchange *x) {
    cached *c = x->slots[DX_SLOT_CACHE];
    if (dx_flight_leave(c->conf->flight, &c->place->waiter)) return leave_place(c);
    c->place->owner = NULL; // its news is on the way
    c->place = NULL;
}

static dx_verdict fetch(cached *c) {
    dx_exchange *x = c->x;
    place *p = c->conf->flight && c->asked.method == DX_GET ? dx_memory_zalloc(1, sizeof *p) : NULL;
    if (!p) return go_on(c);
    c->place = p;
    *p = (place){.loop = x->loop, .owner = c, .task = {.run = on_news}};
    p->waiter = (dx_flight_waiter){.told = told, .ctx = p, .key = c->key.text, .hash = c->key.hash};
    if (dx_flight_join(c->conf->flight, &p->waiter)) {
        c->leads = true;
        dx_verdict verdict = go_on(c);
        if (verdict == DX_NEXT) return verdict;
        (void)dx_flight_leave(c->conf->flight, &p->waiter); // it is not asked on the way out
        leave_place(c);
        return verdict;
    }
    x->stop = stop_following;
    dx_exchange_enter(x, DX_PHASE_CACHE, dx_clock_monotonic());
    return DX_WAIT;
}

// --- looking up ------------------------------------------------------------------------------------------------------------------------

// Who was answered with what is stale has it fetched, unless that is done already.
static void revalidate(cached *c) {
    const dx_cache_conf *conf = c->conf;
    if (!conf->revalidate || (conf->flight && dx_flight_busy(conf->flight, c->key.text, c->key.hash))) return;
    conf->revalidate(conf->ctx, c->x);
}

static dx_verdict decide(cached *c) {
    dx_exchange *x = c->x;
    dx_cache_entry *entry = c->call.status == DX_OK ? c->call.entry : NULL;
    if (entry && !hold(x, entry)) entry = NULL;
    c->entry = entry;
    c->decision = dx_freshness_decide(entry ? &entry->freshness : NULL, c->asked.method, &x->request.fields, c->now);
    dx_cache_verdict verdict = c->decision.verdict;
    if (entry && (verdict == DX_CACHE_FRESH || verdict == DX_CACHE_STALE_REVALIDATE)) {
        c->answered = true;
        (void)answer(c, entry, c->decision.stale ? DX_CACHED_STALE : DX_CACHED_HIT, c->decision.age_s);
        if (verdict == DX_CACHE_STALE_REVALIDATE) revalidate(c);
        return DX_ANSWER;
    }
    if (verdict != DX_CACHE_UNSATISFIABLE) return fetch(c);
    c->answered = true;
    return dx_exchange_fail_out(x, DX_ERROR_NOT_CACHED, NULL);
}

static void on_found(dx_cache_call *call) {
    cached *c = DX_CONTAINER_OF(call, cached, call);
    dx_exchange *x = c->x;
    dx_nanos since = x->phase_since, now = dx_clock_monotonic();
    x->stop = NULL;
    dx_exchange_enter(x, DX_PHASE_CACHE, now);
    if (c->conf->looked_up) c->conf->looked_up(c->conf->watcher, c->cache, call, now - since);
    dx_verdict verdict = decide(c);
    if (verdict != DX_WAIT) dx_exchange_resume(x, verdict);
}

static void stop_looking(dx_exchange *x) {
    cached *c = x->slots[DX_SLOT_CACHE];
    dx_cache_cancel(c->cache, &c->call);
}

static dx_verdict look_up(cached *c) {
    dx_exchange *x = c->x;
    bool timed = c->conf->looked_up && ((uintptr_t)c ^ (uint64_t)x->started) % TIMED_ONE_IN == 0;
    dx_nanos since = timed ? dx_clock_monotonic() : 0;
    c->call = (dx_cache_call){.done = on_found, .loop = x->loop, .key = &c->key, .fields = &x->request.fields, .now = c->now};
    if (dx_cache_get(c->cache, &c->call)) {
        if (c->conf->looked_up) c->conf->looked_up(c->conf->watcher, c->cache, &c->call, timed ? dx_clock_monotonic() - since : 0);
        return decide(c);
    }
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
    c->asked = x->request;
    x->slots[DX_SLOT_CACHE] = c;
    if (x->request.method != DX_GET && x->request.method != DX_HEAD) return DX_NEXT;
    c->now = dx_clock_utc_coarse();
    c->decision = dx_freshness_decide(NULL, x->request.method, &x->request.fields, c->now);
    if (c->decision.verdict == DX_CACHE_BYPASS || make_key(c) != DX_OK) {
        x->slots[DX_SLOT_CACHE] = NULL;
        if (c->decision.verdict != DX_CACHE_UNSATISFIABLE) return DX_NEXT;
        return dx_exchange_fail_out(x, DX_ERROR_NOT_CACHED, NULL);
    }
    return look_up(c);
}

// --- the way out -----------------------------------------------------------------------------------------------------------------------

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

// More than this key, and never less.
static void remove_key(cached *c) {
    take_away(c, c->cache, c->key.url);
}

// An entry of the answer with these fields; NULL: it is not to be kept.
static dx_cache_entry *make_entry(cached *c, int status, const dx_fields *fields, dx_slice body) {
    dx_exchange *x = c->x;
    dx_cache_entry *entry = NULL;
    dx_freshness freshness;
    dx_buffer vary;
    dx_freshness_input input = {DX_GET, status, &c->asked.fields, fields, c->asked_at, dx_clock_utc()};
    // What stands at the end of redirects has a lifetime of its own, and not that of the redirect which led there.
    if (x->moved && c->conf->options.override_ttl_s < 0) return NULL;
    if (!dx_freshness_judge(&freshness, &input, &c->conf->options)) return NULL;
    dx_buffer_init(&vary, x->arena, DX_VARY_BLOCK_CAP);
    if (!dx_vary_write(&vary, fields, &c->asked.fields) || dx_buffer_status(&vary) != DX_OK) return NULL;
    dx_cache_entry_parts parts = {status, &freshness, c->key.text, dx_buffer_slice(&vary), body, fields, c->conf->tags, c->conf->tag_count};
    return dx_cache_entry_create(&entry, &parts) == DX_OK ? entry : NULL;
}

// 304: what is stored is right still, with some newer fields. What it makes is for the cache; NULL: it can't be kept as it is now.
static dx_cache_entry *confirm(cached *c) {
    dx_exchange *x = c->x;
    dx_fields updated = {0};
    dx_cache_entry *old = c->entry, *entry = NULL;
    if (dx_freshness_update(&updated, x->arena, &old->fields, &x->response.fields) == DX_OK)
        entry = make_entry(c, old->status, &updated, old->body);
    dx_cache_entry *given = entry && hold(x, dx_cache_entry_hold(entry)) ? entry : old;
    (void)answer(c, given, DX_CACHED_REVALIDATED, entry ? age_s(given, dx_clock_utc()) : 0);
    return entry;
}

static bool is_out_of_reach(dx_error_code failure) {
    dx_category category = dx_error_category(failure);
    return category == DX_CATEGORY_NETWORK || category == DX_CATEGORY_TIMEOUT || failure == DX_ERROR_LIMITED ||
           failure == DX_ERROR_CIRCUIT_OPEN || failure == DX_ERROR_QUEUE_FULL;
}

// Whether what is stale, if there is anything, stands in for what came (RFC 5861 section 4).
static bool falls_back(const cached *c) {
    const dx_exchange *x = c->x;
    if (c->decision.error_until <= dx_clock_utc()) return false;
    return x->failure != DX_ERROR_NONE ? is_out_of_reach(x->failure) : dx_freshness_is_error(x->response.status);
}

// What the flight's followers get; `failed`: the next one tries.
static void land(cached *c, dx_cache_entry *entry, bool failed) {
    if (!c->leads) return;
    c->leads = false;
    if (failed)
        (void)dx_flight_leave(c->conf->flight, &c->place->waiter);
    else if (dx_flight_land(c->conf->flight, &c->place->waiter, entry))
        remove_key(c);
    leave_place(c);
}

static void store(cached *c) {
    dx_exchange *x = c->x;
    bool failed = x->failure != DX_ERROR_NONE;
    if (c->entry && falls_back(c)) { // an error that says it may be stored does not drive out what is better
        land(c, c->entry, false);
        (void)answer(c, c->entry, DX_CACHED_STALE, age_s(c->entry, dx_clock_utc()));
        return;
    }
    dx_cache_entry *entry = NULL;
    if (!failed && x->response.status == 304 && c->asks && c->entry)
        entry = confirm(c);
    else if (!failed)
        entry = make_entry(c, x->response.status, &x->response.fields, x->response.body);
    if (entry) put(c, entry);
    land(c, entry, failed);
    dx_cache_entry_release(entry);
    if (!c->given && c->conf->answered) c->conf->answered(c->conf->watcher, DX_CACHED_MISS);
}

// HEAD (section 4.3.5): what it says may show that what is stored is another one by now.
static void compare(cached *c) {
    const dx_exchange *x = c->x;
    if (c->entry && x->failure == DX_ERROR_NONE && x->response.status == 200 &&
        !dx_freshness_head_agrees(&c->entry->fields, &x->response.fields))
        remove_key(c);
}

// An unsafe method was let through: what is stored of its target is not right any more (section 4.4).
static void invalidate(cached *c) {
    dx_exchange *x = c->x;
    dx_slice urls[DX_INVALIDATED_CAP], target = url_of(c);
    size_t count = 0;
    if (!target.data || dx_freshness_invalidated(urls, &count, x->arena, target, &x->response.fields) != DX_OK) return;
    if (c->conf->flight && count) dx_flight_spoil(c->conf->flight, NULL);
    for (size_t i = 0; i < count; i++) {
        take_away(c, c->conf->cache, urls[i]);
        if (c->conf->private_cache) take_away(c, c->conf->private_cache, urls[i]);
    }
}

// A 304 that speaks of something else than what is stored (section 4.3.4): the whole request once more, without conditions.
static dx_verdict cache_again(const void *conf, dx_exchange *x) {
    cached *c = x->slots[DX_SLOT_CACHE];
    (void)conf;
    if (!c || !c->asks || x->failure != DX_ERROR_NONE || x->response.status != 304) return DX_ANSWER;
    if (dx_freshness_confirms(&c->entry->fields, &x->response.fields)) return DX_ANSWER;
    c->asks = false;
    c->asked_at = dx_clock_utc();
    x->request = c->asked;
    if (!dx_fields_copy(&x->request.fields, x->arena, &x->request.fields, 0)) return DX_ANSWER;
    x->slots[DX_SLOT_AUTH] = NULL; // it begins anew as well, from the request as it came
    dx_exchange_forget(x);
    return DX_NEXT;
}

static void cache_out(const void *conf, dx_exchange *x) {
    cached *c = x->slots[DX_SLOT_CACHE];
    (void)conf;
    if (!c || c->answered) return;
    c->answered = true; // by whatever it is
    if (c->asked.method == DX_GET)
        store(c);
    else if (c->asked.method == DX_HEAD)
        compare(c);
    else if (x->failure == DX_ERROR_NONE && dx_freshness_invalidates(c->asked.method, x->response.status))
        invalidate(c);
}

dx_cache_entry *dx_cache_filter_entry(const dx_exchange *x) {
    const cached *c = x->slots[DX_SLOT_CACHE];
    return c ? c->given : NULL;
}

const dx_filter_ops dx_cache_filter = {.name = "cache", .in = cache_in, .again = cache_again, .out = cache_out};
