// How an exchange that goes out to somebody's API fails, and where its time goes. A server's answers are statuses of HTTP; who calls also
// meets what no status tells: names that do not resolve, connections that break, a deadline that is over. Policies (retry, breaker,
// meter) judge by these. The lists are the library's public ones: there is no second list of errors.
#ifndef DX_EXCHANGE_OUTCOME_H
#define DX_EXCHANGE_OUTCOME_H

#include "duplex/error.h"

// The status of HTTP that tells a gateway's client of it (RFC 9110 section 15.6). Takes any value.
int dx_error_http(dx_error_code code);

#endif
