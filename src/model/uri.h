// Uniform resource identifiers (RFC 3986): taken apart, resolved against a base, checked character by character.
#ifndef DX_MODEL_URI_H
#define DX_MODEL_URI_H

#include "base/arena.h"

typedef struct dx_uri {
    dx_slice scheme, authority, path, query, fragment; // without their delimiters; NULL data: absent (a path is never absent)
} dx_uri;

// Takes any text apart (RFC 3986 appendix B); it checks nothing.
dx_uri dx_uri_split(dx_slice text);
// RFC 3986 section 5.2 without the fragment, which is left in `*fragment` (NULL data: none). The result has NULL data when out of memory.
dx_slice dx_uri_resolve(dx_arena *arena, dx_slice base, dx_slice reference, dx_slice *fragment);

bool dx_uri_valid(dx_slice text);           // URI: with a scheme
bool dx_uri_reference_valid(dx_slice text); // URI or relative reference

bool dx_ipv4_valid(dx_slice text);
bool dx_ipv6_valid(dx_slice text);
bool dx_hostname_valid(dx_slice text); // RFC 1123; labels xn--… must be valid IDNA 2008 A-labels
bool dx_email_valid(dx_slice text);    // RFC 5321 Mailbox, ASCII

#endif
