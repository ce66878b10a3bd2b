// Responses in HTTP/2. A head is submitted to nghttp2 at once; a body is asked for frame by frame, when the peer's windows and the
// priorities allow it, and goes from where it lies (the owner's memory, the stream's buffer of pieces, a file) straight into the worker's
// output buffer.
#include "base/memory.h"
#include "net/http2.h"

#define NV_STACK    32u // trailers without an allocation
#define FRAME_HEAD  9u
#define LEAST_DATA  4096u // rather than a smaller frame at the buffer's end, the next buffer
#define KEEP_BUFFER 4096u

static void go_on(dx_http2 *h) {
    dx_connection_touch(h->connection); // at the end of the turn, unless the connection is being worked on
}

static void give_up(dx_http2 *h) {
    h->connection->broken = true;
    go_on(h);
}

void dx_http2_reset(dx_http2_stream *st, uint32_t error) {
    if (st->dropped || st->lost) return;
    st->dropped = true;
    if (nghttp2_submit_rst_stream(st->h->session, NGHTTP2_FLAG_NONE, st->id, error) != 0) give_up(st->h);
    go_on(st->h);
}

// --- heads -----------------------------------------------------------------------------------------------------------------

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags, nghttp2_data_source *source,
                         void *context);

typedef struct shape {
    int status;
    int64_t length; // Content-Length to show; -1: none
    bool body;      // frames of content come behind the head
    bool lives;     // the fields do, until the head is sent
} shape;

static const dx_fields *copy_fields(dx_arena *arena, const dx_fields *fields) {
    dx_fields *copy = DX_ARENA_NEW(arena, dx_fields);
    dx_field *items = copy ? dx_arena_alloc(arena, (fields->count + 1) * sizeof *items) : NULL;
    if (!items) return NULL;
    *copy = (dx_fields){items, fields->count, fields->count};
    for (uint32_t i = 0; i < fields->count; i++) {
        const dx_field *field = &fields->items[i];
        items[i] = (dx_field){dx_arena_copy(arena, field->name), dx_arena_copy(arena, field->value), field->id};
        if (!items[i].name.data || !items[i].value.data) return NULL;
    }
    return copy;
}

static void submit(dx_http2_stream *st, const dx_fields *fields, const shape *as) {
    dx_http2 *h = st->h;
    const nghttp2_data_provider provider = {.source.ptr = st, .read_callback = read_body};
    dx_http2_head head = {as->status, as->length, fields, as->body ? &provider : NULL};
    int failed = NGHTTP2_ERR_INVALID_ARGUMENT;
    if (fields && !as->lives) head.fields = copy_fields(st->stream->arena, fields);
    if (!fields || head.fields) failed = dx_http2_head_submit(st, &head);
    st->submitted = true;
    if (failed == NGHTTP2_ERR_NOMEM)
        give_up(h);
    else if (failed)
        dx_http2_reset(st, NGHTTP2_INTERNAL_ERROR);
    go_on(h);
}

static bool bodiless_status(int status) {
    return status < 200 || status == 204 || status == 304;
}

// --- bodies ----------------------------------------------------------------------------------------------------------------

static size_t waiting(const dx_http2_stream *st) {
    if (st->lent.size) return st->lent.size;
    if (st->stream->file) return (size_t)dx_file_body_left(st->stream->file);
    return st->buffer_size - st->buffer_at;
}

// Bytes have come to wait where none did.
static void begin_wait(dx_http2_stream *st) {
    st->sent = 0;
    st->send_from = st->send_since = dx_http2_now(st->h);
    dx_http2_link_last(&st->h->sending, &st->sending);
}

static bool has_trailers(const dx_stream *stream) {
    for (uint32_t i = 0; stream->trailers && i < stream->trailers->count; i++) {
        if (dx_stream_trailer_allowed(stream->trailers->items[i].name)) return true;
    }
    return false;
}

static bool has_upper(dx_slice text) {
    unsigned found = 0; // without a branch, so that many bytes are looked at at once
    for (size_t i = 0; i < text.size; i++) found |= (unsigned char)(text.data[i] - 'A') < 26;
    return found;
}

