// Tokens in a file of JSON that only its owner may read. It is written whole and renamed into place, so that whoever reads sees the old one
// or the new one; the lock is flock(2) on a file beside it, which the kernel gives back when a process dies. Everything that touches the
// disk is done off the loop.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "client/token_record.h"
#include "client/token_store.h"
#include "crypto/digest.h"

#define PATH_CAP 1024
#define WHY_SIZE 300

typedef struct file_store {
    dx_token_store base;
    dx_loop *loop;
    char path[PATH_CAP], folder[PATH_CAP], lock_path[PATH_CAP];
    int lock;            // -1: not ours
    bool folder_is_ours; // to be made
    // --- of what is being done, on a thread of the pool
    dx_work work;
    dx_status status;
    bool locked;
    char *text; // what was read
    size_t size, room;
    dx_slice given; // to be written
    char why[WHY_SIZE + PATH_CAP];
    dx_token_acquired acquired;
    dx_token_committed committed;
    void *ctx;
    dx_task task; // where no work could be begun
} file_store;

static file_store *of(dx_token_store *store) {
    return DX_CONTAINER_OF(store, file_store, base);
}

DX_PRINTF(3, 4) static dx_status fault(file_store *f, dx_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(f->why, sizeof f->why, format, args);
    va_end(args);
    return status;
}

static dx_status system_fault(file_store *f, const char *path) {
    int error = errno;
    char text[128];
    return fault(f, DX_UNAVAILABLE, "the store of the token, %s: %s", path, strerror_r(error, text, sizeof text));
}

// --- on a thread of the pool ---------------------------------------------------------------------------------------------------------

// Others who can read it have the token; others who can write it can have us call with theirs.
static dx_status check_mode(file_store *f, int fd, size_t *size) {
    struct stat st;
    if (fstat(fd, &st) != 0) return system_fault(f, f->path);
    if (!S_ISREG(st.st_mode)) return fault(f, DX_FORBIDDEN, "the store of the token, %s, is no file", f->path);
    if (st.st_uid != geteuid()) return fault(f, DX_FORBIDDEN, "the store of the token, %s, belongs to another user", f->path);
    if (st.st_mode & 077)
        return fault(
            f, DX_FORBIDDEN,
            "the store of the token, %s, is open to others (mode %04o); `chmod 600` it, and log in anew if somebody may have read it",
            f->path, (unsigned)(st.st_mode & 07777));
    if (st.st_size > (off_t)DX_TOKEN_RECORD_CAP) return fault(f, DX_TOO_LARGE, "the store of the token, %s, is too large", f->path);
    *size = (size_t)st.st_size;
    return DX_OK;
}

static void forget_text(file_store *f) {
    if (f->text) dx_secret_wipe(f->text, f->room);
    dx_memory_free(f->text);
    f->text = NULL;
    f->size = f->room = 0;
}

static dx_status read_file(file_store *f) {
    forget_text(f);
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return errno == ENOENT ? DX_OK : system_fault(f, f->path);
    dx_status status = check_mode(f, fd, &f->room);
    if (status == DX_OK && f->room && !(f->text = dx_memory_alloc(f->room)))
        status = fault(f, DX_NO_MEMORY, "there was no memory for the token");
    while (status == DX_OK && f->size < f->room) { // it is never written where it lies, so it does not grow
        ssize_t got = read(fd, f->text + f->size, f->room - f->size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = system_fault(f, f->path);
        if (got <= 0) break;
        f->size += (size_t)got;
    }
    (void)close(fd);
    return status;
}

static dx_status make_folder(file_store *f) {
    char path[PATH_CAP];
    size_t size = strlen(f->folder);
    memcpy(path, f->folder, size + 1);
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        char kept = path[i];
        path[i] = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) return system_fault(f, path);
        path[i] = kept;
    }
    return DX_OK;
}

