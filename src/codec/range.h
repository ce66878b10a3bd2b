// The Range field (RFC 9110 section 14.2) for byte ranges.
#ifndef DX_CODEC_RANGE_H
#define DX_CODEC_RANGE_H

#include "base/slice.h"

#define DX_RANGES_CAP 16

typedef struct dx_byte_range {
    uint64_t from, size;
} dx_byte_range;

typedef enum dx_range_verdict {
    DX_RANGE_NONE,  // not a byte range, malformed, or more than DX_RANGES_CAP: the field is ignored, the whole is sent
    DX_RANGE_SOME,  // `out` holds at least one
    DX_RANGE_BEYOND // nothing of what is asked for exists: 416
} dx_range_verdict;

// The ranges of `value` that a representation of `total` bytes has, in the order asked for; overlapping and adjacent ones are made one, as
// section 14.2 lets a server do against clients that ask for the same bytes over and over.
dx_range_verdict dx_range_read(dx_slice value, uint64_t total, dx_byte_range out[DX_RANGES_CAP], size_t *count);

#endif
