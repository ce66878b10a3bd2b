// The outermost filter: what every answer carries. Its fields are made once, at load time; an exchange only copies them. Also the request's
// names: the request id, taken over from the client when it is well-formed, and the trace id of W3C Trace Context.
#include <endian.h>

#include "server/parts.h"

// SplitMix64 (Steele, Lea, Flood, 2014) from a start drawn from the kernel for each worker: names that shall not collide, not secrets.
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// Eight digits at once: each byte of `nibbles` becomes its digit, those above 9 moved on to the letters.
static void write_hex_half(char *to, uint32_t value) {
    uint64_t nibbles = value;
    nibbles = (nibbles << 16 | nibbles) & 0x0000ffff0000ffffu;
    nibbles = (nibbles << 8 | nibbles) & 0x00ff00ff00ff00ffu;
    nibbles = (nibbles << 4 | nibbles) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (nibbles + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    uint64_t digits = htobe64(nibbles + 0x3030303030303030u + letters * ('a' - '9' - 1));
    memcpy(to, &digits, sizeof digits);
}

static void write_hex(char *to, uint64_t value) {
    write_hex_half(to, (uint32_t)(value >> 32));
    write_hex_half(to + 8, (uint32_t)value);
}

static bool is_lower_hex(dx_slice text, bool *all_zero) {
    *all_zero = true;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        if (c != '0') *all_zero = false;
    }
    return true;
}

// "00-<trace id, 32>-<parent, 16>-<flags, 2>"; versions after 00 may have more behind (Trace Context, section 3.2).
static bool read_traceparent(dx_slice value, char out[DX_TRACE_ID_SIZE]) {
    bool zero_trace, zero_parent, any;
    if (value.size < 55 || value.data[2] != '-' || value.data[35] != '-' || value.data[52] != '-') return false;
    dx_slice version = dx_slice_of(value.data, 2);
    bool first = dx_slice_equal(version, DX_SLICE("00"));
    if (first ? value.size != 55 : value.size > 55 && value.data[55] != '-') return false;
    if (!is_lower_hex(version, &any) || dx_slice_equal(version, DX_SLICE("ff"))) return false;
    if (!is_lower_hex(dx_slice_of(value.data + 3, 32), &zero_trace) || zero_trace) return false;
    if (!is_lower_hex(dx_slice_of(value.data + 36, 16), &zero_parent) || zero_parent) return false;
    if (!is_lower_hex(dx_slice_of(value.data + 53, 2), &any)) return false;
    memcpy(out, value.data + 3, DX_TRACE_ID_SIZE);
    return true;
}

static bool is_request_id(dx_slice value) {
    if (value.size == 0 || value.size > DX_REQUEST_ID_CAP) return false;
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' || c == ':' ||
              c == '/' || c == '+' || c == '='))
            return false;
    }
    return true;
}

void dx_trace_take(dx_exchange *x, dx_worker *worker) {
    const dx_field *id = NULL, *parent = NULL;
    for (uint32_t i = 0; i < x->request.fields.count; i++) {
        const dx_field *field = &x->request.fields.items[i];
        if (field->id == DX_FIELD_X_REQUEST_ID) id = field;
        if (field->id == DX_FIELD_TRACEPARENT) parent = field;
    }
    if (!parent || !read_traceparent(parent->value, x->trace_id)) {
        write_hex(x->trace_id, next_random(&worker->random[0]));
        write_hex(x->trace_id + 16, next_random(&worker->random[1]));
    }
    x->request_id = id && is_request_id(id->value) ? id->value : dx_slice_of(x->trace_id, DX_TRACE_ID_SIZE);
}

static void add_constant(dx_edge *edge, dx_slice name, dx_slice value) {
    edge->fields[edge->count++] = (dx_field){name, value, dx_field_lookup(name)};
}

void dx_edge_init(dx_edge *edge, const dx_settings *settings, dx_slice content_security_policy) {
    *edge = (dx_edge){.request_id = settings->request_id, .hsts = settings->hsts};
    if (settings->security_headers) {
        add_constant(edge, DX_SLICE("x-content-type-options"), DX_SLICE("nosniff"));
        add_constant(edge, DX_SLICE("x-frame-options"), DX_SLICE("DENY"));
        add_constant(edge, DX_SLICE("referrer-policy"), DX_SLICE("no-referrer"));
    }
    if (content_security_policy.size) add_constant(edge, DX_SLICE("content-security-policy"), content_security_policy);
}

static void edge_out(const void *conf, dx_exchange *x) {
    const dx_edge *edge = conf;
    dx_fields *fields = &x->response.fields;
    if (x->request.secure && edge->hsts.size) dx_exchange_field(x, DX_SLICE("strict-transport-security"), edge->hsts);
    if (DX_LIKELY(fields->capacity - fields->count > edge->count)) {
        memcpy(fields->items + fields->count, edge->fields, edge->count * sizeof(dx_field));
        fields->count += edge->count;
        if (edge->request_id) // checked on its way in, or ours
            fields->items[fields->count++] = (dx_field){DX_SLICE("x-request-id"), x->request_id, DX_FIELD_X_REQUEST_ID};
        return;
    }
    for (uint32_t i = 0; i < edge->count; i++) dx_exchange_field(x, edge->fields[i].name, edge->fields[i].value);
    if (edge->request_id) dx_exchange_field(x, DX_SLICE("x-request-id"), x->request_id);
}

const dx_filter_ops dx_edge_filter = {.name = "edge", .out = edge_out};
