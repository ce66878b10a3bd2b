// A question has two ends: the cache's call, on its loop, and the program's answer, from any thread. One lock says who has it: while it
// begins an answer is only kept; while it pends an answer is posted to its loop; once its call is gone, whoever comes last frees it.
//
// What varies (RFC 9111 section 4.1) is two items: one without a variant that names the fields, and one for each variant.
#include "client/cache_custom.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "policy/vary.h"

#define MARK       "duplex-vary-1\n"
#define ITEM_CAP   ((size_t)64 << 20)
#define NAMES_CAP  ((size_t)4096)
#define BEGIN_KEPT ((size_t)1 << 20) // of the arena that a variant's names are worked out in

typedef struct backend {
    struct backend *next;
    dx_cache_backend ops;
    void *ctx;
    dx_slice name; // behind this struct
} backend;

struct dx_customs {
    atomic_size_t holders;
    pthread_mutex_t lock;
    _Atomic(backend *) first; // grows only
    dx_cache_question *pending;
};

typedef struct custom {
    dx_cache cache;
    dx_customs *customs;
    _Atomic(backend *) found;
    _Atomic uint64_t hits, misses, stores, refused, invalidated, errors, unregistered;
    dx_slice name; // behind this struct
} custom;

typedef enum question_kind { ASKS_ENTRY, ASKS_VARIANT, TAKES_AWAY } question_kind;

struct dx_cache_question {
    dx_customs *customs; // held
    custom *cache;
    const backend *backend;
    dx_cache_call *call; // NULL: nobody waits any more
    dx_loop *loop;
    dx_task task;
    question_kind kind;
    bool pends, answered;
    dx_error_code code;
    uint64_t removed;
    char *bytes; // what was found; NULL: nothing
    size_t size;
    dx_cache_question *next, **link; // among those that pend
    char key[DX_CACHE_DIGEST_SIZE + 1], variant[DX_CACHE_DIGEST_SIZE + 1];
};

