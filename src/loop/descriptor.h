// Watching a file descriptor that somebody else owns (libcurl's, a client library's). What is wanted may change many times a turn: the
// kernel hears of it only when the loop is about to wait, and of READABLE no longer wanted not before the descriptor is readable all the
// same. So a connection that rests between two uses costs no system call.
#ifndef DX_LOOP_DESCRIPTOR_H
#define DX_LOOP_DESCRIPTOR_H

#include <stdbool.h>

#include "loop/loop.h"

#define DX_READABLE 1u
#define DX_WRITABLE 2u

typedef struct dx_descriptor dx_descriptor;

// Nothing is wanted at first. `ready` is called on the loop's thread with those of the wanted events that have come; errors and hangups are
// told as whatever is wanted. Level-triggered: it is called again as long as an event lasts and is wanted. The descriptor is made
// non-blocking. DX_CONFLICT: this loop watches the number already; DX_INVALID: it cannot be watched (a plain file, a closed number).
dx_status dx_descriptor_create(dx_descriptor **out, dx_loop *loop, int fd, void (*ready)(void *ctx, int fd, unsigned events),
                               void *ctx) DX_MUST_USE;
// DX_READABLE | DX_WRITABLE, or 0, in place of what was wanted. On the loop's thread, from anywhere in a turn or between two. A
// descriptor of which nothing is wanted does not hold the loop.
void dx_descriptor_want(dx_descriptor *descriptor, unsigned events);
// Whether it holds the loop while something is wanted, as it does at first: not so for a connection at rest that is watched for its end.
void dx_descriptor_holds(dx_descriptor *descriptor, bool holds);
// Before the number is closed. Safe inside `ready`, which is not called again. Takes NULL.
void dx_descriptor_destroy(dx_descriptor *descriptor);

#endif
