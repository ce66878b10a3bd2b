// Several ranges of a file in one answer (multipart/byteranges, RFC 9110 section 14.6): a source that reads piece by piece, on the loop
// what the kernel has in memory and on a pool thread what it has not.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "codec/range.h"
#include "files/parts.h"

#define PIECE         (64u << 10)
#define BOUNDARY_SIZE 24

typedef struct parts {
    dx_work work;
    dx_exchange *x;
    int fd;
    dx_slice type;
    uint64_t total;
    dx_byte_range ranges[DX_RANGES_CAP]; // not in the arena: the thread may be at it when the exchange has gone
    size_t count, at;
    uint64_t done; // bytes sent of the range
    bool headed;   // its part's head is sent
    bool reading;  // a pool thread is at it
    bool closed;
    size_t filled, taken; // of `piece`
    ssize_t got;
    char boundary[BOUNDARY_SIZE + 1];
    char piece[PIECE];
} parts;

static size_t wanted(const parts *p) {
    uint64_t left = p->ranges[p->at].size - p->done;
    return left < PIECE ? (size_t)left : PIECE;
}

static void destroy(parts *p) {
    (void)close(p->fd);
    dx_memory_free(p);
}

static void go_on(parts *p);

static void read_off_loop(dx_work *work) {
    parts *p = DX_CONTAINER_OF(work, parts, work);
    p->got = pread(p->fd, p->piece, wanted(p), (off_t)(p->ranges[p->at].from + p->done));
}

static void read_done(dx_work *work) {
    parts *p = DX_CONTAINER_OF(work, parts, work);
    p->reading = false;
    if (p->closed) {
        destroy(p);
    } else if (p->got <= 0) {
        dx_exchange_cut(p->x); // the file has shrunk, or can't be read
    } else {
        p->filled = (size_t)p->got;
        go_on(p);
    }
}

// Fills `piece`; false when that takes a thread, or failed.
static bool fill(parts *p) {
    struct iovec to = {p->piece, wanted(p)};
    p->taken = p->filled = 0;
    ssize_t got = preadv2(p->fd, &to, 1, (off_t)(p->ranges[p->at].from + p->done), RWF_NOWAIT);
    if (got > 0) {
        p->filled = (size_t)got;
        return true;
    }
    p->work = (dx_work){.work = read_off_loop, .done = read_done, .loop = p->x->loop};
    p->reading = true;
    if (dx_loop_work(p->x->loop, &p->work) == DX_OK) return false;
    p->reading = false;
    dx_exchange_cut(p->x);
    return false;
}

static bool write_head(parts *p) {
    char text[512];
    const dx_byte_range *range = &p->ranges[p->at];
    int size = snprintf(text, sizeof text, "%s--%s\r\ncontent-type: %.*s\r\ncontent-range: bytes %llu-%llu/%llu\r\n\r\n",
                        p->at ? "\r\n" : "", p->boundary, (int)(p->type.size < 256 ? p->type.size : 256), p->type.data,
                        (unsigned long long)range->from, (unsigned long long)(range->from + range->size - 1), (unsigned long long)p->total);
    p->headed = dx_exchange_write(p->x, dx_slice_of(text, (size_t)size));
    return p->headed;
}

// One part's next piece; false: wait.
static bool step(parts *p) {
    if (!p->headed && !write_head(p)) return false;
    if (p->taken == p->filled && !fill(p)) return false;
    if (!dx_exchange_write(p->x, dx_slice_of(p->piece + p->taken, p->filled - p->taken))) return false;
    p->done += p->filled - p->taken;
    p->taken = p->filled;
    if (p->done < p->ranges[p->at].size) return true;
    p->at++;
    p->done = 0;
    p->headed = false;
    return true;
}

static void go_on(parts *p) {
    char text[BOUNDARY_SIZE + 16];
    while (p->at < p->count)
        if (!step(p)) return;
    int size = snprintf(text, sizeof text, "\r\n--%s--\r\n", p->boundary);
    if (dx_exchange_write(p->x, dx_slice_of(text, (size_t)size))) dx_exchange_finish(p->x, NULL);
}

static void on_ready(void *ctx, dx_exchange *x) {
    parts *p = ctx;
    (void)x;
    if (!p->reading) go_on(p);
}

static void on_closed(void *ctx, dx_exchange *x, dx_status why) {
    parts *p = ctx;
    (void)x, (void)why;
    p->closed = true;
    if (!p->reading) destroy(p);
}

static const dx_source_ops source = {.ready = on_ready, .closed = on_closed};

static void choose_boundary(char out[BOUNDARY_SIZE + 1]) {
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    uint8_t random[BOUNDARY_SIZE];
    dx_random_bytes(random, sizeof random);
    for (size_t i = 0; i < BOUNDARY_SIZE; i++) out[i] = letters[random[i] & 31];
    out[BOUNDARY_SIZE] = 0;
}

dx_verdict dx_files_send_parts(dx_exchange *x, int fd, const dx_byte_range *ranges, size_t count, dx_slice type, uint64_t total) {
    parts *p = dx_memory_alloc(sizeof *p);
    if (!p) {
        (void)close(fd);
        return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    }
    *p = (parts){.x = x, .fd = fd, .type = type, .total = total, .count = count};
    memcpy(p->ranges, ranges, count * sizeof *ranges);
    choose_boundary(p->boundary);
    dx_slice content_type = dx_arena_printf(x->arena, "multipart/byteranges; boundary=%s", p->boundary);
    if (!content_type.data) {
        destroy(p);
        return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    }
    return dx_exchange_stream(x, 206, content_type, &source, p);
}
