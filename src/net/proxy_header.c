// Reading the PROXY protocol's header, text (version 1) or binary (version 2).
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

#define LINE_CAP 107u // version 1, with its end of line

static const dx_slice line_start = DX_SLICE_INIT("PROXY ");
static const dx_slice signature = DX_SLICE_INIT("\r\n\r\n\0\r\nQUIT\n");

// Whether the bytes are the beginning of `whole`, or begin with it.
static bool agrees(dx_slice bytes, dx_slice whole) {
    size_t size = bytes.size < whole.size ? bytes.size : whole.size;
    return memcmp(bytes.data, whole.data, size) == 0;
}

// --- version 1 -------------------------------------------------------------------------------------------------------------

static bool read_port(dx_slice text, uint16_t *port) {
    uint64_t value;
    bool plain = text.size >= 1 && text.size <= 5 && (text.data[0] != '0' || text.size == 1);
    if (!plain || !dx_slice_to_u64(text, &value) || value > 65535) return false;
    *port = (uint16_t)value;
    return true;
}

static bool read_host(dx_slice text, bool six, uint16_t port, dx_address *out) {
    char host[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof host || memchr(text.data, 0, text.size)) return false;
    memcpy(host, text.data, text.size);
    host[text.size] = 0;
    memset(out, 0, sizeof *out);
    if (six) {
        out->size = sizeof out->v6;
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1;
    }
    out->size = sizeof out->v4;
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1;
}

// "TCP4 192.0.2.1 198.51.100.1 56324 443"
static bool read_words(dx_proxy_header *out, dx_slice rest) {
    dx_slice kind = dx_slice_cut(&rest, ' ');
    if (dx_slice_equal(kind, DX_SLICE("UNKNOWN"))) return true; // whatever stands behind is to be ignored
    bool six = dx_slice_equal(kind, DX_SLICE("TCP6"));
    if (!six && !dx_slice_equal(kind, DX_SLICE("TCP4"))) return false;
    dx_slice from = dx_slice_cut(&rest, ' '), to = dx_slice_cut(&rest, ' ');
    dx_slice from_port = dx_slice_cut(&rest, ' '), to_port = rest;
    uint16_t port, our_port;
    dx_address ours;
    if (!read_port(from_port, &port) || !read_port(to_port, &our_port)) return false;
    if (!read_host(from, six, port, &out->client) || !read_host(to, six, our_port, &ours)) return false;
    out->has_client = true;
    return true;
}

static dx_proxy_reading read_line(dx_proxy_header *out, dx_slice bytes) {
    size_t most = bytes.size < LINE_CAP ? bytes.size : LINE_CAP;
    const char *end = memchr(bytes.data, '\n', most);
    if (!end) return bytes.size < LINE_CAP ? DX_PROXY_MORE : DX_PROXY_MALFORMED;
    size_t size = (size_t)(end - bytes.data);
    if (size < line_start.size + 1 || bytes.data[size - 1] != '\r') return DX_PROXY_MALFORMED;
    out->size = size + 1;
    dx_slice words = dx_slice_of(bytes.data + line_start.size, size - 1 - line_start.size);
    return read_words(out, words) ? DX_PROXY_WHOLE : DX_PROXY_MALFORMED;
}

// --- version 2 -------------------------------------------------------------------------------------------------------------

enum { FIXED = 16, FAMILY_NONE = 0, FAMILY_4 = 1, FAMILY_6 = 2, FAMILY_UNIX = 3, TLV_CRC32C = 3 };

static const uint8_t *bytes_of(dx_slice s) {
    return (const uint8_t *)s.data;
}

static size_t u16_at(const uint8_t *at) {
    return (size_t)at[0] << 8 | at[1];
}

static uint32_t u32_at(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

// CRC32c (RFC 3720 section 12.1) of the header with the four bytes at `hole` taken for zeros.
static uint32_t checksum(const uint8_t *data, size_t size, size_t hole) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= i >= hole && i < hole + 4 ? 0 : data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

static bool additions_are_whole(const uint8_t *data, size_t at, size_t size) {
    while (at < size) {
        if (size - at < 3 || size - at - 3 < u16_at(data + at + 1)) return false;
        size_t length = u16_at(data + at + 1);
        if (data[at] == TLV_CRC32C && (length != 4 || u32_at(data + at + 3) != checksum(data, size, at + 3))) return false;
        at += 3 + length;
    }
    return true;
}

static void take_client(dx_proxy_header *out, unsigned family, const uint8_t *at) {
    memset(&out->client, 0, sizeof out->client);
    out->has_client = true;
    if (family == FAMILY_4) {
        out->client.size = sizeof out->client.v4;
        out->client.v4.sin_family = AF_INET;
        memcpy(&out->client.v4.sin_addr, at, 4);
        memcpy(&out->client.v4.sin_port, at + 8, 2);
    } else if (family == FAMILY_6) {
        out->client.size = sizeof out->client.v6;
        out->client.v6.sin6_family = AF_INET6;
        memcpy(&out->client.v6.sin6_addr, at, 16);
        memcpy(&out->client.v6.sin6_port, at + 32, 2);
    } else {
        out->client.size = sizeof(sa_family_t);
        out->client.any.sa_family = AF_UNIX;
    }
}

static dx_proxy_reading read_binary(dx_proxy_header *out, dx_slice bytes) {
    static const size_t address_sizes[] = {[FAMILY_NONE] = 0, [FAMILY_4] = 12, [FAMILY_6] = 36, [FAMILY_UNIX] = 216};
    const uint8_t *data = bytes_of(bytes);
    if (bytes.size < FIXED) return DX_PROXY_MORE;
    unsigned version = data[12] >> 4, command = data[12] & 15, family = data[13] >> 4, kind = data[13] & 15;
    if (version != 2 || command > 1 || family > FAMILY_UNIX || kind > 2) return DX_PROXY_MALFORMED;
    size_t length = u16_at(data + 14), size = FIXED + length;
    if (size > DX_PROXY_HEADER_CAP) return DX_PROXY_MALFORMED;
    bool local = command == 0;
    size_t addresses = address_sizes[family];
    if (!local && length < addresses) return DX_PROXY_MALFORMED;
    if (bytes.size < size) return DX_PROXY_MORE;
    out->size = size;
    if (local) return DX_PROXY_WHOLE; // of whatever stands behind, nothing counts
    if (family != FAMILY_NONE && !additions_are_whole(data, FIXED + addresses, size)) return DX_PROXY_MALFORMED;
    if (family != FAMILY_NONE && kind == 1) take_client(out, family, data + FIXED); // a stream's, as this connection is
    return DX_PROXY_WHOLE;
}

dx_proxy_reading dx_proxy_header_read(dx_proxy_header *out, dx_slice bytes) {
    *out = (dx_proxy_header){0};
    if (bytes.size == 0) return DX_PROXY_MORE;
    if (agrees(bytes, signature)) return bytes.size < signature.size ? DX_PROXY_MORE : read_binary(out, bytes);
    if (agrees(bytes, line_start)) return bytes.size < line_start.size ? DX_PROXY_MORE : read_line(out, bytes);
    return DX_PROXY_MALFORMED;
}
