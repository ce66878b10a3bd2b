// Bare DEFLATE by zlib. Without context takeover a state serves any connection's next message, so that a connection holds none between
// messages, and a thread needs no more than a few.
#include "codec/deflate.h"

#include <pthread.h>
#include <zlib.h>

#include "base/memory.h"

#define LEVEL     3    // messages are answered at once: fast
#define ROOM      2048 // the least that is asked of the buffer at a time
#define TAIL_SIZE 4

static const uint8_t tail[TAIL_SIZE] = {0x00, 0x00, 0xff, 0xff};

struct dx_inflater {
    z_stream z;
};

typedef struct deflater {
    z_stream z;
    int window_bits;
} deflater;

typedef struct kept_states {
    deflater *deflater;
    dx_inflater *inflater;
} kept_states;

// --- what a thread keeps ---------------------------------------------------------------------------------------------------

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

static void discard_deflater(deflater *d) {
    if (!d) return;
    (void)deflateEnd(&d->z);
    dx_memory_free(d);
}

static void discard_inflater(dx_inflater *i) {
    if (!i) return;
    (void)inflateEnd(&i->z);
    dx_memory_free(i);
}

static void discard_kept(void *value) {
    kept_states *kept = value;
    discard_deflater(kept->deflater);
    discard_inflater(kept->inflater);
    dx_memory_free(kept);
}

static void make_key(void) {
    has_key = pthread_key_create(&key, discard_kept) == 0;
}

// NULL without memory: then nothing is kept.
static kept_states *kept_by_thread(void) {
    (void)pthread_once(&once, make_key);
    if (!has_key) return NULL;
    kept_states *kept = pthread_getspecific(key);
    if (kept) return kept;
    kept = dx_memory_zalloc(1, sizeof *kept);
    if (kept && pthread_setspecific(key, kept) == 0) return kept;
    dx_memory_free(kept);
    return NULL;
}

static voidpf take(voidpf opaque, uInt count, uInt size) {
    (void)opaque;
    return dx_memory_zalloc(count, size);
}

static void give(voidpf opaque, voidpf memory) {
    (void)opaque;
    dx_memory_free(memory);
}

// --- compressing -----------------------------------------------------------------------------------------------------------

static deflater *obtain_deflater(int window_bits) {
    kept_states *kept = kept_by_thread();
    deflater *d = kept ? kept->deflater : NULL;
    if (d && d->window_bits == window_bits && deflateReset(&d->z) == Z_OK) {
        kept->deflater = NULL;
        return d;
    }
    d = dx_memory_zalloc(1, sizeof *d);
    if (!d) return NULL;
    *d = (deflater){.z = {.zalloc = take, .zfree = give}, .window_bits = window_bits};
    if (deflateInit2(&d->z, LEVEL, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK) return d;
    dx_memory_free(d);
    return NULL;
}

static void give_back_deflater(deflater *d) {
    kept_states *kept = kept_by_thread();
    if (kept) {
        deflater *other = kept->deflater;
        kept->deflater = d;
        d = other;
    }
    discard_deflater(d);
}

static size_t room_in(const dx_buffer *out) {
    size_t allowed = out->cap - out->size, free_room = out->capacity - out->size;
    size_t wanted = free_room > ROOM + 1 ? free_room - 1 : ROOM;
    return allowed < wanted ? allowed : wanted;
}

static dx_status compress_all(deflater *d, dx_slice message, dx_buffer *out) {
    d->z.next_in = (Bytef *)(uintptr_t)message.data;
    d->z.avail_in = (uInt)message.size;
    do {
        size_t room = room_in(out);
        char *to = dx_buffer_reserve(out, room ? room : 1);
        if (!to) return dx_buffer_status(out);
        d->z.next_out = (Bytef *)to;
        d->z.avail_out = (uInt)room;
        if (deflate(&d->z, Z_SYNC_FLUSH) == Z_STREAM_ERROR) return DX_INTERNAL;
        out->size += room - d->z.avail_out;
    } while (d->z.avail_out == 0);
    return DX_OK;
}

dx_status dx_deflate_message(dx_buffer *out, dx_slice message, int window_bits) {
    if (message.size > INT32_MAX || window_bits < 9 || window_bits > 15) return DX_INTERNAL;
    if (message.size == 0) { // section 7.2.3.6: an empty block that is not the last
        dx_buffer_byte(out, 0);
        return dx_buffer_status(out);
    }
    deflater *d = obtain_deflater(window_bits);
    if (!d) return DX_NO_MEMORY;
    dx_status status = compress_all(d, message, out);
    give_back_deflater(d);
    if (status == DX_OK) out->size -= TAIL_SIZE;
    return status;
}

// --- taking apart ----------------------------------------------------------------------------------------------------------

dx_status dx_inflater_create(dx_inflater **out) {
    kept_states *kept = kept_by_thread();
    dx_inflater *i = kept ? kept->inflater : NULL;
    if (i && inflateReset(&i->z) == Z_OK) {
        kept->inflater = NULL;
        *out = i;
        return DX_OK;
    }
    *out = NULL;
    i = dx_memory_zalloc(1, sizeof *i);
    if (!i) return DX_NO_MEMORY;
    i->z = (z_stream){.zalloc = take, .zfree = give};
    if (inflateInit2(&i->z, -15) != Z_OK) {
        dx_memory_free(i);
        return DX_NO_MEMORY;
    }
    *out = i;
    return DX_OK;
}

void dx_inflater_destroy(dx_inflater *inflater) {
    kept_states *kept = inflater ? kept_by_thread() : NULL;
    if (kept && !kept->inflater)
        kept->inflater = inflater;
    else
        discard_inflater(inflater);
}

// A byte more than the cap may be asked for, to tell a message that fits from one that does not.
static dx_status inflate_step(dx_inflater *i, dx_buffer *out) {
    uint8_t over;
    size_t room = room_in(out);
    char *to = room ? dx_buffer_reserve(out, room) : (char *)&over;
    if (!to) return dx_buffer_status(out);
    i->z.next_out = (Bytef *)to;
    i->z.avail_out = room ? (uInt)room : 1;
    int said = inflate(&i->z, Z_SYNC_FLUSH);
    if (room)
        out->size += room - i->z.avail_out;
    else if (i->z.avail_out == 0)
        return DX_TOO_LARGE;
    if (said == Z_MEM_ERROR) return DX_NO_MEMORY;
    // A block may say that it is the last (section 7.2.3.4): the message goes on behind it all the same.
    if (said == Z_STREAM_END) return inflateReset(&i->z) == Z_OK ? DX_OK : DX_INTERNAL;
    return said == Z_OK || said == Z_BUF_ERROR ? DX_OK : DX_MALFORMED;
}

dx_status dx_inflater_run(dx_inflater *inflater, dx_slice piece, dx_buffer *out) {
    inflater->z.next_in = (Bytef *)(uintptr_t)piece.data;
    inflater->z.avail_in = (uInt)piece.size;
    dx_status status = DX_OK;
    do {
        status = inflate_step(inflater, out);
    } while (status == DX_OK && (inflater->z.avail_in > 0 || inflater->z.avail_out == 0));
    return status;
}

dx_status dx_inflater_end(dx_inflater *inflater, dx_buffer *out) {
    return dx_inflater_run(inflater, dx_slice_of((const char *)tail, sizeof tail), out);
}
