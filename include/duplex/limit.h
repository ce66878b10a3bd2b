/* Rate limits: a token bucket for anything a program wants to slow down, usable without a client, and the limits of a client's own.
 *
 *     dx_limiter *limiter;
 *     dx_limiter_options options = DX_LIMITER_OPTIONS_INIT;
 *     options.max_requests = 10;
 *     options.time_window_ms = 1000;
 *     if (dx_limiter_create(&limiter, &options, &error)) …
 *     if (!dx_limiter_acquire(limiter, 1, 5000)) send();
 *     dx_limiter_release(limiter);
 *
 * Promise: in any span of t no more than burst + t * max_requests / time_window tokens are granted, whatever the number of threads. Who
 * waits is served in the order of coming, and while somebody waits nobody passes. A wait that would be too long is refused at once, not
 * slept through.
 *
 * Thread rules: all of it is for any thread, at once. dx_limiter_acquire blocks: not from a client's callback, nor on a loop. */
#ifndef DUPLEX_LIMIT_H
#define DUPLEX_LIMIT_H

#include "duplex/client.h"

DX_BEGIN_DECLS

typedef struct dx_limiter dx_limiter;
typedef struct dx_limiter_turn dx_limiter_turn;

/* Begin with DX_LIMITER_OPTIONS_INIT. */
typedef struct dx_limiter_options {
    uint32_t size;
    uint32_t max_requests;  /* in each window; from 1 */
    int64_t time_window_ms; /* from 1 */
    uint32_t burst;         /* tokens that a full bucket holds; 0: max_requests */
    uint32_t max_waiting;   /* who may wait at once, at most 65536; 0: nobody */
    double reserve;         /* the part of a server's limit that dx_limiter_observe leaves to others, 0 to 1 */
    int64_t pause_max_ms;   /* the longest pause that a server may impose; at most a day */
} dx_limiter_options;
#define DX_LIMITER_OPTIONS_INIT                                                                                                            \
    { sizeof(dx_limiter_options), 100, 60000, 0, 4096, 0.1, 3600000 }

/* Begins with a full bucket, held once. DX_ERROR_ARGUMENT: an option out of range, or a bucket that takes longer than a year to fill. */
DX_API DX_NODISCARD dx_error_code dx_limiter_create(dx_limiter **out, const dx_limiter_options *options, dx_error *error);
DX_API dx_limiter *dx_limiter_hold(dx_limiter *limiter);
/* Takes NULL. Nobody may be blocked in dx_limiter_acquire when the last holder lets go; turns hold it themselves. */
DX_API void dx_limiter_release(dx_limiter *limiter);

/* Takes `n` tokens (from 1), waiting its turn for up to `timeout_ms` (0: not at all; -1: for as long as it takes). DX_ERROR_LIMITED: it
 * would take longer, told at once; DX_ERROR_QUEUE_FULL: too many wait; DX_ERROR_ARGUMENT: `n` is 0 or more than the bucket ever holds. */
DX_API DX_NODISCARD dx_error_code dx_limiter_acquire(dx_limiter *limiter, uint32_t n, int64_t timeout_ms);
/* The same without waiting. DX_ERROR_LIMITED: `*wait_ms` (may be NULL; rounded up) is how long until it may be had. */
DX_API DX_NODISCARD dx_error_code dx_limiter_try(dx_limiter *limiter, uint32_t n, int64_t *wait_ms);
/* Gives back what was taken and not used. */
DX_API void dx_limiter_refund(dx_limiter *limiter, uint32_t n);
/* Whole tokens that may be had now; 0 while somebody waits, or while a server's pause lasts. */
DX_API uint32_t dx_limiter_available(dx_limiter *limiter);

/* --- waiting without blocking -------------------------------------------------------------------------------------------------- */

/* Called exactly once for every turn that was taken. DX_ERROR_NONE: the tokens are there. DX_ERROR_LIMITED: a pause or a slower rate has
 * made the wait too long; DX_ERROR_ARGUMENT: an update has made the bucket too small; DX_ERROR_CANCELLED; DX_ERROR_CLOSED: the client was.
 * May use the limiter. Must not block. */
typedef void (*dx_limiter_done)(void *context, dx_error_code code);

