// Overload: when a worker's loop takes too long for a turn, and that lasts, each turn answers so much and refuses the rest (503,
// Retry-After) before any work is done for it. One a worker. (The rule, a bound on delay that must hold for an interval: Nichols and
// Jacobson, "Controlling Queue Delay", 2012.) Queues off the loop refuse by themselves by the same measure (base/lag.h).
#ifndef DX_SERVER_OVERLOAD_H
#define DX_SERVER_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"

#define DX_OVERLOAD_INTERVAL (100 * DX_MILLISECOND) // how long every turn must be too long
#define DX_OVERLOAD_LOOK     16u                    // exchanges from one look at the clock to the next

typedef struct dx_overload {
    dx_loop *loop;
    dx_nanos bound;      // of a turn; from the app's settings
    dx_nanos above_from; // since when every turn was longer; 0: the last one was not
    bool on;
    bool announced;   // the log has been told that it is on
    uint64_t refused; // since the log was told of an end
    uint32_t begun;   // exchanges, to look at the clock now and then
    dx_nanos told;    // when the log was told last; 0: never
    // The clock, so that tests can have their own.
    dx_nanos (*now)(void);
} dx_overload;

// On the worker's thread, before its loop runs.
dx_status dx_overload_start(dx_overload *overload, dx_loop *loop, dx_nanos bound) DX_MUST_USE;
// A turn has ended that took so long.
void dx_overload_turn(dx_overload *overload, dx_nanos took);
// Whether an exchange that begins now is to be refused: this turn has used what it may.
bool dx_overload_refuses(dx_overload *overload);

#endif
