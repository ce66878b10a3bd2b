// A WebSocket that runs: the frames that come, made into messages; control frames answered; the closing handshake; time. What is sent is in
// websocket_send.c.
#include "exchange/websocket_parts.h"

#define KEPT_BUFFER 4096 // a larger one is given back between messages

static dx_nanos now_of(const dx_websocket *socket) {
    return dx_loop_now(socket->x->loop);
}

// --- messages --------------------------------------------------------------------------------------------------------------

static void forget_message(dx_websocket *s) {
    dx_inflater_destroy(s->inflater);
    s->inflater = NULL;
    if (s->message.capacity > KEPT_BUFFER) dx_buffer_deinit(&s->message);
    dx_buffer_clear(&s->message);
}

static void fail_by_status(dx_websocket *s, dx_status status) {
    if (status == DX_TOO_LARGE)
        dx_ws_fail(s, 1009, "the message is too large");
    else if (status == DX_MALFORMED)
        dx_ws_fail(s, 1007, "the message is not DEFLATE");
    else
        dx_ws_fail(s, 1011, "the server is short of memory");
}

static void begin_frame(dx_websocket *s) {
    const dx_ws_parser *p = &s->parser;
    if (p->opcode != DX_WS_CONTINUE) {
        s->is_text = p->opcode == DX_WS_TEXT;
        s->is_compressed = p->compressed;
        s->utf8 = (dx_utf8_state){0};
        s->message_size = 0;
        if (p->compressed && dx_inflater_create(&s->inflater) != DX_OK) {
            fail_by_status(s, DX_NO_MEMORY);
            return;
        }
    }
    // What is over the cap is refused before it comes. Compressed, it may become larger, and is looked at as it does.
    if (s->is_compressed) return;
    if (p->left > s->options.message_cap - s->message_size)
        fail_by_status(s, DX_TOO_LARGE);
    else
        s->message_size += p->left;
}

static bool check_text(dx_websocket *s, dx_slice part) {
    if (!s->is_text || dx_utf8_feed(&s->utf8, part)) return true;
    dx_ws_fail(s, 1007, "the text is not UTF-8");
    return false;
}

static void deliver(dx_websocket *s, dx_slice message) {
    if (s->is_text && !dx_utf8_whole(&s->utf8))
        dx_ws_fail(s, 1007, "the text ends within a character");
    else if (s->state == DX_WS_OPEN && s->ops->message)
        s->ops->message(s->ctx, s, message, s->is_text);
}

static void inflate_part(dx_websocket *s, dx_slice piece, bool last) {
    size_t before = s->message.size;
    dx_status status = last ? dx_inflater_end(s->inflater, &s->message) : dx_inflater_run(s->inflater, piece, &s->message);
    if (status != DX_OK)
        fail_by_status(s, status);
    else
        (void)check_text(s, dx_slice_from(dx_buffer_slice(&s->message), before));
}

static void take_piece(dx_websocket *s, dx_slice piece, dx_slice *whole) {
    const dx_ws_parser *p = &s->parser;
    if (s->is_compressed) {
        inflate_part(s, piece, false);
        return;
    }
    if (!check_text(s, piece)) return;
    if (p->left == 0 && p->fin && s->message.size == 0) { // all of the message: it need not be gathered
        *whole = piece;
        return;
    }
    dx_buffer_add(&s->message, piece);
    if (dx_buffer_status(&s->message) != DX_OK) fail_by_status(s, dx_buffer_status(&s->message));
}

static void end_frame(dx_websocket *s, dx_slice *whole) {
    if (!s->parser.fin) return;
    if (s->is_compressed) inflate_part(s, (dx_slice){NULL, 0}, true);
    if (s->state < DX_WS_ENDING) deliver(s, whole->data ? *whole : dx_buffer_slice(&s->message));
    *whole = (dx_slice){NULL, 0};
    forget_message(s);
}

// --- control frames --------------------------------------------------------------------------------------------------------

static void take_close(dx_websocket *s) {
    dx_slice payload = s->parser.piece, reason = dx_slice_from(payload, 2);
    if (s->state == DX_WS_OPEN) {
        s->code = s->parser.close_code;
        s->reason_size = (uint8_t)reason.size;
        if (reason.size) memcpy(s->reason, reason.data, reason.size);
        s->code_known = true;
        dx_ws_send_close(s, s->code == 1005 ? 0 : s->code, (dx_slice){NULL, 0}, true);
    } else {
        s->code_known = true; // ours was answered
        dx_ws_end(s);
    }
}