static dx_status take_lock(file_store *f) {
    if (f->lock >= 0) return DX_OK;
    dx_status status = f->folder_is_ours ? make_folder(f) : DX_OK;
    if (status != DX_OK) return status;
    int fd = open(f->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return system_fault(f, f->lock_path);
    int taken;
    do taken = flock(fd, LOCK_EX | LOCK_NB);
    while (taken != 0 && errno == EINTR);
    if (taken == 0) {
        f->lock = fd;
        return DX_OK;
    }
    if (errno != EWOULDBLOCK) status = system_fault(f, f->lock_path);
    (void)close(fd);
    return status;
}

static void acquire_work(dx_work *work) {
    file_store *f = DX_CONTAINER_OF(work, file_store, work);
    f->status = take_lock(f);
    f->locked = f->lock >= 0;
    if (f->status == DX_OK) f->status = read_file(f); // behind the lock: what others have written is seen
}

static bool write_all(int fd, dx_slice text) {
    while (text.size) {
        ssize_t put = write(fd, text.data, text.size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        text = dx_slice_from(text, (size_t)put);
    }
    return true;
}

static void sync_folder(const file_store *f) {
    int fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    (void)close(fd);
}

static dx_status replace(file_store *f) {
    char next[PATH_CAP + 32];
    (void)snprintf(next, sizeof next, "%s.%016llx", f->path, (unsigned long long)dx_random_u64());
    int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return system_fault(f, next);
    bool good = fchmod(fd, 0600) == 0 && write_all(fd, f->given) && fsync(fd) == 0;
    dx_status status = good ? DX_OK : system_fault(f, next);
    if (close(fd) != 0 && status == DX_OK) status = system_fault(f, next);
    if (status == DX_OK && rename(next, f->path) != 0) status = system_fault(f, f->path);
    if (status != DX_OK) (void)unlink(next);
    return status;
}

static void commit_work(dx_work *work) {
    file_store *f = DX_CONTAINER_OF(work, file_store, work);
    if (f->given.size)
        f->status = replace(f);
    else
        f->status = unlink(f->path) == 0 || errno == ENOENT ? DX_OK : system_fault(f, f->path);
    if (f->status == DX_OK) sync_folder(f);
}

// --- on the loop ---------------------------------------------------------------------------------------------------------------------
static void file_release(dx_token_store *store) {
    file_store *f = of(store);
    if (f->lock >= 0) (void)close(f->lock); // the lock file stays: one that is taken away could be locked twice
    f->lock = -1;
}

static void acquire_done(dx_work *work) {
    file_store *f = DX_CONTAINER_OF(work, file_store, work);
    char *text = f->text;
    size_t size = f->size, room = f->room;
    f->text = NULL;
    f->acquired(f->ctx, f->status, f->locked, dx_slice_of(text, size), dx_slice_str(f->why)); // which may begin the next
    if (text) dx_secret_wipe(text, room);
    dx_memory_free(text);
}

static void commit_done(dx_work *work) {
    file_store *f = DX_CONTAINER_OF(work, file_store, work);
    file_release(&f->base);
    f->committed(f->ctx, f->status, dx_slice_str(f->why));
}

static void on_overload(dx_task *task) {
    file_store *f = DX_CONTAINER_OF(task, file_store, task);
    f->work.done(&f->work);
}

static void begin(file_store *f, void (*work)(dx_work *), void (*done)(dx_work *)) {
    f->work.work = work;
    f->work.done = done;
    f->why[0] = '\0';
    f->size = 0;
    if (dx_loop_work(f->loop, &f->work) == DX_OK) return;
    f->status = fault(f, DX_OVERLOADED, "the store of the token, %s: too much waits for the disk", f->path);
    f->locked = f->lock >= 0;
    f->task.run = on_overload;
    dx_loop_post(f->loop, &f->task);
}

static void file_acquire(dx_token_store *store, dx_token_acquired done, void *ctx) {
    file_store *f = of(store);
    f->acquired = done;
    f->ctx = ctx;
    begin(f, acquire_work, acquire_done);
}

static void file_commit(dx_token_store *store, dx_slice text, dx_token_committed done, void *ctx) {
    file_store *f = of(store);
    f->given = text;
    f->committed = done;
    f->ctx = ctx;
    begin(f, commit_work, commit_done);
}

static dx_status file_open(dx_token_store *store, dx_loop *loop) {
    of(store)->loop = loop;
    return DX_OK;
}

static void file_close(dx_token_store *store) {
    file_release(store);
}

static void file_destroy(dx_token_store *store) {
    file_store *f = of(store);
    file_release(store);
    forget_text(f);
    dx_memory_free(f);
}

// --- where it lies -------------------------------------------------------------------------------------------------------------------
static bool put_path(char *out, const char *format, ...) DX_PRINTF(2, 3);
static bool put_path(char *out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int size = vsnprintf(out, PATH_CAP - 64, format, args);
    va_end(args);
    return size > 0 && size < PATH_CAP - 64;
}

// The folder of the user's state (XDG Base Directory Specification).
static bool state_folder(char *out, const dx_token_store_plan *plan) {
    const char *state = plan->variable(plan->ctx, "XDG_STATE_HOME"), *home = plan->variable(plan->ctx, "HOME");
    if (state && state[0] == '/') return put_path(out, "%s/duplex", state);
    return home && home[0] == '/' && put_path(out, "%s/.local/state/duplex", home);
}

static bool split(char *folder, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return put_path(folder, ".");
    return slash == path ? put_path(folder, "/") : put_path(folder, "%.*s", (int)(slash - path), path);
}

static bool find_place(file_store *f, dx_auth_reader *store, const dx_token_store_plan *plan) {
    dx_slice path = dx_auth_text(store, "path");
    bool folder = path.size && path.data[path.size - 1] == '/';
    f->folder_is_ours = !path.size || folder;
    if (path.size && !folder) return put_path(f->path, "%s", path.data) && split(f->folder, f->path);
    bool found = folder ? put_path(f->folder, "%.*s", (int)(path.size - 1), path.data) : state_folder(f->folder, plan);
    if (!found) dx_auth_refuse(store, "path", "there is no place for the token: neither HOME nor XDG_STATE_HOME is set; say store.path");
    return found && put_path(f->path, "%s/%.*s-%.*s.json", f->folder, DX_SLICE_ARG(plan->upstream),
                             (int)(plan->key.size < 16 ? plan->key.size : 16), plan->key.data);
}

dx_status dx_token_file_create(dx_token_store **out, dx_auth_reader *store, const dx_token_store_plan *plan) {
    static const dx_token_store_ops ops = {"file", file_open, file_acquire, file_commit, file_release, file_close, file_destroy};
    file_store *f = dx_memory_zalloc(1, sizeof *f);
    if (!f) return DX_NO_MEMORY;
    f->base.ops = &ops;
    f->lock = -1;
    if (!find_place(f, store, plan) || !put_path(f->lock_path, "%s.lock", f->path)) {
        if (store->status == DX_OK) dx_auth_refuse(store, "path", "the path of the token's store is too long");
        file_destroy(&f->base);
        return DX_INVALID;
    }
    f->base.place = f->path;
    *out = &f->base;
    return DX_OK;
}
