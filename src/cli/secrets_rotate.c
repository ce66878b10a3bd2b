// `duplex secrets rotate`: see secrets_rotate.h. The file is read as JSON only to be sure of it; what changes is cut out of the text and in
// again, so that a person's layout stays. A token holds no character that JSON escapes, so a string with an escape in it is none.
#include "cli/secrets_rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "codec/json.h"
#include "config/definition.h"
#include "config/seal_keys.h"
#include "crypto/digest.h"

typedef struct rotation {
    const char *path;
    const dx_fernet_ring *ring;
    dx_arena *arena;
    dx_slice text;
    dx_buffer out;
    struct stat info;
    size_t anew, newest;
} rotation;

static int failed(const rotation *r, const char *why) {
    fprintf(stderr, "duplex secrets: %s: %s\n", r->path, why);
    return DX_EXIT_FAILED;
}

// --- the text ---------------------------------------------------------------------------------------------------------------

static size_t line_of(const rotation *r, const char *at) {
    size_t line = 1;
    for (const char *c = r->text.data; c < at; c++) line += *c == '\n';
    return line;
}

// Behind the closing quote of the string that begins at `at`.
static size_t string_end(dx_slice text, size_t at) {
    for (at++; at < text.size && text.data[at] != '"'; at++)
        if (text.data[at] == '\\') at++;
    return at + 1;
}

static bool is_name(dx_slice text, size_t end) {
    while (end < text.size && memchr(" \t\r\n", text.data[end], 4)) end++;
    return end < text.size && text.data[end] == ':';
}

// Appends the token, or what takes its place.
static int turn_token(rotation *r, dx_slice token) {
    dx_buffer plain;
    dx_fernet_about about;
    dx_buffer_init(&plain, NULL, DX_FERNET_PLAIN_CAP + 32);
    dx_status status = dx_fernet_open(&plain, r->ring, token, NULL, &about);
    if (status == DX_OK && about.key > 0) {
        status = dx_fernet_seal(&r->out, r->ring, dx_buffer_slice(&plain), about.time_s, NULL);
        r->anew++;
    } else {
        r->newest += status == DX_OK;
        dx_buffer_add(&r->out, token);
    }
    if (plain.data) dx_secret_wipe(plain.data, plain.capacity);
    dx_buffer_deinit(&plain);
    size_t line = line_of(r, token.data);
    if (status == DX_BAD_TOKEN)
        fprintf(stderr, "%s:%zu: no key that is given opens this sealed value; nothing was changed\n", r->path, line);
    else if (status == DX_MALFORMED)
        fprintf(stderr, "%s:%zu: \"" DX_SEAL_PREFIX "\" is not followed by a Fernet token here; it was left as it is\n", r->path, line);
    else if (status != DX_OK)
        return failed(r, dx_status_title(status));
    return status == DX_BAD_TOKEN ? DX_EXIT_FAILED : DX_EXIT_OK;
}

static int turn_text(rotation *r) {
    static const dx_slice prefix = DX_SLICE_INIT("\"" DX_SEAL_PREFIX);
    int result = DX_EXIT_OK;
    size_t done = 0;
    for (size_t at = 0; at < r->text.size && result == DX_EXIT_OK;) {
        if (r->text.data[at] != '"') {
            at++;
            continue;
        }
        size_t end = string_end(r->text, at);
        if (dx_slice_starts(dx_slice_from(r->text, at), prefix) && !is_name(r->text, end)) {
            size_t start = at + prefix.size;
            dx_buffer_append(&r->out, r->text.data + done, start - done);
            result = turn_token(r, dx_slice_of(r->text.data + start, end - 1 - start));
            done = end - 1;
        }
        at = end;
    }
    dx_buffer_add(&r->out, dx_slice_from(r->text, done));
    return result == DX_EXIT_OK && dx_buffer_status(&r->out) != DX_OK ? failed(r, dx_status_title(dx_buffer_status(&r->out))) : result;
}

