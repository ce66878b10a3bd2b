// HTTP/1.1 responses: heads, framing, and what of the connection follows from them.
#include "base/memory.h"
#include "net/http1.h"
#include "net/listener.h"

// More than all that a head has besides its fields and its status phrase.
#define HEAD_FIXED 192u

static char *text(char *to, const char *from, size_t size) {
    memcpy(to, from, size);
    return to + size;
}
#define LITERAL(to, literal) text((to), literal, sizeof(literal) - 1)

static char *number(char *to, uint64_t value) {
    char digits[20];
    unsigned at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return text(to, digits + at, sizeof digits - at);
}

static char *hex(char *to, uint64_t value) {
    char digits[16];
    unsigned at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    return text(to, digits + at, sizeof digits - at);
}

typedef struct framing {
    int64_t length;            // Content-Length to show; -1: none
    const dx_fields *trailers; // to announce; NULL: none
    dx_slice upgrade;          // the protocol that a tunnel's head agrees to; empty: none
    bool chunked;
    bool close;
} framing;

static size_t fields_bound(const dx_fields *fields) {
    size_t size = 0;
    for (uint32_t i = 0; fields && i < fields->count; i++) size += fields->items[i].name.size + fields->items[i].value.size + 4;
    return size;
}

static size_t head_bound(const dx_response_head *head, const framing *frame) {
    return HEAD_FIXED + fields_bound(head->fields) + fields_bound(frame->trailers) + frame->upgrade.size;
}

static char *status_line(char *to, int status) {
    if (DX_LIKELY(status == 200)) return LITERAL(to, "HTTP/1.1 200 OK\r\n");
    const char *phrase = dx_http_phrase(status);
    to = LITERAL(to, "HTTP/1.1 ");
    to = number(to, (uint64_t)status);
    *to++ = ' ';
    size_t size = strlen(phrase);
    to = text(to, phrase, size < 64 ? size : 64);
    return LITERAL(to, "\r\n");
}

static char *field_lines(char *to, const dx_fields *fields, bool trailers) {
    for (uint32_t i = 0; fields && i < fields->count; i++) {
        const dx_field *field = &fields->items[i];
        if (trailers && !dx_stream_trailer_allowed(field->name)) continue;
        to = text(to, field->name.data, field->name.size);
        to = LITERAL(to, ": ");
        if (field->value.size) to = text(to, field->value.data, field->value.size);
        to = LITERAL(to, "\r\n");
    }
    return to;
}

// RFC 9110 section 6.6.2: the names of the fields that will come behind the body.
static char *trailer_line(char *to, const dx_fields *trailers) {
    const char *separator = "Trailer: ";
    for (uint32_t i = 0; i < trailers->count; i++) {
        if (!dx_stream_trailer_allowed(trailers->items[i].name)) continue;
        to = text(to, separator, strlen(separator));
        to = text(to, trailers->items[i].name.data, trailers->items[i].name.size);
        separator = ", ";
    }
    return separator[0] == ',' ? LITERAL(to, "\r\n") : to;
}

static char *head_text(char *to, dx_http1 *h, const dx_response_head *head, const framing *frame) {
    to = status_line(to, head->status);
    to = text(to, dx_listener_date(h->connection.listener), DX_DATE_LINE);
    to = field_lines(to, head->fields, false);
    if (frame->length >= 0) {
        to = LITERAL(to, "Content-Length: ");
        to = number(to, (uint64_t)frame->length);
        to = LITERAL(to, "\r\n");
    }
    if (frame->chunked) to = LITERAL(to, "Transfer-Encoding: chunked\r\n");
    if (DX_UNLIKELY(frame->trailers != NULL)) to = trailer_line(to, frame->trailers);
    if (DX_UNLIKELY(frame->upgrade.size > 0)) {
        to = LITERAL(to, "Connection: Upgrade\r\nUpgrade: ");
        to = text(to, frame->upgrade.data, frame->upgrade.size);
        return LITERAL(to, "\r\n\r\n");
    }
    if (DX_UNLIKELY(frame->close))
        to = LITERAL(to, "Connection: close\r\n");
    else if (DX_UNLIKELY(h->parser.http10))
        to = LITERAL(to, "Connection: keep-alive\r\n");
    return LITERAL(to, "\r\n");
}

// Whether this response is the connection's last.
static bool must_close(const dx_http1 *h, bool asked) {
    const dx_listener *listener = h->connection.listener;
    if (asked || !h->parser.keep_alive || listener->draining) return true;
    if (h->requests >= listener->options.limits.requests_a_connection) return true;
    if (!h->reading_body) return false;
    // RFC 9110 section 10.1.1: who waits for 100 and gets something else may or may not send the body.
    if (h->parser.expects && !h->continued && h->parser.body == 0) return true;
    return !h->parser.chunked && h->parser.left > DX_HTTP1_DISCARD_CAP;
}

