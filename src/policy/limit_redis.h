// A limit that processes share, as exchanges wait at it: each token is asked for in Redis (policy/limit_script.h), so that all processes
// together get what the bucket gives and not one more; nothing is leased ahead. Who is told to wait waits in line: of all that wait in
// this process for one key only the first asks, when its time has come, so that a long line costs Redis two commands a token. Between
// processes there is no line: who asks first.
//
// Without its Redis it says DX_UNAVAILABLE at once, and whoever asked goes by a limit of his own.
#ifndef DX_POLICY_LIMIT_REDIS_H
#define DX_POLICY_LIMIT_REDIS_H

#include "base/buffer.h"
#include "policy/limit_script.h"
#include "redis/redis.h"

typedef struct dx_limit_redis dx_limit_redis;
typedef struct dx_limit_ask dx_limit_ask;

#define DX_LIMIT_REDIS_PREFIX_CAP 256 // bytes
#define DX_LIMIT_REDIS_KEY_CAP    256

typedef struct dx_limit_redis_options {
    dx_slice prefix; // of keys, copied: what is limited, the same in all processes
    uint32_t max_requests, burst;
    dx_nanos window;
    uint32_t queue;   // how many may wait in this process
    dx_nanos timeout; // of one question; 0: the connection's
    // The connection of a loop, asked for on its thread. NULL: there is none.
    dx_redis *(*connection)(void *ctx, dx_loop *loop);
    void *ctx;
} dx_limit_redis_options;

// DX_INVALID: what limit_script.h can't do, or the prefix; DX_NO_MEMORY.
dx_status dx_limit_redis_create(dx_limit_redis **out, const dx_limit_redis_options *options) DX_MUST_USE;
void dx_limit_redis_destroy(dx_limit_redis *shared); // nobody asks any more; takes NULL

// How a question ends: DX_OK: the token is there. DX_RATE_LIMITED: `wait` is too long for it (or what has passed was). DX_OVERLOADED: too
// many wait. DX_UNAVAILABLE: Redis did not answer.
typedef void (*dx_limit_ask_done)(void *ctx, dx_status status, dx_nanos wait);
// Asks for one token of `key` (appended to the prefix; over its cap it is DX_UNAVAILABLE), waiting until `until`, monotonic. On the loop's
// thread. `*out` is set while it pends and `done` is called later, on that thread; otherwise it is NULL, and status and `*wait` say the
// same at once.
dx_status dx_limit_redis_ask(dx_limit_ask **out, dx_limit_redis *shared, dx_loop *loop, dx_slice key, dx_nanos until,
                             dx_limit_ask_done done, void *ctx, dx_nanos *wait) DX_MUST_USE;
// `done` is not called any more. On the loop's thread. A token that is on its way may be lost.
void dx_limit_redis_cancel(dx_limit_ask *ask);
// Another rate and burst from the next question on. DX_INVALID: nothing is changed.
dx_status dx_limit_redis_update(dx_limit_redis *shared, uint32_t max_requests, dx_nanos window, uint32_t burst) DX_MUST_USE;
// The key in Redis, for whoever deletes it (a full bucket); false: too long.
bool dx_limit_redis_key(dx_buffer *out, const dx_limit_redis *shared, dx_slice key) DX_MUST_USE;

typedef struct dx_limit_redis_stats {
    uint64_t granted, denied, waited; // by Redis; denied for good; of those granted, how many had to wait here
    uint64_t unavailable;
    uint32_t waiting;
} dx_limit_redis_stats;
void dx_limit_redis_stats_read(dx_limit_redis *shared, dx_limit_redis_stats *out); // any thread

#endif
