// Spooling: two buffers take turns, one gathers while the other is written by a pool thread. The thread touches the buffer it was given and
// the file, and nothing else of the spool. A spool that is destroyed meanwhile lives on, mute, until the thread is through.
#include "exchange/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "codec/text.h"

#define COPY_SIZE (256u << 10)
#define NAME_SIZE 16 // hex digits of a temporary name

// What was asked for of a spool that is whole: a link, or a reading.
typedef struct errand {
    char *path;
    unsigned mode;
    char *to;
    void (*done)(void *ctx, dx_status status);
    void *ctx;
} errand;

struct dx_spool {
    dx_work work;
    dx_loop *loop;
    dx_spool_options options;
    dx_buffer gathered;
    dx_buffer writing; // the thread's while `busy`
    uint64_t size;
    int64_t offset; // written so far
    dx_status status;
    dx_status outcome; // the thread's
    errand errand;
    int file;         // -1: none yet
    bool linkable;    // made by O_TMPFILE
    bool spilled;     // bytes go to the file
    bool busy;        // a piece of work is under way
    bool on_errand;   // it is that
    bool is_orphaned; // destroyed, but for the thread
    char folder[];    // options.folder: the thread may need it when whose it was has gone
};

dx_status dx_spool_create(dx_spool **out, dx_loop *loop, const dx_spool_options *options) {
    size_t size = strlen(options->folder) + 1;
    dx_spool *spool = *out = dx_memory_zalloc(1, sizeof *spool + size);
    if (!spool) return DX_NO_MEMORY;
    spool->loop = loop;
    spool->options = *options;
    memcpy(spool->folder, options->folder, size);
    spool->options.folder = spool->folder;
    dx_buffer_init(&spool->gathered, NULL, (size_t)options->memory + DX_SPOOL_AHEAD);
    dx_buffer_init(&spool->writing, NULL, (size_t)options->memory + DX_SPOOL_AHEAD);
    spool->file = -1;
    return DX_OK;
}

static void dispose(dx_spool *spool) {
    if (spool->file >= 0) (void)close(spool->file);
    dx_buffer_deinit(&spool->gathered);
    dx_buffer_deinit(&spool->writing);
    dx_memory_free(spool->errand.path);
    dx_memory_free(spool);
}

void dx_spool_destroy(dx_spool *spool) {
    if (!spool) return;
    if (spool->busy)
        spool->is_orphaned = true;
    else
        dispose(spool);
}

// --- on a pool thread --------------------------------------------------------------------------------------------------------

static dx_status status_of_errno(void) {
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) return DX_STORE_FULL;
    return errno == ENOENT || errno == ENOTDIR ? DX_NOT_FOUND : DX_STORE_UNAVAILABLE;
}

