// WebSocket frames: the events do not depend on how the input is cut, and what is let through keeps the rules that tell messages apart. The
// first byte says what was agreed on and how the input is cut.
#include <string.h>

#include "codec/websocket.h"
#include "fuzz.h"

typedef struct reading {
    dx_ws_parser parser;
    dx_buffer log; // events, with the pieces of a frame joined
    dx_utf8_state utf8;
    bool in_message, failed;
} reading;

static void note(reading *r, dx_ws_event event) {
    const dx_ws_parser *p = &r->parser;
    char mark[4] = {(char)event, (char)p->opcode, p->fin, p->compressed};
    if (event == DX_WS_BEGIN) {
        FUZZ_CHECK((p->opcode == DX_WS_CONTINUE) == r->in_message);
        FUZZ_CHECK(!p->compressed || (p->deflate && !r->in_message));
        r->in_message = !p->fin;
    }
    if (event == DX_WS_CONTROL) FUZZ_CHECK(p->fin && !p->compressed && p->opcode >= DX_WS_CLOSE && p->piece.size <= 125);
    if (event != DX_WS_PIECE) dx_buffer_append(&r->log, mark, sizeof mark);
    if (event == DX_WS_PIECE || event == DX_WS_CONTROL) dx_buffer_add(&r->log, p->piece);
    if (event == DX_WS_ERROR) FUZZ_CHECK(p->reason && (p->close_code == 1002 || p->close_code == 1007));
    r->failed = event == DX_WS_ERROR;
}

static void read_cut(reading *r, uint8_t agreed, const uint8_t *input, size_t size, size_t step) {
    memset(r, 0, sizeof *r);
    dx_ws_parser_init(&r->parser, agreed & 1, agreed & 2);
    dx_buffer_init(&r->log, NULL, 16u << 20);
    for (size_t at = 0; at < size && !r->failed; at += step) {
        size_t left = size - at < step ? size - at : step;
        char *own = malloc(left), *data = own;
        memcpy(own, input + at, left);
        for (dx_ws_event event; !r->failed && (event = dx_ws_next(&r->parser, &data, &left)) != DX_WS_MORE;) note(r, event);
        FUZZ_CHECK(r->failed || left == 0);
        free(own);
    }
}

static void check_utf8(dx_slice text, size_t step) {
    dx_utf8_state state = {0};
    bool good = true;
    for (size_t at = 0; at < text.size && good; at += step)
        good = dx_utf8_feed(&state, dx_slice_of(text.data + at, text.size - at < step ? text.size - at : step));
    FUZZ_CHECK((good && dx_utf8_whole(&state)) == dx_utf8_valid(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    reading whole, cut;
    if (size < 2 || size > 70000) return 0;
    size_t step = 1 + (data[0] >> 2);
    read_cut(&whole, data[0], data + 1, size - 1, size);
    read_cut(&cut, data[0], data + 1, size - 1, step);
    FUZZ_CHECK(dx_slice_equal(dx_buffer_slice(&whole.log), dx_buffer_slice(&cut.log)));
    dx_buffer_deinit(&whole.log);
    dx_buffer_deinit(&cut.log);
    check_utf8(dx_slice_of((const char *)data + 1, size - 1), step);
    return 0;
}
