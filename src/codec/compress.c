// Content codings in pieces: the loops around the libraries, the caps, and the states of encoders that a thread keeps for the next answer
// (what an encoder costs to set up is more than a short answer costs to compress). And choosing a coding from Accept-Encoding.
#include <pthread.h>

#include "codec/compress_parts.h"
#include "codec/http.h"

#define PIECE_SIZE  (32u << 10) // of decoded output
#define FREE_RATIO  (64u << 10) // decoded bytes that no ratio is asked of
#define KEPT_STATES 4           // encoders a thread keeps, of all codings together

static const dx_slice names[DX_CODING_COUNT] = {DX_SLICE_INIT("identity"), DX_SLICE_INIT("gzip"), DX_SLICE_INIT("zstd"),
                                                DX_SLICE_INIT("br")};
static const dx_coding_encoder *const encoders[DX_CODING_COUNT] = {NULL, &dx_gzip_encoder, &dx_zstd_encoder, &dx_br_encoder};
static const dx_coding_decoder *const decoders[DX_CODING_COUNT] = {NULL, &dx_gzip_decoder, &dx_zstd_decoder, &dx_br_decoder};

dx_slice dx_coding_name(dx_coding coding) {
    return (size_t)coding < DX_CODING_COUNT ? names[coding] : (dx_slice){NULL, 0};
}

dx_coding dx_coding_parse(dx_slice name) {
    for (int i = 0; i < DX_CODING_COUNT; i++)
        if (dx_slice_equal_nocase(name, names[i])) return (dx_coding)i;
    return dx_slice_equal_nocase(name, DX_SLICE("x-gzip")) ? DX_CODING_GZIP : DX_CODING_UNKNOWN;
}

// --- choosing --------------------------------------------------------------------------------------------------------------

dx_coding dx_coding_choose(dx_slice accept_encoding, unsigned offered) {
    if (!accept_encoding.data) return DX_CODING_IDENTITY;
    int quality[DX_CODING_COUNT] = {-1, -1, -1, -1}, others = -1, weight; // -1: not named
    for (dx_slice name; dx_http_next_weighted(&accept_encoding, &name, &weight);) {
        dx_coding coding = dx_coding_parse(name);
        if (coding != DX_CODING_UNKNOWN)
            quality[coding] = weight;
        else if (dx_slice_equal(name, DX_SLICE("*")))
            others = weight;
    }
    dx_coding best = DX_CODING_UNKNOWN;
    int best_quality = 0;
    for (int i = DX_CODING_COUNT - 1; i >= 0; i--) {
        int own = quality[i] >= 0 ? quality[i] : others;
        bool offers = i == DX_CODING_IDENTITY || (offered & DX_CODING_BIT(i));
        if (offers && own > best_quality) {
            best = (dx_coding)i;
            best_quality = own;
        }
    }
    bool identity_refused = quality[DX_CODING_IDENTITY] == 0 || (quality[DX_CODING_IDENTITY] < 0 && others == 0);
    return best == DX_CODING_UNKNOWN && !identity_refused ? DX_CODING_IDENTITY : best;
}

// --- encoding --------------------------------------------------------------------------------------------------------------

struct dx_compressor {
    const dx_coding_encoder *encoder;
    void *state;
};

typedef struct kept_states {
    dx_compressor *items[KEPT_STATES];
} kept_states;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

static void discard(dx_compressor *compressor) {
    compressor->encoder->destroy(compressor->state);
    dx_memory_free(compressor);
}

static void discard_all(void *value) {
    kept_states *kept = value;
    for (size_t i = 0; i < KEPT_STATES; i++)
        if (kept->items[i]) discard(kept->items[i]);
    dx_memory_free(kept);
}

static void make_key(void) {
    has_key = pthread_key_create(&key, discard_all) == 0;
}

static kept_states *kept_by_thread(void) {
    (void)pthread_once(&once, make_key);
    return has_key ? pthread_getspecific(key) : NULL;
}

static dx_compressor *take_kept(const dx_coding_encoder *encoder, int level, int64_t size) {
    kept_states *kept = kept_by_thread();
    for (size_t i = 0; kept && i < KEPT_STATES; i++) {
        dx_compressor *item = kept->items[i];
        if (!item || item->encoder != encoder || !encoder->reset(item->state, level, size)) continue;
        kept->items[i] = NULL;
        return item;
    }
    return NULL;
}

// False when it is not kept.
static bool keep(dx_compressor *compressor) {
    if (!compressor->encoder->reset) return false;
    kept_states *kept = kept_by_thread();
    if (!kept && has_key) {
        kept = dx_memory_zalloc(1, sizeof *kept);
        if (kept && pthread_setspecific(key, kept) != 0) {
            dx_memory_free(kept);
            kept = NULL;
        }
    }
    for (size_t i = 0; kept && i < KEPT_STATES; i++) {
        if (kept->items[i]) continue;
        kept->items[i] = compressor;
        return true;
    }
    return false;
}

