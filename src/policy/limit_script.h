// A limit shared by processes through Redis: the same bucket as limit.h, kept as one key and taken from by one script, so that whoever
// asks, from whichever machine, is judged in one order and by one clock, Redis's own (TIME). This is the script, its arguments and its
// reply; talking to Redis is elsewhere. One round trip a call; needs Redis 5.0 or later (a script that reads the time and then writes).
//
//   EVAL[SHA] script 1 KEY interval tolerance n
//
// `interval`: microseconds that a token takes to come, with up to four decimals; `tolerance`: of the whole bucket; `n`: tokens to take; 0
// only looks; a negative one gives back. The reply is an array of three integers: granted (1 or 0), how many microseconds until it would be
// (0 when granted), whole tokens left. The key holds the time at which the bucket is full, in microseconds since 2026 so that a double
// holds their fractions, and expires then: a key that is not there is a full bucket. A refusal writes nothing. A time further ahead than a
// bucket (a clock that jumped, a bucket that became smaller) counts as an empty bucket.
//
// Not here: a queue (processes that wait come again when told to; who comes first is served first), and pauses.
#ifndef DX_POLICY_LIMIT_SCRIPT_H
#define DX_POLICY_LIMIT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/status.h"

// A hundredth of a microsecond is let pass, which is more than rounding to four decimals can take from a bucket of 100 calls.
#define DX_LIMIT_SCRIPT                                                                                                                    \
    "local time = redis.call('TIME')\n"                                                                                                    \
    "local now = (time[1] - 1767225600) * 1000000 + time[2]\n"                                                                             \
    "local interval, tolerance, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"                                             \
    "local full = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0) or 0, now), now + tolerance)\n"                              \
    "local granted, wait, after = 1, 0, full + n * interval\n"                                                                             \
    "if n > 0 and after - now > tolerance + 0.01 then\n"                                                                                   \
    "  granted, wait = 0, math.ceil(after - tolerance - now)\n"                                                                            \
    "elseif n ~= 0 then\n"                                                                                                                 \
    "  full = after\n"                                                                                                                     \
    "  if full > now then\n"                                                                                                               \
    "    redis.call('SET', KEYS[1], string.format('%.4f', full), 'PX', math.ceil((full - now) / 1000))\n"                                  \
    "  else\n"                                                                                                                             \
    "    redis.call('DEL', KEYS[1])\n"                                                                                                     \
    "  end\n"                                                                                                                              \
    "end\n"                                                                                                                                \
    "return {granted, wait, math.floor((tolerance - math.max(full - now, 0) + 0.01) / interval)}\n"

#define DX_LIMIT_SCRIPT_ARGUMENT 32 // bytes, with the NUL
#define DX_LIMIT_SCRIPT_FILL_CAP ((dx_nanos)366 * 24 * 3600 * DX_SECOND)

typedef struct dx_limit_script_arguments {
    char interval[DX_LIMIT_SCRIPT_ARGUMENT], tolerance[DX_LIMIT_SCRIPT_ARGUMENT], n[DX_LIMIT_SCRIPT_ARGUMENT];
} dx_limit_script_arguments;

// DX_INVALID: out of range (a rate over a million a second, a bucket that takes longer than DX_LIMIT_SCRIPT_FILL_CAP to fill), or `n` is
// more than the bucket holds. `burst` 0: max_requests.
dx_status dx_limit_script_write(dx_limit_script_arguments *out, uint32_t max_requests, dx_nanos window, uint32_t burst,
                                int32_t n) DX_MUST_USE;

typedef struct dx_limit_script_reply {
    bool granted;
    dx_nanos wait;      // until it would be granted
    uint64_t remaining; // whole tokens
} dx_limit_script_reply;
// False: not this script's reply.
bool dx_limit_script_read(dx_limit_script_reply *out, const int64_t *numbers, size_t count) DX_MUST_USE;

#endif
