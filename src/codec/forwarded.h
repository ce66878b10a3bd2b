// What proxies say of whom they speak for: the elements of `Forwarded` (RFC 7239) and of `X-Forwarded-For`, read from the last to the
// first, for the last was written by the nearest proxy. A reader that begins at the end is not led astray by what a client has put at the
// front, such as a quote that it never closes.
#ifndef DX_CODEC_FORWARDED_H
#define DX_CODEC_FORWARDED_H

#include "base/slice.h"

// Takes the last element off the list, without white space around it; false when nothing is left. Commas inside of quotes do not part.
bool dx_forwarded_last(dx_slice *list, dx_slice *element);

typedef struct dx_forwarded {
    dx_slice node;  // of "for", without quotes; empty: it has none
    dx_slice proto; // of "proto"; empty: it has none
} dx_forwarded;
// An element of Forwarded: `for="[2001:db8::1]:4711";proto=https`. False when it is malformed or names something twice. Nodes that need
// escapes are none.
bool dx_forwarded_read(dx_forwarded *out, dx_slice element);

typedef enum dx_node {
    DX_NODE_MALFORMED,
    DX_NODE_ADDRESS, // an IP address as text, not yet looked at; without brackets
    DX_NODE_HIDDEN   // "unknown" or an obfuscated name ("_gazonk")
} dx_node;
// A node with or without a port (RFC 7239 section 6). `bare`: IPv6 may come without brackets, as X-Forwarded-For has it. `port` is empty
// when there is none or an obfuscated one.
dx_node dx_forwarded_node(dx_slice node, bool bare, dx_slice *host, dx_slice *port);

#endif
