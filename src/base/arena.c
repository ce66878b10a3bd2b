// The arena: a list of chunks, the newest being filled. The first chunk holds the arena itself and outlives a reset, so that a pooled
// arena serves an ordinary request without asking the system for anything; of a small first chunk the second stays as well. Later chunks
// double. A piece too large for the next chunk gets one of its own, behind the one being filled, whose room is not thrown away.
#include "base/arena.h"

#include <stdio.h>

#include "base/memory.h"

typedef struct dx_arena_chunk {
    _Alignas(16) struct dx_arena_chunk *next;
    size_t size;
    bool alone; // holds one piece
} dx_arena_chunk;

typedef struct dx_arena_cleanup {
    struct dx_arena_cleanup *next;
    void (*fn)(void *ctx);
    void *ctx;
} dx_arena_cleanup;

static const uint32_t FIRST_CHUNK = 8 * 1024;
static const uint32_t LARGEST_SPARE = 8 * 1024;
static const uint32_t LARGEST_CHUNK = 256 * 1024;

_Static_assert(sizeof(dx_arena) % 16 == 0, "what follows the arena in its chunk must be aligned");

static void fill_from(dx_arena *arena, char *from, char *end) {
    arena->at = from;
    arena->end = end;
    DX_POISON(from, (size_t)(end - from));
}

static void fill_from_first(dx_arena *arena) {
    fill_from(arena, (char *)(arena + 1), (char *)arena + arena->first_size);
    arena->grow = arena->first_size < FIRST_CHUNK ? LARGEST_SPARE : FIRST_CHUNK * 2;
    arena->footprint = arena->first_size + (arena->spare ? arena->spare->size : 0);
    arena->outgrown = false;
}

dx_arena *dx_arena_create(size_t cap_bytes) {
    return dx_arena_create_small(FIRST_CHUNK, cap_bytes);
}

dx_arena *dx_arena_create_small(size_t first, size_t cap_bytes) {
    first = (cap_bytes < first ? cap_bytes : first) & ~(DX_ARENA_ALIGN - 1);
    if (first < sizeof(dx_arena)) return NULL;
    dx_arena *arena = dx_memory_alloc(first);
    if (arena == NULL) return NULL;
    *arena = (dx_arena){.cap = cap_bytes, .first_size = (uint32_t)first};
    fill_from_first(arena);
    return arena;
}

static void run_cleanups(dx_arena *arena) {
    while (arena->cleanups) {
        dx_arena_cleanup *cleanup = arena->cleanups;
        arena->cleanups = cleanup->next; // before the call: it may register another
        cleanup->fn(cleanup->ctx);
    }
}

static void free_chunk(dx_arena_chunk *chunk) {
    if (chunk == NULL) return;
    DX_UNPOISON(chunk, chunk->size);
    dx_memory_free(chunk);
}

static bool may_be_spare(const dx_arena *arena, const dx_arena_chunk *chunk) {
    return !arena->spare && !chunk->alone && chunk->size <= LARGEST_SPARE;
}

static void free_chunks(dx_arena *arena, bool keep_spare) {
    while (arena->chunks) {
        dx_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        if (keep_spare && may_be_spare(arena, chunk))
            arena->spare = chunk;
        else
            free_chunk(chunk);
    }
}

void dx_arena_destroy(dx_arena *arena) {
    if (arena == NULL) return;
    run_cleanups(arena);
    free_chunks(arena, false);
    free_chunk(arena->spare);
    DX_UNPOISON(arena, arena->first_size);
    dx_memory_free(arena);
}

void dx_arena_reset(dx_arena *arena) {
    run_cleanups(arena);
    free_chunks(arena, true);
    fill_from_first(arena);
}

static void *refuse(dx_arena *arena) {
    arena->outgrown = true;
    return NULL;
}

static dx_arena_chunk *take_chunk(dx_arena *arena, size_t size) {
    if (size > arena->cap - arena->footprint) return refuse(arena);
    dx_arena_chunk *chunk = dx_memory_alloc(size);
    if (chunk == NULL) return NULL;
    *chunk = (dx_arena_chunk){.next = arena->chunks, .size = size};
    arena->chunks = chunk;
    arena->footprint += size;
    return chunk;
}

// A chunk of its own, which leaves the one being filled as it is.
static void *take_alone(dx_arena *arena, size_t size) {
    dx_arena_chunk *chunk = take_chunk(arena, sizeof(dx_arena_chunk) + size);
    if (chunk == NULL) return NULL;
    chunk->alone = true;
    return chunk + 1;
}

static bool use_spare(dx_arena *arena, size_t size) {
    dx_arena_chunk *chunk = arena->spare;
    if (!chunk || chunk->size - sizeof *chunk < size) return false;
    arena->spare = NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    fill_from(arena, (char *)(chunk + 1), (char *)chunk + chunk->size);
    return true;
}

// Starts a new chunk with room for `size`. False: over the cap or out of memory.
static bool refill(dx_arena *arena, size_t size) {
    if (use_spare(arena, size)) return true;
    size_t chunk_size = arena->grow;
    size_t left = arena->cap - arena->footprint;
    if (chunk_size > left) chunk_size = left & ~(DX_ARENA_ALIGN - 1);
    if (chunk_size < sizeof(dx_arena_chunk) || chunk_size - sizeof(dx_arena_chunk) < size) {
        arena->outgrown = true;
        return false;
    }
    dx_arena_chunk *chunk = take_chunk(arena, chunk_size);
    if (chunk == NULL) return false;
    if (arena->grow < LARGEST_CHUNK) arena->grow *= 2;
    fill_from(arena, (char *)(chunk + 1), (char *)chunk + chunk_size);
    return true;
}

