// An arena: memory that is taken piece by piece and given back all at once. Every exchange has one, so nothing of a request is
// freed by hand. An arena has a cap; over it, or when the system has no memory, an allocation returns NULL and the exchange
// fails with DX_NO_MEMORY. One thread at a time uses an arena; it may be handed to another thread whole.
#ifndef DX_BASE_ARENA_H
#define DX_BASE_ARENA_H

#include <stdarg.h>

#include "base/slice.h"
#include "base/status.h"

typedef struct dx_arena dx_arena;
struct dx_arena_chunk;
struct dx_arena_cleanup;

// Private to arena.c; it stands here for the inline paths below. The free room of the present chunk is [at, end): aligned pieces are taken
// from its front, text from its back, so neither pays for padding.
struct dx_arena {
    _Alignas(16) char *at; // always a multiple of DX_ARENA_ALIGN
    char *end;
    struct dx_arena_chunk *chunks; // all but the first, newest first
    struct dx_arena_chunk *spare;  // kept by a reset, for when the first is full; NULL: none
    struct dx_arena_cleanup *cleanups;
    size_t cap, footprint; // bytes from the system: allowed, taken
    uint32_t first_size;   // of the first chunk, this struct counted
    uint32_t grow;         // size of the next chunk
    bool outgrown;         // the cap has refused a piece
};
#define DX_ARENA_ALIGN ((size_t)16)

// An arena that takes at most `cap_bytes` from the system; NULL without memory. The first chunk is taken with the arena itself.
dx_arena *dx_arena_create(size_t cap_bytes);
// Likewise with a first chunk of `first` bytes, below the usual 8 KiB: for arenas of which many rest half empty, so that each of them
// touches few pages. A second small chunk outlives a reset, too.
dx_arena *dx_arena_create_small(size_t first, size_t cap_bytes);
// Runs the cleanups, newest first, and frees everything. Takes NULL.
void dx_arena_destroy(dx_arena *arena);
// Runs the cleanups and forgets everything, keeping the first chunk: what a pool of arenas does between requests.
void dx_arena_reset(dx_arena *arena);

// Aligned for any type; not zeroed. `size` 0 gives a valid pointer. NULL over the cap.
void *dx_arena_alloc_slow(dx_arena *arena, size_t size) DX_MUST_USE;
DX_MUST_USE static inline void *dx_arena_alloc(dx_arena *arena, size_t size) {
    // Room rounded down to the alignment: whatever fits it still fits rounded up.
    size_t room = (size_t)(arena->end - arena->at) & ~(DX_ARENA_ALIGN - 1);
    if (DX_UNLIKELY(room < DX_REDZONE || size > room - DX_REDZONE)) return dx_arena_alloc_slow(arena, size);
    char *piece = arena->at;
    arena->at = piece + ((size + DX_REDZONE + DX_ARENA_ALIGN - 1) & ~(DX_ARENA_ALIGN - 1));
    DX_UNPOISON(piece, size);
    return piece;
}
// Zeroed array of `count` items; checks the product.
void *dx_arena_zalloc(dx_arena *arena, size_t count, size_t size) DX_MUST_USE;
// Bytes without alignment, for text.
char *dx_arena_bytes_slow(dx_arena *arena, size_t size) DX_MUST_USE;
DX_MUST_USE static inline char *dx_arena_bytes(dx_arena *arena, size_t size) {
    size_t room = (size_t)(arena->end - arena->at);
    if (DX_UNLIKELY(DX_REDZONE > 0 || size > room)) return dx_arena_bytes_slow(arena, size);
    arena->end -= size;
    return arena->end;
}
// Gives a piece another size, as realloc(3); `piece` may be NULL with an `old_size` of 0. The piece taken last grows where it lies, and a
// large one (with a chunk of its own) by the system's realloc; another is copied, and its old room waits for the reset. On NULL the
// old piece stands. Shrinking never fails.
void *dx_arena_realloc(dx_arena *arena, void *piece, size_t old_size, size_t new_size) DX_MUST_USE;
// A NUL-terminated copy (the NUL is not counted in `size`); data NULL when out of memory.
dx_slice dx_arena_copy(dx_arena *arena, dx_slice from) DX_MUST_USE;
// Formatted text, NUL-terminated; data NULL when out of memory.
dx_slice dx_arena_printf(dx_arena *arena, const char *format, ...) DX_PRINTF(2, 3) DX_MUST_USE;
dx_slice dx_arena_vprintf(dx_arena *arena, const char *format, va_list args) DX_PRINTF(2, 0) DX_MUST_USE;
// Has `fn(ctx)` called on reset or destroy. Out of memory, it is called at once and DX_NO_MEMORY returned.
dx_status dx_arena_defer(dx_arena *arena, void (*fn)(void *ctx), void *ctx) DX_MUST_USE;
// Bytes taken from the system.
size_t dx_arena_footprint(const dx_arena *arena);
// Whether its cap has refused a piece since it was made or reset: what then failed for want of memory was too large, and the system had
// more.
bool dx_arena_outgrown(const dx_arena *arena);

#define DX_ARENA_NEW(arena, type)          ((type *)dx_arena_zalloc((arena), 1, sizeof(type)))
#define DX_ARENA_ARRAY(arena, type, count) ((type *)dx_arena_zalloc((arena), (count), sizeof(type)))

#endif
