// Writing below a mount. The kernel keeps every step inside (openat2(2), one segment at a time, links never followed). Check and change are
// one under a lock of the mount, so that two writers with the same If-Match can't both succeed.
#include "files/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/random.h"

#define FOLDER_MODE 0755
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

static dx_status descend(int *folder, const char *name, bool make) {
    int next = step_into(*folder, name);
    if (next < 0 && errno == ENOENT && make && (mkdirat(*folder, name, FOLDER_MODE) == 0 || errno == EEXIST))
        next = step_into(*folder, name);
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

static void passing_name(char out[NAME_SIZE]) {
    uint64_t random;
    dx_random_bytes(&random, sizeof random);
    (void)snprintf(out, NAME_SIZE, ".upload-%016llx", (unsigned long long)random);
}

// A file without a name can't take the place of another one at once: it gets a passing name first.
static int name_file(const dx_place *place, int file, bool exists) {
    char from[32], passing[NAME_SIZE];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", file);
    if (!exists) return linkat(AT_FDCWD, from, place->folder, place->name, AT_SYMLINK_FOLLOW);
    for (int i = 0; i < TRIES; i++) {
        passing_name(passing);
        if (linkat(AT_FDCWD, from, place->folder, passing, AT_SYMLINK_FOLLOW) == 0) {
            if (renameat(place->folder, passing, place->folder, place->name) == 0) return 0;
            int error = errno;
            (void)unlinkat(place->folder, passing, 0);
            errno = error;
            return -1;
        }
        if (errno != EEXIST) return -1;
    }
    return -1;
}

// The folder's entry is made to last. An O_PATH descriptor can't be synced.
static dx_status sync_folder(const dx_place *place) {
    int fd = openat(place->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return dx_place_status(errno);
    dx_status status = fsync(fd) == 0 ? DX_OK : dx_place_status(errno);
    (void)close(fd);
    return status;
}

dx_status dx_place_put(const dx_mount *mount, const dx_place *place, const dx_guard *guard, int file, bool *created, struct stat *stat) {
    bool exists;
    if (fsync(file) != 0) return dx_place_status(errno);
    pthread_mutex_lock(mount->lock);
    dx_status status = dx_place_check(place, guard, &exists, NULL);
    if (status == DX_OK && name_file(place, file, exists) != 0) status = errno == EEXIST ? DX_ALREADY_EXISTS : dx_place_status(errno);
    pthread_mutex_unlock(mount->lock);
    if (status != DX_OK) return status;
    *created = !exists;
    if (fstat(file, stat) != 0) return dx_place_status(errno);
    return sync_folder(place);
}

dx_status dx_place_remove(const dx_mount *mount, const dx_place *place, const dx_guard *guard) {
    bool exists;
    pthread_mutex_lock(mount->lock);
    dx_status status = dx_place_check(place, guard, &exists, NULL);
    if (status == DX_OK && !exists) status = DX_NOT_FOUND;
    if (status == DX_OK && unlinkat(place->folder, place->name, 0) != 0) status = dx_place_status(errno);
    pthread_mutex_unlock(mount->lock);
    return status == DX_OK ? sync_folder(place) : status;
}