// RFC 9113 section 8.2: names travel in lower case.
static dx_slice lower(dx_stream *stream, dx_slice name) {
    if (!has_upper(name)) return name;
    char *copy = dx_arena_bytes(stream->arena, name.size);
    for (size_t i = 0; copy && i < name.size; i++) {
        char c = name.data[i];
        copy[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return dx_slice_of(copy, name.size);
}

// Nothing of nghttp2's may enter the peer's table of fields, which is our own (net/hpack.h).
#define NO_COPY (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE | NGHTTP2_NV_FLAG_NO_INDEX)

static void send_trailers(dx_http2_stream *st) {
    const dx_fields *fields = st->stream->trailers;
    nghttp2_nv stack[NV_STACK], *nvs = stack;
    size_t count = 0;
    int failed = NGHTTP2_ERR_NOMEM;
    if (fields->count > NV_STACK) nvs = dx_arena_alloc(st->stream->arena, fields->count * sizeof *nvs);
    for (uint32_t i = 0; nvs && i < fields->count; i++) {
        const dx_field *field = &fields->items[i];
        if (!dx_stream_trailer_allowed(field->name)) continue;
        dx_slice name = lower(st->stream, field->name), value = field->value.size ? field->value : dx_slice_of("", 0);
        if (!name.data) goto out;
        nvs[count++] = (nghttp2_nv){(uint8_t *)name.data, (uint8_t *)value.data, name.size, value.size, NO_COPY};
    }
    if (nvs) failed = nghttp2_submit_trailer(st->h->session, st->id, nvs, count);
out:
    if (failed) dx_http2_reset(st, NGHTTP2_INTERNAL_ERROR);
}

// Bytes of the file that can be read without waiting for the disk; 0 when they are being fetched, less when they cannot be.
static ssize_t look_at_file(dx_http2_stream *st) {
    if (st->resident) return (ssize_t)st->resident;
    ssize_t there = dx_file_body_resident(st->stream->file, DX_FILE_CHUNK);
    if (there > 0) st->resident = (uint32_t)there;
    return there;
}

// How much of the body comes next; what it is, send_data says.
// NOLINTNEXTLINE(readability-non-const-parameter): nghttp2 says the type
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags, nghttp2_data_source *source,
                         void *context) {
    (void)session, (void)id, (void)to, (void)context;
    dx_http2_stream *st = source->ptr;
    size_t left = waiting(st);
    if (left == 0 && !st->finished) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (st->stream->file && left) {
        ssize_t there = look_at_file(st);
        if (there < 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        st->deferred = there == 0;
        if (st->deferred) dx_http2_unlink(&st->sending); // the wait is for us
        if (st->deferred) return NGHTTP2_ERR_DEFERRED;
        if ((size_t)there < size) size = (size_t)there;
    }
    if (left > size) return (ssize_t)size;
    if (st->finished) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (has_trailers(st->stream)) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            send_trailers(st);
        }
    }
    return (ssize_t)left;
}

// As much as the output buffer has room for, so that each is sent full.
static ssize_t frame_length(nghttp2_session *session, uint8_t type, int32_t id, int32_t session_window, int32_t stream_window,
                            uint32_t most, void *context) {
    (void)session, (void)type, (void)id, (void)session_window, (void)stream_window;
    const dx_http2 *h = context;
    const dx_listener *listener = h->connection->listener;
    size_t used = listener->output_owner == h->connection ? listener->output_size : 0;
    size_t room = DX_OUTPUT_SIZE - used > LEAST_DATA + FRAME_HEAD ? DX_OUTPUT_SIZE - used - FRAME_HEAD : DX_OUTPUT_SIZE - FRAME_HEAD;
    if (room > DX_HTTP2_FRAME_MOST) room = DX_HTTP2_FRAME_MOST;
    return (ssize_t)(room < most ? room : most);
}

static bool move_file(dx_http2_stream *st, char *to, size_t size) {
    st->resident -= (uint32_t)size;
    while (size) {
        ssize_t got = dx_file_body_read(st->stream->file, to, size);
        if (got <= 0) return false;
        to += got;
        size -= (size_t)got;
    }
    return true;
}

static bool move_body(dx_http2_stream *st, char *to, size_t size) {
    if (size == 0) return true;
    if (st->lent.size) {
        memcpy(to, st->lent.data, size);
        st->lent = dx_slice_from(st->lent, size);
        return true;
    }
    if (st->stream->file) return move_file(st, to, size);
    memcpy(to, st->buffer + st->buffer_at, size);
    st->buffer_at += (uint32_t)size;
    if (st->buffer_at < st->buffer_size) return true;
    st->buffer_at = st->buffer_size = 0;
    if (st->buffer_capacity > KEEP_BUFFER) {
        dx_memory_free(st->buffer);
        st->buffer = NULL;
        st->buffer_capacity = 0;
    }
    return true;
}

// As for a whole connection: a byte now and then does not hold an answer for hours.
static bool takes_too_slowly(const dx_http2_stream *st, dx_nanos now) {
    const dx_http_limits *limits = &st->stream->listener->options.limits;
    dx_nanos elapsed = now - st->send_from;
    if (elapsed <= limits->write_stall) return false;
    return (double)st->sent < (double)limits->body_rate * ((double)elapsed / (double)DX_SECOND);
}

static bool window_shut(const dx_http2_stream *st) {
    nghttp2_session *session = st->h->session;
    return nghttp2_session_get_stream_remote_window_size(session, st->id) <= 0 || nghttp2_session_get_remote_window_size(session) <= 0;
}

