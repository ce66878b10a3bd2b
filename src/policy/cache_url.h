// http and https URLs in one form (RFC 3986 section 6.2), so that two spellings of one resource share what is cached: scheme and host in
// lower case, the scheme's own port left out, no fragment, dot segments gone, escapes in upper case and those of unreserved characters
// undone, "/" for an empty path. The query keeps its order and everything else in it: its meaning is the server's.
//
// No look-ups, no IDNA: a host is bytes. Thread-safe; results lie in the arena, or are the input when it is in this
// form already (the usual case, and quick).
#ifndef DX_POLICY_CACHE_URL_H
#define DX_POLICY_CACHE_URL_H

#include "base/arena.h"

#define DX_CACHE_URL_CAP 8192 // bytes

// DX_BAD_REQUEST: no absolute http(s) URL, a broken escape, white space or a control character, or longer than the cap; DX_NO_MEMORY.
// Normalising what is normalised changes nothing.
dx_status dx_cache_url_normalise(dx_slice *out, dx_arena *arena, dx_slice url) DX_MUST_USE;
// A reference as of Location (RFC 3986 section 5.2) against a normalised URL; the result is normalised. Fails as above.
dx_status dx_cache_url_resolve(dx_slice *out, dx_arena *arena, dx_slice base, dx_slice reference) DX_MUST_USE;
// Whether two normalised URLs have scheme, host and port in common (RFC 6454); user information does not count.
bool dx_cache_url_same_origin(dx_slice a, dx_slice b);

#endif
