// Streams: the pool, and the owner's calls with the states in which they mean something. What goes over the wire is the protocol's.
#include "net/stream.h"

#include <unistd.h>

#include "base/memory.h"
#include "net/listener.h"
#include "net/tls.h"

void dx_stream_free(dx_stream *stream) {
    dx_arena_destroy(stream->arena);
    dx_memory_free(stream);
}

static dx_stream *create(dx_listener *listener) {
    dx_stream *stream = dx_memory_alloc(sizeof *stream);
    if (!stream) return NULL;
    stream->arena = dx_arena_create(listener->options.arena_cap);
    if (stream->arena) return stream;
    dx_memory_free(stream);
    return NULL;
}

dx_stream *dx_stream_take(dx_listener *listener, dx_connection *connection, const dx_stream_wire *wire) {
    dx_stream *stream = listener->pool;
    if (stream) {
        listener->pool = stream->next;
        listener->pooled--;
        stream->arena->cap = listener->options.arena_cap; // it may have changed since
    } else {
        stream = create(listener);
        if (!stream) return NULL;
    }
    listener->streams++;
    stream->listener = listener;
    stream->connection = connection;
    stream->wire = wire;
    stream->late = NULL;
    stream->owner = NULL;
    stream->next = NULL;
    stream->bytes = 0;
    stream->unconsumed = 0;
    stream->file = NULL;
    stream->trailers = NULL;
    stream->began = stream->begun = stream->answered = stream->blocked = stream->bodiless = stream->tunnel = false;
    return stream;
}

static const dx_tls_facts *copy_facts(dx_arena *arena, const dx_tls_facts *facts) {
    dx_tls_facts *copy = dx_arena_alloc(arena, sizeof *copy);
    if (!copy) return NULL;
    *copy = *facts;
    dx_slice *texts[] = {&copy->server_name, &copy->client_subject, &copy->client_fingerprint};
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        if (texts[i]->size == 0) continue;
        *texts[i] = dx_arena_copy(arena, *texts[i]);
        if (!texts[i]->data) return NULL;
    }
    return copy;
}

dx_status dx_stream_know(dx_stream *stream) {
    const dx_connection *c = stream->connection;
    dx_request_head *head = &stream->head;
    head->tag = c->tag;
    head->peer = dx_arena_copy(stream->arena, dx_slice_of(c->peer, c->peer_size));
    if (!head->peer.data) return DX_NO_MEMORY;
    const dx_tls_facts *facts = c->transport->facts ? c->transport->facts(c) : NULL;
    head->secure = facts != NULL;
    head->tls = facts ? copy_facts(stream->arena, facts) : NULL;
    return facts && !head->tls ? DX_NO_MEMORY : DX_OK;
}

dx_arena *dx_stream_late_arena(dx_stream *stream) {
    if (!stream->late) stream->late = dx_arena_create(stream->listener->options.arena_cap);
    return stream->late;
}

void dx_stream_deliver(dx_stream *stream, dx_slice piece) {
    stream->unconsumed += (uint32_t)piece.size;
    stream->listener->options.ops->body(stream->owner, piece);
}

bool dx_stream_trailer_allowed(dx_slice name) {
    switch (dx_field_lookup(name)) {
    case DX_FIELD_AUTHORIZATION:
    case DX_FIELD_CONNECTION:
    case DX_FIELD_CONTENT_LENGTH:
    case DX_FIELD_CONTENT_TYPE:
    case DX_FIELD_CONTENT_ENCODING:
    case DX_FIELD_COOKIE:
    case DX_FIELD_DATE:
    case DX_FIELD_EXPECT:
    case DX_FIELD_HOST:
    case DX_FIELD_IDEMPOTENCY_KEY:
    case DX_FIELD_IF_MATCH:
    case DX_FIELD_IF_MODIFIED_SINCE:
    case DX_FIELD_IF_NONE_MATCH:
    case DX_FIELD_IF_UNMODIFIED_SINCE:
    case DX_FIELD_ORIGIN:
    case DX_FIELD_PREFER:
    case DX_FIELD_TE:
    case DX_FIELD_TRANSFER_ENCODING:
    case DX_FIELD_UPGRADE:
        return false;
    case DX_FIELD_OTHER:
        break;
    default:
        return true;
    }
    static const dx_slice forbidden[] = {
        DX_SLICE_INIT("age"),
        DX_SLICE_INIT("allow"),
        DX_SLICE_INIT("cache-control"),
        DX_SLICE_INIT("content-range"),
        DX_SLICE_INIT("forwarded"),
        DX_SLICE_INIT("keep-alive"),
        DX_SLICE_INIT("location"),
        DX_SLICE_INIT("max-forwards"),
        DX_SLICE_INIT("pragma"),
        DX_SLICE_INIT("proxy-authenticate"),
        DX_SLICE_INIT("proxy-authorization"),
        DX_SLICE_INIT("proxy-connection"),
        DX_SLICE_INIT("range"),
        DX_SLICE_INIT("if-range"),
        DX_SLICE_INIT("retry-after"),
        DX_SLICE_INIT("set-cookie"),
        DX_SLICE_INIT("trailer"),
        DX_SLICE_INIT("vary"),
        DX_SLICE_INIT("www-authenticate"),
        DX_SLICE_INIT("x-forwarded-for"),
        DX_SLICE_INIT("x-forwarded-host"),
        DX_SLICE_INIT("x-forwarded-proto"),
    };
    for (size_t i = 0; i < DX_COUNT_OF(forbidden); i++) {
        if (dx_slice_equal_nocase(name, forbidden[i])) return false;
    }
    return true;
}

