// Which addresses may be called (setting `guard`): judged by the address that a connection is really made to, so that a name which resolves
// to another address in the next moment changes nothing.
#ifndef DX_CLIENT_GUARD_H
#define DX_CLIENT_GUARD_H

#include <sys/socket.h>

#include "client/settings.h"

// With the guard on: no loopback, private, link-local, shared (RFC 6598), unique-local, multicast, unspecified or documentation address,
// nor one of these inside of an IPv6 address (mapped, NAT64, 6to4), unless a range of `allow` has it.
bool dx_guard_allows(const dx_wire_settings *wire, const struct sockaddr *address);
// Whether a host may be called by its name (`allow_hosts`); all may where there is no list. Without port.
bool dx_guard_allows_host(const dx_wire_settings *wire, dx_slice host);
// "10.0.0.0/8", "fd00::/8", "192.0.2.1".
bool dx_guard_range_valid(dx_slice range);

#endif