static void count(_Atomic uint64_t *what) {
    (void)atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

// --- the table -------------------------------------------------------------------------------------------------------------------------

dx_customs *dx_customs_create(void) {
    dx_customs *customs = dx_memory_zalloc(1, sizeof *customs);
    if (!customs) return NULL;
    atomic_init(&customs->holders, 1);
    (void)pthread_mutex_init(&customs->lock, NULL);
    return customs;
}

static void release(dx_customs *customs) {
    if (atomic_fetch_sub_explicit(&customs->holders, 1, memory_order_acq_rel) != 1) return;
    (void)pthread_mutex_destroy(&customs->lock);
    dx_memory_free(customs);
}

void dx_customs_close(dx_customs *customs) {
    if (!customs) return;
    for (backend *at = atomic_exchange(&customs->first, NULL), *next; at; at = next) {
        next = at->next;
        if (at->ops.destroy) at->ops.destroy(at->ctx);
        dx_memory_free(at);
    }
    release(customs);
}

static backend *find(dx_customs *customs, dx_slice name) {
    backend *at = atomic_load_explicit(&customs->first, memory_order_acquire);
    while (at && !dx_slice_equal(at->name, name)) at = at->next;
    return at;
}

dx_status dx_customs_add(dx_customs *customs, dx_slice name, const dx_cache_backend *ops, void *ctx) {
    backend *made = dx_memory_zalloc(1, sizeof *made + name.size);
    if (!made) return DX_NO_MEMORY;
    memcpy(&made->ops, ops, ops->size < sizeof made->ops ? ops->size : sizeof made->ops);
    made->ctx = ctx;
    if (name.size) memcpy(made + 1, name.data, name.size);
    made->name = dx_slice_of((char *)(made + 1), name.size);
    pthread_mutex_lock(&customs->lock);
    bool taken = find(customs, name) != NULL;
    made->next = atomic_load_explicit(&customs->first, memory_order_relaxed);
    if (!taken) atomic_store_explicit(&customs->first, made, memory_order_release);
    pthread_mutex_unlock(&customs->lock);
    if (!taken) return DX_OK;
    dx_memory_free(made);
    return DX_CONFLICT;
}

// --- questions -------------------------------------------------------------------------------------------------------------------------

static void free_question(dx_cache_question *q) {
    release(q->customs);
    dx_memory_free(q->bytes);
    dx_memory_free(q);
}

static void unlink_question(dx_cache_question *q) {
    *q->link = q->next;
    if (q->next) q->next->link = q->link;
    q->pends = false;
}

static void go_on(dx_task *task);

static dx_cache_question *make_question(custom *cache, const backend *b, dx_cache_call *call, question_kind kind) {
    dx_cache_question *q = dx_memory_zalloc(1, sizeof *q);
    if (!q) return NULL;
    (void)atomic_fetch_add_explicit(&cache->customs->holders, 1, memory_order_relaxed);
    q->customs = cache->customs;
    q->cache = cache;
    q->backend = b;
    q->call = call;
    q->loop = call->loop;
    q->task.run = go_on;
    q->kind = kind;
    call->backend[0] = q;
    return q;
}

// Behind the backend's function. True: it has been answered already.
static bool is_answered(dx_cache_question *q) {
    pthread_mutex_lock(&q->customs->lock);
    bool answered = q->answered;
    if (!answered) {
        q->pends = true;
        q->next = q->customs->pending;
        q->link = &q->customs->pending;
        if (q->next) q->next->link = &q->next;
        q->customs->pending = q;
    }
    pthread_mutex_unlock(&q->customs->lock);
    return answered;
}

void dx_cache_answer(dx_cache_question *q, dx_error_code code, const char *bytes, size_t size, uint64_t removed) {
    if (code == DX_ERROR_NONE && bytes && q->kind != TAKES_AWAY && size <= ITEM_CAP) {
        q->bytes = dx_memory_alloc(size + 1);
        if (q->bytes && size) memcpy(q->bytes, bytes, size);
        q->size = q->bytes ? size : 0;
    }
    q->code = code;
    q->removed = removed;
    dx_customs *customs = q->customs; // once the lock is off, the question may be gone, and the client too
    (void)atomic_fetch_add_explicit(&customs->holders, 1, memory_order_relaxed);
    pthread_mutex_lock(&customs->lock);
    bool wanted = q->call != NULL;
    q->answered = true;
    if (wanted && q->pends) {
        unlink_question(q);
        dx_loop_post(q->loop, &q->task);
    }
    pthread_mutex_unlock(&customs->lock);
    if (!wanted) free_question(q);
    release(customs);
}

static void custom_cancel(dx_cache *cache, dx_cache_call *call) {
    dx_cache_question *q = call->backend[0];
    (void)cache;
    dx_customs *customs = q->customs; // the table is the client's too, which is open
    pthread_mutex_lock(&customs->lock);
    q->call = NULL; // whoever answers frees it, or the task that is on its way
    if (q->pends) unlink_question(q);
    pthread_mutex_unlock(&customs->lock);
}

void dx_customs_leave(dx_customs *customs, dx_loop *loop) {
    for (;;) {
        pthread_mutex_lock(&customs->lock);
        dx_cache_question *q = customs->pending;
        while (q && q->loop != loop) q = q->next;
        dx_cache_call *call = q ? q->call : NULL;
        if (q) {
            unlink_question(q);
            q->call = NULL;
        }
        pthread_mutex_unlock(&customs->lock);
        if (!call) return;
        call->entry = NULL;
        call->status = DX_UNAVAILABLE;
        call->done(call);
    }
}

// --- getting ---------------------------------------------------------------------------------------------------------------------------

static bool miss(dx_cache_call *call) {
    call->entry = NULL;
    call->status = DX_NOT_FOUND;
    return true;
}

static bool is_mark(const dx_cache_question *q) {
    return q->size >= sizeof MARK - 1 && memcmp(q->bytes, MARK, sizeof MARK - 1) == 0;
}

// The variant of a request: a digest of what the named fields are in it.
static bool write_variant(char out[DX_CACHE_DIGEST_SIZE + 1], dx_slice names, const dx_fields *request) {
    dx_arena *arena = dx_arena_create(BEGIN_KEPT);
    dx_fields vary = {0};
    dx_buffer block;
    bool written = arena && dx_fields_add(&vary, arena, DX_SLICE("Vary"), names) == DX_OK;
    if (written) {
        dx_buffer_init(&block, arena, DX_VARY_BLOCK_CAP);
        written = dx_vary_write(&block, &vary, request) && dx_buffer_status(&block) == DX_OK;
    }
    if (written) dx_cache_key_digest(out, dx_buffer_slice(&block));
    out[written ? DX_CACHE_DIGEST_SIZE : 0] = '\0';
    dx_arena_destroy(arena);
    return written;
}

static bool take_answer(dx_cache_question *q);

static bool ask(dx_cache_question *q) {
    q->backend->ops.get(q->backend->ctx, q, q->key, q->variant);
    return is_answered(q) && take_answer(q);
}

// An entry that says another key, or varies otherwise, is somebody else's.
static void read_entry(dx_cache_question *q, dx_cache_call *call) {
    dx_cache_entry *entry = NULL;
    bool read = q->bytes && dx_cache_entry_read(&entry, dx_slice_of(q->bytes, q->size)) == DX_OK;
    if (read && dx_slice_equal(entry->key, call->key->text) && dx_vary_matches(entry->vary, call->fields) &&
        entry->freshness.keep_until > call->now) {
        call->entry = entry;
        call->status = DX_OK;
        count(&q->cache->hits);
        return;
    }
    dx_cache_entry_release(entry);
    (void)miss(call);
    count(&q->cache->misses);
}

// On the loop: what was answered. False: it asks on. The question is freed.
static bool take_answer(dx_cache_question *q) {
    dx_cache_call *call = q->call;
    call->backend[0] = NULL;
    if (q->code != DX_ERROR_NONE) count(&q->cache->errors);
    if (q->kind == TAKES_AWAY) {
        call->removed = q->removed;
        call->status = q->code == DX_ERROR_NONE ? DX_OK : DX_UNAVAILABLE;
        count(&q->cache->invalidated);
    } else if (q->kind == ASKS_ENTRY && is_mark(q)) {
        dx_cache_question *second = make_question(q->cache, q->backend, call, ASKS_VARIANT);
        dx_slice names = dx_slice_from(dx_slice_of(q->bytes, q->size), sizeof MARK - 1);
        if (second && write_variant(second->variant, names, call->fields)) {
            memcpy(second->key, q->key, sizeof q->key);
            free_question(q);
            return ask(second);
        }
        if (second) free_question(second);
        call->backend[0] = NULL;
        (void)miss(call);
    } else {
        read_entry(q, call);
    }
    free_question(q);
    return true;
}

static void go_on(dx_task *task) {
    dx_cache_question *q = DX_CONTAINER_OF(task, dx_cache_question, task);
    dx_cache_call *call = q->call;
    if (!call)
        free_question(q);
    else if (take_answer(q))
        call->done(call);
}

static custom *of(dx_cache *cache) {
    return DX_CONTAINER_OF(cache, custom, cache);
}

static backend *backend_of(custom *cache) {
    backend *b = atomic_load_explicit(&cache->found, memory_order_acquire);
    if (b) return b;
    b = find(cache->customs, cache->name);
    if (b) atomic_store_explicit(&cache->found, b, memory_order_release);
    return b;
}

static void write_key(char out[DX_CACHE_DIGEST_SIZE + 1], const dx_cache_key *key) {
    dx_cache_key_digest(out, key->text);
    out[DX_CACHE_DIGEST_SIZE] = '\0';
}

static bool custom_get(dx_cache *base, dx_cache_call *call) {
    custom *cache = of(base);
    const backend *b = backend_of(cache);
    call->level = base->ops->name;
    call->backend[0] = NULL;
    if (!b) {
        count(&cache->unregistered);
        return miss(call);
    }
    dx_cache_question *q = make_question(cache, b, call, ASKS_ENTRY);
    if (!q) return miss(call);
    write_key(q->key, call->key);
    return ask(q);
}

// --- putting ---------------------------------------------------------------------------------------------------------------------------

typedef struct texts {
    dx_arena *arena;
    bool failed;
} texts;

static const char *text_of(texts *t, dx_slice from) {
    dx_slice copy = dx_arena_copy(t->arena, from);
    t->failed |= !copy.data;
    return copy.data;
}

static const char *const *tags_of(texts *t, const dx_cache_entry *entry) {
    const char **tags = DX_ARENA_ARRAY(t->arena, const char *, entry->tag_count + 1);
    t->failed |= !tags;
    for (size_t i = 0; tags && i < entry->tag_count; i++) tags[i] = text_of(t, entry->tags[i]);
    return tags;
}

static bool put_items(const backend *b, dx_arena *arena, const dx_cache_call *call) {
    const dx_cache_entry *entry = call->entry;
    char key[DX_CACHE_DIGEST_SIZE + 1], variant[DX_CACHE_DIGEST_SIZE + 1] = "";
    texts t = {arena, false};
    dx_buffer bytes, mark;
    write_key(key, call->key);
    dx_buffer_init(&bytes, arena, ITEM_CAP);
    dx_buffer_init(&mark, arena, NAMES_CAP);
    dx_cache_entry_write(&bytes, entry);
    dx_cache_item item = {.key = key, .variant = "", .api = text_of(&t, call->key->space), .url = text_of(&t, call->key->url)};
    item.tags = tags_of(&t, entry);
    item.ttl_ms = (entry->freshness.keep_until - call->now + 999) / 1000;
    if (t.failed || dx_buffer_status(&bytes) != DX_OK || item.ttl_ms <= 0) return false;
    if (entry->vary.size) {
        dx_buffer_add(&mark, DX_SLICE(MARK));
        if (!dx_vary_names(&mark, entry->vary) || dx_buffer_status(&mark) != DX_OK) return false;
        dx_slice written = dx_buffer_slice(&mark);
        item.bytes = written.data;
        item.size = written.size;
        b->ops.put(b->ctx, &item);
        dx_cache_key_digest(variant, entry->vary);
        variant[DX_CACHE_DIGEST_SIZE] = '\0';
        item.variant = variant;
    }
    dx_slice written = dx_buffer_slice(&bytes);
    item.bytes = written.data;
    item.size = written.size;
    b->ops.put(b->ctx, &item);
    return true;
}

static void custom_put(dx_cache *base, dx_cache_call *call) {
    custom *cache = of(base);
    const backend *b = backend_of(cache);
    dx_arena *arena = b ? dx_arena_create(2 * ITEM_CAP + BEGIN_KEPT) : NULL;
    bool put = arena && put_items(b, arena, call);
    dx_arena_destroy(arena);
    count(put ? &cache->stores : &cache->refused);
    call->status = DX_OK;
}

// --- taking away -----------------------------------------------------------------------------------------------------------------------

static bool unable(custom *cache, dx_cache_call *call) {
    count(&cache->errors);
    call->status = DX_UNAVAILABLE;
    return true;
}

static bool custom_remove(dx_cache *base, dx_cache_call *call) {
    custom *cache = of(base);
    const backend *b = backend_of(cache);
    dx_cache_question *q = b && b->ops.remove ? make_question(cache, b, call, TAKES_AWAY) : NULL;
    if (!q) return unable(cache, call);
    write_key(q->key, call->key);
    b->ops.remove(b->ctx, q, q->key);
    return is_answered(q) && take_answer(q);
}

static bool custom_invalidate(dx_cache *base, dx_cache_call *call) {
    static const dx_cached_by by[] = {
        [DX_CACHE_URL] = DX_CACHED_BY_URL, [DX_CACHE_TAG] = DX_CACHED_BY_TAG, [DX_CACHE_PATTERN] = DX_CACHED_BY_PATTERN};
    custom *cache = of(base);
    const backend *b = backend_of(cache);
    dx_arena *arena = b && b->ops.invalidate ? dx_arena_create(BEGIN_KEPT) : NULL;
    texts t = {arena, arena == NULL};
    const char *api = arena ? text_of(&t, call->space) : NULL, *text = arena ? text_of(&t, call->text) : NULL;
    dx_cache_question *q = t.failed ? NULL : make_question(cache, b, call, TAKES_AWAY);
    if (q) b->ops.invalidate(b->ctx, q, by[call->what], api, text);
    dx_arena_destroy(arena);
    if (!q) return unable(cache, call);
    return is_answered(q) && take_answer(q);
}

static bool custom_clear(dx_cache *base, dx_cache_call *call) {
    custom *cache = of(base);
    const backend *b = backend_of(cache);
    dx_arena *arena = b && b->ops.clear ? dx_arena_create(BEGIN_KEPT) : NULL;
    texts t = {arena, arena == NULL};
    const char *api = arena ? text_of(&t, call->space) : NULL;
    dx_cache_question *q = t.failed ? NULL : make_question(cache, b, call, TAKES_AWAY);
    if (q) b->ops.clear(b->ctx, q, api);
    dx_arena_destroy(arena);
    if (!q) return unable(cache, call);
    return is_answered(q) && take_answer(q);
}

// --- the rest --------------------------------------------------------------------------------------------------------------------------

static uint64_t read_count(const _Atomic uint64_t *what) {
    return atomic_load_explicit(what, memory_order_relaxed);
}

static void custom_stats(dx_cache *base, dx_cache_stats *out) {
    custom *cache = of(base);
    out->hits = read_count(&cache->hits);
    out->misses = read_count(&cache->misses);
    out->stores = read_count(&cache->stores);
    out->refused = read_count(&cache->refused);
    out->invalidated = read_count(&cache->invalidated);
    out->errors = read_count(&cache->errors);
}

static void custom_destroy(dx_cache *base) {
    dx_memory_free(of(base));
}

static const dx_cache_ops custom_ops = {.name = "custom",
                                        .get = custom_get,
                                        .put = custom_put,
                                        .remove = custom_remove,
                                        .invalidate = custom_invalidate,
                                        .clear = custom_clear,
                                        .cancel = custom_cancel,
                                        .stats = custom_stats,
                                        .destroy = custom_destroy};

dx_status dx_cache_custom_create(dx_cache **out, dx_customs *customs, dx_slice name) {
    *out = NULL;
    custom *cache = dx_memory_zalloc(1, sizeof *cache + name.size);
    if (!cache) return DX_NO_MEMORY;
    cache->cache.ops = &custom_ops;
    cache->customs = customs;
    if (name.size) memcpy(cache + 1, name.data, name.size);
    cache->name = dx_slice_of((char *)(cache + 1), name.size);
    *out = &cache->cache;
    return DX_OK;
}

bool dx_cache_is_custom(const dx_cache *cache) {
    return cache && cache->ops == &custom_ops;
}

uint64_t dx_cache_custom_unregistered(const dx_cache *cache) {
    return dx_cache_is_custom(cache) ? read_count(&DX_CONTAINER_OF((dx_cache *)(uintptr_t)cache, custom, cache)->unregistered) : 0;
}

bool dx_cache_pattern(const char *pattern, const char *text) {
    dx_slice given = dx_slice_str(pattern);
    return given.size <= DX_CACHE_PATTERN_CAP && dx_cache_pattern_matches(given, dx_slice_str(text));
}
