// What a WebSocket sends. A frame goes to the wire at once, or what found no room is kept and nothing more is taken until it has gone; a
// pong, a ping and the close frame wait in fields of their own, so that answering can never gather memory.
#include "exchange/websocket_parts.h"

#define SMALL_FRAME  1024 // header and payload are joined on the stack
#define DEFLATE_FROM 64   // bytes of a message: a smaller one gains nothing

static bool write_some(dx_websocket *s, dx_slice bytes) {
    if (!s->blocked && dx_exchange_write(s->x, bytes)) return true;
    s->blocked = true;
    return false;
}

// What is not written now will be: it is taken over. Without memory for that the socket is cut.
static bool keep_unsent(dx_websocket *s, dx_slice bytes) {
    dx_buffer_add(&s->unsent, bytes);
    if (dx_buffer_status(&s->unsent) == DX_OK) return true;
    dx_ws_cut(s, dx_buffer_status(&s->unsent));
    return false;
}

static bool write_or_keep(dx_websocket *s, dx_slice bytes) {
    return bytes.size == 0 || (s->unsent.size == 0 && write_some(s, bytes)) || keep_unsent(s, bytes);
}

static bool send_frame(dx_websocket *s, dx_ws_opcode opcode, dx_slice payload, bool compressed) {
    char bytes[10 + SMALL_FRAME];
    size_t head = dx_ws_header(bytes, opcode, true, compressed, payload.size);
    if (payload.size > SMALL_FRAME) return write_or_keep(s, dx_slice_of(bytes, head)) && write_or_keep(s, payload);
    if (payload.size) memcpy(bytes + head, payload.data, payload.size);
    return write_or_keep(s, dx_slice_of(bytes, head + payload.size));
}

static bool has_room(const dx_websocket *s) {
    return !s->blocked && s->unsent.size == 0;
}

static void send_unsent(dx_websocket *s) {
    if (s->unsent.size == 0 || !write_some(s, dx_buffer_slice(&s->unsent))) return;
    uint64_t cap = s->unsent.cap;
    dx_buffer_deinit(&s->unsent);
    dx_buffer_init(&s->unsent, NULL, cap);
}

void dx_ws_send_due(dx_websocket *s) {
    if (s->state == DX_WS_OVER) return;
    send_unsent(s);
    if (s->pong_due && has_room(s)) {
        s->pong_due = false;
        (void)send_frame(s, DX_WS_PONG, dx_slice_of(s->pong, s->pong_size), false);
    }
    if (s->ping_due && has_room(s)) {
        s->ping_due = false;
        (void)send_frame(s, DX_WS_PING, (dx_slice){NULL, 0}, false);
    }
    if (s->close_due && has_room(s)) {
        s->close_due = false;
        (void)send_frame(s, DX_WS_CLOSE, dx_slice_of(s->close_payload, s->close_size), false);
    }
    if (s->finish_due && !s->close_due && s->unsent.size == 0 && s->state != DX_WS_OVER) {
        s->state = DX_WS_OVER;
        dx_exchange_finish(s->x, NULL);
        s->close_by = dx_loop_now(s->x->loop) + s->options.close_time; // for the peer's end of the connection
        dx_ws_plan(s);
    }
}

// --- messages --------------------------------------------------------------------------------------------------------------

// True: `packed` holds the message in less room than it has. Without memory, or where nothing is gained, it goes as it is.
static bool pack(dx_websocket *s, dx_buffer *packed, dx_slice message) {
    dx_buffer_init(packed, NULL, message.size);
    return s->window_bits && message.size >= DEFLATE_FROM && dx_deflate_message(packed, message, s->window_bits) == DX_OK &&
           packed->size < message.size;
}

bool dx_websocket_has_room(dx_websocket *socket) {
    if (socket->state != DX_WS_OPEN) return false;
    socket->wants = socket->wants || !has_room(socket);
    return has_room(socket);
}

bool dx_websocket_send(dx_websocket *socket, dx_slice message, bool text) {
    dx_buffer packed;
    if (!dx_websocket_has_room(socket)) return false;
    bool compressed = pack(socket, &packed, message);
    bool taken = send_frame(socket, text ? DX_WS_TEXT : DX_WS_BINARY, compressed ? dx_buffer_slice(&packed) : message, compressed);
    dx_buffer_deinit(&packed);
    return taken;
}

// --- the end ---------------------------------------------------------------------------------------------------------------

void dx_ws_end(dx_websocket *s) {
    if (s->state == DX_WS_OVER) return;
    s->state = DX_WS_ENDING;
    s->finish_due = true;
    dx_ws_send_due(s);
}

void dx_ws_cut(dx_websocket *s, dx_status why) {
    if (s->state == DX_WS_OVER) return;
    s->state = DX_WS_OVER;
    s->code_known = false;
    s->x->error = why;
    dx_timer_stop(s->x->loop, &s->timer);
    dx_exchange_cut(s->x);
}

// As many bytes of the reason as there is room for, cut between two characters.
static dx_slice shortened(dx_slice reason) {
    if (reason.size <= DX_WS_REASON_CAP) return reason;
    size_t size = DX_WS_REASON_CAP;
    while (size > 0 && ((unsigned char)reason.data[size] & 0xc0) == 0x80) size--;
    return dx_slice_of(reason.data, size);
}

static void remember(dx_websocket *s, uint16_t code, dx_slice reason) {
    s->code = code;
    s->reason_size = (uint8_t)reason.size;
    if (reason.size) memcpy(s->reason, reason.data, reason.size);
}

void dx_ws_send_close(dx_websocket *s, uint16_t code, dx_slice reason, bool finish) {
    if (code) {
        s->close_payload[0] = (char)(code >> 8);
        s->close_payload[1] = (char)code;
        if (reason.size) memcpy(s->close_payload + 2, reason.data, reason.size);
        s->close_size = (uint8_t)(2 + reason.size);
    }
    s->state = finish ? DX_WS_ENDING : DX_WS_CLOSING;
    s->close_due = true;
    s->finish_due = finish;
    s->close_by = dx_loop_now(s->x->loop) + s->options.close_time;
    dx_ws_plan(s);
    dx_ws_send_due(s);
}

void dx_ws_fail(dx_websocket *s, uint16_t code, const char *reason) {
    dx_slice text = shortened(dx_slice_str(reason));
    if (s->state == DX_WS_CLOSING) {
        dx_ws_end(s);
    } else if (s->state == DX_WS_OPEN) {
        remember(s, code, text);
        s->code_known = true;
        dx_ws_send_close(s, code, text, true);
    }
}

void dx_websocket_close(dx_websocket *socket, uint16_t code, dx_slice reason) {
    if (socket->state != DX_WS_OPEN) return;
    reason = shortened(reason);
    if (!dx_ws_close_code_valid(code)) code = 1011;
    remember(socket, code, reason);
    dx_ws_send_close(socket, code, reason, false);
    dx_websocket_resume(socket); // the peer's close frame stands behind what was held
}
