// The router: method and path to operation. Built once, read by all. A look-up costs one probe of a hash table for each segment of the
// path, however many routes there are; a literal segment wins over a parameter, a parameter over "{rest*}".
#ifndef DX_EXCHANGE_ROUTER_H
#define DX_EXCHANGE_ROUTER_H

#include "exchange/chain.h"

typedef struct dx_router dx_router;

#define DX_PATH_SEGMENTS_CAP 32

// `diags` gets one finding for each path that is malformed or a method and path that stands twice. The router keeps pointers to the
// operations.
dx_status dx_router_create(dx_router **out, dx_arena *arena, const dx_operation *const *operations, size_t count,
                           dx_diags *diags) DX_MUST_USE;

typedef struct dx_match {
    const dx_operation *operation; // NULL: see `allow`
    dx_slice allow;                // of a path that exists: "GET, HEAD, OPTIONS, POST", static; empty: no such path (404)
    uint8_t param_count;
    uint16_t probes;                // cells of the hash table that were looked at; says what a look-up costs
    dx_slice params[DX_PARAMS_CAP]; // decoded where an escape made that necessary (then in the arena)
} dx_match;

// `path` is not decoded; escapes are decoded segment by segment, so "%2F" does not split. DX_BAD_REQUEST for a broken escape or one that
// decodes to NUL or invalid UTF-8; otherwise DX_OK, whatever was found. "/items/" is not "/items". "." and ".." segments match nothing.
dx_status dx_router_match(const dx_router *router, dx_method method, dx_slice path, dx_arena *arena, dx_match *out) DX_MUST_USE;

#endif
