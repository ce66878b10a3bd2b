// Many limits, found by key: one for each API, endpoint, credential, caller or address. Made when first asked for; one that nobody holds is
// forgotten when room is needed, first one that is idle (which loses nothing), else the one that was asked for longest ago (which forgets
// what was used of it: better than to refuse a new caller, and counted). Spread over shards, each with its lock. All calls are for any
// thread.
//
// A key is kept in memory as it is: of a secret, give a digest. Two uses that share a table need keys that can't be the same.
#ifndef DX_POLICY_LIMITS_H
#define DX_POLICY_LIMITS_H

#include "base/slice.h"
#include "policy/limit.h"

#define DX_LIMITS_KEY_CAP 1024u    // bytes
#define DX_LIMITS_CAP     1048576u // of `cap`

typedef struct dx_limits dx_limits;

// At most `cap` limits in all (from 1; shared out to the shards, so a shard may be full a little earlier). DX_INVALID, DX_NO_MEMORY.
dx_status dx_limits_create(dx_limits **out, size_t cap) DX_MUST_USE;
void dx_limits_destroy(dx_limits *limits); // takes NULL; limits that are held live on

// The limit of `key`, held for the caller (dx_limit_release). Made from `options` when there is none; otherwise `options` are not looked
// at. DX_INVALID: the options, or a key over its cap. DX_OVERLOADED: there is no room, and all are held.
dx_status dx_limits_get(dx_limit **out, dx_limits *limits, dx_slice key, const dx_limit_options *options, dx_nanos now) DX_MUST_USE;

// Changes those that there are (dx_limit_update) and has those to come made with this rate and burst, whatever dx_limits_get is given.
// DX_INVALID: out of range, nothing is changed.
dx_status dx_limits_update(dx_limits *limits, uint32_t max_requests, dx_nanos window, uint32_t burst, dx_nanos now) DX_MUST_USE;

typedef struct dx_limits_stats {
    size_t count;       // limits there are
    uint64_t made;      // since creation
    uint64_t evicted;   // forgotten while idle
    uint64_t forgotten; // forgotten while not
} dx_limits_stats;
void dx_limits_stats_read(dx_limits *limits, dx_limits_stats *out);
// For each limit, in no order: for metrics. Under a shard's lock: `visit` calls nothing of this table.
void dx_limits_each(dx_limits *limits, void (*visit)(dx_slice key, dx_limit *limit, void *ctx), void *ctx);

#endif
