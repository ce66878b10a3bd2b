// Loops that are not run by dx_loop_run: on a uv_loop_t that somebody else runs, inside an event loop of any other kind, or turned by hand
// while a thread waits for one answer.
#ifndef DX_LOOP_EMBED_H
#define DX_LOOP_EMBED_H

#include <stdbool.h>

#include "loop/loop.h"

// Our handles on somebody's loop, called a borrowed one: they run it, and we never do. On its thread, as is everything else but
// dx_loop_post. They do not hold it but while a descriptor is wanted, an alarm runs or work is done; SIGPIPE is theirs to ignore or block.
// dx_loop_run and what stands below does not work on it. DX_NO_MEMORY, also for want of descriptors.
dx_status dx_loop_create_on(dx_loop **out, struct uv_loop_s *uv) DX_MUST_USE;
// Has a borrowed loop run on although nothing of ours is active (a task was posted), or no longer. On its thread.
void dx_loop_keep_alive(dx_loop *loop, bool on);
// Closes our handles; `closed`, if not NULL, is called from their loop when all are gone, and their loop may be closed from then on. `loop`
// is not to be used any more from now on. On one of our own: as dx_loop_destroy, and `closed` is called at once. Takes NULL.
void dx_loop_leave(dx_loop *loop, void (*closed)(void *ctx), void *ctx);

// Holds a borrowed loop as long as it was called more often than dx_loop_let_go: while a call of theirs is under way. On its thread.
// Nothing on one of our own, which runs until it is stopped.
void dx_loop_hold(dx_loop *loop);
void dx_loop_let_go(dx_loop *loop);

// Inside a foreign loop: wait there until the descriptor is readable or the timeout is over (ask for it before each wait: what was begun
// since the last turn makes it 0), then give a turn. On one thread at a time.
int dx_loop_backend_fd(dx_loop *loop);
dx_nanos dx_loop_backend_timeout(dx_loop *loop); // -1: none
// One turn without waiting. Every descriptor is registered behind it. SIGPIPE is blocked on this thread meanwhile.
void dx_loop_turn(dx_loop *loop);

// Runs what was posted so far, and nothing else: before a loop is destroyed on which tasks may wait. On its thread, outside of a turn.
void dx_loop_drain(dx_loop *loop);

// One turn that waits until something happens, but no longer than `at_most` (-1: as long as it takes). SIGPIPE as above.
void dx_loop_wait(dx_loop *loop, dx_nanos at_most);
// Turns until `*done`, which a callback on this thread sets, but no longer than `at_most`: for an answer that a thread must have. What
// else there is to do at the end of the last turn is left for the next. Returns `*done`.
bool dx_loop_wait_for(dx_loop *loop, const bool *done, dx_nanos at_most);
// Runs what is posted and deferred, and what that posts and defers, a few rounds deep; looks at no descriptor and no timer. For a loop that
// is laid aside, or about to go. Any kind of loop, between turns, on its thread.
void dx_loop_settle(dx_loop *loop);

#endif
