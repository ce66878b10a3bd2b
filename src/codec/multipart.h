// multipart/form-data (RFC 7578; RFC 2046 section 5.1) as a stream: bytes in as they come, parts out. Nothing of a part's content is kept
// here but the few bytes that may be the beginning of a boundary.
#ifndef DX_CODEC_MULTIPART_H
#define DX_CODEC_MULTIPART_H

#include "base/buffer.h"
#include "codec/http.h"

#define DX_MULTIPART_BOUNDARY_CAP 70
#define DX_MULTIPART_HEAD_CAP     8192 // a part's fields together
#define DX_MULTIPART_NAME_CAP     1024

typedef struct dx_multipart_part {
    dx_slice name;         // decoded
    dx_slice file_name;    // decoded, without any folder; NULL data: not a file
    dx_slice content_type; // empty: text/plain
} dx_multipart_part;

typedef struct dx_multipart_ops {
    // Each not DX_OK ends the parsing with that status.
    dx_status (*begin)(void *ctx, const dx_multipart_part *part); // the part's slices live until its `end`
    dx_status (*piece)(void *ctx, dx_slice piece);
    dx_status (*end)(void *ctx);
} dx_multipart_ops;

typedef struct dx_multipart dx_multipart;
// `content_type`: the field's value; DX_UNSUPPORTED_MEDIA_TYPE for another type, DX_MALFORMED without a proper boundary.
dx_status dx_multipart_create(dx_multipart **out, dx_arena *arena, dx_slice content_type, uint32_t parts_cap, const dx_multipart_ops *ops,
                              void *ctx) DX_MUST_USE;
dx_status dx_multipart_feed(dx_multipart *multipart, dx_slice bytes) DX_MUST_USE; // DX_MALFORMED, DX_TOO_LARGE (a cap), or an op's
dx_status dx_multipart_end(dx_multipart *multipart) DX_MUST_USE;                  // DX_MALFORMED when the last boundary never came
const char *dx_multipart_reason(const dx_multipart *multipart);                   // of a failure; static

#endif