static void take_control(dx_websocket *s) {
    dx_slice payload = s->parser.piece;
    if (s->parser.opcode == DX_WS_CLOSE) {
        take_close(s);
    } else if (s->parser.opcode == DX_WS_PING && s->state == DX_WS_OPEN) {
        s->pong_size = (uint8_t)payload.size; // one that waits is replaced (section 5.5.3)
        if (payload.size) memcpy(s->pong, payload.data, payload.size);
        s->pong_due = true;
        dx_ws_send_due(s);
    }
}

// --- reading ---------------------------------------------------------------------------------------------------------------

static void take_event(dx_websocket *s, dx_ws_event event, dx_slice *whole) {
    switch (event) {
    case DX_WS_BEGIN:
        begin_frame(s);
        return;
    case DX_WS_PIECE:
        take_piece(s, s->parser.piece, whole);
        return;
    case DX_WS_END:
        end_frame(s, whole);
        return;
    case DX_WS_CONTROL:
        take_control(s);
        return;
    case DX_WS_ERROR:
        dx_ws_fail(s, s->parser.close_code, s->parser.reason);
        return;
    default:
        return;
    }
}

// Reads on until the input is used up, somebody pauses, or it is over. Returns what is left.
static size_t read_frames(dx_websocket *s, char *data, size_t size) {
    dx_slice whole = {NULL, 0};
    s->reading = true;
    while (s->state < DX_WS_ENDING && !s->paused) {
        dx_ws_event event = dx_ws_next(&s->parser, &data, &size);
        if (event == DX_WS_MORE) break;
        take_event(s, event, &whole);
    }
    s->reading = false;
    return s->state < DX_WS_ENDING ? size : 0;
}

static void open_once(dx_websocket *s) {
    if (s->opened) return;
    s->opened = true;
    s->heard = now_of(s);
    dx_ws_plan(s);
    if (s->ops->opened) s->ops->opened(s->ctx, s);
}

// What is not looked at stays unconsumed, so that no more than the window can gather here.
static void hold(dx_websocket *s, dx_slice rest) {
    dx_buffer_add(&s->held, rest);
    if (dx_buffer_status(&s->held) != DX_OK) fail_by_status(s, DX_NO_MEMORY);
}

static void on_piece(void *ctx, dx_exchange *x, dx_slice piece) {
    dx_websocket *s = ctx;
    open_once(s);
    s->heard = now_of(s);
    bool answered = s->pinged != 0;
    s->pinged = 0;
    if (answered && !s->close_by && s->options.heartbeat < s->options.patience) dx_ws_plan(s); // else it is looked at in time
    if (s->paused && s->state < DX_WS_ENDING) {
        hold(s, piece);
        return;
    }
    char *data = (char *)(uintptr_t)piece.data;
    size_t left = read_frames(s, data, piece.size);
    if (left) hold(s, dx_slice_from(piece, piece.size - left));
    dx_exchange_consume(x, piece.size - left);
}

void dx_websocket_pause(dx_websocket *socket) {
    if (socket->state == DX_WS_OPEN) socket->paused = true;
}

void dx_websocket_resume(dx_websocket *socket) {
    dx_websocket *s = socket;
    if (!s->paused) return;
    s->paused = false;
    if (s->reading) return; // from inside `message`: the loop goes on
    s->heard = now_of(s);
    dx_buffer held = s->held;
    dx_buffer_init(&s->held, NULL, held.cap);
    size_t left = read_frames(s, held.data, held.size);
    dx_exchange_consume(s->x, held.size - left);
    if (left) hold(s, dx_slice_from(dx_buffer_slice(&held), held.size - left));
    dx_buffer_deinit(&held);
    if (s->end_due && !s->paused && s->state < DX_WS_ENDING) dx_ws_end(s);
}

