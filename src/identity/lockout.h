// Brakes for guessing passwords, counted by the name that was presented, whether or not an account has it: so nothing is told of which
// names exist. The first failures are free; from then on each failure locks the name for twice as long as the one before, up to a cap.
// While a name is locked its passwords are not even looked at. The table is of a fixed size, shared by all workers; when it is full the
// name whose lock ended longest ago makes room. Failures for names of real accounts are written down as well (see login.c) and given back
// in `dx_lockout_stored`, so that they outlive the process and the table.
#ifndef DX_IDENTITY_LOCKOUT_H
#define DX_IDENTITY_LOCKOUT_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/status.h"

typedef struct dx_lockout dx_lockout;

typedef struct dx_lockout_options {
    int64_t after;           // failures until the first lock; 0: never locks
    int64_t base_us, max_us; // the first lock, and the longest
    int64_t forget_us;       // without a failure for so long, counting starts anew
} dx_lockout_options;

typedef struct dx_lockout_state {
    int64_t failures;
    dx_micros_utc failed_at, locked_until; // 0: never, not
} dx_lockout_state;

#define DX_LOCKOUT_NAMES      4096
#define DX_LOCKOUT_FLIGHT_CAP 16 // logins of one name under way at once

dx_lockout *dx_lockout_create(const dx_lockout_options *options);               // NULL without memory
void dx_lockout_change(dx_lockout *lockout, const dx_lockout_options *options); // from now on; what is counted stands. Any thread
void dx_lockout_destroy(dx_lockout *lockout);                                   // takes NULL

// Before a password is looked at. `stored`: what the store knows of the name; `cleared_at`: when the account was last unlocked: failures
// before that are forgiven. Returns 0 (go on, and call dx_lockout_leave afterwards) or how many microseconds to wait.
int64_t dx_lockout_enter(dx_lockout *lockout, dx_slice name, const dx_lockout_state *stored, dx_micros_utc cleared_at, dx_micros_utc now);
typedef enum dx_lockout_outcome {
    DX_LOCKOUT_PASSED, // forgets the failures
    DX_LOCKOUT_FAILED, // one more
    DX_LOCKOUT_VOID    // it was not decided: out of memory, overload
} dx_lockout_outcome;
// Returns what the name's failures are now. `failures` of a passed one is what was forgotten: 0 means that nothing need be deleted.
dx_lockout_state dx_lockout_leave(dx_lockout *lockout, dx_slice name, dx_lockout_outcome outcome, dx_micros_utc now);

#endif
