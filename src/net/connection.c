// The carrying side of a connection, on uv_poll and its transport.
//
// What uv_poll waits for is changed as late as possible, because each change costs two calls of epoll_ctl: a connection whose input
// nobody wants stays registered for reading until input does come.
#include "net/connection.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/gate.h"
#include "net/http1.h"
#include "net/listener.h"
#include "net/tls.h"

static void on_closed(uv_handle_t *handle);
static void on_timer(dx_timer *timer);

// Room for every protocol that the connection may come to speak.
static size_t room_for(const dx_listener *listener) {
    size_t http2 = listener->http2 ? listener->http2->size : 0;
    return http2 > dx_http1_protocol.size ? http2 : dx_http1_protocol.size;
}

dx_status dx_connection_create(dx_connection **out, dx_listener *listener, int fd, const dx_address *peer) {
    dx_connection *c = dx_memory_zalloc(1, room_for(listener));
    if (!c || (fd >= 0 && uv_poll_init(dx_loop_uv(listener->loop), &c->poll, fd) != 0)) {
        dx_memory_free(c);
        if (fd >= 0) (void)close(fd);
        return DX_NO_MEMORY;
    }
    c->listener = listener;
    c->transport = &dx_plain_transport;
    c->fd = fd;
    c->timer.fire = on_timer;
    c->last_link = &c->answered;
    c->newcomer = listener->draining;
    c->opening = DX_OPENING_YIELD;
    dx_connection_set_peer(c, peer);
    listener->connections++;
    dx_listener_link(listener, c, false);
    *out = c;
    return DX_OK;
}

void dx_connection_set_peer(dx_connection *c, const dx_address *peer) {
    c->address = *peer;
    dx_address_text(peer, c->peer);
    c->peer_size = (uint8_t)strlen(c->peer);
}

// --- opening ---------------------------------------------------------------------------------------------------------------

void dx_connection_speak(dx_connection *c, const dx_protocol *protocol, dx_slice first_bytes) {
    memset(c + 1, 0, protocol->size - sizeof *c);
    c->protocol = protocol;
    c->duplex = false;
    protocol->init(c);
    if (first_bytes.size) protocol->input(c, first_bytes);
}

static void choose_protocol(dx_connection *c) {
    const dx_tls_facts *facts = c->transport->facts ? c->transport->facts(c) : NULL;
    bool http2 = facts && facts->http2 && c->listener->http2;
    dx_connection_speak(c, http2 ? c->listener->http2 : &dx_http1_protocol, dx_slice_of(NULL, 0));
}

// Takes the opening as far as it goes now.
static void open_further(dx_connection *c) {
    const dx_transport *transport;
    dx_opening opening = DX_OPENING_DONE;
    do {
        transport = c->transport;
        if (transport->open) opening = transport->open(c);
    } while (opening == DX_OPENING_DONE && c->transport != transport);
    c->opening = (uint8_t)opening;
    c->reading = opening == DX_OPENING_READ;
    c->room = opening == DX_OPENING_WRITE;
    if (opening == DX_OPENING_DONE)
        choose_protocol(c);
    else if (opening == DX_OPENING_FAILED)
        c->broken = true;
}

void dx_connection_begin(dx_connection *c) {
    dx_connection_enter(c);
    c->deadline = dx_loop_now(c->listener->loop) + c->listener->options.limits.head_time;
    open_further(c);
    dx_connection_leave(c);
}

// The connection is of no more use. What it holds goes when it is left.
static void break_off(dx_connection *c) {
    c->broken = true;
}

void dx_connection_answered(dx_connection *c, dx_stream *stream) {
    stream->next = NULL;
    *c->last_link = stream;
    c->last_link = &stream->next;
}

static void end_answered(dx_connection *c, bool sent) {
    while (c->answered) {
        dx_stream *stream = c->answered;
        c->answered = stream->next;
        if (!c->answered) c->last_link = &c->answered;
        dx_stream_end(stream, sent);
    }
}

// --- input -----------------------------------------------------------------------------------------------------------------

static bool holds_input(const dx_connection *c) {
    return c->transport->holds_input && c->transport->holds_input(c);
}

