// WebSocket frames (RFC 6455 section 5): a header is gathered until it is whole, its rules are checked as soon as their byte is there, and
// the payload goes through unmasked in place. No memory is taken.
#include "codec/websocket.h"

enum { AT_HEAD, IN_DATA, IN_CONTROL, FAILED };

#define SIZE_16     126 // in the header's second byte: the length follows in two bytes
#define SIZE_64     127 // in eight
#define CONTROL_CAP 125

void dx_ws_parser_init(dx_ws_parser *parser, bool deflate, bool require_mask) {
    *parser = (dx_ws_parser){.head_need = 2, .deflate = deflate, .require_mask = require_mask};
}

static dx_ws_event refuse(dx_ws_parser *p, uint16_t code, const char *reason) {
    p->stage = FAILED;
    p->close_code = code;
    p->reason = reason;
    return DX_WS_ERROR;
}

// What is wrong with the first byte: FIN, RSV1 to RSV3, opcode. NULL: nothing.
static const char *judge_first_byte(const dx_ws_parser *p) {
    unsigned opcode = p->head[0] & 0x0f;
    bool control = opcode >= DX_WS_CLOSE, compressed = p->head[0] & 0x40;
    if (opcode > DX_WS_PONG || (opcode > DX_WS_BINARY && !control)) return "an opcode that means nothing";
    if (p->head[0] & 0x30) return "a reserved bit is set";
    if (compressed && !p->deflate) return "a compressed frame, and no compression was agreed on";
    if (compressed && (control || opcode == DX_WS_CONTINUE)) return "the compression bit stands on the first frame of a message alone";
    if (control && !(p->head[0] & 0x80)) return "a control frame in fragments";
    if (opcode == DX_WS_CONTINUE && !p->in_message) return "a continuation of nothing";
    if (!control && opcode != DX_WS_CONTINUE && p->in_message) return "a new message within a message";
    return NULL;
}

static const char *judge_second_byte(const dx_ws_parser *p) {
    bool control = (p->head[0] & 0x0f) >= DX_WS_CLOSE, masked = p->head[1] & 0x80;
    if (control && (p->head[1] & 0x7f) > CONTROL_CAP) return "a control frame over 125 bytes";
    if (p->require_mask && !masked) return "a frame without a mask";
    return !p->require_mask && masked ? "a masked frame" : NULL;
}

static uint8_t head_size(uint8_t second) {
    uint8_t length = second & 0x7f, extended = length == SIZE_16 ? 2 : length == SIZE_64 ? 8 : 0;
    return (uint8_t)(2 + extended + (second & 0x80 ? 4 : 0));
}

static uint64_t read_number(const uint8_t *from, size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) number = number << 8 | from[i];
    return number;
}

// NULL: the length is written as it must be, in the fewest bytes.
static const char *read_size(dx_ws_parser *p) {
    uint8_t length = p->head[1] & 0x7f;
    p->left = length < SIZE_16 ? length : read_number(p->head + 2, length == SIZE_16 ? 2 : 8);
    if (length == SIZE_64 && p->left >> 63) return "a length over 63 bits";
    bool longer_than_need_be = (length == SIZE_16 && p->left < SIZE_16) || (length == SIZE_64 && p->left <= UINT16_MAX);
    return longer_than_need_be ? "a length in more bytes than it needs" : NULL;
}

static dx_ws_event begin_frame(dx_ws_parser *p) {
    const char *wrong = read_size(p);
    if (wrong) return refuse(p, 1002, wrong);
    memset(p->mask, 0, sizeof p->mask);
    if (p->head[1] & 0x80) memcpy(p->mask, p->head + p->head_need - 4, 4);
    p->mask_at = p->control_size = p->head_size = 0;
    p->head_need = 2;
    p->opcode = p->head[0] & 0x0f;
    p->fin = p->head[0] & 0x80;
    p->compressed = p->head[0] & 0x40;
    if (p->opcode >= DX_WS_CLOSE) {
        p->stage = IN_CONTROL;
        return DX_WS_MORE;
    }
    p->in_message = !p->fin;
    p->stage = IN_DATA;
    return DX_WS_BEGIN;
}

// MORE: either the input is used up or a control frame has begun.
static dx_ws_event read_head(dx_ws_parser *p, char **data, size_t *size) {
    while (*size && p->head_size < p->head_need) {
        p->head[p->head_size++] = (uint8_t) * *data;
        ++*data;
        --*size;
        const char *wrong = p->head_size == 1 ? judge_first_byte(p) : p->head_size == 2 ? judge_second_byte(p) : NULL;
        if (wrong) return refuse(p, 1002, wrong);
        if (p->head_size == 2) p->head_need = head_size(p->head[1]);
    }
    return p->head_size == p->head_need ? begin_frame(p) : DX_WS_MORE;
}

