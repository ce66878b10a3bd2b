// The plain transport: TCP or a unix socket in the clear, on plain recv and send: one system call each a request, and errors as the kernel
// says them.
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "net/connection.h"

static ssize_t plain_receive(dx_connection *c, char *to, size_t size) {
    return recv(c->fd, to, size, MSG_DONTWAIT);
}

static ssize_t plain_send(dx_connection *c, const dx_slice *pieces, unsigned count) {
    ssize_t sent;
    do {
        if (count == 1) {
            sent = send(c->fd, pieces[0].data, pieces[0].size, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            struct iovec iov[3];
            for (unsigned i = 0; i < count; i++) iov[i] = (struct iovec){(void *)pieces[i].data, pieces[i].size};
            struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
            sent = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    } while (sent < 0 && errno == EINTR);
    return sent;
}

static ssize_t plain_send_file(dx_connection *c, int file, int64_t offset, size_t size) {
    ssize_t sent;
    do sent = sendfile(c->fd, file, &(off_t){offset}, size);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static int plain_end(dx_connection *c) {
    return shutdown(c->fd, SHUT_WR);
}

const dx_transport dx_plain_transport = {
    .receive = plain_receive,
    .send = plain_send,
    .send_file = plain_send_file,
    .end = plain_end,
};
