// What the files of this room share. Nobody outside src/redis includes this.
#ifndef DX_REDIS_REDIS_INTERNAL_H
#define DX_REDIS_REDIS_INTERNAL_H

#include <netdb.h>
#include <stdatomic.h>

#include <hiredis/read.h>

#include "base/buffer.h"
#include "loop/descriptor.h"
#include "redis/redis.h"

// --- replies (reply.c) -----------------------------------------------------------------------------------------------------

// Builds replies in an arena of its own, which is emptied between two. One that cannot be built is parsed to its end all the same.
typedef struct dx_redis_replies {
    redisReader *reader; // NULL: not open
    dx_arena *arena;
    size_t cap;
    size_t size;      // of the reply being built
    size_t peak;      // of the parser's buffer
    dx_status failed; // it could not be built: DX_NO_MEMORY, DX_TOO_LARGE
} dx_redis_replies;

dx_status dx_redis_replies_open(dx_redis_replies *replies, size_t cap) DX_MUST_USE;
void dx_redis_replies_close(dx_redis_replies *replies);
// DX_MALFORMED, DX_TOO_LARGE, DX_NO_MEMORY: no more can be read.
dx_status dx_redis_replies_feed(dx_redis_replies *replies, const char *data, size_t size) DX_MUST_USE;
// The next whole reply, or NULL with DX_OK when there is none. DX_MALFORMED: no more can be read. When `replies->failed` is set, `*out` is
// not NULL and says nothing. It lives until dx_redis_replies_done, which must come before the next.
dx_status dx_redis_replies_next(dx_redis_replies *replies, const dx_redis_reply **out) DX_MUST_USE;
void dx_redis_replies_done(dx_redis_replies *replies);

// --- commands (command.c) --------------------------------------------------------------------------------------------------

// Appends "*<count>" and the arguments, or nothing: DX_NO_MEMORY or, over the buffer's cap, DX_OVERLOADED.
dx_status dx_redis_put(dx_buffer *buffer, const dx_slice *args, size_t count) DX_MUST_USE;
// In pieces, into room made before.
size_t dx_redis_arg_size(dx_slice arg); // at most
void dx_redis_put_head(dx_buffer *buffer, size_t count);
void dx_redis_put_arg(dx_buffer *buffer, dx_slice arg);
#define DX_REDIS_HEAD_SIZE 24
// Room for `size` bytes; DX_NO_MEMORY or DX_OVERLOADED, and the buffer is as it was.
dx_status dx_redis_room(dx_buffer *buffer, size_t size) DX_MUST_USE;

// --- the connection ----------------------------------------------------------------------------------------------------------

typedef enum dx_redis_state {
    DX_REDIS_DOWN,       // until `pause` is over
    DX_REDIS_RESOLVING,  // on the pool
    DX_REDIS_CONNECTING, // the socket is under way
    DX_REDIS_GREETING,   // it is there; the server has not let us in
    DX_REDIS_UP,
} dx_redis_state;

struct dx_redis_resolve;

struct dx_redis {
    dx_loop *loop;
    dx_redis_settings settings; // its texts lie in `texts`, each with a NUL
    char *texts;
    size_t texts_size;
    dx_redis_state state;
    unsigned depth; // of our functions that may call out
    bool destroyed; // freed when they have returned
    // Getting there (connect.c).
    dx_timer pause, patience;
    unsigned attempts;
    struct dx_redis_resolve *resolve;
    struct addrinfo *addresses, *address; // all, and the next to try
    int fd;
    dx_descriptor *descriptor;
    dx_buffer hello; // AUTH, SELECT, PING: before all else, then wiped
    size_t hello_sent;
    unsigned greetings; // of its replies, still to come
    char why[160];
    // Commands (redis.c): those in flight are numbered first, first + 1, …; slot NULL: nobody waits for the reply any more.
    dx_deferred flush;
    dx_buffer out;
    size_t out_sent;
    dx_redis_call **slots; // ring_size of them, a power of two
    size_t ring_size, in_flight;
    uint64_t first;
    dx_redis_replies replies;
    dx_nanos waiting_since; // the server owes us an answer and has said nothing
    struct {
        _Atomic uint64_t commands, answered, timeouts, failed, cancelled, errors, refused, connects, losses, latency_ns;
    } counters;
};

static inline void dx_redis_bump(_Atomic uint64_t *counter, uint64_t by) { // one writer: no locked instruction
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

// Around whatever may call out: dx_redis_leave frees a connection destroyed meanwhile, and says so.
static inline void dx_redis_enter(dx_redis *redis) {
    redis->depth++;
}
bool dx_redis_leave(dx_redis *redis);

// connect.c
void dx_redis_begin(dx_redis *redis); // from DOWN
// Closes whatever is open and comes back after a pause. Calls in flight fail with DX_UNAVAILABLE, the oldest with `oldest`.
void dx_redis_lost(dx_redis *redis, dx_status oldest, const char *why, const char *more) DX_COLD;
void dx_redis_close(dx_redis *redis); // without calling anybody
void dx_redis_greeted(dx_redis *redis, const dx_redis_reply *reply);

// redis.c
void dx_redis_flush(dx_redis *redis);
void dx_redis_read(dx_redis *redis);
void dx_redis_fail_all(dx_redis *redis, dx_status oldest, dx_status others);
dx_status dx_redis_admit(dx_redis *redis) DX_MUST_USE;                       // may one more be sent?
void dx_redis_track(dx_redis *redis, dx_redis_call *call, dx_nanos timeout); // one is in `out`; behind dx_redis_admit. 0: the timer runs

// script.c: the server does not know the script. True: it is sent whole, `call` goes on.
bool dx_redis_script_resend(dx_redis *redis, dx_redis_call *call, const dx_redis_reply *reply, dx_status *failed);

#endif
