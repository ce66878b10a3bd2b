// Finding servers and asking them: see control.h. Abstract sockets have no owner that a client could look at, so whoever answers is
// checked: it must be the user that the name speaks of, who must be ourselves, unless we are root.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "host/control.h"
#include "host/control_name.h"

// --- names
// ------------------------------------------------------------------------------------------------------------------------------------

bool dx_control_hash(char out[17], const char *path) {
    char *real = realpath(path, NULL);
    if (!real) return false;
    snprintf(out, 17, "%016llx", (unsigned long long)dx_hash_fixed(dx_slice_str(real)));
    free(real);
    return true;
}

bool dx_control_name(char out[DX_CONTROL_NAME_CAP], const char *path, unsigned uid, long pid) {
    char hash[17];
    if (!dx_control_hash(hash, path)) return false;
    snprintf(out, DX_CONTROL_NAME_CAP, DX_CONTROL_PREFIX "%u/%s/%ld", uid, hash, pid);
    return true;
}

socklen_t dx_control_address(struct sockaddr_un *out, const char *name, size_t size) {
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (size > sizeof out->sun_path - 1) size = sizeof out->sun_path - 1;
    memcpy(out->sun_path + 1, name, size); // a leading NUL: abstract
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
}

// --- finding
// ----------------------------------------------------------------------------------------------------------------------------------

// "duplex/<uid>/<hash>/<pid>", and nothing else.
static bool read_name(dx_control_server *out, dx_slice *hash, dx_slice name) {
    dx_slice rest = name;
    uint64_t uid, pid;
    if (name.size >= sizeof out->name) return false;
    dx_slice word = dx_slice_cut(&rest, '/');
    if (!dx_slice_equal(word, DX_SLICE("duplex")) || !rest.data) return false;
    word = dx_slice_cut(&rest, '/');
    if (!rest.data || !dx_slice_to_u64(word, &uid) || uid > UINT32_MAX) return false;
    *hash = dx_slice_cut(&rest, '/');
    if (hash->size != 16 || !rest.data || !dx_slice_to_u64(rest, &pid) || pid == 0 || pid > INT32_MAX) return false;
    *out = (dx_control_server){.pid = (long)pid, .uid = (unsigned)uid, .name_size = name.size};
    memcpy(out->name, name.data, name.size);
    return true;
}

// A line of /proc/net/unix: eight columns, the last one "@name". Only sockets that listen (flags 00010000).
static dx_slice listening_name(dx_slice line) {
    dx_slice flags = {0}, word = {0};
    for (int column = 0; line.data && column < 8;) {
        word = dx_slice_cut(&line, ' ');
        if (word.size == 0) continue;
        if (column++ == 3) flags = word;
    }
    while (word.size && word.data[word.size - 1] == '\n') word.size--;
    if (word.size < 2 || word.data[0] != '@' || !dx_slice_equal(flags, DX_SLICE("00010000"))) return (dx_slice){NULL, 0};
    return dx_slice_from(word, 1);
}

// Anybody may take any name: whether the socket is of the process that its name speaks of. `flags`: of the socket's type.
static dx_status connect_to(int *out, const dx_control_server *server, int flags) {
    struct sockaddr_un name;
    struct ucred peer;
    socklen_t size = dx_control_address(&name, server->name, server->name_size), peer_size = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    dx_status status = fd < 0 || connect(fd, (const struct sockaddr *)&name, size) != 0 ? DX_UNAVAILABLE : DX_OK;
    if (status == DX_OK &&
        (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0 || peer.uid != server->uid || peer.pid != (pid_t)server->pid))
        status = DX_FORBIDDEN;
    int failure = errno;
    *out = status == DX_OK ? fd : -1;
    if (status != DX_OK && fd >= 0) (void)close(fd);
    errno = failure;
    return status;
}

static bool is_genuine(const dx_control_server *server) {
    int fd;
    if (connect_to(&fd, server, SOCK_NONBLOCK) != DX_OK) return false;
    (void)close(fd);
    return true;
}

size_t dx_control_find(dx_control_server *out, size_t cap, const char *path, long pid) {
    char hash[17] = "", line[512];
    size_t count = 0;
    bool looks = false;
    if (path && !dx_control_hash(hash, path)) return 0;
    FILE *list = fopen("/proc/net/unix", "re");
    while (list && count < cap && fgets(line, sizeof line, list)) {
        dx_slice found, name = listening_name(dx_slice_str(line));
        if (!name.data || !read_name(&out[count], &found, name)) continue;
        if ((hash[0] && !dx_slice_equal(found, dx_slice_of(hash, 16))) || (pid && out[count].pid != pid)) continue;
        if (geteuid() != 0 && out[count].uid != geteuid()) continue;
        if (count == 1 && !looks) { // one alone is looked at when it is asked
            looks = true;
            if (!is_genuine(&out[0])) out[--count] = out[1];
        }
        if (!looks || is_genuine(&out[count])) count++;
    }
    if (list) fclose(list);
    return count;
}

// --- asking
// -----------------------------------------------------------------------------------------------------------------------------------

static dx_status fail(char problem[160], const char *what) {
    snprintf(problem, 160, "%s", what);
    return DX_UNAVAILABLE;
}

// Who waits in the queue of a server that hands over, or stops, is cut off.
static dx_status lost(char problem[160], const char *what) {
    (void)fail(problem, what);
    return DX_CANCELLED;
}

static dx_status talk(dx_buffer *out, int fd, const char *request, char problem[160]) {
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) return lost(problem, strerror(errno));
    for (;;) {
        char *to = dx_buffer_reserve(out, 65536);
        if (!to) return fail(problem, "the answer is too long");
        ssize_t got = recv(fd, to, 65536, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return out->size ? fail(problem, strerror(errno)) : lost(problem, strerror(errno));
        if (got == 0) return out->size ? DX_OK : lost(problem, "it ended before it answered");
        out->size += (size_t)got;
    }
}

dx_status dx_control_ask(yyjson_val **answer, const dx_control_server *server, const char *request, dx_arena *arena, char problem[160]) {
    dx_buffer text;
    yyjson_doc *doc = NULL;
    dx_buffer_init(&text, arena, DX_CONTROL_ANSWER_CAP);
    int fd;
    dx_status status = connect_to(&fd, server, 0);
    if (status == DX_FORBIDDEN) return fail(problem, "the socket is not that process's");
    if (status != DX_OK) return lost(problem, strerror(errno));
    status = talk(&text, fd, request, problem);
    close(fd);
    if (status != DX_OK) return status;
    if (dx_json_read(&doc, arena, dx_buffer_slice(&text), NULL, NULL) != DX_OK) return fail(problem, "its answer can't be read");
    *answer = yyjson_doc_get_root(doc);
    return DX_OK;
}
