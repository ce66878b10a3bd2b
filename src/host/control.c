// The control socket, on the server's side: where it lies, who may come, and how a question is read and answered. Whoever comes is this
// process's own user or root: the kernel says who it is (SO_PEERCRED), for an abstract socket has no permissions.
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/control_name.h"
#include "host/parts.h"

#define REQUEST_CAP 4096
#define READ_TIME   (2 * DX_SECOND)
#define WRITE_TIME  (5 * DX_SECOND)

int dx_control_open(const char *path) {
    struct sockaddr_un name;
    char text[DX_CONTROL_NAME_CAP];
    if (!dx_control_name(text, path, (unsigned)geteuid(), (long)getpid())) {
        dx_log(DX_LOG_WARN, "control", "the definition's folder can't be read: `duplex reload` will not find this server");
        return -1;
    }
    socklen_t size = dx_control_address(&name, text, strlen(text));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, size) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
    dx_log(DX_LOG_WARN, "control", "no control socket: %s; `duplex reload` will not find this server", strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

int dx_control_accept(int control) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == geteuid() || peer.uid == 0)) return fd;
    close(fd);
    errno = EPERM;
    return -1;
}

static bool wait_for(int fd, short events, dx_nanos until) {
    dx_nanos left = until - dx_clock_monotonic();
    struct pollfd one = {.fd = fd, .events = events};
    return left > 0 && poll(&one, 1, (int)(left / DX_MILLISECOND) + 1) > 0;
}

// Up to the peer's end of line.
dx_status dx_control_read(int connection, dx_arena *arena, yyjson_val **request) {
    dx_nanos until = dx_clock_monotonic() + READ_TIME;
    char text[REQUEST_CAP];
    size_t size = 0;
    for (;;) {
        if (size == sizeof text) return DX_TOO_LARGE;
        if (!wait_for(connection, POLLIN, until)) return DX_REQUEST_TIMEOUT;
        ssize_t got = recv(connection, text + size, sizeof text - size, 0);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) return DX_CANCELLED;
        size += (size_t)got;
        if (text[size - 1] == '\n') break;
    }
    yyjson_doc *doc;
    dx_status status = dx_json_read(&doc, arena, dx_slice_of(text, size), NULL, NULL);
    if (status == DX_OK) *request = yyjson_doc_get_root(doc);
    return status;
}

static void send_whole(int connection, dx_slice text) {
    dx_nanos until = dx_clock_monotonic() + WRITE_TIME;
    while (text.size) {
        ssize_t sent = send(connection, text.data, text.size, MSG_NOSIGNAL);
        if (sent > 0)
            text = dx_slice_from(text, (size_t)sent);
        else if (errno != EINTR && (errno != EAGAIN || !wait_for(connection, POLLOUT, until)))
            return; // whoever asked is gone
    }
}

static void add_findings(dx_report *report) {
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(report->doc, report->root, "findings");
    for (const dx_diag *diag = report->findings.first; diag; diag = diag->next) {
        dx_slice text = dx_diag_text(diag, report->arena);
        yyjson_mut_arr_add_strn(report->doc, list, text.data, text.size);
    }
    yyjson_mut_obj_add_uint(report->doc, report->root, "finding_count", report->findings.count);
}

void dx_control_answer(int connection, dx_report *report) {
    dx_buffer text;
    dx_buffer_init(&text, report->arena, 16u << 20);
    yyjson_mut_obj_add_bool(report->doc, report->root, "ok", report->status == DX_OK);
    yyjson_mut_obj_add_str(report->doc, report->root, "status", dx_status_title(report->status));
    yyjson_mut_obj_add_int(report->doc, report->root, "pid", getpid());
    add_findings(report);
    dx_json_write_mut(&text, report->root, false);
    dx_buffer_byte(&text, '\n');
    if (dx_buffer_status(&text) == DX_OK)
        send_whole(connection, dx_buffer_slice(&text));
    else
        send_whole(connection, DX_SLICE("{\"ok\":false,\"status\":\"the server is short of memory\"}\n"));
}
