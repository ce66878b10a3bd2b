// The root secret, from which every key of the server is derived. It comes from the setting, from the environment, or from a key file
// beside the store, which is made on first start and must be readable by its owner alone. A weak or well-known secret is refused.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "server/parts.h"

#define FILE_CAP       4096
#define GENERATED_SIZE 32

static void forget(void *secret) {
    const dx_slice *s = secret;
    dx_secret_wipe((char *)(uintptr_t)s->data, s->size);
}

// A copy that is wiped with the arena.
static dx_status keep(dx_slice *out, dx_arena *arena, dx_slice secret) {
    dx_slice *copy = DX_ARENA_NEW(arena, dx_slice);
    if (!copy) return DX_NO_MEMORY;
    *copy = dx_arena_copy(arena, secret);
    if (!copy->data) return DX_NO_MEMORY;
    *out = *copy;
    return dx_arena_defer(arena, forget, copy);
}

// --- the key file
// ---------------------------------------------------------------------------------------------------------------------------

static DX_COLD dx_status refuse_file(dx_diags *diags, const char *path, const char *what, const char *way_out) {
    dx_diag *diag = dx_diags_add(diags, DX_INVALID, (dx_slice){NULL, 0}, "the secret file %s %s", path, what);
    if (diag) diag->suggestion = dx_slice_str(way_out);
    return DX_INVALID;
}

// It is the first file made beside the store, so what is wrong is often the store's folder.
static DX_COLD dx_status refuse_to_make(dx_diags *diags, const char *path, int failure) {
    switch (failure) {
    case ENOENT:
        return refuse_file(diags, path, "can't be made: its folder does not exist", "make the folder; server.store says where it is");
    case EACCES:
    case EPERM:
    case EROFS:
        return refuse_file(diags, path, "can't be made: permission is denied",
                           "let the user that duplex runs as write to the folder, or name another one in server.store");
    default:
        return refuse_file(diags, path, "can't be made", strerror(failure));
    }
}

static bool write_whole(int file, const char *text, size_t size) {
    while (size) {
        ssize_t written = write(file, text, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text += written;
        size -= (size_t)written;
    }
    return true;
}

// The file's entry in its folder must be durable as well: a token signed by a key that is gone after a crash would be worthless.
static bool sync_folder(const char *path) {
    char folder[FILE_CAP];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) + 1 : 1;
    if (size >= sizeof folder) return false;
    memcpy(folder, slash ? path : ".", size);
    folder[size] = '\0';
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = file >= 0 && fsync(file) == 0;
    if (file >= 0) close(file);
    return done;
}

// Gives the file its name, unless there is one of that name. Returns 0 or an errno.
static int move_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    if (link(from, to) != 0) return errno; // a file system that knows no such renaming
    (void)unlink(from);
    return 0;
}

// Returns 0, or an errno: EEXIST when another process was faster. The file is written under another name and is whole when it gets its
// own: another server that starts meanwhile never reads half of it, and a crash leaves none.
static int make_file(const char *name, const char *path) {
    uint8_t random[GENERATED_SIZE];
    char text[2 * GENERATED_SIZE + 1];
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), failure = 0;
    if (file < 0) return errno;
    dx_random_bytes(random, sizeof random);
    dx_hex_encode(text, random, sizeof random);
    text[2 * GENERATED_SIZE] = '\n';
    if (!write_whole(file, text, sizeof text) || fsync(file) != 0) failure = errno ? errno : EIO;
    dx_secret_wipe(random, sizeof random);
    dx_secret_wipe(text, sizeof text);
    if (close(file) != 0 && !failure) failure = errno;
    if (!failure) failure = move_new(path, name);
    if (failure) (void)unlink(path);
    if (!failure && !sync_folder(name)) failure = errno ? errno : EIO;
    return failure;
}

static dx_status read_file(dx_slice *out, dx_arena *arena, const char *path, int file, dx_diags *diags) {
    struct stat about;
    char text[FILE_CAP];
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return refuse_file(diags, path, "is not a file", "remove it");
    if (about.st_mode & (S_IRWXG | S_IRWXO)) return refuse_file(diags, path, "can be read by others than its owner", "chmod 600 on it");
    ssize_t size = read(file, text, sizeof text);
    if (size < 0) return refuse_file(diags, path, strerror(errno), "make it readable");
    dx_slice secret = dx_slice_of(text, (size_t)size);
    while (secret.size && (secret.data[secret.size - 1] == '\n' || secret.data[secret.size - 1] == '\r')) secret.size--;
    const char *fault = dx_secret_fault(secret);
    dx_status status = fault ? refuse_file(diags, path, fault, "put 32 random bytes as hex there, or remove it") : keep(out, arena, secret);
    dx_secret_wipe(text, sizeof text);
    return status;
}

static dx_status obtain_from_file(dx_slice *out, dx_arena *arena, const char *path, dx_diags *diags) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 && errno == ENOENT) {
        uint64_t number;
        dx_random_bytes(&number, sizeof number);
        dx_slice passing = dx_arena_printf(arena, "%s.%016llx", path, (unsigned long long)number);
        if (!passing.data) return DX_NO_MEMORY;
        int failure = make_file(path, passing.data);
        if (failure && failure != EEXIST) return refuse_to_make(diags, path, failure);
        file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (file < 0) return refuse_file(diags, path, "can't be opened", strerror(errno));
    dx_status status = read_file(out, arena, path, file, diags);
    close(file);
    return status;
}

// --- all of it
// -------------------------------------------------------------------------------------------------------------------------------

static dx_status obtain_passing(dx_slice *out, dx_arena *arena) {
    uint8_t random[GENERATED_SIZE];
    char text[2 * GENERATED_SIZE];
    dx_random_bytes(random, sizeof random);
    dx_hex_encode(text, random, sizeof random);
    return keep(out, arena, dx_slice_of(text, sizeof text));
}

dx_status dx_secret_obtain(dx_slice *out, dx_arena *arena, const dx_settings *settings, const dx_definition *definition, bool offline,
                           dx_diags *diags) {
    static const char advice[] = "make one with: openssl rand -hex 32";
    const char *variable = settings->secret.size ? NULL : getenv("DUPLEX_SECRET");
    dx_slice given = settings->secret.size ? settings->secret : dx_slice_str(variable);
    if (given.size) {
        const char *fault = dx_secret_fault(given);
        if (!fault) return keep(out, arena, given);
        dx_diag *diag = variable
                            ? dx_diags_add(diags, DX_INVALID, (dx_slice){NULL, 0}, "DUPLEX_SECRET is no good secret: %s", fault)
                            : dx_definition_complain(definition, diags, DX_SLICE("/server/secret"), "this is no good secret: %s", fault);
        if (diag) diag->suggestion = dx_slice_str(advice);
        return DX_INVALID;
    }
    dx_slice file = dx_slice_from(settings->store, sizeof "sqlite:" - 1);
    if (offline || file.size == 0 || file.data[0] == ':') return obtain_passing(out, arena);
    dx_slice path = dx_arena_printf(arena, "%.*s.key", DX_SLICE_ARG(file));
    return path.data ? obtain_from_file(out, arena, path.data, diags) : DX_NO_MEMORY;
}
