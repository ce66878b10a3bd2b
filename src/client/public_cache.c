// What programs may do with a client's caches. An API's calls may use several: an endpoint can have settings of its own. Each is asked
// once, within the API's own space, so that what others keep in the same Redis stays.
#include "client/cache_custom.h"
#include "client/cache_stats.h"
#include "client/fail.h"
#include "loop/embed.h"
#include "policy/cache_url.h"

#define WORK_ARENA_CAP ((size_t)16 << 20)

// One operation, as a thread waits for it.
typedef struct operation {
    dx_cache_call call;
    bool over;
} operation;

typedef struct work {
    dx_client *client;
    dx_apis *apis; // held
    dx_arena *arena;
    dx_engine *engine; // lent; NULL: not needed yet
    const dx_api *api;
    dx_cached_by by;
    dx_slice text;
    bool clears;
    uint64_t removed;
    bool unavailable, senseless, short_of_memory;
} work;

// --- going through caches --------------------------------------------------------------------------------------------------------------

static const dx_cache_use *use_at(const dx_api *api, size_t i) {
    return dx_cache_use_of(i == 0 ? api->settings : api->endpoints[i - 1]->settings);
}

// Calls `visit` for each of an API's caches once. (An API has few: the definition says so.)
static void each_use(const dx_api *api, void (*visit)(const dx_cache_use *use, bool new_set, bool new_meter, void *ctx), void *ctx) {
    const dx_cache_use *last = NULL;
    for (size_t i = 0; i <= api->endpoint_count; i++) {
        const dx_cache_use *use = use_at(api, i);
        if (!use || use == last) continue;
        last = use;
        bool new_set = true, new_meter = true;
        for (size_t j = 0; j < i && (new_set || new_meter); j++) {
            const dx_cache_use *before = use_at(api, j);
            if (before && before->set == use->set) new_set = false;
            if (before && before->meter == use->meter) new_meter = false;
        }
        if (new_set || new_meter) visit(use, new_set, new_meter, ctx);
    }
}

static dx_error_code begin(work *w, dx_client *client, const char *api, dx_error *error) {
    dx_slice near;
    w->client = client;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    w->arena = dx_arena_create(WORK_ARENA_CAP);
    if (!w->arena) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to go through the caches");
    w->apis = dx_client_apis(client);
    w->api = api ? dx_apis_api(w->apis, dx_slice_str(api), &near) : NULL;
    if (!api || w->api) return DX_ERROR_NONE;
    return dx_fail(error, DX_ERROR_UNKNOWN_NAME, "there is no API \"%s\"", api);
}

static void end(work *w) {
    if (w->engine) dx_client_give_back(w->client, w->engine);
    if (w->apis) dx_apis_release(w->apis);
    dx_arena_destroy(w->arena);
}

static void each_api(work *w, void (*visit)(work *w, const dx_api *api)) {
    dx_map_entry *entry;
    if (w->api) return visit(w, w->api);
    for (size_t i = 0; (entry = dx_map_next(&w->apis->apis, &i));) visit(w, entry->value);
}

// --- taking away -----------------------------------------------------------------------------------------------------------------------

static void on_done(dx_cache_call *call) {
    DX_CONTAINER_OF(call, operation, call)->over = true;
}

static void run(work *w, bool (*begin_it)(dx_cache *, dx_cache_call *), dx_cache *cache, dx_cache_call call) {
    if (!cache) return;
    if (!w->engine) w->engine = dx_client_lend(w->client);
    if (!w->engine) {
        w->short_of_memory = true;
        return;
    }
    operation o = {.call = call};
    o.call.done = on_done;
    o.call.loop = w->engine->loop;
    if (!begin_it(cache, &o.call))
        while (!dx_loop_wait_for(w->engine->loop, &o.over, -1)) continue;
    w->removed += o.call.removed;
    w->senseless |= o.call.status == DX_BAD_REQUEST;
    w->unavailable |= o.call.status == DX_UNAVAILABLE;
    w->short_of_memory |= o.call.status == DX_NO_MEMORY;
}

// With the credential that the API's calls send, and without one, as where auth is not required.
static void remove_key(work *w, const dx_cache_use *use, const dx_api *api) {
    const dx_settings *settings = api->settings;
    dx_slice identities[2] = {{0}, settings->identity ? dx_slice_str(settings->identity->identity) : (dx_slice){0}};
    for (size_t i = 0; i < (settings->identity ? 2u : 1u); i++) {
        char credential[DX_CACHE_CREDENTIAL_SIZE];
        dx_cache_key key;
        dx_slice whose = dx_cache_credential_of_call(credential, identities[i], &settings->headers, NULL, 0);
        dx_cache_key_parts parts = {api->name, whose, DX_GET, w->text};
        dx_status status = dx_cache_key_make(&key, w->arena, &parts);
        w->senseless |= status == DX_BAD_REQUEST;
        w->short_of_memory |= status == DX_NO_MEMORY;
        if (status != DX_OK) return;
        run(w, dx_cache_remove, use->set->cache, (dx_cache_call){.key = &key});
        run(w, dx_cache_remove, use->set->private, (dx_cache_call){.key = &key});
    }
}

typedef struct visit_ctx {
    work *w;
    const dx_api *api;
} visit_ctx;

