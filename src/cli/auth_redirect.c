#include "cli/auth_redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/text.h"
#include "crypto/digest.h"

enum { HEAD_CAP = 16384, READ_MS = 2000 };

bool dx_redirect_listen(dx_redirect_wait *wait, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int on = 1;
    wait->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (wait->fd < 0) return false;
    (void)setsockopt(wait->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(wait->fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(wait->fd, 8) == 0 &&
        getsockname(wait->fd, (struct sockaddr *)&address, &size) == 0) {
        wait->port = ntohs(address.sin_port);
        return true;
    }
    int error = errno;
    dx_redirect_close(wait);
    errno = error;
    return false;
}

void dx_redirect_close(dx_redirect_wait *wait) {
    if (wait->fd >= 0) (void)close(wait->fd);
    wait->fd = -1;
}

// The request's first line; empty when none comes soon.
static dx_slice read_line(int fd, char *head) {
    size_t size = 0;
    while (size < HEAD_CAP) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        if (poll(&poller, 1, READ_MS) <= 0) break;
        ssize_t got = read(fd, head + size, HEAD_CAP - size);
        if (got <= 0) break;
        size += (size_t)got;
        if (memmem(head, size, "\r\n\r\n", 4)) {
            char *end = memchr(head, '\r', size);
            return dx_slice_of(head, (size_t)(end - head));
        }
    }
    return (dx_slice){0};
}

static void answer(int fd, const char *status, const char *text) {
    char whole[1024];
    int size = snprintf(whole, sizeof whole,
                        "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                        "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%s",
                        status, strlen(text), text);
    if (size > 0) (void)!send(fd, whole, (size_t)size, MSG_NOSIGNAL);
}

typedef struct came {
    dx_slice code, state, error, description;
} came;

static bool read_query(came *out, dx_arena *arena, dx_slice query) {
    dx_slice name, value;
    dx_status status = DX_OK;
    *out = (came){0};
    while (dx_form_next(&query, arena, &name, &value, &status)) {
        dx_slice *to = dx_slice_equal(name, DX_SLICE("code"))                ? &out->code
                       : dx_slice_equal(name, DX_SLICE("state"))             ? &out->state
                       : dx_slice_equal(name, DX_SLICE("error"))             ? &out->error
                       : dx_slice_equal(name, DX_SLICE("error_description")) ? &out->description
                                                                             : NULL;
        if (to) *to = dx_arena_copy(arena, value);
    }
    return status == DX_OK;
}

// What was asked for: "/callback?code=…". Whether it is the answer that is waited for.
static bool judge(int fd, dx_arena *arena, dx_slice line, dx_slice path, dx_slice state, came *out) {
    dx_slice method = dx_slice_cut(&line, ' '), target = dx_slice_cut(&line, ' '), at = dx_slice_cut(&target, '?');
    if (!dx_slice_equal(method, DX_SLICE("GET")) || !dx_slice_equal(at, path)) {
        answer(fd, "404 Not Found", "<p>There is nothing here.</p>");
        return false;
    }
    if (!read_query(out, arena, target) || !out->state.size || !dx_secret_equal(out->state, state)) {
        answer(fd, "400 Bad Request", "<p>This answer belongs to another login.</p>");
        return false;
    }
    answer(fd, "200 OK",
           out->code.size ? "<p>You are logged in. This page can be closed.</p>"
                          : "<p>The login was refused. This page can be closed.</p>");
    return true;
}

bool dx_redirect_take(dx_redirect_wait *wait, dx_arena *arena, dx_slice path, dx_slice state, int64_t timeout_ms, dx_slice *code,
                      dx_slice *error) {
    dx_nanos end = dx_clock_monotonic() + timeout_ms * DX_MILLISECOND;
    char *head = dx_arena_bytes(arena, HEAD_CAP);
    came got = {0};
    *code = (dx_slice){0};
    *error = DX_SLICE("there was no memory");
    while (head) {
        dx_nanos left = (end - dx_clock_monotonic()) / DX_MILLISECOND;
        struct pollfd poller = {.fd = wait->fd, .events = POLLIN};
        *error = DX_SLICE("nobody answered in time");
        if (left <= 0) return false;
        if (poll(&poller, 1, left > 60000 ? 60000 : (int)left) <= 0) continue;
        int fd = accept4(wait->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        bool found = judge(fd, arena, read_line(fd, head), path, state, &got);
        (void)close(fd);
        if (!found) continue;
        *code = got.code;
        *error = got.description.size ? got.description : got.error.size ? got.error : DX_SLICE("it came without a code");
        return true;
    }
    return false;
}
