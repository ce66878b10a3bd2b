// Copies of what a call is asked by, for calls that are made later or more than once: pages of a list, the calls of a batch.
#ifndef DX_CLIENT_KEEP_H
#define DX_CLIENT_KEEP_H

#include "base/arena.h"
#include "duplex/client.h"

// A copy of a list with all its texts, in the arena, with room for `spare` more before its end (the caller then moves DX_END). `args` may
// be NULL: an empty list. `*count` is without the end. DX_TOO_LARGE: more than DX_ARG_COUNT_CAP.
dx_status dx_keep_args(dx_arg **out, size_t *count, dx_arena *arena, const dx_arg *args, size_t spare) DX_MUST_USE;
// A copy of the options with all texts, headers and the structs `sink` and `source`; what these and `body` point to stays the caller's.
// `options` may be NULL or of an older, shorter struct.
dx_status dx_keep_options(dx_call_options **out, dx_arena *arena, const dx_call_options *options) DX_MUST_USE;

#endif
