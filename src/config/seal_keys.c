// Reading keys: see seal_keys.h. What was read is wiped, whatever comes of it.
#include "config/seal_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/digest.h"

#define KEYGEN "`duplex secrets keygen` makes one"

static dx_status refuse(dx_seal_fault *fault, dx_slice what, dx_slice remedy) {
    *fault = (dx_seal_fault){what, remedy};
    return what.data && remedy.data ? DX_INVALID : DX_NO_MEMORY;
}

dx_seal_fault dx_seal_keys_missing(void) {
    return (dx_seal_fault){DX_SLICE("there is no key for sealed values"),
                           DX_SLICE("set " DX_SEAL_KEYS_VARIABLE " to a key, or " DX_SEAL_KEY_FILE_VARIABLE " to a file of keys; " KEYGEN)};
}

// `where`: "DUPLEX_SEAL_KEYS: key 2" or "keys.txt:2".
static dx_status add(dx_fernet_ring *ring, dx_slice key, dx_slice where, dx_arena *arena, dx_seal_fault *fault) {
    dx_status status = dx_fernet_ring_add(ring, key);
    if (status == DX_OK) return status;
    if (!where.data) return DX_NO_MEMORY;
    if (status == DX_TOO_LARGE)
        return refuse(fault, dx_arena_printf(arena, "%.*s is one too many", DX_SLICE_ARG(where)),
                      dx_arena_printf(arena, "%d keys are taken; leave out the oldest", DX_FERNET_KEYS_CAP));
    return refuse(fault, dx_arena_printf(arena, "%.*s is no key", DX_SLICE_ARG(where)),
                  DX_SLICE("a key is the base64url of 32 bytes, 44 characters; " KEYGEN));
}

dx_status dx_seal_keys_from_list(dx_fernet_ring *ring, dx_slice list, const char *name, dx_arena *arena, dx_seal_fault *fault) {
    dx_status status = DX_OK;
    dx_slice rest = list;
    for (unsigned number = 1; rest.data && status == DX_OK; number++) {
        dx_slice key = dx_slice_trim(dx_slice_cut(&rest, ','));
        status = add(ring, key, dx_arena_printf(arena, "%s: key %u", name, number), arena, fault);
    }
    return status;
}

// --- files ------------------------------------------------------------------------------------------------------------------

static dx_status refuse_file(const char *path, const char *why, dx_arena *arena, dx_seal_fault *fault) {
    return refuse(fault, dx_arena_printf(arena, "the file of keys %s: %s", path, why),
                  DX_SLICE(DX_SEAL_KEY_FILE_VARIABLE " names an ordinary file with a key a line, newest first"));
}

// Whether others than its owner and ourselves may use the file. With an access control list, the mode's bits for the group are only the
// most that the list gives, so the list is asked: systemd lets a service read its credentials in this way. (The kernel's form of it,
// acl(5): a version, then tag, permissions and id of each entry, little-endian.)
static bool is_open(int fd, mode_t mode) {
    enum { HEAD = 4, ENTRY = 8, ENTRIES_CAP = 16, OF_USER = 2, OF_OWNING_GROUP = 4, OF_GROUP = 8 };
    uint8_t list[HEAD + ENTRIES_CAP * ENTRY];
    if (!(mode & (S_IRWXG | S_IRWXO))) return false;
    ssize_t size = mode & S_IRWXO ? -1 : fgetxattr(fd, "system.posix_acl_access", list, sizeof list);
    if (size < HEAD) return true;
    for (const uint8_t *at = list + HEAD; at + ENTRY <= list + size; at += ENTRY) {
        bool may = (at[2] | at[3]) != 0;
        uint32_t id = at[4] | (uint32_t)at[5] << 8 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 24;
        if (may && (at[0] == OF_OWNING_GROUP || at[0] == OF_GROUP || (at[0] == OF_USER && id != geteuid()))) return true;
    }
    return false;
}

static dx_status check_file(int fd, const char *path, dx_arena *arena, dx_seal_fault *fault) {
    struct stat info;
    if (fstat(fd, &info) != 0) return refuse_file(path, strerror(errno), arena, fault);
    if (!S_ISREG(info.st_mode)) return refuse_file(path, "it is not an ordinary file", arena, fault);
    if (info.st_size > (off_t)DX_SEAL_KEY_FILE_CAP) return refuse_file(path, "it is larger than 64 KiB", arena, fault);
    if (is_open(fd, info.st_mode))
        return refuse(fault,
                      dx_arena_printf(arena, "the file of keys %s is open to others than its owner (mode %03o)", path,
                                      (unsigned)(info.st_mode & 0777)),
                      dx_arena_printf(arena, "chmod 600 %s, and if others may have read it, seal with a new key", path));
    return DX_OK;
}

static dx_status read_lines(dx_fernet_ring *ring, dx_slice text, const char *path, dx_arena *arena, dx_seal_fault *fault) {
    dx_status status = DX_OK;
    size_t before = ring->count;
    for (unsigned number = 1; text.data && status == DX_OK; number++) {
        dx_slice line = dx_slice_cut(&text, '\n');
        line = dx_slice_cut(&line, '#');
        if (line.size && line.data[line.size - 1] == '\r') line.size--;
        line = dx_slice_trim(line);
        if (line.size) status = add(ring, line, dx_arena_printf(arena, "%s:%u", path, number), arena, fault);
    }
    return status == DX_OK && ring->count == before ? refuse_file(path, "there is no key in it", arena, fault) : status;
}

dx_status dx_seal_keys_from_file(dx_fernet_ring *ring, const char *path, dx_arena *arena, dx_seal_fault *fault) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return refuse_file(path, errno == ENOENT ? "there is no such file" : strerror(errno), arena, fault);
    size_t size = 0;
    int error = 0;
    char *text = dx_memory_alloc(DX_SEAL_KEY_FILE_CAP);
    dx_status status = text ? check_file(fd, path, arena, fault) : DX_NO_MEMORY;
    while (status == DX_OK && size < DX_SEAL_KEY_FILE_CAP) {
        ssize_t got = read(fd, text + size, DX_SEAL_KEY_FILE_CAP - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) error = errno;
        if (got <= 0) break;
        size += (size_t)got;
    }
    (void)close(fd);
    if (status == DX_OK)
        status = error ? refuse_file(path, strerror(error), arena, fault) : read_lines(ring, dx_slice_of(text, size), path, arena, fault);
    if (text) dx_secret_wipe(text, size);
    dx_memory_free(text);
    return status;
}
