// Streams: the pool, and the owner's calls with the states in which they mean something. What goes over the wire is the protocol's.
#include "net/stream.h"

#include "base/memory.h"
#include "net/listener.h"

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
    } else {
        stream = create(listener);
        if (!stream) return NULL;
    }
    listener->streams++;
    stream->listener = listener;
    stream->connection = connection;
    stream->wire = wire;
    stream->owner = NULL;
    stream->next = NULL;
    stream->bytes = 0;
    stream->began = stream->begun = stream->answered = stream->blocked = stream->bodiless = false;
    return stream;
}

void dx_stream_end(dx_stream *stream, bool sent) {
    dx_listener *listener = stream->listener;
    if (stream->began) listener->options.ops->closed(stream->owner, sent, stream->bytes);
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

void dx_stream_begin(dx_stream *stream, const dx_response_head *head) {
    if (stream->answered || stream->begun) return;
    stream->begun = true;
    if (stream->connection) stream->wire->begin(stream, head);
}

bool dx_stream_write(dx_stream *stream, dx_slice piece) {
    if (!stream->connection || !stream->begun || stream->answered) return true;
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
    if (stream->answered) return;
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
