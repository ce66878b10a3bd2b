// Server-sent events. Each event goes to the wire as one piece, so that a reader never sees half of one; what the wire does not take is not
// kept here. One timer serves both the heartbeat and the patience with a slow reader.
#include "exchange/sse.h"

#include "base/random.h"

struct dx_sse {
    dx_exchange *x;
    const dx_sse_ops *ops;
    void *ctx;
    dx_sse_options options;
    dx_timer timer;
    dx_buffer text; // the event being written
    dx_nanos spoke; // when something was last taken
    dx_nanos stuck; // since when something waits; 0: nothing does
    bool opened, wants, ended;
};

// --- writing ---------------------------------------------------------------------------------------------------------------

static bool is_one_line(dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == '\0') return false;
    return true;
}

static void add_field(dx_buffer *out, dx_slice name, dx_slice value) {
    if (value.size == 0 || !is_one_line(value)) return;
    dx_buffer_add(out, name);
    dx_buffer_add(out, value);
    dx_buffer_byte(out, '\n');
}

// A line for each line of the text; CR LF is one line break.
static void add_data(dx_buffer *out, dx_slice text) {
    size_t from = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != '\n' && text.data[i] != '\r') continue;
        DX_BUFFER_LIT(out, "data: ");
        if (i > from) dx_buffer_append(out, text.data + from, i - from);
        dx_buffer_byte(out, '\n');
        if (i + 1 < text.size && text.data[i] == '\r' && text.data[i + 1] == '\n') i++;
        from = i + 1;
    }
}

static bool push(dx_sse *stream, dx_slice text) {
    if (stream->ended) return false;
    if (dx_exchange_write(stream->x, text)) {
        dx_exchange_flush(stream->x);
        stream->spoke = dx_loop_now(stream->x->loop);
        stream->stuck = 0;
        return true;
    }
    if (stream->stuck == 0) {
        stream->stuck = dx_loop_now(stream->x->loop);
        dx_timer_start(stream->x->loop, &stream->timer, stream->options.slow);
    }
    return false;
}

// The event's text, or false: an event that can't be sent must not be missed unnoticed, so the client comes back for it.
static bool write_event(dx_sse *stream, const dx_sse_event *event) {
    dx_buffer *out = &stream->text;
    dx_buffer_clear(out);
    add_field(out, DX_SLICE("id: "), event->id);
    add_field(out, DX_SLICE("event: "), event->event);
    if (event->data.size) add_data(out, event->data);
    dx_buffer_byte(out, '\n');
    if (dx_buffer_status(out) == DX_OK) return true;
    stream->x->error = dx_buffer_status(out);
    stream->ended = true;
    dx_exchange_cut(stream->x);
    return false;
}

static void let_go_of_large(dx_buffer *text) {
    if (text->capacity > 4096) dx_buffer_deinit(text);
}

static bool push_event(dx_sse *stream, const dx_sse_event *event) {
    bool taken = write_event(stream, event) && push(stream, dx_buffer_slice(&stream->text));
    let_go_of_large(&stream->text);
    return taken;
}

bool dx_sse_send(dx_sse *stream, const dx_sse_event *event) {
    bool taken = !stream->wants && push_event(stream, event);
    stream->wants = !taken;
    return taken;
}

static void finish(dx_sse *stream) {
    if (stream->ended) return;
    stream->ended = true;
    dx_timer_stop(stream->x->loop, &stream->timer);
    dx_exchange_finish(stream->x, NULL);
}

void dx_sse_end(dx_sse *stream, const char *reason) {
    char data[128] = "{\"reason\":\"";
    size_t size = strlen(data), length = strnlen(reason, 64);
    if (stream->ended) return;
    memcpy(data + size, reason, length);
    memcpy(data + size + length, "\"}", 2);
    if (!write_event(stream, &(dx_sse_event){.event = DX_SLICE("end"), .data = dx_slice_of(data, size + length + 2)})) return;
    dx_exchange_write_last(stream->x, dx_buffer_slice(&stream->text));
    finish(stream);
}

// --- time ------------------------------------------------------------------------------------------------------------------

