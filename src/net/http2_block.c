// The heads of responses. nghttp2 keeps the order and the state of streams, and is given :status alone; behind that line, which it has
// written into its frame when the frame's turn comes, all others are added here, straight into the output buffer. So the lines' coder
// (net/hpack.h) is ours, and its table is in the order of the wire. nghttp2's own must not add to the peer's table: whatever else it is
// given goes with NO_INDEX.
#include "base/memory.h"
#include "net/http2.h"

#define FRAME_HEAD   9u
#define PAYLOAD_MOST 16384u // what every peer takes (RFC 9113 section 4.2)

// RFC 9113 section 8.2.2: fields that are about an HTTP/1.1 connection say nothing here.
static bool belongs_to_connection(const dx_field *field) {
    static const dx_slice others[] = {DX_SLICE_INIT("keep-alive"), DX_SLICE_INIT("proxy-connection")};
    switch (field->id) {
    case DX_FIELD_CONNECTION:
    case DX_FIELD_TRANSFER_ENCODING:
    case DX_FIELD_UPGRADE:
        return true;
    case DX_FIELD_OTHER:
        if (DX_LIKELY(field->name.size != others[0].size && field->name.size != others[1].size)) return false;
        for (size_t i = 0; i < DX_COUNT_OF(others); i++) {
            if (dx_slice_equal_nocase(field->name, others[i])) return true;
        }
        return false;
    default:
        return false;
    }
}

// Those that have an entry of the static table, and so are no more than a reference to it.
static bool is_static_status(int status) {
    switch (status) {
    case 200:
    case 204:
    case 206:
    case 304:
    case 400:
    case 404:
    case 500:
        return true;
    default:
        return false;
    }
}

// What all lines take at most, date and length among them.
static size_t lines_bound(const dx_fields *fields) {
    size_t size = 128;
    for (uint32_t i = 0; fields && i < fields->count; i++) {
        size += fields->items[i].name.size + fields->items[i].value.size + DX_HPACK_LINE_EXTRA;
    }
    return size;
}

int dx_http2_head_submit(dx_http2_stream *st, const dx_http2_head *head) {
    uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    if (!is_static_status(head->status)) flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    if (lines_bound(head->fields) > DX_HTTP2_RESPONSE_HEAD_CAP) return NGHTTP2_ERR_FRAME_SIZE_ERROR;
    for (int i = 2, left = head->status; i >= 0; i--, left /= 10) st->status[i] = (char)('0' + left % 10);
    const nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)st->status, 7, sizeof st->status, flags};
    int failed = nghttp2_submit_response(st->h->session, st->id, &status, 1, head->content);
    if (failed) return failed;
    st->head = head->fields;
    st->head_length = head->length;
    st->head_due = true;
    return 0;
}

static char *lines(char *to, dx_http2_stream *st) {
    dx_hpack *hpack = &st->h->hpack;
    dx_slice now = dx_slice_of(dx_listener_date(st->stream->listener) + 6, DX_HTTP_DATE_SIZE);
    to = dx_hpack_line(hpack, to, &(dx_field){DX_SLICE("date"), now, DX_FIELD_DATE});
    if (st->head_length >= 0) to = dx_hpack_length(to, (uint64_t)st->head_length);
    for (uint32_t i = 0; st->head && i < st->head->count; i++) {
        const dx_field *field = &st->head->items[i];
        if (DX_LIKELY(!belongs_to_connection(field))) to = dx_hpack_line(hpack, to, field);
    }
    return to;
}

static void frame_head(char *to, size_t size, uint8_t type, uint8_t flags, const char *id) {
    to[0] = (char)(size >> 16);
    to[1] = (char)(size >> 8);
    to[2] = (char)size;
    to[3] = (char)type;
    to[4] = (char)flags;
    memcpy(to + 5, id, 4);
}

static void count(dx_http2_stream *st, size_t more) {
    st->stream->bytes += more;
    st->h->turn_bytes += (uint32_t)more;
}

// In the output buffer, as one frame.
static void put_short(dx_http2_stream *st, char *to, dx_slice frame) {
    memcpy(to, frame.data, frame.size);
    char *end = lines(to + frame.size, st);
    frame_head(to, (size_t)(end - to) - FRAME_HEAD, NGHTTP2_HEADERS, (uint8_t)frame.data[4], frame.data + 5);
    dx_connection_commit(st->h->connection, (size_t)(end - to));
    count(st, (size_t)(end - to) - frame.size);
}

// Over several frames, by way of memory of its own.
static void put_long(dx_http2_stream *st, dx_slice frame, size_t bound) {
    dx_connection *c = st->h->connection;
    char *block = dx_memory_alloc(bound), head[FRAME_HEAD];
    if (!block) {
        dx_connection_lose(c); // the peer waits for the block's end, and would take anything for it
        return;
    }
    dx_slice first = dx_slice_from(frame, FRAME_HEAD);
    memcpy(block, first.data, first.size);
    dx_slice left = dx_slice_of(block, (size_t)(lines(block + first.size, st) - block));
    uint8_t type = NGHTTP2_HEADERS, kept = (uint8_t)frame.data[4] & NGHTTP2_FLAG_END_STREAM;
    count(st, left.size - first.size);
    while (left.size) {
        dx_slice piece = left.size > PAYLOAD_MOST ? dx_slice_of(left.data, PAYLOAD_MOST) : left;
        left = dx_slice_from(left, piece.size);
        frame_head(head, piece.size, type, left.size ? kept : kept | NGHTTP2_FLAG_END_HEADERS, frame.data + 5);
        dx_connection_put(c, dx_slice_of(head, sizeof head));
        dx_connection_put(c, piece);
        type = NGHTTP2_CONTINUATION;
        kept = 0;
    }
    dx_memory_free(block);
}

void dx_http2_head_put(dx_http2 *h, dx_slice frame) {
    dx_connection *c = h->connection;
    dx_http2_stream *st = h->head_out;
    h->head_out = NULL;
    if (!dx_hpack_follow(&h->hpack, dx_slice_from(frame, FRAME_HEAD))) {
        c->broken = true;
        return;
    }
    if (!st || !st->head_due || st->informs) { // an interim response, or trailers
        if (st && st->informs) st->informs--;
        dx_connection_put(c, frame);
        return;
    }
    st->head_due = false;
    size_t bound = frame.size + lines_bound(st->head);
    char *to = bound <= PAYLOAD_MOST ? dx_connection_reserve(c, bound) : NULL;
    if (DX_LIKELY(to))
        put_short(st, to, frame);
    else
        put_long(st, frame, bound);
}
