// The coding zstd (RFC 8878; windows as RFC 9659 bounds them for HTTP), by libzstd. Its memory is the library's own affair: taking another
// allocator is not part of its stable interface.
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/compress_parts.h"

#define WINDOW_LOG 23 // 8 MiB

static bool set_up(ZSTD_CCtx *context, int level, int64_t size) {

    if (ZSTD_isError(ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters))) return false;
    if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level))) return false;
    // A stream of unknown size would get a window of megabytes for itself.
    if (size < 0) return !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, level < 7 ? 18 : 21));
    if (size > (1 << 20) && ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, level < 7 ? 19 : 21))) return false;
    return !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, (unsigned long long)size));
}

static void destroy_encoder(void *state) {
    (void)ZSTD_freeCCtx(state);
}

static void *create_encoder(int level, int64_t size) {
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (context && set_up(context, level, size)) return context;
    destroy_encoder(context);
    return NULL;
}

static bool reset_encoder(void *state, int level, int64_t size) {
    return set_up(state, level, size);
}

static dx_status encode(void *state, dx_coding_step *step, dx_compress how, bool *done) {
    ZSTD_inBuffer in = {step->in, step->in_size, 0};
    ZSTD_outBuffer out = {step->out, step->out_size, 0};
    ZSTD_EndDirective directive = how == DX_COMPRESS_END ? ZSTD_e_end : how == DX_COMPRESS_FLUSH ? ZSTD_e_flush : ZSTD_e_continue;
    size_t left = ZSTD_compressStream2(state, &out, &in, directive);
    if (ZSTD_isError(left)) return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? DX_NO_MEMORY : DX_INTERNAL;
    step->in += in.pos;
    step->in_size -= in.pos;
    step->out += out.pos;
    step->out_size -= out.pos;
    *done = step->in_size == 0 && (how == DX_COMPRESS_MORE || left == 0);
    return DX_OK;
}

const dx_coding_encoder dx_zstd_encoder = {create_encoder, reset_encoder, destroy_encoder, encode};

static void destroy_decoder(void *state) {
    (void)ZSTD_freeDCtx(state);
}

static void *create_decoder(void) {
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context && !ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG))) return context;
    destroy_decoder(context);
    return NULL;
}

static dx_status status_of(size_t said) {
    switch (ZSTD_getErrorCode(said)) {
    case ZSTD_error_no_error:
        return DX_OK;
    case ZSTD_error_memory_allocation:
        return DX_NO_MEMORY;
    case ZSTD_error_frameParameter_windowTooLarge:
        return DX_TOO_LARGE;
    default:
        return DX_MALFORMED;
    }
}

static dx_status decode(void *state, dx_coding_step *step, bool *ended) {
    ZSTD_inBuffer in = {step->in, step->in_size, 0};
    ZSTD_outBuffer out = {step->out, step->out_size, 0};
    size_t left = ZSTD_decompressStream(state, &out, &in);
    step->in += in.pos;
    step->in_size -= in.pos;
    step->out += out.pos;
    step->out_size -= out.pos;
    *ended = left == 0;
    return status_of(left);
}

static dx_status next_frame(void *state) {
    return ZSTD_isError(ZSTD_DCtx_reset(state, ZSTD_reset_session_only)) ? DX_INTERNAL : DX_OK;
}

const dx_coding_decoder dx_zstd_decoder = {create_decoder, destroy_decoder, decode, next_frame};
