// The coding gzip (RFC 1952), by zlib.
#include <zlib.h>

#include "codec/compress_parts.h"

#define GZIP 16 // added to the window bits: zlib's way of saying gzip

static voidpf take(voidpf opaque, uInt count, uInt size) {
    (void)opaque;
    return dx_memory_zalloc(count, size); // zeroed: deflate reads its window a little ahead of what it has written
}

static void give(voidpf opaque, voidpf memory) {
    (void)opaque;
    dx_memory_free(memory);
}

typedef struct encoder {
    z_stream z;
    int level;
    bool small;
} encoder;

// A window of 32 KiB and tables to match cost more to clear than a short answer costs to compress.
static bool is_small(int64_t size) {
    return size >= 0 && size <= 8192;
}

static void *create_encoder(int level, int64_t size) {
    encoder *e = dx_memory_zalloc(1, sizeof *e);
    if (!e) return NULL;
    *e = (encoder){.z = {.zalloc = take, .zfree = give}, .level = level, .small = is_small(size)};
    int bits = e->small ? 13 : 15, memory = e->small ? 6 : 8;
    if (deflateInit2(&e->z, level, Z_DEFLATED, bits + GZIP, memory, Z_DEFAULT_STRATEGY) == Z_OK) return e;
    dx_memory_free(e);
    return NULL;
}

static bool reset_encoder(void *state, int level, int64_t size) {
    encoder *e = state;
    return e->level == level && e->small == is_small(size) && deflateReset(&e->z) == Z_OK;
}

static void destroy_encoder(void *state) {
    encoder *e = state;
    (void)deflateEnd(&e->z);
    dx_memory_free(e);
}

static uInt limited(size_t size) {
    return size > (1u << 30) ? 1u << 30 : (uInt)size;
}

static void give_to_zlib(z_stream *z, const dx_coding_step *step) {
    z->next_in = (Bytef *)(uintptr_t)step->in;
    z->avail_in = limited(step->in_size);
    z->next_out = step->out;
    z->avail_out = limited(step->out_size);
}

static void take_from_zlib(dx_coding_step *step, const z_stream *z) {
    step->in_size -= (size_t)(z->next_in - step->in);
    step->in = z->next_in;
    step->out_size -= (size_t)(z->next_out - step->out);
    step->out = z->next_out;
}

static dx_status encode(void *state, dx_coding_step *step, dx_compress how, bool *done) {
    encoder *e = state;
    int flush = how == DX_COMPRESS_END ? Z_FINISH : how == DX_COMPRESS_FLUSH ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    give_to_zlib(&e->z, step);
    if (e->z.avail_in < step->in_size) flush = Z_NO_FLUSH;
    int said = deflate(&e->z, flush);
    bool room_left = e->z.avail_out > 0;
    take_from_zlib(step, &e->z);
    if (said == Z_STREAM_ERROR) return DX_INTERNAL;
    *done = step->in_size == 0 && (how == DX_COMPRESS_END ? said == Z_STREAM_END : room_left);
    return DX_OK;
}

const dx_coding_encoder dx_gzip_encoder = {create_encoder, reset_encoder, destroy_encoder, encode};

static void *create_decoder(void) {
    z_stream *z = dx_memory_zalloc(1, sizeof *z);
    if (!z) return NULL;
    *z = (z_stream){.zalloc = take, .zfree = give};
    if (inflateInit2(z, 15 + GZIP) == Z_OK) return z;
    dx_memory_free(z);
    return NULL;
}

static void destroy_decoder(void *state) {
    (void)inflateEnd(state);
    dx_memory_free(state);
}

static dx_status decode(void *state, dx_coding_step *step, bool *ended) {
    z_stream *z = state;
    give_to_zlib(z, step);
    int said = inflate(z, Z_NO_FLUSH);
    take_from_zlib(step, z);
    *ended = said == Z_STREAM_END;
    if (said == Z_MEM_ERROR) return DX_NO_MEMORY;
    return said == Z_OK || said == Z_STREAM_END || said == Z_BUF_ERROR ? DX_OK : DX_MALFORMED;
}

static dx_status next_member(void *state) {
    return inflateReset(state) == Z_OK ? DX_OK : DX_INTERNAL;
}

const dx_coding_decoder dx_gzip_decoder = {create_decoder, destroy_decoder, decode, next_member};
