// Files without waiting for the disk. Whether a range is in memory is asked of the kernel page by page only in steps of the usual
// readahead, as pages come in by runs; a hole in one that this misses costs a short wait and no more.
//
// What a pool thread has fetched is trusted up to its end: pages dropped again since then are so rare that reading them anew beats
// asking twice, and file systems that cannot be asked (EOPNOTSUPP) are served the same way.
#include "net/file_body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/memory.h"

#define PROBE_STEP (64u << 10)
#define FETCH_STEP (64u << 10)

struct dx_file_body {
    dx_loop *loop;
    int fd;
    int64_t offset, left;
    int64_t trusted; // offset up to which all is known to be in memory
    void (*ready)(void *ctx);
    void *ctx;
    bool fetching;  // a pool thread has the descriptor, or shall have it
    bool destroyed; // while fetching
    bool failed;
    int64_t fetch_from, fetch_to; // the pool thread's
    bool fetch_failed;            // likewise
    dx_work work;
    dx_timer again; // the pool has no room at present
};

static void on_work(dx_work *work);
static void on_done(dx_work *work);
static void on_again(dx_timer *timer);

dx_file_body *dx_file_body_create(dx_loop *loop, int fd, int64_t offset, int64_t length, void (*ready)(void *ctx), void *ctx) {
    dx_file_body *file = dx_memory_zalloc(1, sizeof *file);
    if (!file) {
        (void)close(fd);
        return NULL;
    }
    file->loop = loop;
    file->fd = fd;
    file->offset = file->trusted = offset;
    file->left = length;
    file->ready = ready;
    file->ctx = ctx;
    file->work.work = on_work;
    file->work.done = on_done;
    file->again.fire = on_again;
    return file;
}

static void free_file(dx_file_body *file) {
    (void)close(file->fd);
    dx_memory_free(file);
}

void dx_file_body_destroy(dx_file_body *file) {
    if (!file) return;
    file->destroyed = true;
    if (file->again.link) {
        dx_timer_stop(file->loop, &file->again);
        file->fetching = false;
    }
    if (!file->fetching) free_file(file);
}

int64_t dx_file_body_left(const dx_file_body *file) {
    return file->left;
}

int dx_file_body_fd(const dx_file_body *file) {
    return file->fd;
}

int64_t dx_file_body_offset(const dx_file_body *file) {
    return file->offset;
}

void dx_file_body_skip(dx_file_body *file, size_t bytes) {
    file->offset += (int64_t)bytes;
    file->left -= (int64_t)bytes;
    if (file->trusted < file->offset) file->trusted = file->offset;
}

// --- fetching --------------------------------------------------------------------------------------------------------------

// On a pool thread: reading is what brings pages in for certain, and tells of an error or of the file's end.
static void on_work(dx_work *work) {
    dx_file_body *file = DX_CONTAINER_OF(work, dx_file_body, work);
    char bytes[FETCH_STEP];
    (void)readahead(file->fd, file->fetch_from, (size_t)(file->fetch_to - file->fetch_from));
    while (file->fetch_from < file->fetch_to) {
        int64_t want = file->fetch_to - file->fetch_from;
        ssize_t got = pread(file->fd, bytes, want < FETCH_STEP ? (size_t)want : FETCH_STEP, file->fetch_from);
        if (got < 0 && errno == EINTR) continue;
        file->fetch_failed = got <= 0;
        if (got <= 0) return;
        file->fetch_from += got;
    }
}

static void on_done(dx_work *work) {
    dx_file_body *file = DX_CONTAINER_OF(work, dx_file_body, work);
    file->fetching = false;
    if (file->destroyed) {
        free_file(file);
        return;
    }
    file->failed = file->fetch_failed;
    file->trusted = file->fetch_from;
    file->ready(file->ctx);
}

// Hands the next chunk to the pool, or tries again in a while: refusing would break off a response that is half sent.
static void submit(dx_file_body *file) {
    if (dx_loop_work(file->loop, &file->work) != DX_OK) dx_timer_start(file->loop, &file->again, DX_TIMER_TICK);
}

static void on_again(dx_timer *timer) {
    submit(DX_CONTAINER_OF(timer, dx_file_body, again));
}

static ssize_t fetch(dx_file_body *file) {
    if (file->fetching) return DX_FILE_WAIT;
    file->fetching = true;
    file->fetch_from = file->offset;
    file->fetch_to = file->offset + (file->left < DX_FILE_CHUNK ? file->left : DX_FILE_CHUNK);
    submit(file);
    return DX_FILE_WAIT;
}

// --- what is in memory -----------------------------------------------------------------------------------------------------

// Like pread(2), but of pages in memory alone; errno is EAGAIN for others.
static ssize_t read_now(const dx_file_body *file, char *to, size_t size, int64_t offset, int flags) {
    struct iovec piece = {to, size};
    ssize_t got;
    do got = preadv2(file->fd, &piece, 1, offset, flags);
    while (got < 0 && errno == EINTR);
    return got;
}

static bool must_fetch(ssize_t got) {
    return got < 0 && (errno == EAGAIN || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL);
}

ssize_t dx_file_body_read(dx_file_body *file, char *to, size_t size) {
    if (file->failed) return DX_FILE_FAILED;
    if ((int64_t)size > file->left) size = (size_t)file->left;
    int64_t known = file->trusted - file->offset;
    if (known > 0 && (int64_t)size > known) size = (size_t)known;
    ssize_t got = read_now(file, to, size, file->offset, known > 0 ? 0 : RWF_NOWAIT);
    if (must_fetch(got) && known <= 0) return fetch(file);
    if (got <= 0) {
        file->failed = true;
        return DX_FILE_FAILED;
    }
    dx_file_body_skip(file, (size_t)got);
    return got;
}

static ssize_t probe(const dx_file_body *file, int64_t offset) {
    char byte;
    return read_now(file, &byte, 1, offset, RWF_NOWAIT);
}

ssize_t dx_file_body_resident(dx_file_body *file, size_t most) {
    if (file->failed) return DX_FILE_FAILED;
    if ((int64_t)most > file->left) most = (size_t)file->left;
    int64_t end = file->offset + (int64_t)most;
    while (file->trusted < end) {
        ssize_t first = probe(file, file->trusted);
        int64_t next = file->trusted + PROBE_STEP < end ? file->trusted + PROBE_STEP : end;
        ssize_t last = first > 0 ? probe(file, next - 1) : first;
        if (last > 0) {
            file->trusted = next;
            continue;
        }
        if (file->trusted > file->offset) break; // what is there goes first
        return must_fetch(last) ? fetch(file) : DX_FILE_FAILED;
    }
    return (ssize_t)((file->trusted < end ? file->trusted : end) - file->offset);
}