/* Takes a turn in the same queue and returns. With a client, `done` is called on one of its threads (or the loop it was opened with), which
 * keeps the time; before dx_client_close returns at the latest. Without one (NULL), nobody keeps the time: the program calls
 * dx_limiter_grant when dx_limiter_due_ms is over, and `done` is called by whichever thread grants: in dx_limiter_grant, _cancel, _update,
 * _reset and _acquire, and before this returns when the tokens are there already.
 * What is refused at once (as by dx_limiter_acquire) is told by the code, and `done` is not called. `*out` (may be NULL) is only needed to
 * cancel; release it. */
DX_API DX_NODISCARD dx_error_code dx_limiter_take_turn(dx_limiter_turn **out, dx_limiter *limiter, uint32_t n, int64_t timeout_ms,
                                                       dx_client *client, dx_limiter_done done, void *context);
/* Has it end with DX_ERROR_CANCELLED if it has not been granted. As often as one likes; any thread. */
DX_API void dx_limiter_cancel(dx_limiter_turn *turn);
DX_API void dx_limiter_turn_release(dx_limiter_turn *turn); /* takes NULL; the turn goes on */
/* Milliseconds (rounded up) until dx_limiter_grant has something to do; -1: nobody waits. */
DX_API int64_t dx_limiter_due_ms(dx_limiter *limiter);
/* Grants all who can be, first come first. Returns the next dx_limiter_due_ms. */
DX_API int64_t dx_limiter_grant(dx_limiter *limiter);

/* --- changing ------------------------------------------------------------------------------------------------------------------ */

/* A full bucket at once; what servers said is forgotten. */
DX_API void dx_limiter_reset(dx_limiter *limiter);
/* Another rate and burst (0: max_requests) at once; tokens that are missing stay missing. DX_ERROR_ARGUMENT: out of range, nothing is
 * changed. */
DX_API DX_NODISCARD dx_error_code dx_limiter_update(dx_limiter *limiter, uint32_t max_requests, int64_t time_window_ms, uint32_t burst);
/* What a server said of its limits, as response headers (ends with a NULL name): RateLimit, RateLimit-*, X-RateLimit-* and Retry-After in
 * all their forms. They slow the limit, never speed it, until the server's reset. `http_status`: Retry-After counts for 429 and 503. */
DX_API void dx_limiter_observe(dx_limiter *limiter, int http_status, const dx_header *headers);

/* Since creation or the last reset of the numbers' owner; `now` numbers as they are. Set `size` before asking. */
typedef struct dx_limiter_stats {
    uint32_t size;
    uint32_t max_requests, burst;
    int64_t time_window_ms;
    uint32_t limits;          /* how many buckets these numbers are the sum of: 1, or one a credential */
    uint32_t available;       /* whole tokens now, of all of them */
    uint32_t waiting;         /* who waits now */
    uint64_t granted, denied; /* requests for tokens, not tokens */
    uint64_t waited;          /* of those granted, how many had to wait */
    int64_t wait_total_ns;    /* how long they did, together */
    uint64_t shared;          /* granted by a Redis that processes share; they count in `granted` too */
    uint64_t unshared;        /* let go by the limit of this process alone, because the Redis did not answer */
} dx_limiter_stats;
#define DX_LIMITER_STATS_INIT                                                                                                              \
    { sizeof(dx_limiter_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
DX_API void dx_limiter_read(dx_limiter *limiter, dx_limiter_stats *out);

/* --- a client's own ------------------------------------------------------------------------------------------------------------ */

/* The limit that calls of `name` wait at: an API ("github") or an endpoint ("github.get_user"). Numbers are those since the limit was made;
 * a limit per credential is told as the sum of all. DX_ERROR_UNKNOWN_NAME: there is no such API or endpoint, or it has no rate_limit. */
DX_API DX_NODISCARD dx_error_code dx_client_limit_stats(dx_client *client, const char *name, dx_limiter_stats *out, dx_error *error);
/* As dx_limiter_reset, for each of its buckets. One in Redis is emptied for all processes: DX_ERROR_CONNECT when it did not answer. Blocks
 * for that. */
DX_API DX_NODISCARD dx_error_code dx_client_limit_reset(dx_client *client, const char *name, dx_error *error);
/* As dx_limiter_update, for each of its buckets, those to come too, until the definition gives other settings. In Redis it is how this
 * process asks from now on. */
DX_API DX_NODISCARD dx_error_code dx_client_limit_update(dx_client *client, const char *name, uint32_t max_requests, int64_t time_window_ms,
                                                         uint32_t burst, dx_error *error);

DX_END_DECLS

#endif