// Writes the head and, behind it, a body that is small enough to be copied; false when it is not.
static bool write_head(dx_http1 *h, dx_stream *stream, const dx_response_head *head, const framing *frame, dx_slice body) {
    dx_connection *c = &h->connection;
    size_t bound = head_bound(head, frame);
    bool copied = body.size <= DX_HTTP1_COPY_CAP;
    char *to = dx_connection_reserve(c, bound + (copied ? body.size : 0));
    char *own = to ? NULL : dx_arena_bytes(stream->arena, bound); // a head larger than the buffer
    if (!to && !own) {
        dx_connection_lose(c);
        return true;
    }
    char *end = head_text(to ? to : own, h, head, frame);
    stream->bytes += body.size;
    if (own) {
        stream->bytes += (size_t)(end - own);
        dx_connection_put(c, dx_slice_of(own, (size_t)(end - own)));
        if (copied && body.size) dx_connection_put(c, body);
        return copied;
    }
    stream->bytes += (size_t)(end - to);
    if (copied && body.size) end = text(end, body.data, body.size);
    dx_connection_commit(c, (size_t)(end - to));
    return copied;
}

// An owner that answers while its connection is not being worked on (it waited for something) has its bytes sent now.
static void send_now(dx_connection *c) {
    if (c->entered) return;
    dx_connection_flush(c);
    dx_connection_touch(c);
}

static bool bodiless_status(int status) {
    return status < 200 || status == 204 || status == 304;
}

static void respond(dx_stream *stream, const dx_response_head *head, dx_slice body) {
    dx_connection *c = stream->connection;
    dx_http1 *h = dx_http1_of(c);
    framing frame = {.length = (int64_t)body.size, .close = must_close(h, head->close)};
    if (head->no_body_length)
        frame.length = head->content_length;
    else if (bodiless_status(head->status))
        frame.length = -1;
    if (head->no_body_length || bodiless_status(head->status) || stream->head.method == DX_HEAD) body.size = 0;
    if (head->status == 204) frame.length = -1;
    h->close = frame.close;
    bool copied = write_head(h, stream, head, &frame, body);
    dx_http1_answered(h, stream);
    if (!copied) dx_connection_lend(c, body);
    send_now(c);
}

static void begin_tunnel(dx_http1 *h, dx_stream *stream, const dx_response_head *head) {
    dx_response_head agreed = {.status = 101, .fields = head->fields};
    framing frame = {.length = -1, .upgrade = stream->head.protocol};
    h->chunked = h->close = false;
    (void)write_head(h, stream, &agreed, &frame, dx_slice_of(NULL, 0));
    if (!h->reading_body) dx_http1_tunnel_begin(h);
    send_now(&h->connection);
}

static void begin(dx_stream *stream, const dx_response_head *head) {
    dx_connection *c = stream->connection;
    dx_http1 *h = dx_http1_of(c);
    if (stream->tunnel) {
        begin_tunnel(h, stream, head);
        return;
    }
    framing frame = {.length = head->no_body_length ? head->content_length : -1};
    stream->bodiless = head->no_body_length || bodiless_status(head->status) || stream->head.method == DX_HEAD;
    h->chunked = !stream->bodiless && !h->parser.http10;
    bool as_get = stream->head.method == DX_HEAD && !head->no_body_length && !bodiless_status(head->status);
    frame.chunked = h->chunked || (as_get && !h->parser.http10);
    frame.close = must_close(h, head->close) || (h->parser.http10 && !stream->bodiless);
    frame.trailers = h->chunked ? stream->trailers : NULL;
    h->close = frame.close;
    (void)write_head(h, stream, head, &frame, dx_slice_of(NULL, 0));
    send_now(c);
}

// The body is a file's. What is small and in memory goes with the head, in one call.
static void respond_file(dx_stream *stream, const dx_response_head *head) {
    dx_connection *c = stream->connection;
    dx_http1 *h = dx_http1_of(c);
    int64_t length = dx_file_body_left(stream->file);
    char *small = length <= DX_HTTP1_SMALL_FILE ? dx_arena_bytes(stream->arena, (size_t)length) : NULL;
    ssize_t got = small ? dx_file_body_read(stream->file, small, (size_t)length) : 0;
    if (got == length) {
        respond(stream, head, dx_slice_of(small, (size_t)length));
        return;
    }
    framing frame = {.length = length, .close = must_close(h, head->close)};
    h->close = frame.close;
    (void)write_head(h, stream, head, &frame, dx_slice_of(NULL, 0));
    if (got > 0) dx_connection_put(c, dx_slice_of(small, (size_t)got));
    stream->bytes += (uint64_t)length;
    dx_http1_answered(h, stream);
    dx_connection_send_file(c, stream->file); // which also finds out, again, that reading has failed
    send_now(c);
}

