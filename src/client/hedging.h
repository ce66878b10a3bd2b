// Hedging: a second copy of a request that takes longer than nearly all do; the first good answer counts, the other copy is cancelled. Only
// requests that may be sent twice, have no body to be read again, and are answered whole.
#ifndef DX_CLIENT_HEDGING_H
#define DX_CLIENT_HEDGING_H

#include "base/histogram.h"
#include "client/call.h"
#include "policy/hedge.h"

// What an API keeps for it.
typedef struct dx_hedge_kept {
    dx_hedge hedge;
    dx_histogram latencies; // of the last minute or two
    _Atomic(dx_nanos) renewed;
} dx_hedge_kept;

dx_hedge_kept *dx_hedge_kept_create(yyjson_val *settings); // NULL: no memory, or settings that do not go together
void dx_hedge_kept_destroy(void *kept);

// The request of `call` was sent.
void dx_hedging_begin(dx_call *call);
// Its answer is here, or its failure. True: the other copy may still bring a better one; the call goes on waiting.
bool dx_hedging_answered(dx_call *call);
void dx_hedging_stop(dx_call *call); // the call is stopped

#endif
