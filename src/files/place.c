// Writing below a mount. The kernel keeps every step inside (openat2(2), one segment at a time, links never followed). Check and change are
// one under a lock, so that two writers with the same If-Match can't both succeed.
#include "files/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/random.h"

#define FOLDER_MODE 0755
#define FILE_MODE   0644
#define COPY_SIZE   (64u << 10)
#define LOCKS       16 // folders share them
#define NAME_SIZE   40
#define TRIES       8

dx_status dx_place_status(int error) {
    switch (error) {
    case ENOENT:
        return DX_NOT_FOUND;
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV:
    case ENAMETOOLONG:
        return DX_CONFLICT;
    case EACCES:
    case EPERM:
    case EROFS:
        return DX_FORBIDDEN;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return DX_STORE_FULL;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return DX_OVERLOADED;
    default:
        return DX_INTERNAL;
    }
}

static int step_into(int folder, const char *name) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
}

// The folder's entries are made to last. An O_PATH descriptor can't be synced.
static dx_status sync_folder(int folder) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return dx_place_status(errno);
    dx_status status = fsync(fd) == 0 ? DX_OK : dx_place_status(errno);
    (void)close(fd);
    return status;
}

static dx_status descend(int *folder, const char *name, bool make) {
    int next = step_into(*folder, name);
    if (next < 0 && errno == ENOENT && make) {
        if (mkdirat(*folder, name, FOLDER_MODE) != 0 && errno != EEXIST) return dx_place_status(errno);
        dx_status status = sync_folder(*folder); // a file that lasts must have a path that does
        if (status != DX_OK) return status;
        next = step_into(*folder, name);
    }
    if (next < 0) return dx_place_status(errno);
    (void)close(*folder);
    *folder = next;
    return DX_OK;
}

dx_status dx_place_find(dx_place *out, const dx_mount *mount, char *path, bool make) {
    *out = (dx_place){.folder = -1};
    int folder = step_into(mount->root, ".");
    if (folder < 0) return dx_place_status(errno);
    for (char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        *slash = 0;
        dx_status status = descend(&folder, path, make);
        if (status == DX_OK) continue;
        (void)close(folder);
        return status;
    }
    out->name = path;
    out->folder = folder;
    return DX_OK;
}

void dx_place_leave(dx_place *place) {
    if (place->folder >= 0) (void)close(place->folder);
    place->folder = -1;
}

dx_status dx_place_check(const dx_place *place, const dx_guard *guard, bool *found, struct stat *out) {
    struct stat here;
    char text[DX_FILES_TAG_CAP];
    bool exists = fstatat(place->folder, place->name, &here, AT_SYMLINK_NOFOLLOW) == 0;
    if (!exists && errno != ENOENT) return dx_place_status(errno);
    if (found) *found = exists;
    if (exists && !S_ISREG(here.st_mode)) return DX_CONFLICT;
    if (!exists) {
        bool wanted = dx_fields_get(&guard->x->request.fields, DX_FIELD_IF_MATCH).data != NULL;
        return wanted ? DX_PRECONDITION_FAILED : DX_OK;
    }
    if (out) *out = here;
    dx_slice tag = dx_files_tag(text, &here, DX_CODING_IDENTITY);
    if (dx_files_precondition(guard->x, tag, dx_files_modified(&here)) != 0) return DX_PRECONDITION_FAILED;
    return guard->replace ? DX_OK : DX_ALREADY_EXISTS;
}

// Who shuts others out while it checks and changes: all that write to the same folder, by whichever mount of whichever snapshot.
static pthread_mutex_t *lock_of(const dx_place *place) {
    static pthread_mutex_t locks[LOCKS] = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};
    struct stat folder;
    return &locks[fstat(place->folder, &folder) == 0 ? folder.st_ino % LOCKS : 0];
}

static void passing_name(char out[NAME_SIZE]) {
    uint64_t random;
    dx_random_bytes(&random, sizeof random);
    (void)snprintf(out, NAME_SIZE, ".upload-%016llx", (unsigned long long)random);
}

static int move(const dx_place *place, const char *passing, bool exists) {
    int moved = exists ? renameat(place->folder, passing, place->folder, place->name)
                       : renameat2(place->folder, passing, place->folder, place->name, RENAME_NOREPLACE);
    if (moved != 0 && !exists && errno == EINVAL) moved = renameat(place->folder, passing, place->folder, place->name); // NFS
    if (moved == 0) return 0;
    int error = errno;
    (void)unlinkat(place->folder, passing, 0);
    errno = error;
    return -1;
}

