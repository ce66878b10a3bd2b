// The opening handshake (RFC 6455 section 4.2; over HTTP/2 RFC 8441): what must be there, whose page may ask, which subprotocol and which
// parameters of permessage-deflate (RFC 7692 section 7.1) are agreed on.
#include "codec/text.h"
#include "crypto/digest.h"
#include "exchange/websocket_parts.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static dx_slice field(const dx_exchange *x, const char *name) {
    return dx_fields_find(&x->request.fields, dx_slice_str(name));
}

static size_t count_of(const dx_exchange *x, const char *name) {
    size_t count = 0;
    for (uint32_t i = 0; i < x->request.fields.count; i++)
        count += dx_slice_equal_nocase(x->request.fields.items[i].name, dx_slice_str(name));
    return count;
}

// --- where the page comes from ---------------------------------------------------------------------------------------------

// A browser sends Origin with every handshake, and cookies with it whatever page asks: this is what stands against foreign pages
// (section 10.2). Other programs send none.
static bool origin_may(const dx_websocket *socket) {
    const dx_websocket_options *options = &socket->options;
    dx_slice origin = dx_fields_get(&socket->x->request.fields, DX_FIELD_ORIGIN);
    if (!origin.data) return true;
    if (!options->origins) return dx_exchange_is_own_origin(socket->x, origin);
    for (size_t i = 0; i < options->origin_count; i++) {
        dx_slice allowed = options->origins[i];
        if (dx_slice_equal(allowed, DX_SLICE("*")) || dx_slice_equal_nocase(allowed, origin)) return true;
    }
    return false;
}

// --- subprotocol -----------------------------------------------------------------------------------------------------------

static bool offers_protocol(const dx_fields *fields, dx_slice wanted) {
    for (uint32_t i = 0; i < fields->count; i++) {
        dx_slice rest = fields->items[i].value;
        if (!dx_slice_equal_nocase(fields->items[i].name, DX_SLICE("sec-websocket-protocol"))) continue;
        while (rest.data)
            if (dx_slice_equal(dx_slice_trim(dx_slice_cut(&rest, ',')), wanted)) return true;
    }
    return false;
}

static void choose_protocol(dx_websocket *socket) {
    for (size_t i = 0; i < socket->options.protocol_count && !socket->protocol.size; i++)
        if (offers_protocol(&socket->x->request.fields, socket->options.protocols[i])) socket->protocol = socket->options.protocols[i];
    if (socket->protocol.size) dx_exchange_field(socket->x, DX_SLICE("sec-websocket-protocol"), socket->protocol);
}

// --- permessage-deflate ----------------------------------------------------------------------------------------------------

typedef struct offer {
    bool no_server_takeover, no_client_takeover, has_client_bits, has_server_bits;
    uint64_t server_bits;
} offer;

static bool read_bits(dx_slice text, uint64_t *bits) {
    if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"') text = dx_slice_of(text.data + 1, text.size - 2);
    if (text.size == 0 || text.data[0] == '0') return false;
    return dx_slice_to_u64(text, bits) && *bits >= 8 && *bits <= 15;
}

static bool set_once(bool *flag) {
    bool fresh = !*flag;
    *flag = true;
    return fresh;
}

// False: a parameter that is not known, stands twice or has a value it can't have. The whole offer is then declined.
static bool read_parameter(offer *o, dx_slice name, dx_slice value) {
    uint64_t ignored;
    if (dx_slice_equal(name, DX_SLICE("server_no_context_takeover"))) return !value.data && set_once(&o->no_server_takeover);
    if (dx_slice_equal(name, DX_SLICE("client_no_context_takeover"))) return !value.data && set_once(&o->no_client_takeover);
    if (dx_slice_equal(name, DX_SLICE("client_max_window_bits")))
        return (!value.data || read_bits(value, &ignored)) && set_once(&o->has_client_bits);
    if (dx_slice_equal(name, DX_SLICE("server_max_window_bits"))) return read_bits(value, &o->server_bits) && set_once(&o->has_server_bits);
    return false;
}