static ssize_t peek(dx_connection *c) {
    char byte;
    return c->transport->peek ? c->transport->peek(c) : recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

// Input that nobody wants now: what is it? More requests wait in the kernel; the peer's end of sending and its going away are noted.
static void look(dx_connection *c, int events) {
    if (events & (UV_DISCONNECT | UV_PRIORITIZED)) c->hung = true;
    ssize_t size = peek(c);
    if (size == 0) {
        c->hung = true;
        c->eof = !holds_input(c);
    } else if (size > 0) {
        c->unwanted = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        break_off(c);
    }
    if (events & UV_PRIORITIZED) break_off(c); // urgent data or an error; neither is HTTP
}

static void receive(dx_connection *c) {
    dx_listener *listener = c->listener;
    ssize_t size = c->transport->receive(c, listener->input, DX_INPUT_SIZE);
    if (size > 0) {
        if (DX_LIKELY(!c->lingering))
            c->protocol->input(c, dx_slice_of(listener->input, (size_t)size));
        else if ((c->lingered += (uint32_t)size) > DX_LINGER_BYTES)
            c->broken = true;
    } else if (size == 0) {
        c->eof = c->hung = true;
        if (c->lingering) c->broken = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        break_off(c);
    }
}

void dx_connection_event(dx_connection *c, int events) {
    dx_connection_enter(c);
    c->burst = 0;
    if (DX_UNLIKELY(c->opening)) {
        if (c->opening != DX_OPENING_YIELD) open_further(c);
    } else if (events & ~UV_WRITABLE) {
        if (DX_LIKELY(c->reading))
            receive(c);
        else
            look(c, events);
    }
    dx_connection_leave(c);
}

static void on_event(uv_poll_t *poll, int status, int events) {
    dx_connection *c = DX_CONTAINER_OF(poll, dx_connection, poll);
    if (DX_UNLIKELY(status < 0)) {
        c->interest = 0; // libuv has stopped waiting
        dx_connection_enter(c);
        break_off(c);
        dx_connection_leave(c);
        return;
    }
    dx_connection_event(c, events);
}

// --- waiting ---------------------------------------------------------------------------------------------------------------

static void wait_for(dx_connection *c, int interest) {
    if (interest == c->interest) return;
    c->interest = (uint8_t)interest;
    int failed = DX_UNLIKELY(c->transport->wait != NULL) ? c->transport->wait(c, interest)
                 : interest                              ? uv_poll_start(&c->poll, interest, on_event)
                                                         : uv_poll_stop(&c->poll);
    if (failed) c->broken = true;
}

static void update_interest(dx_connection *c) {
    if (DX_UNLIKELY(c->opening)) {
        // In vain while it yields, but then nobody sleeps either.
        if (c->opening != DX_OPENING_YIELD) wait_for(c, c->room ? UV_WRITABLE : UV_READABLE);
        return;
    }
    int interest = dx_connection_pending(c) && !c->fetching ? UV_WRITABLE : 0;
    if (c->reading) {
        c->unwanted = false;
        wait_for(c, interest | UV_READABLE);
    } else if (c->hung) {
        wait_for(c, interest | UV_PRIORITIZED); // with which a reset is told, too
    } else if (c->unwanted) {
        wait_for(c, interest | UV_DISCONNECT);
    } else {
        wait_for(c, interest | (c->interest & (UV_READABLE | UV_DISCONNECT)));
    }
}

// The timer is moved only when it would fire too late. While deadlines move away, as they do from request to request, it is left alone
// and looks again when it fires.
static void update_timer(dx_connection *c) {
    if (c->deadline == DX_NEVER) return;
    if (c->timer.link && c->timer.due <= c->deadline + DX_TIMER_TICK) return;
    dx_timer_start(c->listener->loop, &c->timer, c->deadline - dx_loop_now(c->listener->loop));
}

// When the peer, which takes nothing, is given up; a wait for the disk is not the peer's.
static dx_nanos stall_deadline(const dx_connection *c) {
    return c->fetching ? DX_NEVER : c->progress + c->listener->options.limits.write_stall;
}

static void on_timer(dx_timer *timer) {
    dx_connection *c = DX_CONTAINER_OF(timer, dx_connection, timer);
    if (c->deadline == DX_NEVER) return;
    if (dx_loop_now(c->listener->loop) < c->deadline) {
        update_timer(c);
        return;
    }
    dx_connection_enter(c);
    bool pending = dx_connection_pending(c);
    if (c->opening || c->lingering || (pending && dx_loop_now(c->listener->loop) >= stall_deadline(c)))
        break_off(c);
    else if (!pending || c->duplex)
        c->protocol->timeout(c);
    dx_connection_leave(c);
}

// --- entering and leaving --------------------------------------------------------------------------------------------------

void dx_connection_enter(dx_connection *c) {
    c->entered = true;
}

// Ends our side; the peer's goes on into the void for a while.
static void linger(dx_connection *c) {
    c->lingering = c->reading = true;
    c->idle = false;
    c->deadline = dx_loop_now(c->listener->loop) + DX_LINGER_TIME;
    if (c->eof || c->transport->end(c) != 0) c->broken = true;
}

static void rest(dx_connection *c) {
    if (DX_UNLIKELY(c->opening)) return; // open_further has said what it waits for
    if (c->finish && !dx_connection_pending(c)) {
        if (c->finish == DX_FINISH_CLOSE) {
            if (c->fd < 0) (void)c->transport->end(c); // closing a descriptor says it all, and TLS's `close` its own
            c->broken = true;
        } else if (!c->lingering) {
            linger(c);
        }
    } else if (dx_connection_pending(c) && !c->duplex) {
        c->reading = c->idle = false;
        c->deadline = stall_deadline(c);
    } else {
        c->protocol->rest(c);
        if (DX_UNLIKELY(dx_connection_pending(c))) {
            c->idle = false;
            if (c->deadline > stall_deadline(c)) c->deadline = stall_deadline(c);
        }
        if (DX_UNLIKELY(c->listener->draining) && c->idle && c->listener->how == DX_DRAIN_NOW && !c->newcomer) c->broken = true;
    }
}

void dx_connection_leave(dx_connection *c) {
    do {
        dx_connection_flush(c);
        if (!c->broken && !dx_connection_pending(c)) end_answered(c, true);
    } while (!c->broken && !c->finish && (!dx_connection_pending(c) || c->duplex) && !c->opening && c->protocol->advance(c));
    c->entered = false;
    if (!c->broken) rest(c);
    if (!c->broken) update_interest(c);
    if (DX_UNLIKELY(c->broken)) {
        dx_connection_cut(c);
        return;
    }
    update_timer(c);
    if (c->opening == DX_OPENING_YIELD || (c->reading && holds_input(c))) dx_connection_touch(c);
    if (c->idle || c->idle != c->listed_idle) {
        dx_listener_unlink(c->listener, c);
        dx_listener_link(c->listener, c, c->idle);
    }
}

void dx_connection_touch(dx_connection *c) {
    if (c->entered || c->touched || c->dead) return;
    c->touched = true;
    c->next_touched = c->listener->touched;
    c->listener->touched = c;
    dx_listener_post(c->listener);
}

void dx_connection_resume(dx_connection *c) {
    c->touched = false;
    if (c->closed) {
        on_closed((uv_handle_t *)&c->poll);
    } else if (!c->dead) {
        dx_connection_enter(c);
        c->burst = 0;
        if (DX_UNLIKELY(c->opening)) {
            if (c->opening == DX_OPENING_YIELD) open_further(c);
        } else if (c->reading && holds_input(c)) {
            receive(c);
        }
        dx_connection_leave(c);
    }
}

static void on_closed(uv_handle_t *handle) {
    dx_connection *c = DX_CONTAINER_OF(handle, dx_connection, poll);
    dx_listener *listener = c->listener;
    c->closed = true;
    if (c->touched) return; // freed when resumed
    listener->closing--;
    dx_memory_free(c);
    dx_listener_check_drained(listener);
}

static void close_handle(dx_connection *c) {
    c->listener->closing++;
    if (c->transport->close) c->transport->close(c);
    if (c->fd >= 0) {
        uv_close((uv_handle_t *)&c->poll, on_closed);
        (void)close(c->fd);
        return;
    }
    c->closed = true; // freed at the end of the turn, as callers may still look at it
    c->dead = false;
    dx_connection_touch(c);
    c->dead = true;
}

void dx_connection_cut(dx_connection *c) {
    dx_listener *listener = c->listener;
    size_t unsent = dx_connection_unsent(c);
    c->dead = c->broken = true; // from here on nothing is sent
    dx_connection_drop_output(c);
    dx_timer_stop(listener->loop, &c->timer);
    dx_listener_unlink(listener, c);
    listener->connections--;
    if (c->gated) dx_gate_leave(listener->options.gate, &c->address);
    close_handle(c);
    for (dx_stream *stream = c->answered; stream; stream = stream->next) {
        if (!stream->next) stream->bytes -= unsent < stream->bytes ? unsent : stream->bytes;
    }
    end_answered(c, unsent == 0 && !c->unsendable);
    if (c->protocol) c->protocol->cut(c);
    dx_connection_drop_output(c); // an owner may have answered another stream when it heard of these
}
