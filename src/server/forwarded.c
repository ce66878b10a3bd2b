// Who the client is, when proxies speak for it. Only one who is trusted is believed, and whom it names is believed in turn only when that
// one is trusted too: so the list is walked from its end, past trusted proxies, to the first address that is not one. Of what is malformed,
// nothing further to the front counts. One of the two fields is read, as the definition says, never both: a proxy that writes one of them
// lets a client's own other one through.
#include <stdio.h>

#include "codec/forwarded.h"
#include "net/address.h"
#include "server/parts.h"

#define HOPS_CAP 32 // further to the front nobody looks

typedef struct walk {
    const dx_settings *settings;
    dx_address client;
    dx_slice hidden; // what it is called instead of an address; empty: it has one
    dx_slice proto;  // that it came by, as the one who names it says
    bool moved;      // it is another than the connection's peer
    bool has_port;
} walk;

static bool read_host(dx_slice host, dx_slice port, dx_address *out) {
    char text[64];
    uint64_t number = 0;
    if (host.size >= sizeof text || memchr(host.data, 0, host.size)) return false;
    memcpy(text, host.data, host.size);
    text[host.size] = 0;
    if (port.size) (void)dx_slice_to_u64(port, &number);
    return strcmp(text, "localhost") != 0 && dx_address_read(out, text, (uint16_t)number);
}

// Whether to look further to the front.
static bool step(walk *w, dx_slice node, dx_slice proto, bool bare) {
    dx_slice host, port;
    dx_address address;
    switch (dx_forwarded_node(node, bare, &host, &port)) {
    case DX_NODE_ADDRESS:
        if (!read_host(host, port, &address)) return false;
        break;
    case DX_NODE_HIDDEN:
        w->hidden = host;
        w->proto = proto;
        w->moved = true;
        return false; // nobody knows whether it is to be trusted
    default:
        return false;
    }
    w->client = address;
    w->proto = proto;
    w->moved = true;
    w->has_port = port.size > 0;
    return dx_ranges_have(w->settings->gate.proxies, &address);
}

static bool step_over(walk *w, dx_slice element) {
    dx_forwarded forwarded;
    if (!w->settings->reads_forwarded) return step(w, element, (dx_slice){NULL, 0}, true);
    return dx_forwarded_read(&forwarded, element) && forwarded.node.size && step(w, forwarded.node, forwarded.proto, false);
}

// Fields of one name are one list (RFC 9110 section 5.3): the last field's last element is the nearest proxy's.
static void walk_fields(walk *w, const dx_fields *fields, dx_field_id id) {
    int hops = 0;
    for (uint32_t i = fields->count; i > 0; i--) {
        if (fields->items[i - 1].id != id) continue;
        dx_slice list = fields->items[i - 1].value, element;
        while (dx_forwarded_last(&list, &element)) {
            if (++hops > HOPS_CAP || !step_over(w, element)) return;
        }
    }
}

static void take_proto(dx_exchange_request *request, dx_slice proto) {
    if (dx_slice_equal_nocase(proto, DX_SLICE("https")))
        request->secure = true;
    else if (dx_slice_equal_nocase(proto, DX_SLICE("http")))
        request->secure = false;
}

// The last word of X-Forwarded-Proto: the nearest proxy's.
static dx_slice last_proto(const dx_fields *fields) {
    dx_slice proto = {NULL, 0};
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != DX_FIELD_X_FORWARDED_PROTO) continue;
        dx_slice list = fields->items[i].value;
        (void)dx_forwarded_last(&list, &proto);
    }
    return proto;
}

static bool read_peer(dx_slice peer, dx_address *out) {
    *out = (dx_address){0};
    if (!dx_slice_equal(peer, DX_SLICE("unix"))) return dx_address_parse(out, peer);
    out->any.sa_family = AF_UNIX;
    return true;
}

static dx_slice peer_text(const walk *w, dx_arena *arena) {
    char text[DX_ADDRESS_TEXT_CAP];
    if (w->hidden.size) return w->hidden;
    dx_address_text(&w->client, text);
    dx_slice whole = dx_slice_str(text);
    if (!w->has_port) whole.size -= 2; // ":0"
    return dx_arena_copy(arena, whole);
}

static bool is_admitted(const walk *w) {
    const dx_gate_rules *rules = &w->settings->gate;
    return w->hidden.size ? rules->allow == NULL : dx_gate_admits(rules, &w->client);
}

static dx_verdict forwarded_in(const void *conf, dx_exchange *x) {
    walk w = {.settings = conf};
    dx_exchange_request *request = &x->request;
    if (!read_peer(request->peer, &w.client) || !dx_ranges_have(w.settings->gate.proxies, &w.client)) return DX_NEXT;
    walk_fields(&w, &request->fields, w.settings->reads_forwarded ? DX_FIELD_FORWARDED : DX_FIELD_X_FORWARDED_FOR);
    take_proto(request, w.settings->reads_forwarded ? w.proto : last_proto(&request->fields));
    if (!w.moved) return DX_NEXT;
    dx_slice peer = peer_text(&w, x->arena);
    if (!peer.data) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    request->peer = peer;
    if (dx_ranges_have(w.settings->gate.proxies, &w.client) && !w.hidden.size) return DX_NEXT; // a proxy on its own account
    return is_admitted(&w) ? DX_NEXT : dx_exchange_fail(x, DX_FORBIDDEN, "this address may not connect");
}

const dx_filter_ops dx_forwarded_filter = {.name = "forwarded", .in = forwarded_in};