// The peer sends no more. Without its close frame that is no proper end.
static void on_end(void *ctx, dx_exchange *x, dx_status why) {
    dx_websocket *s = ctx;
    (void)x;
    if (s->state >= DX_WS_ENDING) return;
    if (why == DX_OK && s->paused && s->held.size)
        s->end_due = true;
    else
        dx_ws_end(s);
}

static const dx_reader_ops reader = {on_piece, on_end};

// --- the source's side -----------------------------------------------------------------------------------------------------

static void on_ready(void *ctx, dx_exchange *x) {
    dx_websocket *s = ctx;
    (void)x;
    open_once(s);
    s->blocked = false;
    dx_ws_send_due(s);
    if (s->blocked || !s->wants || s->state != DX_WS_OPEN) return;
    s->wants = false;
    if (s->ops->writable) s->ops->writable(s->ctx, s);
}

static void on_drain(void *ctx, dx_exchange *x) {
    (void)x;
    dx_websocket_close(ctx, 1001, DX_SLICE("the server goes away"));
}

static void on_closed(void *ctx, dx_exchange *x, dx_status why) {
    dx_websocket *s = ctx;
    (void)why;
    s->state = DX_WS_OVER;
    dx_timer_stop(x->loop, &s->timer);
    forget_message(s);
    dx_buffer_deinit(&s->message);
    dx_buffer_deinit(&s->held);
    dx_buffer_deinit(&s->unsent);
    if (!s->ops->closed) return;
    dx_slice reason = s->code_known ? dx_slice_of(s->reason, s->reason_size) : (dx_slice){NULL, 0};
    s->ops->closed(s->ctx, s, s->code_known ? s->code : 1006, reason);
}

static const dx_source_ops source = {on_ready, on_drain, on_closed};

// --- time ------------------------------------------------------------------------------------------------------------------

void dx_ws_plan(dx_websocket *s) {
    dx_nanos now = now_of(s), due;
    if (s->close_by)
        due = s->close_by;
    else if (s->options.heartbeat == 0)
        return;
    else
        due = s->pinged ? s->pinged + s->options.patience : s->heard + s->options.heartbeat;
    dx_timer_start(s->x->loop, &s->timer, due > now ? due - now : 0);
}

static void on_timer(dx_timer *timer) {
    dx_websocket *s = DX_CONTAINER_OF(timer, dx_websocket, timer);
    dx_nanos now = now_of(s);
    if (s->state == DX_WS_OVER && now >= s->close_by) {
        dx_exchange_cut(s->x); // all is said; what the peer does with its end need not be waited for
        return;
    }
    if (s->close_by) {
        if (now < s->close_by)
            dx_ws_plan(s);
        else
            dx_ws_cut(s, DX_REQUEST_TIMEOUT);
        return;
    }
    if (s->paused) { // it can't be heard
        s->heard = now;
        s->pinged = 0;
    } else if (s->pinged && now - s->pinged >= s->options.patience) {
        dx_ws_fail(s, 1011, "the ping has no answer");
        return;
    } else if (!s->pinged && now - s->heard >= s->options.heartbeat) {
        s->pinged = now;
        s->ping_due = true;
        dx_ws_send_due(s);
    }
    dx_ws_plan(s);
}

// --- accepting -------------------------------------------------------------------------------------------------------------

dx_verdict dx_websocket_accept(dx_exchange *x, const dx_websocket_options *options, const dx_websocket_ops *ops, void *ctx) {
    dx_websocket *s = DX_ARENA_NEW(x->arena, dx_websocket);
    if (!s) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    s->x = x;
    s->ops = ops;
    s->ctx = ctx;
    s->options = *options;
    s->timer.fire = on_timer;
    dx_verdict verdict = dx_ws_shake_hands(s);
    if (verdict != DX_NEXT) return verdict;
    dx_ws_parser_init(&s->parser, s->window_bits > 0, true);
    dx_buffer_init(&s->message, NULL, options->message_cap);
    dx_buffer_init(&s->held, NULL, SIZE_MAX / 2); // bounded by the window
    dx_buffer_init(&s->unsent, NULL, SIZE_MAX / 2);
    return dx_exchange_tunnel(x, &source, &reader, s);
}

dx_exchange *dx_websocket_exchange(dx_websocket *socket) {
    return socket->x;
}

dx_slice dx_websocket_protocol(const dx_websocket *socket) {
    return socket->protocol;
}
