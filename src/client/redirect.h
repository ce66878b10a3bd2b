// Following redirects: the innermost filter of a call's chain. Conf: none.
#ifndef DX_CLIENT_REDIRECT_H
#define DX_CLIENT_REDIRECT_H

#include "exchange/chain.h"

extern const dx_filter_ops dx_redirect_follow_filter;

#endif
