// What the codings share behind compress.h: each fills these two tables over its library; compress.c keeps the caps, the buffers and the
// states that were used and can be used again.
#ifndef DX_CODEC_COMPRESS_PARTS_H
#define DX_CODEC_COMPRESS_PARTS_H

#include "base/memory.h"
#include "codec/compress.h"

// One step of work: what is left of the input, and room for output. The step moves both on.
typedef struct dx_coding_step {
    const uint8_t *in;
    size_t in_size;
    uint8_t *out;
    size_t out_size;
} dx_coding_step;

typedef struct dx_coding_encoder {
    void *(*create)(int level, int64_t size); // as dx_compressor_create; NULL without memory
    // Makes a used state as good as new for this level and size; false: it can't be. NULL: it never can.
    bool (*reset)(void *state, int level, int64_t size);
    void (*destroy)(void *state);
    // Sets `done` when nothing is left to do for `how`.
    dx_status (*step)(void *state, dx_coding_step *step, dx_compress how, bool *done);
} dx_coding_encoder;

typedef struct dx_coding_decoder {
    void *(*create)(void);
    void (*destroy)(void *state);
    // Sets `ended` at the end of a member (or frame).
    dx_status (*step)(void *state, dx_coding_step *step, bool *ended);
    dx_status (*next)(void *state); // begins another member; NULL: the coding has but one
} dx_coding_decoder;

extern const dx_coding_encoder dx_gzip_encoder, dx_zstd_encoder, dx_br_encoder;
extern const dx_coding_decoder dx_gzip_decoder, dx_zstd_decoder, dx_br_decoder;

#endif