bool dx_http2_stalled(const dx_http2_stream *st, dx_nanos now) {
    return now - st->send_since >= st->stream->listener->options.limits.write_stall && window_shut(st);
}

// Whether a frame of `size` bytes takes all that the windows had. nghttp2 counts them down afterwards.
static bool shuts_window(const dx_http2_stream *st, size_t size) {
    nghttp2_session *session = st->h->session;
    return nghttp2_session_get_stream_remote_window_size(session, st->id) <= (int32_t)size ||
           nghttp2_session_get_remote_window_size(session) <= (int32_t)size;
}

static void note_sent(dx_http2_stream *st, size_t size) {
    dx_nanos now = dx_http2_now(st->h);
    st->stream->bytes += FRAME_HEAD + size;
    st->h->turn_bytes += (uint32_t)(FRAME_HEAD + size);
    st->sent += size;
    st->send_since = now;
    dx_http2_guard_data(st->h);
    if (waiting(st) == 0)
        dx_http2_unlink(&st->sending);
    else
        dx_http2_link_last(&st->h->sending, &st->sending);
    if (st->stream->blocked && waiting(st) <= DX_HTTP2_WAITING_CAP / 2) st->wake = st->h->wakes = true;
    if (st->sending.next && shuts_window(st, size) && takes_too_slowly(st, now)) dx_http2_reset(st, NGHTTP2_CANCEL);
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t size, nghttp2_data_source *source,
                     void *context) {
    (void)session, (void)frame;
    dx_http2 *h = context;
    dx_http2_stream *st = source->ptr;
    dx_connection *c = h->connection;
    if (dx_connection_pending(c)) return NGHTTP2_ERR_WOULDBLOCK;
    if (h->turn_bytes >= DX_HTTP2_TURN_BYTES) {
        h->yielded = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    char *to = dx_connection_reserve(c, FRAME_HEAD + size);
    if (!to || c->broken) return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(to, head, FRAME_HEAD);
    if (!move_body(st, to + FRAME_HEAD, size)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    dx_connection_commit(c, FRAME_HEAD + size);
    note_sent(st, size);
    return 0;
}

static dx_http2_stream *find(dx_http2 *h, int32_t id) {
    return nghttp2_session_get_stream_user_data(h->session, id);
}

// The response is out. When the request is not whole, nobody waits for its rest: nghttp2 alone goes on with the stream.
static void sent_whole(dx_http2_stream *st) {
    st->whole = true;
    dx_http2_guard_answer(st->h);
    if (DX_LIKELY(st->heard)) return;
    if (st->stream->tunnel)
        dx_http2_stream_watch(st); // its other side is somebody's
    else
        dx_http2_stream_leave(st);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)session;
    dx_http2 *h = context;
    dx_http2_stream *st;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h->head_out = st = find(h, frame->hd.stream_id);
        if (!st) break;
        st->stream->bytes += FRAME_HEAD + frame->hd.length;
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) sent_whole(st);
        break;
    case NGHTTP2_DATA:
        if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) break;
        st = find(h, frame->hd.stream_id);
        if (st) sent_whole(st);
        break;
    case NGHTTP2_RST_STREAM:
        st = find(h, frame->hd.stream_id);
        if ((st && st->dropped) || frame->rst_stream.error_code == NGHTTP2_NO_ERROR) break; // our own doing
        if (!dx_http2_guard_reset(h)) h->error = NGHTTP2_ENHANCE_YOUR_CALM;
        break;
    default:
        break;
    }
    return 0;
}

void dx_http2_set_write_callbacks(nghttp2_session_callbacks *callbacks) {
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, frame_length);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
}

// --- the owner's calls -----------------------------------------------------------------------------------------------------

// What is shown of a head whose body is `length` bytes (-1: not known before), and whether the body goes out.
static shape shape_of(dx_stream *stream, const dx_response_head *head, int64_t length) {
    shape as = {.status = head->status, .length = length};
    if (head->no_body_length)
        as.length = head->content_length;
    else if (bodiless_status(head->status))
        as.length = -1;
    if (head->status == 204) as.length = -1;
    stream->bodiless = head->no_body_length || bodiless_status(head->status) || stream->head.method == DX_HEAD;
    as.body = !stream->bodiless && length != 0;
    return as;
}

// Who wants the end because the rest of the request is of no use has it with the stream alone.
static void heed_close(dx_http2_stream *st, const dx_response_head *head) {
    if (DX_UNLIKELY(head->close && st->heard)) dx_http2_end_begin(st->h);
}

// The owner has said its last word: what it still holds of the body must not keep the rest from coming.
static void give_back(dx_http2_stream *st) {
    if (DX_LIKELY(st->heard || st->counted == 0)) return;
    if (nghttp2_session_consume_stream(st->h->session, st->id, st->counted) != 0) give_up(st->h);
    st->counted = 0;
}