// A file without a name can't take the place of another one at once: it gets a passing name first.
static int name_file(const dx_place *place, int file, bool exists) {
    char from[32], passing[NAME_SIZE];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", file);
    if (!exists) return linkat(AT_FDCWD, from, place->folder, place->name, AT_SYMLINK_FOLLOW);
    for (int i = 0; i < TRIES; i++) {
        passing_name(passing);
        if (linkat(AT_FDCWD, from, place->folder, passing, AT_SYMLINK_FOLLOW) == 0) return move(place, passing, true);
        if (errno != EEXIST) return -1;
    }
    return -1;
}

static bool copy(int from, int to) {
    char bytes[COPY_SIZE];
    for (off_t at = 0;;) {
        ssize_t got = pread(from, bytes, sizeof bytes, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        for (ssize_t done = 0; done < got;) {
            ssize_t written = pwrite(to, bytes + done, (size_t)(got - done), at + done);
            if (written < 0 && errno != EINTR) return false;
            if (written > 0) done += written;
        }
        at += got;
    }
}

// A copy under a passing name, on the disk; its descriptor, or -1.
static int copy_beside(const dx_place *place, int file, char passing[NAME_SIZE]) {
    passing_name(passing);
    int made = openat(place->folder, passing, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (made < 0) return -1;
    if ((file < 0 || copy(file, made)) && fchmod(made, FILE_MODE) == 0 && fsync(made) == 0) return made;
    int error = errno;
    (void)close(made);
    (void)unlinkat(place->folder, passing, 0);
    errno = error;
    return -1;
}

// Checks and changes, as one. `passing`: the copy's name; NULL: the file itself gets the name.
static dx_status take_place(const dx_place *place, const dx_guard *guard, int file, const char *passing, bool *created) {
    pthread_mutex_t *lock = lock_of(place);
    bool exists = false;
    pthread_mutex_lock(lock);
    dx_status status = dx_place_check(place, guard, &exists, NULL);
    if (status != DX_OK) {
        if (passing) (void)unlinkat(place->folder, passing, 0);
    } else if ((passing ? move(place, passing, exists) : name_file(place, file, exists)) != 0) {
        status = errno == EEXIST ? DX_ALREADY_EXISTS : dx_place_status(errno);
    }
    pthread_mutex_unlock(lock);
    *created = !exists;
    return status;
}

static dx_status put_itself(const dx_place *place, const dx_guard *guard, int file, bool *created, struct stat *stat) {
    if (file < 0) return DX_NOT_FOUND;
    if (fchmod(file, FILE_MODE) != 0 || fsync(file) != 0) return dx_place_status(errno);
    dx_status status = take_place(place, guard, file, NULL, created);
    return status == DX_OK && fstat(file, stat) != 0 ? dx_place_status(errno) : status;
}

static dx_status put_copy(const dx_place *place, const dx_guard *guard, int file, bool *created, struct stat *stat) {
    char passing[NAME_SIZE];
    int made = copy_beside(place, file, passing);
    if (made < 0) return dx_place_status(errno);
    dx_status status = take_place(place, guard, made, passing, created);
    if (status == DX_OK && fstat(made, stat) != 0) status = dx_place_status(errno);
    (void)close(made);
    return status;
}

dx_status dx_place_put(const dx_place *place, const dx_guard *guard, int file, bool *created, struct stat *stat) {
    int empty = file < 0 ? openat(place->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE) : -1;
    dx_status status = put_itself(place, guard, file < 0 ? empty : file, created, stat);
    if (status == DX_NOT_FOUND) // the file system has no unnamed files, or they can't be named
        status = put_copy(place, guard, file, created, stat);
    if (empty >= 0) (void)close(empty);
    return status == DX_OK ? sync_folder(place->folder) : status;
}

dx_status dx_place_remove(const dx_place *place, const dx_guard *guard) {
    pthread_mutex_t *lock = lock_of(place);
    bool exists;
    pthread_mutex_lock(lock);
    dx_status status = dx_place_check(place, guard, &exists, NULL);
    if (status == DX_OK && !exists) status = DX_NOT_FOUND;
    if (status == DX_OK && unlinkat(place->folder, place->name, 0) != 0) status = dx_place_status(errno);
    pthread_mutex_unlock(lock);
    return status == DX_OK ? sync_folder(place->folder) : status;
}
