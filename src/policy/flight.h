// One fetch however many wait: a table of keys that are being fetched. The first to come for a key *leads*: it fetches. Who comes for the
// same key meanwhile *follows*, and is told how it ended. When the leader fails or goes away the next follower leads in its place, so that
// one caller's short deadline or broken connection is not everybody's.
//
// What can't be shared must not make a queue: a leader whose answer may not be stored lands with nothing, and all followers go and fetch
// for themselves, at once. So do those who are left after DX_FLIGHT_LEADERS leaders in a row have failed.
//
// Intrusive: nothing is allocated for a flight. Thread-safe; waiters may be on different loops.
#ifndef DX_POLICY_FLIGHT_H
#define DX_POLICY_FLIGHT_H

#include "policy/cache_entry.h"

#define DX_FLIGHT_LEADERS 4

typedef struct dx_flight dx_flight;
typedef struct dx_flight_waiter dx_flight_waiter;

typedef enum dx_flight_news {
    DX_FLIGHT_NONE,
    DX_FLIGHT_LEAD,  // you lead now: fetch, then land or leave
    DX_FLIGHT_ENTRY, // waiter->entry, held for you. See whether its Vary suits you (dx_vary_matches); else fetch for yourself
    DX_FLIGHT_GO     // fetch for yourself, without joining again
} dx_flight_news;

// The caller's memory, from join until it has landed, left, or been told ENTRY or GO. Zero it and set the first four.
struct dx_flight_waiter {
    // What became of it, in `news`. Called at most twice (LEAD, never after another), on whichever thread ended the leader, under a lock of
    // the table: post yourself to your loop and return; call nothing of this header.
    void (*told)(dx_flight_waiter *waiter);
    void *ctx;
    dx_slice key; // dx_cache_key.text and .hash; the bytes stay as they are meanwhile
    uint64_t hash;
    dx_flight_news news;
    dx_cache_entry *entry;
    // The table's:
    dx_flight_waiter *next, **link;  // in a chain of leaders, or behind the leader
    dx_flight_waiter *leader;        // a follower's
    dx_flight_waiter *first, **last; // a leader's followers, in order of coming
    uint8_t state, failed;
    bool spoiled;
};

dx_status dx_flight_create(dx_flight **out) DX_MUST_USE;
void dx_flight_destroy(dx_flight *flight); // nobody waits any more; takes NULL

// True: you lead. False: you follow, and will be told.
bool dx_flight_join(dx_flight *flight, dx_flight_waiter *waiter) DX_MUST_USE;
// The leader's answer: an entry that the followers may have, or NULL when it is for nobody else. Put it in the cache first, then land: true
// means that something was invalidated since the fetch began (dx_flight_spoil); then remove the key from the cache again.
bool dx_flight_land(dx_flight *flight, dx_flight_waiter *waiter, dx_cache_entry *entry) DX_MUST_USE;
// Ends one's part early: a follower goes away, a leader has failed or goes away (the next one leads). True: `told` was not called since the
// join and will not be. False: it was called before this returned: what it posted is on its way, and an entry it was given is to be
// released.
bool dx_flight_leave(dx_flight *flight, dx_flight_waiter *waiter);

// Whether somebody fetches that key now; a moment later it may be otherwise.
bool dx_flight_busy(dx_flight *flight, dx_slice key, uint64_t hash);

// Something was invalidated: to be called *before* the cache is told. Fetches of that hash (of all keys, when it is NULL) that are on their
// way will not stay in the cache, and nobody joins them any more.
void dx_flight_spoil(dx_flight *flight, const uint64_t *hash);
// How many fetch, how many wait. For tests and metrics.
void dx_flight_count(dx_flight *flight, uint64_t *leaders, uint64_t *followers);

#endif
