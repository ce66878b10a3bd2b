// Files without waiting for the disk. Whether a range is in memory is asked of the kernel page by page only in steps of the usual
// readahead, as pages come in by runs; a hole in one that this misses costs a short wait and no more.
//
// What a pool thread has fetched is trusted up to its end: pages dropped again since then are so rare that reading them anew beats
// asking twice. File systems that cannot be asked (EOPNOTSUPP: overlayfs, network ones) are served the same way, but for those that have no
// disk at all.
#include "net/file_body.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/memory.h"

#define PROBE_STEP (128u << 10)
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
    file->fetching = true;
    file->fetch_from = file->offset;
    file->fetch_to = file->offset + (file->left < DX_FILE_CHUNK ? file->left : DX_FILE_CHUNK);
    submit(file);
    return DX_FILE_WAIT;
}

// --- what is in memory -----------------------------------------------------------------------------------------------------

// Like pread(2), but of pages in memory alone; errno is EAGAIN for others.
// NOLINTNEXTLINE(readability-non-const-parameter): the kernel writes there
static ssize_t read_now(const dx_file_body *file, char *to, size_t size, int64_t offset, int flags) {
    struct iovec piece = {to, size};
    ssize_t got;
    do got = preadv2(file->fd, &piece, 1, offset, flags);
    while (got < 0 && errno == EINTR);
    return got;
}

static bool lies_in_memory(const dx_file_body *file) {
    struct statfs system;
    return fstatfs(file->fd, &system) == 0 && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

// After an answer of read_now: whether a pool thread is needed. On a file system without a disk it is not, from now on.
static bool must_fetch(dx_file_body *file, ssize_t got) {
    if (got >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return false;
    if (errno == EOPNOTSUPP && lies_in_memory(file)) file->trusted = file->offset + file->left;
    return true;
}

ssize_t dx_file_body_read(dx_file_body *file, char *to, size_t size) {
    if (file->failed) return DX_FILE_FAILED;
    if (file->fetching) return DX_FILE_WAIT;
    if ((int64_t)size > file->left) size = (size_t)file->left;
    ssize_t got = -1;
    bool known = file->trusted > file->offset;
    if (!known) {
        got = read_now(file, to, size, file->offset, RWF_NOWAIT);
        if (must_fetch(file, got)) {
            known = file->trusted > file->offset;
            if (!known) return fetch(file);
        }
    }
    if (known) {
        int64_t most = file->trusted - file->offset;
        got = read_now(file, to, (int64_t)size < most ? size : (size_t)most, file->offset, 0);
    }
    file->failed = got <= 0;
    if (file->failed) return DX_FILE_FAILED;
    if (file->fetching) return DX_FILE_WAIT;
    dx_file_body_skip(file, (size_t)got);
    return got;
}

// Whether the last byte before `next` is in memory, and the first one where nothing before it is known to be: as read_now.
static ssize_t probe(const dx_file_body *file, int64_t next) {
    char byte;
    ssize_t first = file->trusted == file->offset ? read_now(file, &byte, 1, file->trusted, RWF_NOWAIT) : 1;
    return first > 0 ? read_now(file, &byte, 1, next - 1, RWF_NOWAIT) : first;
}

ssize_t dx_file_body_resident(dx_file_body *file, size_t most) {
    if (file->failed) return DX_FILE_FAILED;
    if (file->fetching) return DX_FILE_WAIT;
    if ((int64_t)most > file->left) most = (size_t)file->left;
    int64_t end = file->offset + (int64_t)most;
    while (file->trusted < end) {
        int64_t next = file->trusted + PROBE_STEP < end ? file->trusted + PROBE_STEP : end;
        ssize_t there = probe(file, next);
        if (there > 0) {
            file->trusted = next;
            continue;
        }
        if (file->trusted > file->offset) break; // what is there goes first
        if (!must_fetch(file, there)) {
            file->failed = true;
            return DX_FILE_FAILED;
        }
        if (file->trusted == file->offset) return fetch(file);
    }
    return (ssize_t)((file->trusted < end ? file->trusted : end) - file->offset);
}
