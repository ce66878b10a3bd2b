// What a batch is made of, shared by batch.c (what programs see) and batch_pump.c (making its calls).
#ifndef DX_CLIENT_BATCH_PARTS_H
#define DX_CLIENT_BATCH_PARTS_H

#include "client/client.h"
#include "duplex/batch.h"

#define DX_BATCH_ARENA_CAP ((size_t)8 << 30) // of what dx_batch_add copies

typedef struct dx_batch_added {
    dx_batch_item item;
    struct dx_batch_added *next;
} dx_batch_added;

// A call that is begun and not told yet.
typedef struct dx_batch_slot {
    dx_batch *batch;   // held while `running`
    dx_call *call;     // NULL: none could be made
    dx_error *trouble; // then: why
    uint64_t index;
    void *user;
    bool taken, running;
    struct dx_batch_slot *next; // among those that are free, or over
} dx_batch_slot;

// What became of a call, kept for dx_batch_get.
typedef struct dx_batch_kept {
    void *user;
    dx_call *call;
    dx_error *trouble;
    bool told;
} dx_batch_kept;

struct dx_batch {
    atomic_size_t holders; // the program, each call under way, a task that is posted
    pthread_mutex_t lock;  // of all that follows
    pthread_cond_t changed;
    dx_client *client;
    dx_batch_options options;
    dx_arena *arena;
    dx_batch_added *first, **last; // not begun
    uint64_t added;
    bool started, waited_for; // waited_for: by dx_batch_run, which pumps itself
    bool pumping, dry, over, told, destroyed;
    uint64_t begun, done, failed, running;
    dx_nanos deadline; // 0: none
    dx_error error;    // code not NONE: nothing more is begun
    dx_batch_slot *slots;
    size_t slot_count;
    dx_batch_slot *free, *over_first, **over_last;
    dx_batch_kept *kept;
    uint64_t kept_count;
    dx_batch_done tell;
    void *tell_ctx;
    dx_task task;
};

extern const dx_error dx_batch_short_of_memory;

void dx_batch_hold(dx_batch *batch);
void dx_batch_let_go(dx_batch *batch);
// All under the lock, which callbacks are called outside of.
bool dx_batch_prepare(dx_batch *batch); // slots; false without memory
// Tells what is over and begins what may be, until there is nothing to do before a call is over. One thread at a time.
void dx_batch_pump(dx_batch *batch);
bool dx_batch_is_through(const dx_batch *batch);
// The same for a batch that nobody waits for, unless another thread is at it; at the end says so.
void dx_batch_turn(dx_batch *batch);
// Begins nothing more, cancels what is under way. The first reason counts.
void dx_batch_stop(dx_batch *batch, const dx_error *why);

#endif
