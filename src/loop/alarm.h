// An alarm: a one-shot timer to the millisecond, for the few that must be on time (a retry's delay, a limiter's next waiter, a library's
// own timer). Timeouts, of which there may be thousands and which seldom fire, are dx_timer's (loop/loop.h).
#ifndef DX_LOOP_ALARM_H
#define DX_LOOP_ALARM_H

#include <stdbool.h>

#include "loop/loop.h"

typedef struct dx_alarm dx_alarm;
struct dx_alarm {
    void (*fire)(dx_alarm *alarm); // on the loop's thread; may start or deinit the alarm, or free what holds it
    void *impl;                    // the loop's; NULL: not initialized, and then stop and deinit do nothing
};

// On the caller's memory; what libuv needs lies on the heap and outlives it. DX_NO_MEMORY.
dx_status dx_alarm_init(dx_alarm *alarm, dx_loop *loop, void (*fire)(dx_alarm *alarm)) DX_MUST_USE;
// Fires once, when `after` is over: never early, rounded up to a millisecond, 0 in the next turn. Starting a running alarm moves it. A
// running alarm holds a borrowed loop (loop/embed.h), not one of our own.
void dx_alarm_start(dx_alarm *alarm, dx_nanos after);
void dx_alarm_stop(dx_alarm *alarm); // also one that does not run
bool dx_alarm_running(const dx_alarm *alarm);
// Stops it; the memory is the caller's again at once.
void dx_alarm_deinit(dx_alarm *alarm);

#endif
