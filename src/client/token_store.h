// Where tokens are kept between processes: a file, Redis, or (no store at all) only the memory of the client. A store belongs to one keeper
// of tokens and does one thing at a time for it; all of it on the loop it was opened on, and nothing there blocks.
#ifndef DX_CLIENT_TOKEN_STORE_H
#define DX_CLIENT_TOKEN_STORE_H

#include "client/auth_settings.h"
#include "crypto/fernet.h"

typedef struct dx_token_store dx_token_store;

// What `acquire` found: `text` is the record as it was written, empty when there is none; `locked`: it is ours to change now. DX_OK, or
// `why` says what is wrong.
typedef void (*dx_token_acquired)(void *ctx, dx_status status, bool locked, dx_slice text, dx_slice why);
// DX_OK: it is kept, as safe as can be, and the lock is given up. DX_CONFLICT: the lock was lost, and somebody else has written meanwhile.
typedef void (*dx_token_committed)(void *ctx, dx_status status, dx_slice why);

typedef struct dx_token_store_ops {
    const char *type;
    dx_status (*open)(dx_token_store *store, dx_loop *loop); // once, before all else
    // Reads, and tries to take the lock, without waiting for it; with the lock already ours it only reads. One at a time.
    void (*acquire)(dx_token_store *store, dx_token_acquired done, void *ctx);
    // Under the lock: an empty text takes the record away.
    void (*commit)(dx_token_store *store, dx_slice text, dx_token_committed done, void *ctx);
    void (*release)(dx_token_store *store); // gives the lock up; nothing without it
    void (*close)(dx_token_store *store);   // nothing is under way; on the loop
    void (*destroy)(dx_token_store *store); // after `close`, or of one that was never opened
} dx_token_store_ops;

struct dx_token_store {
    const dx_token_store_ops *ops;
    dx_nanos lock_time;   // how long a lock may be held at most, where the store has to end it itself
    dx_fernet_ring *ring; // NULL: records are not sealed
    const char *place;    // for people: where it is
};

typedef struct dx_token_store_plan {
    dx_slice upstream, key; // whose; the key is hex
    bool keep;              // a file, where the settings say nothing
    dx_nanos lock_time;
    const char *(*variable)(void *ctx, const char *name); // the environment
    void *ctx;
} dx_token_store_plan;

// From the member "store" of an auth object. NULL with DX_OK: memory alone.
dx_status dx_token_store_create(dx_token_store **out, dx_auth_reader *reader, const dx_token_store_plan *plan) DX_MUST_USE;
void dx_token_store_destroy(dx_token_store *store); // takes NULL

// --- token_file.c, token_redis.c
dx_status dx_token_file_create(dx_token_store **out, dx_auth_reader *store, const dx_token_store_plan *plan) DX_MUST_USE;
dx_status dx_token_redis_create(dx_token_store **out, dx_auth_reader *store, const dx_token_store_plan *plan) DX_MUST_USE;

#endif