static void plan(dx_sse *stream) {
    dx_nanos now = dx_loop_now(stream->x->loop);
    dx_nanos due = stream->stuck ? stream->stuck + stream->options.slow : stream->spoke + stream->options.heartbeat;
    if (!stream->ended) dx_timer_start(stream->x->loop, &stream->timer, due > now ? due - now : 0);
}

static void on_timer(dx_timer *timer) {
    dx_sse *stream = DX_CONTAINER_OF(timer, dx_sse, timer);
    dx_nanos now = dx_loop_now(stream->x->loop);
    if (stream->ended) return;
    if (stream->stuck) {
        if (now - stream->stuck >= stream->options.slow) {
            stream->x->error = DX_REQUEST_TIMEOUT;
            dx_sse_end(stream, "slow"); // it is told when it reads on; when it does not, the connection ends by its own timeout
            return;
        }
    } else if (now - stream->spoke >= stream->options.heartbeat) {
        (void)push(stream, DX_SLICE(":\n\n"));
    }
    plan(stream);
}

// --- the source's side -----------------------------------------------------------------------------------------------------

// Clients that lost their server together do not come back together.
static void say_retry(dx_sse *stream) {
    uint64_t milliseconds = (uint64_t)(stream->options.retry / DX_MILLISECOND), half = milliseconds / 2;
    dx_buffer_clear(&stream->text);
    DX_BUFFER_LIT(&stream->text, "retry: ");
    dx_buffer_u64(&stream->text, milliseconds - half / 2 + dx_random_u64() % (half + 1));
    DX_BUFFER_LIT(&stream->text, "\n\n");
    if (dx_buffer_status(&stream->text) == DX_OK) (void)push(stream, dx_buffer_slice(&stream->text));
}

static void open(dx_sse *stream) {
    stream->opened = true;
    stream->spoke = dx_loop_now(stream->x->loop);
    say_retry(stream);
    plan(stream);
    if (stream->ops->opened) stream->ops->opened(stream->ctx, stream);
}

static void on_ready(void *ctx, dx_exchange *x) {
    dx_sse *stream = ctx;
    (void)x;
    if (stream->ended) return;
    if (!stream->opened) {
        open(stream);
        return;
    }
    if (stream->stuck) {
        stream->stuck = 0;
        stream->spoke = dx_loop_now(stream->x->loop); // it reads; a heartbeat that found no room is not made up for
        plan(stream);
    }
    bool wanted = stream->wants;
    stream->wants = false;
    if (wanted && stream->ops->writable) stream->ops->writable(stream->ctx, stream);
}

static void on_drain(void *ctx, dx_exchange *x) {
    (void)x;
    dx_sse_end(ctx, "draining");
}

static void on_closed(void *ctx, dx_exchange *x, dx_status why) {
    dx_sse *stream = ctx;
    (void)why;
    stream->ended = true;
    dx_timer_stop(x->loop, &stream->timer);
    dx_buffer_deinit(&stream->text);
    if (stream->ops->closed) stream->ops->closed(stream->ctx, stream);
}

static const dx_source_ops source = {on_ready, on_drain, on_closed};

dx_verdict dx_sse_open(dx_exchange *x, const dx_sse_options *options, const dx_sse_ops *ops, void *ctx) {
    dx_sse *stream = DX_ARENA_NEW(x->arena, dx_sse);
    if (!stream) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    *stream = (dx_sse){.x = x, .ops = ops, .ctx = ctx, .options = *options, .timer = {.fire = on_timer}};
    dx_buffer_init(&stream->text, NULL, DX_SSE_EVENT_CAP);
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("no-store"));
    dx_exchange_field(x, DX_SLICE("x-accel-buffering"), DX_SLICE("no"));           // nginx, where it stands before us, else gathers events
    dx_exchange_field(x, DX_SLICE("content-type"), DX_SLICE("text/event-stream")); // now, so that nothing below can fail
    if (x->response.status) return DX_ANSWER;                                      // no memory: answered already
    x->response.compress = options->compress;
    return dx_exchange_stream(x, 200, DX_SLICE("text/event-stream"), &source, stream);
}

dx_slice dx_sse_last_event_id(const dx_exchange *x) {
    return dx_fields_find(&x->request.fields, DX_SLICE("last-event-id"));
}

dx_exchange *dx_sse_exchange(dx_sse *stream) {
    return stream->x;
}
