// The coding br (RFC 7932), by libbrotli. An encoder can't be reset: each answer has its own, with a window no larger than it needs.
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <setjmp.h>
#include <stddef.h>

#include "codec/compress_parts.h"

// The encoder's library ends the process when its allocator returns NULL (it is built so by default). So ours never does: it jumps back to
// where the library was called, and since every block is on a list of ours, the broken encoder can be forgotten whole.
typedef struct block {
    struct block *next, **link;
    max_align_t bytes[];
} block;

typedef struct encoder {
    BrotliEncoderState *state; // NULL: forgotten
    block *blocks;
    jmp_buf escape; // valid while the library runs
} encoder;

static void *take_or_escape(void *opaque, size_t size) {
    encoder *e = opaque;
    block *b = size <= SIZE_MAX - sizeof *b ? dx_memory_alloc(sizeof *b + size) : NULL;
    if (!b) longjmp(e->escape, 1);
    *b = (block){.next = e->blocks, .link = &e->blocks};
    if (b->next) b->next->link = &b->next;
    e->blocks = b;
    return b->bytes;
}

static void give_block(void *opaque, void *memory) {
    (void)opaque;
    if (!memory) return;
    block *b = DX_CONTAINER_OF(memory, block, bytes);
    *b->link = b->next;
    if (b->next) b->next->link = b->link;
    dx_memory_free(b);
}

static void forget(encoder *e) {
    while (e->blocks) give_block(e, e->blocks->bytes);
    e->state = NULL;
}

static uint32_t window_bits(int level, int64_t size) {
    uint32_t most = level < 7 ? 18 : 22, bits = BROTLI_MIN_WINDOW_BITS;
    while (bits < most && (size < 0 || size > (1 << bits) - 16)) bits++;
    return bits;
}

static void destroy_encoder(void *state) {
    encoder *e = state;
    if (e->state) BrotliEncoderDestroyInstance(e->state);
    dx_memory_free(e);
}

static void set_up(encoder *e, int level, int64_t size) {
    uint32_t hint = size < 0 ? 0 : size > INT32_MAX ? INT32_MAX : (uint32_t)size;
    (void)BrotliEncoderSetParameter(e->state, BROTLI_PARAM_QUALITY, (uint32_t)level); // all in range: can't fail
    (void)BrotliEncoderSetParameter(e->state, BROTLI_PARAM_LGWIN, window_bits(level, size));
    (void)BrotliEncoderSetParameter(e->state, BROTLI_PARAM_SIZE_HINT, hint);
}

static void *create_encoder(int level, int64_t size) {
    encoder *e = dx_memory_zalloc(1, sizeof *e);
    if (!e) return NULL;
    if (_setjmp(e->escape) != 0) {
        forget(e);
        destroy_encoder(e);
        return NULL;
    }
    e->state = BrotliEncoderCreateInstance(take_or_escape, give_block, e);
    if (e->state) {
        set_up(e, level, size);
        return e;
    }
    destroy_encoder(e);
    return NULL;
}

static dx_status encode(void *state, dx_coding_step *step, dx_compress how, bool *done) {
    encoder *e = state;
    BrotliEncoderOperation operation = how == DX_COMPRESS_END     ? BROTLI_OPERATION_FINISH
                                       : how == DX_COMPRESS_FLUSH ? BROTLI_OPERATION_FLUSH
                                                                  : BROTLI_OPERATION_PROCESS;
    if (!e->state) return DX_NO_MEMORY;
    if (_setjmp(e->escape) != 0) {
        forget(e);
        return DX_NO_MEMORY;
    }
    if (!BrotliEncoderCompressStream(e->state, operation, &step->in_size, &step->in, &step->out_size, &step->out, NULL)) return DX_INTERNAL;
    *done = step->in_size == 0 && !BrotliEncoderHasMoreOutput(e->state) && (how != DX_COMPRESS_END || BrotliEncoderIsFinished(e->state));
    return DX_OK;
}

const dx_coding_encoder dx_br_encoder = {create_encoder, NULL, destroy_encoder, encode};

// --- decoding

static void *take(void *opaque, size_t size) {
    (void)opaque;
    return dx_memory_alloc(size);
}

static void give(void *opaque, void *memory) {
    (void)opaque;
    dx_memory_free(memory);
}

typedef struct decoder {
    BrotliDecoderState *state;
    bool begun;
} decoder;

static void *create_decoder(void) {
    decoder *d = dx_memory_zalloc(1, sizeof *d);
    if (!d) return NULL;
    d->state = BrotliDecoderCreateInstance(take, give, NULL);
    if (d->state) return d;
    dx_memory_free(d);
    return NULL;
}

static void destroy_decoder(void *state) {
    decoder *d = state;
    BrotliDecoderDestroyInstance(d->state);
    dx_memory_free(d);
}

static bool is_out_of_memory(BrotliDecoderErrorCode code) {
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static dx_status decode(void *state, dx_coding_step *step, bool *ended) {
    decoder *d = state;
    // The first four bits all set: a window of 16 MiB (section 9.1).
    if (!d->begun && step->in_size && (step->in[0] & 0x0f) == 0x0f) return DX_TOO_LARGE;
    d->begun = d->begun || step->in_size;
    BrotliDecoderResult said = BrotliDecoderDecompressStream(d->state, &step->in_size, &step->in, &step->out_size, &step->out, NULL);
    *ended = said == BROTLI_DECODER_RESULT_SUCCESS;
    if (said != BROTLI_DECODER_RESULT_ERROR) return DX_OK;
    return is_out_of_memory(BrotliDecoderGetErrorCode(d->state)) ? DX_NO_MEMORY : DX_MALFORMED;
}

const dx_coding_decoder dx_br_decoder = {create_decoder, destroy_decoder, decode, NULL};
