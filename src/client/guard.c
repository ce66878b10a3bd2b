#include "client/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

// An address as 16 bytes; IPv4 as mapped (RFC 4291 section 2.5.5.2).
typedef struct raw_address {
    uint8_t bytes[16];
} raw_address;

typedef struct guard_range {
    raw_address base;
    unsigned bits;
} guard_range;

#define V4(a, b, c, d, bits)                                                                                                               \
    { {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (a), (b), (c), (d)}}, 96 + (bits) }
// The special-purpose registries of RFC 6890, and multicast.
static const guard_range inner[] = {
    V4(0, 0, 0, 0, 8),
    V4(10, 0, 0, 0, 8),
    V4(100, 64, 0, 0, 10),
    V4(127, 0, 0, 0, 8),
    V4(169, 254, 0, 0, 16),
    V4(172, 16, 0, 0, 12),
    V4(192, 0, 0, 0, 24),
    V4(192, 0, 2, 0, 24),
    V4(192, 168, 0, 0, 16),
    V4(192, 88, 99, 0, 24),
    V4(198, 18, 0, 0, 15),
    V4(198, 51, 100, 0, 24),
    V4(203, 0, 113, 0, 24),
    V4(224, 0, 0, 0, 3),
    {{{0}}, 96},                                  // ::, ::1, and IPv4-compatible ones
    {{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}}, 48}, // NAT64 of a local network (RFC 8215)
    {{{0x20, 0x01}}, 23},                         // protocol assignments, Teredo among them
    {{{0xfc}}, 7},                                // unique local
    {{{0xfe, 0x80}}, 10},                         // link-local
    {{{0xfe, 0xc0}}, 10},                         // site-local, deprecated
    {{{0xff}}, 8},                                // multicast
    {{{0x01, 0x00}}, 64},                         // discard
    {{{0x20, 0x01, 0x0d, 0xb8}}, 32},             // documentation
};

static bool is_in(const raw_address *address, const guard_range *range) {
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    if (memcmp(address->bytes, range->base.bytes, whole) != 0) return false;
    return rest == 0 || ((address->bytes[whole] ^ range->base.bytes[whole]) >> (8 - rest)) == 0;
}

static raw_address mapped(const uint8_t v4[4]) {
    raw_address out = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    memcpy(out.bytes + 12, v4, 4);
    return out;
}

// The IPv4 address that an IPv6 one leads to: NAT64 (64:ff9b::/96), 6to4 (2002::/16).
static bool inside(const raw_address *address, raw_address *out) {
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(address->bytes, nat64, sizeof nat64) == 0) {
        *out = mapped(address->bytes + 12);
        return true;
    }
    if (address->bytes[0] != 0x20 || address->bytes[1] != 0x02) return false;
    *out = mapped(address->bytes + 2);
    return true;
}

static bool read_address(dx_slice text, raw_address *out, unsigned *bits) {
    char copy[64];
    uint8_t v4[4];
    if (text.size >= sizeof copy) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1) {
        *out = mapped(v4);
        *bits = 32;
        return true;
    }
    *bits = 128;
    return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

static bool read_range(dx_slice text, guard_range *out) {
    dx_slice rest = text, address = dx_slice_cut(&rest, '/');
    unsigned most;
    uint64_t bits;
    if (!read_address(address, &out->base, &most)) return false;
    bits = most;
    if (rest.data && (!dx_slice_to_u64(rest, &bits) || bits > most)) return false;
    out->bits = (unsigned)bits + 128 - most;
    return true;
}

bool dx_guard_range_valid(dx_slice range) {
    guard_range ignored;
    return read_range(range, &ignored);
}

static bool is_inner(const raw_address *address) {
    raw_address v4;
    for (size_t i = 0; i < DX_COUNT_OF(inner); i++)
        if (is_in(address, &inner[i])) return true;
    return inside(address, &v4) && is_inner(&v4);
}

bool dx_guard_allows(const dx_wire_settings *wire, const struct sockaddr *address) {
    raw_address raw;
    if (!wire->guard) return true;
    if (address->sa_family == AF_INET) {
        raw = mapped((const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(raw.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, sizeof raw.bytes);
    } else {
        return false;
    }
    for (size_t i = 0; i < wire->guard_range_count; i++) {
        guard_range range;
        if (read_range(wire->guard_ranges[i], &range) && is_in(&raw, &range)) return true;
    }
    return !is_inner(&raw);
}

bool dx_guard_allows_host(const dx_wire_settings *wire, dx_slice host) {
    if (!wire->guard || wire->guard_host_count == 0) return true;
    for (size_t i = 0; i < wire->guard_host_count; i++) {
        dx_slice rule = wire->guard_hosts[i];
        if (dx_slice_equal_nocase(rule, host)) return true;
        if (!dx_slice_starts(rule, DX_SLICE("*."))) continue;
        dx_slice end = dx_slice_from(rule, 1);
        if (host.size > end.size && dx_slice_equal_nocase(dx_slice_from(host, host.size - end.size), end)) return true;
    }
    return false;
}