void dx_ws_mask(char *data, size_t size, const uint8_t mask[4], unsigned at) {
    uint8_t turned[8];
    for (unsigned i = 0; i < 8; i++) turned[i] = mask[(at + i) & 3];
    uint64_t pattern, word;
    memcpy(&pattern, turned, sizeof pattern);
    size_t done = 0;
    for (; size - done >= 8; done += 8) {
        memcpy(&word, data + done, sizeof word);
        word ^= pattern;
        memcpy(data + done, &word, sizeof word);
    }
    for (; done < size; done++) data[done] = (char)((uint8_t)data[done] ^ turned[done & 7]);
}

// Takes what there is of the payload, unmasked where it lies.
static dx_slice take_payload(dx_ws_parser *p, char **data, size_t *size) {
    size_t taken = *size < p->left ? *size : (size_t)p->left;
    dx_slice piece = dx_slice_of(*data, taken);
    if (p->require_mask) dx_ws_mask(*data, taken, p->mask, p->mask_at);
    p->mask_at = (uint8_t)((p->mask_at + taken) & 3);
    p->left -= taken;
    *data += taken;
    *size -= taken;
    return piece;
}

static dx_ws_event read_data(dx_ws_parser *p, char **data, size_t *size) {
    if (p->left == 0) {
        p->stage = AT_HEAD;
        return DX_WS_END;
    }
    if (*size == 0) return DX_WS_MORE;
    p->piece = take_payload(p, data, size);
    return DX_WS_PIECE;
}

// Section 5.5.1, 7.4.
static dx_ws_event judge_close(dx_ws_parser *p) {
    const uint8_t *payload = (const uint8_t *)p->control;
    if (p->control_size == 1) return refuse(p, 1002, "a close frame of one byte");
    uint16_t code = 1005;
    if (p->control_size) code = (uint16_t)(payload[0] << 8 | payload[1]);
    if (p->control_size && !dx_ws_close_code_valid(code)) return refuse(p, 1002, "a close code that may not be sent");
    if (p->control_size > 2 && !dx_utf8_valid(dx_slice_of(p->control + 2, p->control_size - 2u)))
        return refuse(p, 1007, "a close reason that is not UTF-8");
    p->close_code = code;
    return DX_WS_CONTROL;
}

static dx_ws_event read_control(dx_ws_parser *p, char **data, size_t *size) {
    dx_slice part = take_payload(p, data, size);
    if (part.size) memcpy(p->control + p->control_size, part.data, part.size);
    p->control_size = (uint8_t)(p->control_size + part.size);
    if (p->left) return DX_WS_MORE;
    p->stage = AT_HEAD;
    p->piece = dx_slice_of(p->control, p->control_size);
    return p->opcode == DX_WS_CLOSE ? judge_close(p) : DX_WS_CONTROL;
}

dx_ws_event dx_ws_next(dx_ws_parser *p, char **data, size_t *size) {
    if (p->stage == FAILED) return DX_WS_ERROR;
    if (p->stage == AT_HEAD) {
        dx_ws_event event = read_head(p, data, size);
        if (event != DX_WS_MORE || p->stage == AT_HEAD) return event;
    }
    return p->stage == IN_DATA ? read_data(p, data, size) : read_control(p, data, size);
}

size_t dx_ws_header(char out[10], dx_ws_opcode opcode, bool fin, bool compressed, uint64_t size) {
    size_t extended = size < SIZE_16 ? 0 : size <= UINT16_MAX ? 2 : 8;
    out[0] = (char)((unsigned)opcode | (fin ? 0x80u : 0) | (compressed ? 0x40u : 0));
    out[1] = (char)(extended == 0 ? size : extended == 2 ? SIZE_16 : SIZE_64);
    for (size_t i = 0; i < extended; i++) out[2 + i] = (char)(size >> (8 * (extended - 1 - i)));
    return 2 + extended;
}

// Section 7.4.1 and IANA's registry: 1004, 1005, 1006 and 1015 are never sent.
bool dx_ws_close_code_valid(uint16_t code) {
    if (code >= 3000) return code <= 4999;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

bool dx_ws_key_valid(dx_slice key) {
    if (key.size != 24 || key.data[22] != '=' || key.data[23] != '=') return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.data[i];
        bool known = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
        if (!known) return false;
    }
    return true;
}
