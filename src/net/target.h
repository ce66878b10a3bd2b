// Request targets and authorities, as both protocols have them (RFC 9112 section 3.2, RFC 9113 section 8.3.1, RFC 3986).
#ifndef DX_NET_TARGET_H
#define DX_NET_TARGET_H

#include "net/http_server.h"

// Only bytes that may stand in a target: printable ASCII but for "#", as lenient as clients are sloppy.
bool dx_target_is_uri(dx_slice text);
// `host[:port]` by its shape: a name or an address, IPv6 in brackets, and a port of digits, which may be empty as the host may; no
// user's name.
bool dx_target_is_authority(dx_slice text);
// Sets path and query from origin-form. A target without a path has "/".
void dx_target_split(dx_slice target, dx_request_head *out);

#endif
