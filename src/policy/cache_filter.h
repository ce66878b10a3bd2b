// The filter that answers from a cache, and stores what comes back: RFC 9111 as a private cache, with one fetch however many wait for it.
// It stands before retries and limits, so that a hit costs neither. The request's own Cache-Control counts: no-cache asks the server,
// only-if-cached does not. Whose answer it is (x->principal) is part of the key.
#ifndef DX_POLICY_CACHE_FILTER_H
#define DX_POLICY_CACHE_FILTER_H

#include "exchange/chain.h"
#include "policy/cache.h"
#include "policy/flight.h"
#include "policy/freshness.h"

typedef struct dx_cache_conf {
    dx_cache *cache;
    dx_cache *private_cache; // instead of it for what is somebody's: of this process alone; NULL: `cache` has all
    dx_flight *flight;       // NULL: equal requests at the same time are all sent
    dx_slice space;          // which API
    dx_freshness_options options;
    const dx_slice *tags;
    size_t tag_count;
    // A stale answer was given: fetch the same behind the caller's back, with Cache-Control: no-cache. On the exchange's loop. NULL: the
    // next request asks the server.
    void (*revalidate)(void *ctx, dx_exchange *x);
    void *ctx;
    // Told of every look-up that has ended: the cache that was asked, its call, `took` what it took from the first to the last, 0 when that
    // was not measured (it ended at once, and few of those are). NULL: nobody.
    void (*looked_up)(void *ctx, const dx_cache *cache, const dx_cache_call *found, dx_nanos took);
    // Told how an answer came about (dx_cache_state), for everything that might have come from the cache.
    void (*answered)(void *ctx, uint8_t state);
    void *watcher; // the `ctx` of these two
} dx_cache_conf;

extern const dx_filter_ops dx_cache_filter; // conf: dx_cache_conf

// The stored entry that x was answered with, as long as x lives; NULL: it was not answered with one, or no such filter was passed.
dx_cache_entry *dx_cache_filter_entry(const dx_exchange *x);

#endif