void dx_stream_end(dx_stream *stream, bool sent) {
    dx_listener *listener = stream->listener;
    if (stream->began) listener->options.ops->closed(stream->owner, sent, stream->bytes);
    if (DX_UNLIKELY(stream->file != NULL)) dx_file_body_destroy(stream->file);
    if (DX_UNLIKELY(stream->late != NULL)) dx_arena_destroy(stream->late);
    listener->streams--;
    if (listener->pooled < DX_STREAM_POOL) {
        dx_arena_reset(stream->arena);
        stream->next = listener->pool;
        listener->pool = stream;
        listener->pooled++;
    } else {
        dx_stream_free(stream);
    }
    if (DX_UNLIKELY(listener->draining)) dx_listener_check_drained(listener);
}

void dx_stream_abort(dx_stream *stream, dx_status why) {
    stream->connection = NULL;
    stream->listener->options.ops->abort(stream->owner, why);
}

// The owner has answered, and there is nobody to send it to. Ended at the end of the turn: the caller may still use the arena.
static void end_orphan(dx_stream *stream) {
    dx_listener *listener = stream->listener;
    stream->answered = true;
    stream->next = listener->orphans;
    listener->orphans = stream;
    dx_listener_post(listener);
}

dx_arena *dx_stream_arena(dx_stream *stream) {
    return stream->arena;
}

void *dx_stream_owner(dx_stream *stream) {
    return stream->owner;
}

void dx_stream_respond(dx_stream *stream, const dx_response_head *head, dx_slice body) {
    if (stream->answered) return;
    if (!stream->connection) {
        end_orphan(stream);
        return;
    }
    if (stream->begun) return;
    stream->answered = true;
    stream->wire->respond(stream, head, body);
}

static void on_file_ready(void *ctx) {
    dx_stream *stream = ctx;
    if (stream->connection) stream->wire->file_ready(stream);
}

void dx_stream_respond_file(dx_stream *stream, const dx_response_head *head, int file, int64_t offset, int64_t length) {
    bool wanted = stream->connection && !stream->answered && !stream->begun;
    bool bodiless = stream->head.method == DX_HEAD || head->no_body_length || length <= 0;
    if (!wanted || bodiless) {
        dx_response_head bare = *head;
        (void)close(file);
        if (wanted && !head->no_body_length) {
            bare.no_body_length = true;
            bare.content_length = length > 0 ? length : 0;
        }
        dx_stream_respond(stream, &bare, dx_slice_of(NULL, 0));
        return;
    }
    stream->file = dx_file_body_create(stream->listener->loop, file, offset, length, on_file_ready, stream);
    if (!stream->file) {
        dx_stream_respond(stream, &(dx_response_head){.status = dx_status_http(DX_NO_MEMORY)}, dx_slice_of(NULL, 0));
        return;
    }
    stream->answered = true;
    stream->wire->respond_file(stream, head);
}

static void begin(dx_stream *stream, const dx_response_head *head) {
    stream->begun = true;
    if (stream->connection) stream->wire->begin(stream, head);
}

void dx_stream_begin(dx_stream *stream, const dx_response_head *head) {
    if (!stream->answered && !stream->begun) begin(stream, head);
}

void dx_stream_tunnel(dx_stream *stream, const dx_response_head *head) {
    if (stream->answered || stream->begun || !stream->head.protocol.size) return;
    stream->tunnel = true;
    begin(stream, head);
}

void dx_stream_trailers(dx_stream *stream, const dx_fields *fields) {
    stream->trailers = fields;
}

void dx_stream_consume(dx_stream *stream, size_t bytes) {
    stream->unconsumed -= bytes < stream->unconsumed ? (uint32_t)bytes : stream->unconsumed;
    if (stream->connection && (!stream->answered || stream->tunnel)) stream->wire->consume(stream);
}

bool dx_stream_write(dx_stream *stream, dx_slice piece) {
    if (!stream->connection || !stream->begun || stream->answered || piece.size == 0) return true;
    return stream->wire->write(stream, piece);
}

void dx_stream_finish(dx_stream *stream) {
    if (stream->answered) return;
    if (!stream->connection) {
        end_orphan(stream);
        return;
    }
    if (!stream->begun) return;
    stream->answered = true;
    stream->wire->finish(stream);
}

void dx_stream_drop(dx_stream *stream) {
    if (stream->answered && !(stream->tunnel && stream->connection)) return;
    if (!stream->connection) {
        end_orphan(stream);
        return;
    }
    stream->answered = true;
    stream->wire->drop(stream);
}

void dx_stream_continue(dx_stream *stream) {
    if (stream->connection && !stream->answered && !stream->begun) stream->wire->want_body(stream);
}
