// What systemd and a service say to each other: sockets that it passes at start (sd_listen_fds(3)), and datagrams about our state
// (sd_notify(3)). Both are a few lines, and spare a library. Without systemd nothing of this does anything.
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/parts.h"

#define FIRST_PASSED 3
#define PASSED_CAP   1024

void dx_systemd_tell(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t size = path ? strlen(path) : 0;
    if (size < 2 || size >= sizeof name.sun_path || (path[0] != '/' && path[0] != '@')) return;
    memcpy(name.sun_path, path, size);
    if (path[0] == '@') name.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&name, length);
    close(fd);
}

// The monotonic time tells systemd that what follows is about this reload and no earlier one.
void dx_systemd_reloading(void) {
    char text[80];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(dx_clock_monotonic() / DX_MICROSECOND));
    dx_systemd_tell(text);
}

static uint64_t number_of(const char *variable) {
    uint64_t value = 0;
    const char *text = getenv(variable);
    return text && dx_slice_to_u64(dx_slice_str(text), &value) ? value : 0;
}

dx_nanos dx_systemd_watchdog(bool took_over) {
    uint64_t pid = number_of("WATCHDOG_PID"), micros = number_of("WATCHDOG_USEC");
    if (micros == 0 || micros > (uint64_t)INT64_MAX / 1000 || (pid && pid != (uint64_t)getpid() && !took_over)) return 0;
    return (dx_nanos)micros * DX_MICROSECOND / 2;
}

dx_status dx_systemd_take(dx_host *host) {
    uint64_t count = number_of("LISTEN_FDS");
    const char *text = getenv("LISTEN_FDNAMES");
    dx_slice names = dx_slice_str(text);
    dx_status status = DX_OK;
    char address[300];
    if (count == 0 || count > PASSED_CAP || number_of("LISTEN_PID") != (uint64_t)getpid()) return DX_OK;
    for (int fd = FIRST_PASSED; fd < FIRST_PASSED + (int)count && status == DX_OK; fd++) {
        dx_slice name = text && names.data ? dx_slice_cut(&names, ':') : DX_SLICE("unknown");
        snprintf(address, sizeof address, "systemd:%.*s", (int)(name.size < 256 ? name.size : 256), name.data);
        if (!dx_socket_listens(fd)) { // perhaps it is not even open, and its number has gone to something of ours
            dx_log(DX_LOG_WARN, "systemd", "descriptor %d (%s) is passed over: nobody can connect to it", fd, address);
            continue;
        }
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        status = dx_sockets_take(&host->sockets, fd, dx_slice_str(address), 0, true);
        if (status == DX_OK) host->sockets.rows[host->sockets.count - 1].place = (unsigned)(fd - FIRST_PASSED) + 1;
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return status;
}
