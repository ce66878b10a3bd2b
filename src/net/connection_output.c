// What a connection sends: the worker's buffer, its own queue, a lent piece, a file; see the header. Sending is the transport's.
#include <errno.h>

#include "base/memory.h"
#include "net/connection.h"
#include "net/file_body.h"
#include "net/listener.h"

size_t dx_connection_unsent(const dx_connection *c) {
    size_t buffered = c->listener->output_owner == c ? c->listener->output_size : 0;
    size_t file = c->file ? (size_t)dx_file_body_left(c->file) : 0;
    return c->queue_size - c->queue_at + buffered + c->lent.size + file;
}

static void drop_queue(dx_connection *c) {
    dx_memory_free(c->queue);
    c->queue = NULL;
    c->queue_at = c->queue_size = c->queue_capacity = 0;
}

void dx_connection_drop_output(dx_connection *c) {
    drop_queue(c);
    c->lent = dx_slice_of(NULL, 0);
    c->file = NULL;
    if (c->listener->output_owner == c) {
        c->listener->output_owner = NULL;
        c->listener->output_size = 0;
    }
}

static void enqueue(dx_connection *c, const char *data, size_t size) {
    if (c->queue_at > 0) {
        memmove(c->queue, c->queue + c->queue_at, c->queue_size - c->queue_at);
        c->queue_size -= c->queue_at;
        c->queue_at = 0;
    }
    if (size > c->queue_capacity - c->queue_size) {
        size_t capacity = c->queue_size + size;
        char *grown = capacity <= DX_QUEUE_CAP ? dx_memory_realloc(c->queue, capacity) : NULL;
        if (!grown) {
            c->unsendable = true;
            c->broken = true;
            return;
        }
        c->queue = grown;
        c->queue_capacity = (uint32_t)capacity;
    }
    memcpy(c->queue + c->queue_size, data, size);
    c->queue_size += (uint32_t)size;
}

static size_t take(size_t *sent, size_t size) {
    size_t taken = *sent < size ? *sent : size;
    *sent -= taken;
    return taken;
}

// Takes `sent` bytes off the front of queue, buffer and lent piece; what is left in the worker's buffer moves to the queue.
static void advance_output(dx_connection *c, size_t sent, dx_slice buffered) {
    if (sent > 0) c->progress = dx_loop_now(c->listener->loop);
    c->queue_at += (uint32_t)take(&sent, c->queue_size - c->queue_at);
    if (c->queue && c->queue_at == c->queue_size) drop_queue(c);
    if (buffered.size) {
        c->listener->output_owner = NULL;
        c->listener->output_size = 0;
        buffered = dx_slice_from(buffered, take(&sent, buffered.size));
        if (buffered.size) enqueue(c, buffered.data, buffered.size);
    }
    c->lent = dx_slice_from(c->lent, sent);
}

static void begin_wait(dx_connection *c) {
    c->progress = c->waiting = dx_loop_now(c->listener->loop);
    c->taken = 0;
}

// A peer that takes a byte now and then would hold an answer, and what it is made of, for hours.
static bool takes_too_slowly(const dx_connection *c) {
    const dx_http_limits *limits = &c->listener->options.limits;
    dx_nanos elapsed = c->progress - c->waiting;
    if (elapsed <= limits->write_stall) return false;
    return (double)c->taken < (double)limits->body_rate * ((double)elapsed / (double)DX_SECOND);
}

static void note_taken(dx_connection *c, size_t sent) {
    c->progress = dx_loop_now(c->listener->loop);
    c->taken += sent;
    if (dx_connection_pending(c) && takes_too_slowly(c)) c->broken = true;
}

void dx_connection_lose(dx_connection *c) {
    c->unsendable = c->broken = true;
}

static void flush_bytes(dx_connection *c) {
    dx_listener *listener = c->listener;
    dx_slice pieces[3], buffered = {NULL, 0};
    unsigned count = 0;
    if (c->queue_size != c->queue_at) pieces[count++] = dx_slice_of(c->queue + c->queue_at, c->queue_size - c->queue_at);
    if (listener->output_owner == c && listener->output_size) {
        buffered = dx_slice_of(listener->output, listener->output_size);
        pieces[count++] = buffered;
    }
    if (c->lent.size) pieces[count++] = c->lent;
    if (count == 0 || c->broken) return;
    bool waited = dx_connection_pending(c);
    ssize_t sent = c->transport->send(c, pieces, count);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        dx_connection_lose(c);
        return;
    }
    advance_output(c, sent > 0 ? (size_t)sent : 0, buffered);
    if (!waited)
        begin_wait(c);
    else if (sent > 0)
        note_taken(c, (size_t)sent);
}