static bool write_all(int file, const char *data, size_t size, int64_t offset) {
    while (size > 0) {
        ssize_t written = pwrite(file, data, size, offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        data += written;
        size -= (size_t)written;
        offset += written;
    }
    return true;
}

// "<folder>/.<random>"; NULL without memory.
static char *temporary_name(const char *folder, size_t folder_size) {
    uint8_t random[NAME_SIZE / 2];
    char hex[NAME_SIZE], *name = NULL;
    dx_random_bytes(random, sizeof random);
    dx_hex_encode(hex, random, sizeof random);
    size_t size = folder_size + sizeof hex + 3;
    name = dx_memory_alloc(size);
    if (name) snprintf(name, size, "%.*s/.%.*s", (int)folder_size, folder, NAME_SIZE, hex);
    return name;
}

// A file under a name of its own, which is the caller's to free.
static int open_named(char **name, const char *folder, size_t folder_size, unsigned mode) {
    *name = temporary_name(folder, folder_size);
    if (!*name) {
        errno = ENOMEM;
        return -1;
    }
    int file = open(*name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (file >= 0) return file;
    dx_memory_free(*name);
    *name = NULL;
    return -1;
}

static bool open_file(dx_spool *spool) {
    const char *folder = spool->options.folder;
    spool->file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    spool->linkable = spool->file >= 0;
    if (spool->file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return spool->file >= 0;
    char *name; // a file system without unnamed files
    spool->file = open_named(&name, folder, strlen(folder), 0600);
    if (spool->file >= 0) (void)unlink(name);
    dx_memory_free(name);
    return spool->file >= 0;
}

static void write_out(dx_work *work) {
    dx_spool *spool = DX_CONTAINER_OF(work, dx_spool, work);
    bool done = (spool->file >= 0 || open_file(spool)) && write_all(spool->file, spool->writing.data, spool->writing.size, spool->offset);
    spool->outcome = done ? DX_OK : status_of_errno();
    if (spool->outcome == DX_NOT_FOUND) spool->outcome = DX_STORE_UNAVAILABLE; // the folder is the server's affair, not the caller's
}

// --- the name ------------------------------------------------------------------------------------------------------------------

static bool copy_content(const dx_spool *spool, int to) {
    if (spool->file < 0) return write_all(to, spool->gathered.data, spool->gathered.size, 0);
    char *chunk = dx_memory_alloc(COPY_SIZE);
    int64_t at = 0;
    bool fine = chunk != NULL;
    while (fine && (uint64_t)at < spool->size) {
        ssize_t got = pread(spool->file, chunk, COPY_SIZE, at);
        if (got < 0 && errno == EINTR) continue;
        fine = got > 0 && write_all(to, chunk, (size_t)got, at);
        at += got;
    }
    dx_memory_free(chunk);
    return fine;
}

// Links the unnamed file itself; false where that cannot be (another file system, no /proc).
static bool link_itself(const dx_spool *spool, char **name, const char *folder, size_t folder_size) {
    char self[32];
    if (!spool->linkable || fchmod(spool->file, spool->errand.mode) != 0 || fsync(spool->file) != 0) return false;
    *name = temporary_name(folder, folder_size);
    snprintf(self, sizeof self, "/proc/self/fd/%d", spool->file);
    if (*name && linkat(AT_FDCWD, self, AT_FDCWD, *name, AT_SYMLINK_FOLLOW) == 0) return true;
    dx_memory_free(*name);
    *name = NULL;
    return false;
}

static bool link_copy(const dx_spool *spool, char **name, const char *folder, size_t folder_size) {
    int to = open_named(name, folder, folder_size, 0600);
    if (to < 0) return false;
    bool done = copy_content(spool, to) && fchmod(to, spool->errand.mode) == 0 && fsync(to) == 0;
    int why = errno;
    (void)close(to);
    if (done) return true;
    (void)unlink(*name);
    dx_memory_free(*name);
    *name = NULL;
    errno = why;
    return false;
}

static bool sync_folder(const char *folder, size_t size) {
    char *path = dx_memory_alloc(size + 2);
    if (!path) return false;
    snprintf(path, size + 2, "%.*s", (int)size, folder);
    int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dx_memory_free(path);
    bool done = at >= 0 && fsync(at) == 0;
    if (at >= 0) (void)close(at);
    return done;
}

static void make_link(dx_work *work) {
    dx_spool *spool = DX_CONTAINER_OF(work, dx_spool, work);
    const char *path = spool->errand.path, *slash = strrchr(path, '/');
    dx_slice folder = !slash ? DX_SLICE(".") : slash == path ? DX_SLICE("/") : dx_slice_of(path, (size_t)(slash - path));
    char *name = NULL;
    bool done = link_itself(spool, &name, folder.data, folder.size) || link_copy(spool, &name, folder.data, folder.size);
    if (done && rename(name, path) != 0) {
        int why = errno;
        (void)unlink(name);
        errno = why;
        done = false;
    }
    dx_memory_free(name);
    spool->outcome = done && sync_folder(folder.data, folder.size) ? DX_OK : status_of_errno();
}

// --- on the loop -----------------------------------------------------------------------------------------------------------------

static bool start(dx_spool *spool);

static void worked(dx_work *work) {
    dx_spool *spool = DX_CONTAINER_OF(work, dx_spool, work);
    spool->busy = false;
    if (spool->is_orphaned) {
        dispose(spool);
        return;
    }
    if (spool->on_errand) {
        spool->on_errand = false;
        spool->errand.done(spool->errand.ctx, spool->outcome);
        return;
    }
    spool->offset += (int64_t)spool->writing.size;
    dx_buffer_clear(&spool->writing);
    if (spool->status == DX_OK) spool->status = spool->outcome;
    if (spool->status == DX_OK && spool->gathered.size > 0) (void)start(spool);
    if (spool->options.written) spool->options.written(spool->options.ctx);
}

static bool submit(dx_spool *spool, void (*work)(dx_work *work)) {
    spool->work = (dx_work){.work = work, .done = worked, .loop = spool->loop};
    spool->busy = dx_loop_work(spool->loop, &spool->work) == DX_OK;
    return spool->busy;
}

static bool start(dx_spool *spool) {
    dx_buffer full = spool->gathered;
    spool->gathered = spool->writing;
    spool->writing = full;
    if (submit(spool, write_out)) return true;
    spool->status = DX_OVERLOADED;
    return false;
}

dx_status dx_spool_write(dx_spool *spool, dx_slice piece) {
    if (spool->status != DX_OK) return spool->status;
    if (piece.size > spool->options.cap - spool->size) return spool->status = DX_TOO_LARGE;
    dx_buffer_add(&spool->gathered, piece);
    dx_status status = dx_buffer_status(&spool->gathered);
    if (status != DX_OK) return spool->status = status == DX_TOO_LARGE ? DX_OVERLOADED : status;
    spool->size += piece.size;
    if (spool->size > spool->options.memory) spool->spilled = true;
    if (spool->spilled && !spool->busy) (void)start(spool);
    return spool->status;
}

size_t dx_spool_waiting(const dx_spool *spool) {
    return spool->spilled ? spool->gathered.size + (spool->busy ? spool->writing.size : 0) : 0;
}

dx_status dx_spool_status(const dx_spool *spool) {
    return spool->status;
}

uint64_t dx_spool_size(const dx_spool *spool) {
    return spool->size;
}

int dx_spool_file(const dx_spool *spool) {
    return spool->file;
}

dx_slice dx_spool_bytes(const dx_spool *spool) {
    return spool->spilled ? dx_slice_of(NULL, 0) : dx_buffer_slice(&spool->gathered);
}

int dx_spool_take_file(dx_spool *spool) {
    int file = spool->file;
    if (file >= 0) spool->status = DX_UNAVAILABLE;
    spool->file = -1;
    return file;
}

dx_status dx_spool_link(dx_spool *spool, const char *path, unsigned mode, void (*done)(void *ctx, dx_status status), void *ctx) {
    if (spool->status != DX_OK) return spool->status;
    if (spool->busy) return DX_IN_FLIGHT;
    size_t size = strlen(path) + 1;
    char *copy = dx_memory_alloc(size);
    if (!copy) return DX_NO_MEMORY;
    memcpy(copy, path, size);
    dx_memory_free(spool->errand.path);
    spool->errand = (errand){.path = copy, .mode = mode, .done = done, .ctx = ctx};
    spool->on_errand = submit(spool, make_link);
    return spool->on_errand ? DX_OK : DX_OVERLOADED;
}

// --- reading it back ---------------------------------------------------------------------------------------------------------------

static void read_back(dx_work *work) {
    dx_spool *spool = DX_CONTAINER_OF(work, dx_spool, work);
    uint64_t at = spool->file < 0 ? spool->size : 0;
    if (spool->file < 0 && at) memcpy(spool->errand.to, spool->gathered.data, at);
    while (at < spool->size) {
        ssize_t got = pread(spool->file, spool->errand.to + at, spool->size - at, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += (uint64_t)got;
    }
    spool->outcome = at == spool->size ? DX_OK : DX_STORE_UNAVAILABLE;
}

dx_status dx_spool_read(dx_spool *spool, char *to, void (*done)(void *ctx, dx_status status), void *ctx) {
    if (spool->status != DX_OK) return spool->status;
    if (spool->busy) return DX_IN_FLIGHT;
    spool->errand.to = to;
    spool->errand.done = done;
    spool->errand.ctx = ctx;
    spool->on_errand = submit(spool, read_back);
    return spool->on_errand ? DX_OK : DX_OVERLOADED;
}
