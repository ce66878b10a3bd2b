// Redis: one pipelined connection a loop, which comes back by itself when it is lost. Commands are refused at once while there is none, so
// that those who can do without (a cache, a shared limiter) go on without; nothing is sent twice. All on the loop's thread.
//
// No TLS: the client library of Debian 12 (hiredis 0.14) has none. Of it, only the reply parser is used: its asynchronous half ends the
// process on a reply that nobody asked for (assert), loses its place in the pipeline without memory, and resolves names on the loop.
// No blocking commands (BLPOP …), subscriptions, MULTI over several callers or RESP3: the connection is shared.
#ifndef DX_REDIS_REDIS_H
#define DX_REDIS_REDIS_H

#include <stdbool.h>

#include "base/diag.h"
#include "loop/loop.h"

typedef struct dx_redis_settings {
    dx_slice host; // a name or an address; empty: `path`
    uint16_t port;
    dx_slice path; // of a Unix socket
    dx_slice user, password;
    uint32_t db;
    dx_nanos connect_timeout;                          // with resolving the name and logging in
    dx_nanos command_timeout;                          // where a command gives none
    dx_nanos backoff_least, backoff_most;              // before connecting again: doubles from the one to the other, half of it by chance
    size_t in_flight_cap;                              // commands sent or to be sent, not answered
    size_t unsent_cap;                                 // bytes of commands not yet taken by the socket
    size_t reply_cap;                                  // bytes of one reply, its structure counted
    void (*changed)(void *ctx, bool up, dx_slice why); // may be NULL; `why` holds no secret. Not to destroy the connection from there
    void *ctx;
} dx_redis_settings;

#define DX_REDIS_SETTINGS_INIT                                                                                                             \
    {                                                                                                                                      \
        .host = DX_SLICE_INIT("127.0.0.1"), .port = 6379, .connect_timeout = 2 * DX_SECOND, .command_timeout = DX_SECOND,                  \
        .backoff_least = 100 * DX_MILLISECOND, .backoff_most = 10 * DX_SECOND, .in_flight_cap = 16384, .unsent_cap = (size_t)64 << 20,     \
        .reply_cap = (size_t)64 << 20                                                                                                      \
    }

// Reads `redis://[[user]:password@]host[:port][/db]` or `redis+unix://[[user]:password@]/path[?db=n]`, with percent-escapes, into the
// fields that say where (the others stay). Texts lie in the arena or the URL. DX_INVALID with a finding whose column lies in the URL, and
// which shows none of it.
dx_status dx_redis_settings_read(dx_redis_settings *settings, dx_slice url, dx_arena *arena, dx_diags *diags) DX_MUST_USE;

typedef enum dx_redis_kind {
    DX_REDIS_NIL,
    DX_REDIS_STRING,
    DX_REDIS_STATUS,
    DX_REDIS_ERROR,
    DX_REDIS_INTEGER,
    DX_REDIS_ARRAY,
} dx_redis_kind;

typedef struct dx_redis_reply dx_redis_reply;
struct dx_redis_reply {
    dx_redis_kind kind;
    size_t count;           // of an array
    dx_redis_reply **items; // the same
    int64_t integer;
    dx_slice text; // of a string, status or error; a NUL stands behind it
};

typedef struct dx_redis dx_redis;
typedef struct dx_redis_call dx_redis_call;
// Called once for each call that was sent, never from inside dx_redis_send. DX_OK: the server has answered, be it with an error
// (`reply->kind`); the reply lives until this returns, or destroys the connection. Otherwise `reply` is NULL, and a command may have been
// executed or not:
//   DX_UNAVAILABLE      the connection is lost, or did not come about
//   DX_REQUEST_TIMEOUT  no answer in time
//   DX_TOO_LARGE        the reply is over the cap
//   DX_NO_MEMORY        none for the reply; those behind it are not touched
//   DX_CANCELLED        the connection is being destroyed
// May send again with the same struct, free what holds it, and destroy the connection.
typedef void (*dx_redis_done)(dx_redis_call *call, dx_status status, const dx_redis_reply *reply);

// Memory of the caller's, from sending to `done`. Set `done`, zero the rest.
struct dx_redis_call {
    dx_redis_done done;
    dx_redis *redis; // the connection's from here on; NULL: not under way
    dx_timer timer;
    dx_nanos sent;
    uint64_t number;
    const struct dx_redis_script *script; // to be sent whole if the server does not know it
    char *tail;                           // what follows a script in the command
    size_t tail_size, tail_parts;
};

// Begins to connect. Copies the settings. DX_NO_MEMORY, or DX_INVALID for a path that is too long for a socket.
dx_status dx_redis_create(dx_redis **out, dx_loop *loop, const dx_redis_settings *settings) DX_MUST_USE;
// Every call under way gets DX_CANCELLED before this returns. Takes NULL.
void dx_redis_destroy(dx_redis *redis);
// The server has let us in and answers. `why` (may be NULL) becomes what was wrong last; it holds no secret and lives until the next turn.
bool dx_redis_up(const dx_redis *redis, dx_slice *why);

#define DX_REDIS_ARGS_CAP 1024

// Sends a command; the arguments may hold any bytes and are free again when this returns. All that is sent in one turn goes out with one
// call at its end, in order. `timeout` 0: the settings'. Timeouts are dx_timer's: up to two ticks late. Where this fails, `done` is not
// called:
//   DX_UNAVAILABLE  there is no connection, and it is not being made just now
//   DX_OVERLOADED   too many are in flight, or too many bytes
//   DX_INVALID      no arguments, or more than the cap
//   DX_NO_MEMORY
dx_status dx_redis_send(dx_redis *redis, dx_redis_call *call, const dx_slice *args, size_t count, dx_nanos timeout) DX_MUST_USE;
// `done` will not be called; the memory is the caller's again at once. The server may execute the command all the same. Also for one
// that is not under way.
void dx_redis_cancel(dx_redis_call *call);

// A script is called by its digest, and sent whole only when the server does not know it, once a call. `source` outlives its calls.
typedef struct dx_redis_script {
    dx_slice source;
    char digest[40]; // SHA-1, which the protocol asks for, in hex
} dx_redis_script;
void dx_redis_script_init(dx_redis_script *script, dx_slice source);
// As dx_redis_send. `keys` and `args` become KEYS and ARGV.
dx_status dx_redis_eval(dx_redis *redis, dx_redis_call *call, const dx_redis_script *script, const dx_slice *keys, size_t key_count,
                        const dx_slice *args, size_t arg_count, dx_nanos timeout) DX_MUST_USE;

typedef struct dx_redis_counters {
    uint64_t commands;   // taken; each ends as one of the next four, or is in flight
    uint64_t answered;   // by the server
    uint64_t timeouts;   // not in time
    uint64_t failed;     // otherwise
    uint64_t cancelled;  // by the caller
    uint64_t errors;     // among those answered: with an error
    uint64_t refused;    // not taken
    uint64_t connects;   // how often the server let us in, and
    uint64_t losses;     // how often the connection was lost or did not come about
    uint64_t latency_ns; // sum over those answered, from sending on
} dx_redis_counters;
// Any thread, while the connection lives; each number is right, not all at one moment.
void dx_redis_count(const dx_redis *redis, dx_redis_counters *out);

#endif
