// Where cached responses are kept: what every backend answers to. Memory (policy/cache_memory.h), Redis, two levels
// (policy/cache_tiered.h) and a program's own all stand behind these operations; the filter above knows no other.
//
// An operation either ends at once (a hit in memory costs no callback and no allocation) or is pending and told later, on a loop. A put
// always ends at once: what it starts goes on by itself. Reads and writes *fail open*: a backend that is out of order answers DX_NOT_FOUND
// to a get and forgets a put, so that calls go on without a cache. Invalidations that fail are told (DX_UNAVAILABLE): somebody relies on
// them.
#ifndef DX_POLICY_CACHE_H
#define DX_POLICY_CACHE_H

#include "loop/loop.h"
#include "policy/cache_entry.h"
#include "policy/cache_key.h"

typedef struct dx_cache dx_cache;
typedef struct dx_cache_call dx_cache_call;

typedef enum dx_cache_what {
    DX_CACHE_URL,    // exactly this normalised URL, with every credential, method and variant (RFC 9111 section 4.4)
    DX_CACHE_TAG,    // every entry that was stored with this tag
    DX_CACHE_PATTERN // every entry whose URL is as the pattern says (dx_cache_pattern_matches)
} dx_cache_what;

// One operation. The caller's memory; zero it, fill in what the operation wants. While it is pending, all that it points to stays as it is,
// and the struct stays where it is.
struct dx_cache_call {
    void (*done)(dx_cache_call *call); // a pending one's end: once, on `loop`, never from inside the call that began it
    dx_loop *loop;                     // of the calling thread; may be NULL for a backend that never pends
    const dx_cache_key *key;           // get, put, remove
    const dx_fields *fields;           // get: the request's, for Vary; never NULL
    dx_micros_utc now;                 // get, put
    dx_cache_entry *entry;             // get: the answer, held for the caller (NULL: none); put: to be stored, the backend holds its own
    dx_cache_what what;                // invalidate: `text` within `space`; an empty space is every space
    dx_slice space, text;
    uint64_t removed;  // remove, invalidate, clear: how many entries, as far as is known
    const char *level; // get: who had it: "memory", "redis", …; static
    dx_status status;  // DX_OK; get: DX_NOT_FOUND. invalidate, clear, remove: DX_UNAVAILABLE: it may still be there. DX_BAD_REQUEST: the
                       // text is none (empty, over its cap)
    void *backend[8];  // the backend's own while pending
};

// Since the backend was made, all threads together.
typedef struct dx_cache_stats {
    uint64_t hits, misses, stores, refused; // refused: a put that was not kept (too large, no memory, out of order)
    uint64_t evictions, expired, invalidated;
    uint64_t errors;                 // of the way to the backend
    uint64_t bytes, budget, entries; // now; 0 where unknown
    uint64_t get_count, get_nanos;   // gets that took a way outside: how many, how long together
} dx_cache_stats;

// Thread-safe, all of them. Those that can pend return true when it has ended at once (call->status says how; `done` is not called), false
// when pending.
typedef struct dx_cache_ops {
    const char *name; // for logs and metrics
    bool (*get)(dx_cache *cache, dx_cache_call *call);
    void (*put)(dx_cache *cache, dx_cache_call *call);
    bool (*remove)(dx_cache *cache, dx_cache_call *call); // every variant of one key
    bool (*invalidate)(dx_cache *cache, dx_cache_call *call);
    bool (*clear)(dx_cache *cache, dx_cache_call *call); // call->space; empty: everything of this cache
    // Lets go of a pending operation: `done` is not called any more and the call's memory is not touched again. On its loop. What was sent
    // may still take effect. NULL: never pends.
    void (*cancel)(dx_cache *cache, dx_cache_call *call);
    void (*stats)(dx_cache *cache, dx_cache_stats *out);
    void (*destroy)(dx_cache *cache); // nothing is pending
} dx_cache_ops;

// A backend's struct begins with this.
struct dx_cache {
    const dx_cache_ops *ops;
};

static inline bool dx_cache_get(dx_cache *cache, dx_cache_call *call) {
    return cache->ops->get(cache, call);
}
static inline void dx_cache_put(dx_cache *cache, dx_cache_call *call) {
    cache->ops->put(cache, call);
}
static inline bool dx_cache_remove(dx_cache *cache, dx_cache_call *call) {
    return cache->ops->remove(cache, call);
}
static inline bool dx_cache_invalidate(dx_cache *cache, dx_cache_call *call) {
    return cache->ops->invalidate(cache, call);
}
static inline bool dx_cache_clear(dx_cache *cache, dx_cache_call *call) {
    return cache->ops->clear(cache, call);
}
static inline void dx_cache_cancel(dx_cache *cache, dx_cache_call *call) {
    if (cache->ops->cancel) cache->ops->cancel(cache, call);
}
static inline void dx_cache_stats_read(dx_cache *cache, dx_cache_stats *out) {
    *out = (dx_cache_stats){0};
    cache->ops->stats(cache, out);
}
static inline void dx_cache_destroy(dx_cache *cache) {
    if (cache) cache->ops->destroy(cache);
}

#endif
