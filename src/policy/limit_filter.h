// The filter that has exchanges wait for their turn at a rate limit, no longer than they may, and hears what the server says of its own
// limits.
#ifndef DX_POLICY_LIMIT_FILTER_H
#define DX_POLICY_LIMIT_FILTER_H

#include "exchange/chain.h"
#include "policy/limit_redis.h"
#include "policy/limits.h"

typedef struct dx_limit_conf {
    dx_limit *limit; // NULL: one for each credential (x->principal), of `by_credential`
    dx_limits *by_credential;
    dx_limit_options options; // of those
    dx_limit_redis *shared;   // asked behind it, for each credential likewise; NULL: the limit is this process's alone
    dx_nanos max_wait;
    bool adaptive;
    const struct dx_rate_name *names; // more headers that tell of limits
    size_t name_count;
} dx_limit_conf;

extern const dx_filter_ops dx_limit_filter; // conf: dx_limit_conf

#endif