static void respond(dx_stream *stream, const dx_response_head *head, dx_slice body) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (st->lost || st->dropped) return;
    give_back(st);
    shape as = shape_of(stream, head, (int64_t)body.size);
    as.lives = true;
    st->finished = true;
    if (as.body) {
        st->lent = body;
        begin_wait(st);
    }
    submit(st, head->fields, &as);
    heed_close(st, head);
}

static void respond_file(dx_stream *stream, const dx_response_head *head) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (st->lost || st->dropped) return;
    give_back(st);
    shape as = shape_of(stream, head, dx_file_body_left(stream->file));
    as.lives = true;
    st->finished = true;
    if (as.body) begin_wait(st);
    submit(st, head->fields, &as);
    heed_close(st, head);
}

static void resume(dx_http2_stream *st) {
    if (!st->deferred) return;
    st->deferred = false;
    if (nghttp2_session_resume_data(st->h->session, st->id) == NGHTTP2_ERR_NOMEM) give_up(st->h);
}

static void file_ready(dx_stream *stream) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (st->lost || st->dropped) return;
    begin_wait(st);
    resume(st);
    go_on(st->h);
}

static void begin(dx_stream *stream, const dx_response_head *head) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (st->lost || st->dropped) return;
    shape as = {.status = 200, .length = -1};
    if (!stream->tunnel) as = shape_of(stream, head, -1);
    as.body = true; // without content, too: the owner's last word ends it
    submit(st, head->fields, &as);
    dx_http2_stream_watch(st);
    heed_close(st, head);
}

static bool append(dx_http2_stream *st, dx_slice piece) {
    if (st->buffer_at) {
        st->buffer_size -= st->buffer_at;
        memmove(st->buffer, st->buffer + st->buffer_at, st->buffer_size);
        st->buffer_at = 0;
    }
    size_t need = st->buffer_size + piece.size;
    if (need > st->buffer_capacity) {
        if (need > DX_QUEUE_CAP) return false;
        char *grown = dx_memory_realloc(st->buffer, need);
        if (!grown) return false;
        st->buffer = grown;
        st->buffer_capacity = (uint32_t)need;
    }
    memcpy(st->buffer + st->buffer_size, piece.data, piece.size);
    st->buffer_size = (uint32_t)need;
    return true;
}

static bool write_piece(dx_stream *stream, dx_slice piece) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (st->lost || st->dropped || stream->bodiless || piece.size == 0) return true;
    size_t before = waiting(st);
    if (before >= DX_HTTP2_WAITING_CAP) {
        stream->blocked = true;
        return false;
    }
    if (!append(st, piece)) {
        dx_http2_reset(st, NGHTTP2_INTERNAL_ERROR);
        return true;
    }
    if (before == 0) begin_wait(st);
    resume(st);
    go_on(st->h);
    return true;
}

static void finish(dx_stream *stream) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (st->lost || st->dropped) return;
    if (!stream->tunnel) give_back(st);
    st->finished = true;
    resume(st);
    go_on(st->h);
}

static void drop(dx_stream *stream) {
    dx_http2_reset(dx_http2_stream_of(stream), NGHTTP2_INTERNAL_ERROR);
}

static void want_body(dx_stream *stream) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (!st->expects || st->continued || st->heard || st->lost || st->dropped || st->body > 0) return;
    st->continued = true;
    dx_http2_stream_watch(st);
    const nghttp2_nv nv = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NO_COPY};
    st->informs++;
    if (nghttp2_submit_headers(st->h->session, NGHTTP2_FLAG_NONE, st->id, NULL, &nv, 1, NULL) != 0) give_up(st->h);
    go_on(st->h);
}

static void consume(dx_stream *stream) {
    dx_http2_stream *st = dx_http2_stream_of(stream);
    if (st->lost || st->counted <= stream->unconsumed) return;
    if (nghttp2_session_consume_stream(st->h->session, st->id, st->counted - stream->unconsumed) != 0) give_up(st->h);
    st->counted = stream->unconsumed;
    dx_http2_stream_watch(st);
    go_on(st->h);
}

const dx_stream_wire dx_http2_wire = {
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

void dx_http2_reject(dx_http2_stream *st, dx_status why, const char *reason) {
    dx_stream *stream = st->stream;
    dx_listener *listener = stream->listener;
    const dx_connection *c = st->h->connection;
    dx_response_head head = {.status = dx_status_http(why), .content_length = -1};
    dx_slice body = {NULL, 0};
    listener->options.ops->reject(listener->options.ctx, stream->arena, dx_slice_of(c->peer, c->peer_size), why, reason, &head, &body);
    head.close = false;
    stream->answered = true;
    st->rejected = true;
    respond(stream, &head, body);
}