static void file_ready(dx_stream *stream) {
    dx_connection_file_ready(stream->connection);
}

// Whether no more is to be written now: the peer has enough to take, or the others wait for their turn.
static bool has_enough(const dx_connection *c) {
    return c->burst >= DX_BURST_CAP || (dx_connection_pending(c) && dx_connection_unsent(c) > DX_HTTP1_WAITING_CAP);
}

static bool write_piece(dx_stream *stream, dx_slice piece) {
    dx_connection *c = stream->connection;
    dx_http1 *h = dx_http1_of(c);
    if (stream->bodiless) return true;
    if (has_enough(c)) {
        stream->blocked = true;
        dx_connection_touch(c);
        return false;
    }
    if (h->chunked) {
        char line[20];
        char *end = LITERAL(hex(line, piece.size), "\r\n");
        dx_connection_put(c, dx_slice_of(line, (size_t)(end - line)));
        stream->bytes += (size_t)(end - line) + 2;
    }
    dx_connection_put(c, piece);
    if (h->chunked) dx_connection_put(c, DX_SLICE("\r\n"));
    stream->bytes += piece.size;
    c->burst += piece.size < DX_BURST_CAP ? (uint32_t)piece.size : DX_BURST_CAP;
    send_now(c);
    return true;
}

static void write_last_chunk(dx_stream *stream) {
    dx_connection *c = stream->connection;
    size_t bound = fields_bound(stream->trailers) + sizeof "0\r\n\r\n";
    char *to = dx_arena_bytes(stream->arena, bound), *end = to;
    if (!to) {
        dx_connection_lose(c); // the peer must not take it for whole
        return;
    }
    end = LITERAL(end, "0\r\n");
    end = field_lines(end, stream->trailers, true);
    end = LITERAL(end, "\r\n");
    dx_connection_put(c, dx_slice_of(to, (size_t)(end - to)));
    stream->bytes += (size_t)(end - to);
}

static void finish(dx_stream *stream) {
    dx_connection *c = stream->connection;
    dx_http1 *h = dx_http1_of(c);
    if (stream->tunnel) {
        h->finished = true;
        h->since = dx_loop_now(c->listener->loop);
        dx_connection_touch(c);
        return;
    }
    if (h->chunked) write_last_chunk(stream);
    dx_http1_answered(h, stream);
    send_now(c);
}

static void drop(dx_stream *stream) {
    dx_connection *c = stream->connection;
    dx_connection_flush(c); // what was answered before
    c->broken = true;
    dx_connection_touch(c);
}

static void want_body(dx_stream *stream) {
    dx_connection *c = stream->connection;
    dx_http1 *h = dx_http1_of(c);
    if (!h->parser.expects || h->continued || !h->reading_body || h->parser.body > 0) return;
    h->continued = true;
    h->since = h->body_from = dx_loop_now(c->listener->loop);
    dx_connection_put(c, DX_SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    send_now(c);
}

static void consume(dx_stream *stream) {
    const dx_http1 *h = dx_http1_of(stream->connection);
    if (h->held || (h->tunnel && !h->connection.reading)) dx_connection_touch(stream->connection);
}

const dx_stream_wire dx_http1_wire = {
    .respond = respond,
    .respond_file = respond_file,
    .file_ready = file_ready,
    .begin = begin,
    .write = write_piece,
    .finish = finish,
    .drop = drop,
    .want_body = want_body,
    .consume = consume,
};

void dx_http1_reject(dx_http1 *h, dx_stream *stream, dx_status why, const char *reason) {
    dx_connection *c = &h->connection;
    dx_listener *listener = c->listener;
    if (!stream) {
        stream = dx_stream_take(listener, c, &dx_http1_wire);
        if (stream) stream->head = (dx_request_head){.method = DX_GET};
    }
    c->finish = DX_FINISH_LINGER;
    h->reading_body = false;
    if (!stream) {
        dx_connection_put(c, DX_SLICE("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        return;
    }
    dx_response_head head = {.status = dx_status_http(why), .content_length = -1};
    dx_slice body = {NULL, 0};
    dx_slice peer = dx_slice_of(c->peer, c->peer_size);
    listener->options.ops->reject(listener->options.ctx, stream->arena, peer, why, reason, &head, &body);
    head.close = true;
    stream->answered = true;
    respond(stream, &head, body);
}