static void take_away(const dx_cache_use *use, bool new_set, bool new_meter, void *ctx) {
    static const dx_cache_what what[] = {
        [DX_CACHED_BY_URL] = DX_CACHE_URL, [DX_CACHED_BY_TAG] = DX_CACHE_TAG, [DX_CACHED_BY_PATTERN] = DX_CACHE_PATTERN};
    const visit_ctx *v = ctx;
    work *w = v->w;
    (void)new_meter;
    if (!new_set) return;
    dx_flight_spoil(use->set->flight, NULL);
    if (!w->clears && w->by == DX_CACHED_BY_KEY) return remove_key(w, use, v->api);
    dx_cache_call call = {.space = v->api->name, .text = w->text};
    if (!w->clears) call.what = what[w->by];
    bool (*begin_it)(dx_cache *, dx_cache_call *) = w->clears ? dx_cache_clear : dx_cache_invalidate;
    run(w, begin_it, use->set->cache, call);
    run(w, begin_it, use->set->private, call);
}

static void take_away_of(work *w, const dx_api *api) {
    visit_ctx ctx = {w, api};
    each_use(api, take_away, &ctx);
}

static dx_error_code tell(work *w, uint64_t *removed, dx_error *error) {
    if (removed) *removed = w->removed;
    if (w->short_of_memory) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to go through the caches");
    if (w->senseless) return dx_fail(error, DX_ERROR_ARGUMENT, "what is to be taken from the cache is empty, too long, or no URL");
    if (w->unavailable) return dx_fail(error, DX_ERROR_CONNECT, "a cache did not answer: what was to be taken away may still be there");
    return DX_ERROR_NONE;
}

// A URL in the form that keys have; a path is one of the API's.
static dx_status read_url(work *w, const char *text) {
    dx_slice given = dx_slice_str(text);
    if (w->api && given.size && given.data[0] == '/')
        given = dx_arena_printf(w->arena, "%.*s%.*s%s", DX_SLICE_ARG(w->api->origin), DX_SLICE_ARG(w->api->base_path), text);
    return given.data ? dx_cache_url_normalise(&w->text, w->arena, given) : DX_NO_MEMORY;
}

dx_error_code dx_client_cache_invalidate(dx_client *client, dx_cached_by by, const char *api, const char *text, uint64_t *removed,
                                         dx_error *error) {
    work w = {.by = by, .text = dx_slice_str(text)};
    if (removed) *removed = 0;
    if ((unsigned)by > DX_CACHED_BY_KEY) return dx_fail(error, DX_ERROR_ARGUMENT, "a cache knows no such way to take away");
    if (by == DX_CACHED_BY_KEY && !api) return dx_fail(error, DX_ERROR_ARGUMENT, "a key is one API's: which?");
    dx_error_code code = begin(&w, client, api, error);
    if (!code && (by == DX_CACHED_BY_URL || by == DX_CACHED_BY_KEY)) {
        dx_status status = read_url(&w, text);
        w.senseless = status == DX_BAD_REQUEST;
        w.short_of_memory = status == DX_NO_MEMORY;
    }
    w.senseless |= !w.text.size || (by == DX_CACHED_BY_PATTERN && w.text.size > DX_CACHE_PATTERN_CAP);
    if (!code && !w.senseless && !w.short_of_memory) each_api(&w, take_away_of);
    if (!code) code = tell(&w, removed, error);
    end(&w);
    return code;
}

dx_error_code dx_client_cache_clear(dx_client *client, const char *api, uint64_t *removed, dx_error *error) {
    work w = {.clears = true};
    if (removed) *removed = 0;
    dx_error_code code = begin(&w, client, api, error);
    if (!code) each_api(&w, take_away_of);
    if (!code) code = tell(&w, removed, error);
    end(&w);
    return code;
}

// --- numbers ---------------------------------------------------------------------------------------------------------------------------

typedef struct summing {
    dx_cache_sum sum;
    dx_map seen; // sets whose numbers are in already: APIs share them
    bool short_of_memory;
} summing;

static void add(const dx_cache_use *use, bool new_set, bool new_meter, void *ctx) {
    summing *s = ctx;
    if (new_meter) dx_cache_sum_meter(&s->sum, use->meter);
    dx_slice key = dx_slice_of((const char *)&use->set, sizeof use->set);
    if (!new_set || dx_map_get(&s->seen, key)) return;
    s->short_of_memory |= dx_map_put(&s->seen, key, (void *)(uintptr_t)use->set) != DX_OK;
    dx_cache_sum_set(&s->sum, use->set);
}

static void add_all(summing *s, const work *w) {
    dx_map_entry *entry;
    dx_map_init(&s->seen, w->arena);
    if (w->api) each_use(w->api, add, s);
    for (size_t i = 0; !w->api && (entry = dx_map_next(&w->apis->apis, &i));) each_use(entry->value, add, s);
    dx_cache_sum_finish(&s->sum);
}

dx_error_code dx_client_cache_stats(dx_client *client, const char *api, dx_cache_report *out, dx_error *error) {
    work w = {0};
    dx_error_code code = begin(&w, client, api, error);
    summing *s = code ? NULL : DX_ARENA_NEW(w.arena, summing);
    if (s) {
        uint32_t size = out->size;
        add_all(s, &w);
        s->sum.report.size = size;
        memcpy(out, &s->sum.report, size < sizeof s->sum.report ? size : sizeof s->sum.report);
    }
    if (!code && (!s || s->short_of_memory)) code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to go through the caches");
    end(&w);
    return code;
}

// --- backends --------------------------------------------------------------------------------------------------------------------------

dx_error_code dx_client_add_cache(dx_client *client, const char *name, const dx_cache_backend *backend, void *context, dx_error *error) {
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (!name || !*name || !backend->get || !backend->put) return dx_fail(error, DX_ERROR_ARGUMENT, "a cache needs a name, get and put");
    switch (dx_customs_add(client->customs, dx_slice_str(name), backend, context)) {
    case DX_OK:
        return DX_ERROR_NONE;
    case DX_CONFLICT:
        return dx_fail(error, DX_ERROR_ARGUMENT, "there is a cache named \"%s\" already", name);
    default:
        return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a cache's name");
    }
}
