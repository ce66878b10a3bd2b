// The filter that stands at a circuit breaker: asks before each attempt, and tells it how the attempt ended. A failure is an answer from
// 500 on, 429 left out (that is the limiter's), or none at all; what the caller ended itself counts for nothing.
#ifndef DX_POLICY_BREAKER_FILTER_H
#define DX_POLICY_BREAKER_FILTER_H

#include "exchange/chain.h"
#include "policy/breaker.h"

extern const dx_filter_ops dx_breaker_filter; // conf: dx_breaker

#endif