void *dx_arena_alloc_slow(dx_arena *arena, size_t size) {
    if (size > arena->cap) return refuse(arena); // keeps the sums below from overflowing
    size_t rounded = (size + DX_REDZONE + DX_ARENA_ALIGN - 1) & ~(DX_ARENA_ALIGN - 1);
    if (rounded > arena->grow / 2) return take_alone(arena, rounded);
    if (!refill(arena, rounded)) return NULL;
    void *piece = arena->at;
    arena->at += rounded;
    DX_UNPOISON(piece, size);
    return piece;
}

char *dx_arena_bytes_slow(dx_arena *arena, size_t size) {
    if (size > arena->cap) return refuse(arena);
    size_t whole = size + DX_REDZONE;
    if (whole > (size_t)(arena->end - arena->at)) {
        if (whole > arena->grow / 2) return take_alone(arena, whole);
        if (!refill(arena, whole)) return NULL;
    }
    arena->end -= whole;
    DX_UNPOISON(arena->end, size);
    return arena->end;
}

// In place, when `piece` is the last one of the chunk being filled and there is room.
static bool resize_last(dx_arena *arena, void *piece, size_t old_size, size_t new_size) {
    char *start = piece;
    size_t rounded = (old_size + DX_REDZONE + DX_ARENA_ALIGN - 1) & ~(DX_ARENA_ALIGN - 1);
    if (start + rounded != arena->at) return false;
    size_t room = (size_t)(arena->end - start) & ~(DX_ARENA_ALIGN - 1);
    if (room < DX_REDZONE || new_size > room - DX_REDZONE) return false;
    arena->at = start + ((new_size + DX_REDZONE + DX_ARENA_ALIGN - 1) & ~(DX_ARENA_ALIGN - 1));
    DX_UNPOISON(start, new_size);
    if (new_size < old_size) DX_POISON(start + new_size, old_size - new_size);
    return true;
}

// The link to the chunk that holds only `piece`, among the newest few: a growing piece is seldom older.
static dx_arena_chunk **find_alone(dx_arena *arena, const void *piece) {
    dx_arena_chunk **link = &arena->chunks;
    for (int i = 0; i < 8 && *link; i++, link = &(*link)->next) {
        if (*link + 1 == piece) return (*link)->alone ? link : NULL;
    }
    return NULL;
}

static void *resize_alone(dx_arena *arena, dx_arena_chunk **link, size_t new_size) {
    size_t size = sizeof(dx_arena_chunk) + ((new_size + DX_REDZONE + DX_ARENA_ALIGN - 1) & ~(DX_ARENA_ALIGN - 1));
    if (size > arena->cap - arena->footprint + (*link)->size) return refuse(arena);
    dx_arena_chunk *chunk = dx_memory_realloc(*link, size);
    if (chunk == NULL) return NULL;
    *link = chunk;
    arena->footprint += size - chunk->size;
    chunk->size = size;
    return chunk + 1;
}

void *dx_arena_realloc(dx_arena *arena, void *piece, size_t old_size, size_t new_size) {
    if (piece == NULL) return dx_arena_alloc(arena, new_size);
    if (new_size > arena->cap) return refuse(arena); // keeps the sums below from overflowing
    if (resize_last(arena, piece, old_size, new_size)) return piece;
    dx_arena_chunk **alone = find_alone(arena, piece);
    if (alone) {
        void *resized = resize_alone(arena, alone, new_size);
        return resized || new_size > old_size ? resized : piece;
    }
    if (new_size <= old_size) return piece;
    void *larger = dx_arena_alloc(arena, new_size);
    if (larger && old_size) memcpy(larger, piece, old_size);
    return larger;
}

void *dx_arena_zalloc(dx_arena *arena, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) return NULL;
    void *piece = dx_arena_alloc(arena, total);
    if (piece) memset(piece, 0, total);
    return piece;
}

dx_slice dx_arena_copy(dx_arena *arena, dx_slice from) {
    if (from.size == SIZE_MAX) return (dx_slice){NULL, 0};
    char *copy = dx_arena_bytes(arena, from.size + 1);
    if (copy == NULL) return (dx_slice){NULL, 0};
    if (from.size) memcpy(copy, from.data, from.size);
    copy[from.size] = '\0';
    return (dx_slice){copy, from.size};
}

dx_slice dx_arena_printf(dx_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

dx_slice dx_arena_vprintf(dx_arena *arena, const char *format, va_list args) {
    char small[256];
    va_list again;
    va_copy(again, args);
    dx_slice text = {NULL, 0};
    int length = vsnprintf(small, sizeof small, format, args);
    if (length < 0) goto out;
    if ((size_t)length < sizeof small) {
        text = dx_arena_copy(arena, dx_slice_of(small, (size_t)length));
        goto out;
    }
    char *large = dx_arena_bytes(arena, (size_t)length + 1);
    if (large == NULL || vsnprintf(large, (size_t)length + 1, format, again) != length) goto out;
    text = dx_slice_of(large, (size_t)length);
out:
    va_end(again);
    return text;
}

dx_status dx_arena_defer(dx_arena *arena, void (*fn)(void *ctx), void *ctx) {
    dx_arena_cleanup *cleanup = dx_arena_alloc(arena, sizeof *cleanup);
    if (cleanup == NULL) {
        fn(ctx);
        return DX_NO_MEMORY;
    }
    *cleanup = (dx_arena_cleanup){.next = arena->cleanups, .fn = fn, .ctx = ctx};
    arena->cleanups = cleanup;
    return DX_OK;
}

size_t dx_arena_footprint(const dx_arena *arena) {
    return arena->footprint;
}

bool dx_arena_outgrown(const dx_arena *arena) {
    return arena->outgrown;
}
