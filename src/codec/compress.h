// Content codings (RFC 9110 section 8.4; br RFC 7932, zstd RFC 8878, gzip RFC 1952) by zlib, brotli and zstd: choosing one, encoding and
// decoding piece by piece under caps.
#ifndef DX_CODEC_COMPRESS_H
#define DX_CODEC_COMPRESS_H

#include "base/buffer.h"

typedef enum dx_coding {
    DX_CODING_IDENTITY,
    DX_CODING_GZIP,
    DX_CODING_ZSTD,
    DX_CODING_BR,
    DX_CODING_COUNT,
    DX_CODING_UNKNOWN = DX_CODING_COUNT
} dx_coding;
dx_slice dx_coding_name(dx_coding coding); // "gzip"
dx_coding dx_coding_parse(dx_slice name);  // also "x-gzip"; UNKNOWN: none of ours
#define DX_CODING_BIT(coding) (1u << (coding))
// The coding of an Accept-Encoding value (RFC 9110 section 12.5.3) among `offered` bits, by quality, and among equals br, zstd, gzip,
// identity. DX_CODING_UNKNOWN when even identity is refused. No field at all (NULL data): identity.
dx_coding dx_coding_choose(dx_slice accept_encoding, unsigned offered);

typedef struct dx_compressor dx_compressor;
// `level`: 1 fast … 9 small, on each coding's own scale; what takes longer than that is not for answering. `size`: of the whole when known
// (then exactly that much must come), else -1; small ones get small windows. A thread keeps a few that were destroyed, for its next ones,
// until it ends.
dx_status dx_compressor_create(dx_compressor **out, dx_coding coding, int level, int64_t size) DX_MUST_USE;
void dx_compressor_destroy(dx_compressor *compressor);
typedef enum dx_compress { DX_COMPRESS_MORE, DX_COMPRESS_FLUSH, DX_COMPRESS_END } dx_compress;
// Takes all of `in`, which may be empty; appends to `out`. After a failure nothing but destroying is left to do.
dx_status dx_compressor_run(dx_compressor *compressor, dx_slice in, dx_compress how, dx_buffer *out) DX_MUST_USE;

typedef struct dx_decompressor dx_decompressor;
// `cap`: bytes that may come out in all (DX_TOO_LARGE); `ratio`: bytes out for each byte in, looked at beyond the first 64 KiB
// (DX_TOO_LARGE: a bomb); 0: any. A window larger than 8 MiB is refused.
dx_status dx_decompressor_create(dx_decompressor **out, dx_coding coding, uint64_t cap, uint32_t ratio) DX_MUST_USE;
void dx_decompressor_destroy(dx_decompressor *decompressor);
// Hands pieces (at most 64 KiB) to `piece` as they come out. DX_MALFORMED for what is not the coding, and for bytes behind its end; gzip
// and zstd may have several members behind each other, as their RFCs say. A status that is not DX_OK, `piece`'s too, is returned at once;
// then nothing but destroying is left to do.
dx_status dx_decompressor_run(dx_decompressor *decompressor, dx_slice in, dx_status (*piece)(void *ctx, dx_slice piece),
                              void *ctx) DX_MUST_USE;
dx_status dx_decompressor_end(dx_decompressor *decompressor) DX_MUST_USE; // DX_MALFORMED when the end has not come

#endif