// --- the file ---------------------------------------------------------------------------------------------------------------

static int read_text(rotation *r, int fd) {
    dx_buffer text;
    if (fstat(fd, &r->info) != 0) return failed(r, strerror(errno));
    if (!S_ISREG(r->info.st_mode)) return failed(r, "it is not an ordinary file");
    if (r->info.st_size > (off_t)DX_DEFINITION_BYTES_CAP) return failed(r, "it is larger than 64 MiB");
    dx_buffer_init(&text, r->arena, DX_DEFINITION_BYTES_CAP + 1);
    while (text.size < (size_t)r->info.st_size) {
        char *to = dx_buffer_reserve(&text, (size_t)r->info.st_size - text.size);
        ssize_t got = to ? read(fd, to, (size_t)r->info.st_size - text.size) : 0;
        if (got < 0 && errno == EINTR) continue;
        if (!to) return failed(r, "out of memory");
        if (got < 0) return failed(r, strerror(errno));
        if (got == 0) break;
        text.size += (size_t)got;
    }
    r->text = dx_buffer_slice(&text);
    return DX_EXIT_OK;
}

static int check_json(const rotation *r) {
    yyjson_doc *document;
    dx_diags found;
    dx_diags_init(&found, r->arena);
    dx_status status = dx_json_read(&document, r->arena, r->text, NULL, &found);
    for (dx_diag *diag = found.first; diag; diag = diag->next) diag->file = dx_slice_str(r->path);
    dx_print_findings(&found);
    if (status == DX_NO_MEMORY) return failed(r, "out of memory");
    return status == DX_OK ? DX_EXIT_OK : DX_EXIT_REFUSED;
}

static bool write_all(int fd, dx_slice text) {
    while (text.size) {
        ssize_t written = write(fd, text.data, text.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        text = dx_slice_from(text, (size_t)written);
    }
    return fsync(fd) == 0;
}

// The owner before the mode, which a change of owner may take bits from.
static bool write_beside(const rotation *r, const char *beside) {
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool owned = (r->info.st_uid == geteuid() && r->info.st_gid == getegid()) || fchown(fd, r->info.st_uid, r->info.st_gid) == 0;
    bool good = owned && fchmod(fd, r->info.st_mode & 07777) == 0 && write_all(fd, dx_buffer_slice(&r->out));
    int error = errno;
    if (close(fd) != 0 && good) {
        good = false;
        error = errno;
    }
    if (!good) (void)unlink(beside);
    errno = error;
    return good;
}

// Behind symbolic links: it is the file itself that is replaced.
static int replace(const rotation *r) {
    char *real = realpath(r->path, NULL);
    dx_slice beside = dx_arena_printf(r->arena, "%s.%ld.new", real ? real : "", (long)getpid());
    bool good = real && beside.data && write_beside(r, beside.data);
    if (good && rename(beside.data, real) != 0) {
        int error = errno;
        (void)unlink(beside.data);
        errno = error;
        good = false;
    }
    int error = errno;
    free(real);
    return good ? DX_EXIT_OK : failed(r, strerror(error));
}

int dx_secrets_rotate(const char *path, const dx_fernet_ring *ring, dx_arena *arena) {
    rotation r = {.path = path, .ring = ring, .arena = arena};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return failed(&r, strerror(errno));
    dx_buffer_init(&r.out, arena, 2 * (size_t)DX_DEFINITION_BYTES_CAP);
    int result = read_text(&r, fd);
    (void)close(fd);
    if (result == DX_EXIT_OK) result = check_json(&r);
    if (result == DX_EXIT_OK) result = turn_text(&r);
    if (result == DX_EXIT_OK && r.anew) result = replace(&r);
    if (result == DX_EXIT_OK) printf("%s: %zu sealed anew, %zu already by the newest key\n", path, r.anew, r.newest);
    return result;
}
