// A spool: a body that is gathered in memory up to a bound and then in a temporary file without a name (0600), so that nothing is left
// behind whatever happens. The file is written off the loop; who hands bytes in looks at dx_spool_waiting and hands in no more while that
// is much. Everything here on the loop's thread.
#ifndef DX_EXCHANGE_SPOOL_H
#define DX_EXCHANGE_SPOOL_H

#include "base/buffer.h"
#include "loop/loop.h"

#define DX_SPOOL_WINDOW (256u << 10) // a sensible bound for dx_spool_waiting
#define DX_SPOOL_AHEAD  (16u << 20)  // what may wait at most: DX_OVERLOADED

typedef struct dx_spool dx_spool;

typedef struct dx_spool_options {
    const char *folder; // for the file; copied
    uint64_t memory;    // bytes kept in memory before there is a file
    uint64_t cap;       // bytes in all; over it DX_TOO_LARGE
    // Something that waited has been written, or cannot be. Never from inside the calls below. NULL: nobody asks.
    void (*written)(void *ctx);
    void *ctx;
} dx_spool_options;

dx_status dx_spool_create(dx_spool **out, dx_loop *loop, const dx_spool_options *options) DX_MUST_USE;
// At any time, also while a write or a link is under way: then nothing is called back any more. Takes NULL.
void dx_spool_destroy(dx_spool *spool);
// Copies the piece. DX_TOO_LARGE, DX_NO_MEMORY, DX_OVERLOADED, DX_STORE_FULL (the disk), DX_STORE_UNAVAILABLE (any other trouble with the
// file); after the first failure always the same.
dx_status dx_spool_write(dx_spool *spool, dx_slice piece) DX_MUST_USE;
size_t dx_spool_waiting(const dx_spool *spool); // bytes handed in that are not in their place yet
dx_status dx_spool_status(const dx_spool *spool);
uint64_t dx_spool_size(const dx_spool *spool);

// When nothing waits:
int dx_spool_file(const dx_spool *spool);       // the descriptor, the spool's; -1: all of it is in memory
dx_slice dx_spool_bytes(const dx_spool *spool); // then that; lives as long as the spool
int dx_spool_take_file(dx_spool *spool);        // the descriptor becomes the caller's; -1: none. Nothing is written any more
// Reads all of it into `to` (dx_spool_size bytes), off the loop. `done` comes later, with DX_OK, or DX_STORE_UNAVAILABLE when the disk
// fails; it may destroy the spool. Until then `to` and the spool must live. What this returns is why it never began.
dx_status dx_spool_read(dx_spool *spool, char *to, void (*done)(void *ctx, dx_status status), void *ctx) DX_MUST_USE;
// Gives the content the name `path` (copied), atomically and durably: whoever opens `path` sees the old file or the whole new one, also
// after a power cut. Without a copy where spool.folder and path are on one file system. `done` comes later, with DX_STORE_FULL,
// DX_STORE_UNAVAILABLE, DX_NOT_FOUND (no such folder) or DX_OK. What this returns is why it never began.
dx_status dx_spool_link(dx_spool *spool, const char *path, unsigned mode, void (*done)(void *ctx, dx_status status), void *ctx) DX_MUST_USE;

#endif
