// Finding the file that answers a path. The kernel keeps every look-up below the mount's folder (openat2(2) with RESOLVE_BENEATH), so no
// path, link or race leads out of it. A first try looks only into the kernel's caches (RESOLVE_CACHED) and never waits for a disk; what it
// can't say is asked again on a pool thread.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/parts.h"

#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) // O_NONBLOCK: a FIFO shall not hold us

bool dx_files_path_allowed(const dx_mount *mount, dx_slice path) {
    static const dx_slice well_known = DX_SLICE_INIT(".well-known");
    if (path.size >= DX_FILES_PATH_CAP || memchr(path.size ? path.data : "", 0, path.size)) return false;
    for (dx_slice rest = path; rest.data;) {
        dx_slice segment = dx_slice_cut(&rest, '/');
        if (!segment.size && (rest.data || path.size == 0)) return path.size == 0;
        if (!segment.size) return true; // "folder/"
        if (dx_slice_equal(segment, DX_SLICE(".")) || dx_slice_equal(segment, DX_SLICE(".."))) return false;
        if (segment.data[0] == '.' && !mount->hidden && !dx_slice_equal(segment, well_known)) return false;
    }
    return true;
}

int dx_files_open(const dx_mount *mount, const char *path, int flags, mode_t mode, bool cached_only) {
    struct open_how how = {.flags = (uint64_t)(unsigned)flags, .mode = flags & O_CREAT ? mode : 0};
    how.resolve =
        RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (mount->symlinks ? 0 : RESOLVE_NO_SYMLINKS) | (cached_only ? RESOLVE_CACHED : 0);
    int fd;
    do fd = (int)syscall(SYS_openat2, mount->root, path, &how, sizeof how);
    while (fd < 0 && errno == EINTR);
    return fd;
}

// A path below the mount, NUL-terminated, with room for endings.
typedef struct place {
    char text[DX_FILES_PATH_CAP + 264];
    size_t size;
} place;

static bool append(place *p, dx_slice text) {
    if (text.size >= sizeof p->text - p->size) return false;
    if (text.size) memcpy(p->text + p->size, text.data, text.size);
    p->size += text.size;
    p->text[p->size] = 0;
    return true;
}

typedef enum outcome { OPENED, ABSENT, LATER, REFUSED, BROKEN } outcome;

static outcome judge(int error, dx_file *out) {
    out->error = error;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP: // a link, where none are followed
    case EXDEV: // it would lead out
    case ENXIO: // a socket
    case ENODEV:
        return ABSENT;
    case EAGAIN:
        return LATER;
    case EACCES:
    case EPERM:
        return REFUSED;
    default:
        return BROKEN;
    }
}

static outcome open_file(const dx_mount *mount, const char *path, bool cached_only, dx_file *out) {
    int fd = dx_files_open(mount, *path ? path : ".", READ_FLAGS, 0, cached_only);
    if (fd < 0) return judge(errno, out);
    if (fstat(fd, &out->stat) != 0) {
        out->error = errno;
        (void)close(fd);
        return BROKEN;
    }
    out->fd = fd;
    return OPENED;
}

// Puts the best sibling that the client takes in the file's place; one older than the file is stale. Returns false to look again later.
static bool take_sibling(const dx_search *search, place *p, bool cached_only, dx_file *out) {
    static const dx_slice endings[DX_CODING_COUNT] = {
        [DX_CODING_GZIP] = DX_SLICE_INIT(".gz"), [DX_CODING_ZSTD] = DX_SLICE_INIT(".zst"), [DX_CODING_BR] = DX_SLICE_INIT(".br")};
    unsigned offered =
        DX_CODING_BIT(DX_CODING_IDENTITY) | DX_CODING_BIT(DX_CODING_GZIP) | DX_CODING_BIT(DX_CODING_ZSTD) | DX_CODING_BIT(DX_CODING_BR);
    size_t size = p->size;
    if (!search->mount->precompressed || !search->accept.data) return true;
    for (;;) {
        dx_coding coding = dx_coding_choose(search->accept, offered);
        dx_file sibling = {0};
        if (coding == DX_CODING_UNKNOWN || coding == DX_CODING_IDENTITY) return true;
        offered &= ~DX_CODING_BIT(coding);
        p->size = size;
        if (!append(p, endings[coding])) return true;
        outcome said = open_file(search->mount, p->text, cached_only, &sibling);
        if (said == LATER) return false;
        if (said != OPENED) continue;
        bool fresh = sibling.stat.st_mtim.tv_sec > out->stat.st_mtim.tv_sec ||
                     (sibling.stat.st_mtim.tv_sec == out->stat.st_mtim.tv_sec && sibling.stat.st_mtim.tv_nsec >= out->stat.st_mtim.tv_nsec);
        if (!S_ISREG(sibling.stat.st_mode) || !fresh) {
            (void)close(sibling.fd);
            continue;
        }
        (void)close(out->fd);
        out->fd = sibling.fd;
        out->stat = sibling.stat;
        out->coding = coding;
        return true;
    }
}

static dx_found found_of(outcome said) {
    return said == ABSENT ? DX_FOUND_NOTHING : said == REFUSED ? DX_FOUND_FORBIDDEN : DX_FOUND_FAILED;
}

// What `path` is, without siblings: a file, a folder's index, nothing. False: look again later.
static bool find_plain(const dx_search *search, dx_slice path, place *p, bool cached_only, dx_file *out) {
    bool folder = path.size == 0 || path.data[path.size - 1] == '/';
    p->size = 0;
    if (!append(p, path)) return true;
    if (folder && !(search->mount->index.size && append(p, search->mount->index))) return true;
    outcome said = open_file(search->mount, p->text, cached_only, out);
    if (said == LATER) return false;
    if (said != OPENED) {
        out->found = found_of(said);
        return true;
    }
    if (S_ISREG(out->stat.st_mode)) {
        out->found = DX_FOUND_FILE;
        return true;
    }
    if (S_ISDIR(out->stat.st_mode) && !folder && search->mount->index.size) out->found = DX_FOUND_FOLDER;
    (void)close(out->fd);
    out->fd = -1;
    return true;
}

bool dx_files_find(const dx_search *search, bool cached_only, dx_file *out) {
    const dx_mount *mount = search->mount;
    place p;
    p.size = 0;
    *out = (dx_file){.found = DX_FOUND_NOTHING, .fd = -1, .coding = DX_CODING_IDENTITY, .name = search->path};
    if (dx_files_path_allowed(mount, search->path) && !find_plain(search, search->path, &p, cached_only, out)) return false;
    if (out->found == DX_FOUND_NOTHING && search->navigation && mount->fallback.size) {
        out->fallback = true;
        out->name = mount->fallback;
        if (!find_plain(search, mount->fallback, &p, cached_only, out)) return false;
        if (out->found == DX_FOUND_FOLDER) out->found = DX_FOUND_NOTHING; // its "/" would be sent to the path that was asked for
    } else if (out->found == DX_FOUND_FILE && (!search->path.size || search->path.data[search->path.size - 1] == '/')) {
        out->name = mount->index;
    }
    if (out->found != DX_FOUND_FILE || take_sibling(search, &p, cached_only, out)) return true;
    (void)close(out->fd);
    out->fd = -1;
    return false;
}