// --- files -----------------------------------------------------------------------------------------------------------------

// What a piece's attempt says when there is nothing to send now: the pool thread's or the peer's turn, or the end.
static ssize_t wait_or_lose(dx_connection *c, ssize_t said) {
    if (said == DX_FILE_FAILED) {
        dx_connection_lose(c);
    } else if (!c->fetching) {
        c->fetching = true;
        c->fetch_since = dx_loop_now(c->listener->loop);
    }
    return 0;
}

// Through the worker's buffer. The bytes sent, or 0 when that is all for now.
static ssize_t copy_piece(dx_connection *c, size_t most) {
    size_t size = most < DX_OUTPUT_SIZE ? most : DX_OUTPUT_SIZE;
    ssize_t got = dx_file_body_read(c->file, dx_connection_reserve(c, size), size);
    if (got <= 0) return wait_or_lose(c, got);
    dx_connection_commit(c, (size_t)got);
    flush_bytes(c);
    return c->queue || c->broken ? 0 : got;
}

// From the page cache to the socket.
static ssize_t pass_piece(dx_connection *c, size_t most) {
    ssize_t there = dx_file_body_resident(c->file, most);
    if (there <= 0) return wait_or_lose(c, there);
    ssize_t sent = c->transport->send_file(c, dx_file_body_fd(c->file), dx_file_body_offset(c->file), (size_t)there);
    if (sent < 0 && (errno == EINVAL || errno == ENOSYS)) {
        c->by_copy = true;
        return copy_piece(c, most);
    }
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (sent <= 0) { // an error, or the file has become shorter
        dx_connection_lose(c);
        return 0;
    }
    dx_file_body_skip(c->file, (size_t)sent);
    note_taken(c, (size_t)sent);
    return sent == there ? sent : 0;
}

// Sends of the file what a turn may take; the loop comes back when the socket has room, after the others.
static void flush_file(dx_connection *c) {
    size_t budget = DX_FILE_CHUNK;
    while (budget && !c->broken) {
        ssize_t sent = c->by_copy || !c->transport->send_file ? copy_piece(c, budget) : pass_piece(c, budget);
        if (dx_file_body_left(c->file) == 0) {
            c->file = NULL;
            return;
        }
        if (sent == 0) return;
        budget -= (size_t)sent < budget ? (size_t)sent : budget;
    }
}

void dx_connection_send_file(dx_connection *c, dx_file_body *file) {
    if (c->broken) {
        dx_connection_lose(c);
        return;
    }
    if (!dx_connection_pending(c)) begin_wait(c);
    c->file = file;
    c->fetching = c->by_copy = false;
    dx_connection_flush(c);
}

void dx_connection_file_ready(dx_connection *c) {
    dx_nanos now = dx_loop_now(c->listener->loop);
    c->fetching = false;
    c->progress = now;
    c->waiting += now - c->fetch_since; // the wait was for us
    dx_connection_enter(c);
    dx_connection_leave(c);
}

void dx_connection_flush(dx_connection *c) {
    flush_bytes(c);
    if (DX_UNLIKELY(c->file != NULL) && !c->broken && !c->queue && !c->lent.size) flush_file(c);
}

// --- writing ---------------------------------------------------------------------------------------------------------------

char *dx_connection_reserve(dx_connection *c, size_t size) {
    dx_listener *listener = c->listener;
    if (listener->output_owner != c) {
        if (listener->output_owner) flush_bytes(listener->output_owner);
        listener->output_owner = c;
        listener->output_size = 0;
    }
    if (DX_UNLIKELY(size > DX_OUTPUT_SIZE - listener->output_size)) {
        flush_bytes(c);
        if (size > DX_OUTPUT_SIZE) return NULL;
        listener->output_owner = c;
        listener->output_size = 0;
    }
    return listener->output + listener->output_size;
}

void dx_connection_commit(dx_connection *c, size_t size) {
    c->listener->output_size += size;
}

void dx_connection_put(dx_connection *c, dx_slice bytes) {
    char *to = dx_connection_reserve(c, bytes.size);
    if (to) {
        memcpy(to, bytes.data, bytes.size);
        dx_connection_commit(c, bytes.size);
        return;
    }
    dx_connection_lend(c, bytes);
    dx_slice left = c->lent;
    c->lent = dx_slice_of(NULL, 0);
    if (left.size) enqueue(c, left.data, left.size);
}

void dx_connection_lend(dx_connection *c, dx_slice bytes) {
    if (c->broken) return;
    if (!dx_connection_pending(c)) begin_wait(c);
    c->lent = bytes;
    dx_connection_flush(c);
}