// A window of 2^8 is more than zlib can do without a header.
static bool read_offer(offer *o, dx_slice text) {
    *o = (offer){.server_bits = 15};
    if (!dx_slice_equal(dx_slice_trim(dx_slice_cut(&text, ';')), DX_SLICE("permessage-deflate"))) return false;
    while (text.data) {
        dx_slice parameter = dx_slice_cut(&text, ';'), name = dx_slice_trim(dx_slice_cut(&parameter, '='));
        if (!read_parameter(o, name, parameter.data ? dx_slice_trim(parameter) : parameter)) return false;
    }
    return o->server_bits >= 9;
}

uint8_t dx_ws_agree_on_deflate(const dx_fields *fields, bool *echo_bits) {
    offer o;
    for (uint32_t i = 0; i < fields->count; i++) {
        dx_slice rest = fields->items[i].value;
        if (!dx_slice_equal_nocase(fields->items[i].name, DX_SLICE("sec-websocket-extensions"))) continue;
        while (rest.data) {
            if (!read_offer(&o, dx_slice_cut(&rest, ','))) continue;
            *echo_bits = o.has_server_bits;
            return (uint8_t)o.server_bits;
        }
    }
    return 0;
}

static void choose_deflate(dx_websocket *socket) {
    dx_exchange *x = socket->x;
    bool echo_bits = false;
    if (socket->options.deflate) socket->window_bits = dx_ws_agree_on_deflate(&x->request.fields, &echo_bits);
    if (!socket->window_bits) return;
    dx_slice value = DX_SLICE("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if (echo_bits) value = dx_arena_printf(x->arena, "%s; server_max_window_bits=%u", value.data, socket->window_bits);
    if (value.data)
        dx_exchange_field(x, DX_SLICE("sec-websocket-extensions"), value);
    else
        (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL);
}

// --- the whole -------------------------------------------------------------------------------------------------------------

static dx_verdict ask_for_upgrade(dx_exchange *x, const char *detail) {
    (void)dx_exchange_fail(x, DX_UPGRADE_REQUIRED, "%s", detail);
    if (x->request.version < 20) { // HTTP/2 has neither field
        dx_exchange_field(x, DX_SLICE("upgrade"), DX_SLICE("websocket"));
        dx_exchange_field(x, DX_SLICE("connection"), DX_SLICE("upgrade"));
    }
    dx_exchange_field(x, DX_SLICE("sec-websocket-version"), DX_SLICE("13"));
    return DX_ANSWER;
}

static void answer_key(dx_exchange *x, dx_slice key) {
    char joined[24 + sizeof GUID - 1];
    uint8_t digest[DX_SHA1_SIZE];
    char *accept = dx_arena_bytes(x->arena, 32);
    if (!accept) {
        (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL);
        return;
    }
    memcpy(joined, key.data, 24);
    memcpy(joined + 24, GUID, sizeof GUID - 1);
    dx_sha1(digest, dx_slice_of(joined, sizeof joined));
    size_t size = dx_base64_encode(accept, digest, sizeof digest, false);
    dx_exchange_field(x, DX_SLICE("sec-websocket-accept"), dx_slice_of(accept, size));
}

dx_verdict dx_ws_shake_hands(dx_websocket *socket) {
    dx_exchange *x = socket->x;
    dx_slice key = field(x, "sec-websocket-key");
    bool has_key = x->request.version < 20; // RFC 8441 section 5: over HTTP/2 there is none
    if (!dx_slice_equal_nocase(x->request.protocol, DX_SLICE("websocket"))) return ask_for_upgrade(x, "here is a WebSocket");
    if (x->request.method != DX_GET) return dx_exchange_fail(x, DX_BAD_REQUEST, "a WebSocket begins with GET");
    if (!dx_slice_equal(field(x, "sec-websocket-version"), DX_SLICE("13"))) return ask_for_upgrade(x, "the WebSocket version is 13");
    if (has_key && (count_of(x, "sec-websocket-key") != 1 || !dx_ws_key_valid(key)))
        return dx_exchange_fail(x, DX_BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64, once");
    if (!origin_may(socket)) return dx_exchange_fail(x, DX_FORBIDDEN, "the Origin may not connect here");
    if (has_key) answer_key(x, key);
    choose_protocol(socket);
    choose_deflate(socket);
    return x->response.status ? DX_ANSWER : DX_NEXT; // without memory: answered already
}
