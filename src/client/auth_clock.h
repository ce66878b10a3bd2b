// How far a server's clock is from ours, learned from the Date of an answer that refused us: signatures and JWTs carry the time, and clocks
// drift (RFC 9110 section 6.6.1).
#ifndef DX_CLIENT_AUTH_CLOCK_H
#define DX_CLIENT_AUTH_CLOCK_H

#include <stdatomic.h>

#include "exchange/exchange.h"

typedef struct dx_auth_clock {
    atomic_int_least64_t skew; // microseconds that the server is ahead
} dx_auth_clock;

dx_micros_utc dx_auth_clock_now(const dx_auth_clock *clock); // as the server has it
// Whether the answer shows that our time was wrong by more than a few seconds; then it is right from now on.
bool dx_auth_clock_learn(dx_auth_clock *clock, const dx_exchange *x);

#endif
