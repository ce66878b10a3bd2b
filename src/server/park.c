// Parked bodies: a body that a handler wants whole, and of which much is to come, waits in a file while it comes and is read into memory
// when all of it is there and its turn has come. So whoever sends slowly holds a file and not memory, and of large bodies only so many are
// in memory at once, however many end at the same moment. What a handler meets is memory as ever. Reading is off the loop; a mapping would
// save it, but end the process when the disk fails.
#include "server/call.h"

#define SEATS 16u // parked bodies of a worker that are in memory, up to the answer

dx_status dx_park_begin(dx_call *c) {
    dx_intake *in = &c->intake;
    dx_spool_options options = {c->app->settings.spool_folder, 0, in->cap, dx_intake_spooled, c};
    dx_status status = dx_spool_create(&in->spool, c->x.loop, &options);
    if (status != DX_OK) return status;
    in->parked = true;
    if (in->whole.size) status = dx_spool_write(in->spool, dx_buffer_slice(&in->whole));
    char *left = in->whole.data ? dx_arena_realloc(c->x.arena, in->whole.data, in->whole.capacity, 0) : NULL; // it had a chunk of its own
    (void)left;
    dx_buffer_init(&in->whole, c->x.arena, (size_t)in->cap);
    return status;
}

static void fetched(void *ctx, dx_status status) {
    dx_call *c = ctx;
    dx_intake *in = &c->intake;
    in->fetching = false;
    if (status != DX_OK) in->status = status;
    dx_spool_destroy(in->spool);
    in->spool = NULL;
    dx_intake_resume(c);
}

static void fetch(dx_call *c) {
    dx_intake *in = &c->intake;
    size_t size = (size_t)dx_spool_size(in->spool);
    in->seated = true;
    c->worker->parks.seated++;
    char *to = dx_buffer_reserve(&in->whole, size);
    in->whole.size = size;
    in->status = to ? dx_spool_read(in->spool, to, fetched, c) : dx_buffer_status(&in->whole);
    in->fetching = in->status == DX_OK;
    if (!in->fetching) dx_intake_resume(c);
}

// --- turns -----------------------------------------------------------------------------------------------------------------------

static void unlink_call(dx_call *c) {
    dx_parks *parks = &c->worker->parks;
    dx_intake *in = &c->intake;
    if (!in->link) return;
    *in->link = in->next;
    if (in->next)
        in->next->intake.link = in->link;
    else
        parks->end = in->link;
    in->link = NULL;
}

static void give_turns(dx_deferred *deferred) {
    dx_parks *parks = DX_CONTAINER_OF(deferred, dx_parks, turns);
    while (parks->first && parks->seated < SEATS) {
        dx_call *c = parks->first;
        unlink_call(c);
        fetch(c);
    }
}

void dx_park_fetch(dx_call *c) {
    dx_parks *parks = &c->worker->parks;
    dx_intake *in = &c->intake;
    if (parks->seated < SEATS) {
        fetch(c);
        return;
    }
    in->link = parks->first ? parks->end : &parks->first;
    in->next = NULL;
    *in->link = c;
    parks->end = &in->next;
}

void dx_park_leave(dx_call *c) {
    dx_parks *parks = &c->worker->parks;
    dx_intake *in = &c->intake;
    unlink_call(c);
    if (!in->seated) return;
    in->seated = false;
    parks->seated--;
    if (!parks->first) return;
    parks->turns.run = give_turns;
    dx_loop_defer(c->x.loop, &parks->turns); // not from within: the next may fail at once, and so on
}