dx_status dx_compressor_create(dx_compressor **out, dx_coding coding, int level, int64_t size) {
    *out = NULL;
    if ((size_t)coding >= DX_CODING_COUNT || !encoders[coding]) return DX_INTERNAL;
    level = level < 1 ? 1 : level > 9 ? 9 : level;
    *out = take_kept(encoders[coding], level, size);
    if (*out) return DX_OK;
    dx_compressor *compressor = dx_memory_zalloc(1, sizeof *compressor);
    if (!compressor) return DX_NO_MEMORY;
    *compressor = (dx_compressor){encoders[coding], encoders[coding]->create(level, size)};
    if (!compressor->state) {
        dx_memory_free(compressor);
        return DX_NO_MEMORY;
    }
    *out = compressor;
    return DX_OK;
}

void dx_compressor_destroy(dx_compressor *compressor) {
    if (compressor && !keep(compressor)) discard(compressor);
}

// Room for what may come of `left` bytes: a guess, since more is asked for when it is used up.
static size_t room_for(const dx_buffer *out, size_t left) {
    size_t wanted = left / 2 + 512, allowed = out->cap - out->size;
    if (wanted > PIECE_SIZE) wanted = PIECE_SIZE;
    return wanted < allowed ? wanted : allowed;
}

dx_status dx_compressor_run(dx_compressor *compressor, dx_slice in, dx_compress how, dx_buffer *out) {
    dx_coding_step step = {.in = (const uint8_t *)(in.data ? in.data : ""), .in_size = in.size};
    bool done = false;
    while (!done) {
        size_t room = room_for(out, step.in_size);
        char *to = dx_buffer_reserve(out, room ? room : 1); // none left: fails as it should
        if (!to) return dx_buffer_status(out);
        step.out = (uint8_t *)to;
        step.out_size = room;
        dx_status status = compressor->encoder->step(compressor->state, &step, how, &done);
        if (status != DX_OK) return status;
        out->size += room - step.out_size;
    }
    return DX_OK;
}

// --- decoding --------------------------------------------------------------------------------------------------------------

struct dx_decompressor {
    const dx_coding_decoder *decoder;
    void *state;
    uint64_t cap, in, out;
    uint32_t ratio;
    bool begun, ended; // a member has; the last one that began has
    uint8_t piece[PIECE_SIZE];
};

dx_status dx_decompressor_create(dx_decompressor **out, dx_coding coding, uint64_t cap, uint32_t ratio) {
    *out = NULL;
    if ((size_t)coding >= DX_CODING_COUNT || !decoders[coding]) return DX_INTERNAL;
    dx_decompressor *d = dx_memory_alloc(sizeof *d);
    if (!d) return DX_NO_MEMORY;
    d->decoder = decoders[coding];
    d->cap = cap;
    d->ratio = ratio;
    d->in = d->out = 0;
    d->begun = d->ended = false;
    d->state = d->decoder->create();
    if (!d->state) {
        dx_memory_free(d);
        return DX_NO_MEMORY;
    }
    *out = d;
    return DX_OK;
}

void dx_decompressor_destroy(dx_decompressor *decompressor) {
    if (!decompressor) return;
    decompressor->decoder->destroy(decompressor->state);
    dx_memory_free(decompressor);
}

static bool is_bomb(const dx_decompressor *d) {
    return d->out > d->cap || (d->ratio && d->out > FREE_RATIO && d->out / d->ratio > d->in);
}

// Goes on to what stands behind the end of a member.
static dx_status begin_next(dx_decompressor *d) {
    d->ended = false;
    return d->decoder->next ? d->decoder->next(d->state) : DX_MALFORMED;
}

dx_status dx_decompressor_run(dx_decompressor *d, dx_slice in, dx_status (*piece)(void *ctx, dx_slice piece), void *ctx) {
    dx_coding_step step = {.in = (const uint8_t *)in.data, .in_size = in.size};
    bool full = false; // more output may be waiting inside
    while (step.in_size || full) {
        dx_status status = d->ended ? begin_next(d) : DX_OK;
        if (status != DX_OK) return status;
        size_t before = step.in_size;
        step.out = d->piece;
        step.out_size = sizeof d->piece;
        d->begun = true;
        status = d->decoder->step(d->state, &step, &d->ended);
        if (status != DX_OK) return status;
        size_t made = sizeof d->piece - step.out_size;
        full = step.out_size == 0 && !d->ended;
        d->in += before - step.in_size;
        d->out += made;
        if (is_bomb(d)) return DX_TOO_LARGE;
        if (made) status = piece(ctx, dx_slice_of((const char *)d->piece, made));
        if (status != DX_OK) return status;
        if (!made && before == step.in_size && !d->ended) return before ? DX_MALFORMED : DX_OK; // nothing moves any more
    }
    return DX_OK;
}

dx_status dx_decompressor_end(dx_decompressor *decompressor) {
    return decompressor->begun && decompressor->ended ? DX_OK : DX_MALFORMED;
}
