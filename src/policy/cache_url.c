#include "policy/cache_url.h"

#include "base/buffer.h"

typedef struct parts {
    dx_slice scheme, authority, path, query; // query with its "?"; authority without "//"
    bool has_authority;
} parts;

static size_t find_any(dx_slice text, const char *bytes) {
    for (size_t at = 0; at < text.size; at++)
        for (const char *byte = bytes; *byte; byte++) // three at most
            if (text.data[at] == *byte) return at;
    return text.size;
}

static dx_slice take_to(dx_slice *rest, size_t size) {
    dx_slice head = dx_slice_of(rest->data, size);
    *rest = dx_slice_from(*rest, size);
    return head;
}

static bool is_scheme(dx_slice text) {
    if (!text.size || (text.data[0] | 0x20) < 'a' || (text.data[0] | 0x20) > 'z') return false;
    for (size_t i = 1; i < text.size; i++) {
        char byte = text.data[i];
        bool fits =
            ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || (byte >= '0' && byte <= '9') || byte == '+' || byte == '-' || byte == '.';
        if (!fits) return false;
    }
    return true;
}

// RFC 3986 appendix B.
static parts split(dx_slice text) {
    parts found = {0};
    text = dx_slice_of(text.data, find_any(text, "#"));
    size_t colon = find_any(text, ":/?");
    if (colon < text.size && text.data[colon] == ':' && is_scheme(dx_slice_of(text.data, colon))) {
        found.scheme = take_to(&text, colon);
        text = dx_slice_from(text, 1);
    }
    if (dx_slice_starts(text, DX_SLICE("//"))) {
        text = dx_slice_from(text, 2);
        found.has_authority = true;
        found.authority = take_to(&text, find_any(text, "/?"));
    }
    found.path = take_to(&text, find_any(text, "?"));
    found.query = text;
    return found;
}

static bool is_clean(dx_slice text) {
    if (text.size > DX_CACHE_URL_CAP) return false;
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f) return false;
    }
    return true;
}

static int hex_value(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool is_unreserved(int byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '-' || byte == '.' || byte == '_' ||
           byte == '~';
}

// Writes `text` with its escapes in the one form; false on a broken one.
static bool write_escaped(dx_buffer *out, dx_slice text) {
    static const char DIGITS[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            dx_buffer_byte(out, text.data[i]);
            continue;
        }
        int high = i + 2 < text.size ? hex_value(text.data[i + 1]) : -1, low = high < 0 ? -1 : hex_value(text.data[i + 2]);
        if (low < 0) return false;
        int byte = high * 16 + low;
        if (is_unreserved(byte)) {
            dx_buffer_byte(out, (char)byte);
        } else {
            dx_buffer_byte(out, '%');
            dx_buffer_byte(out, DIGITS[high]);
            dx_buffer_byte(out, DIGITS[low]);
        }
        i += 2;
    }
    return true;
}

static void write_lower(dx_buffer *out, dx_slice text) {
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        dx_buffer_byte(out, byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte);
    }
}

// Where the port's colon stands in "host:port" or "[v6]:port"; the size when there is none.
static size_t port_at(dx_slice host) {
    size_t at = host.size;
    while (at > 0 && host.data[at - 1] >= '0' && host.data[at - 1] <= '9') at--;
    return at > 0 && host.data[at - 1] == ':' ? at - 1 : host.size;
}

// The host from behind user information on; `*user` has that, with its "@".
static dx_slice split_user(dx_slice authority, dx_slice *user) {
    size_t at = authority.size;
    while (at > 0 && authority.data[at - 1] != '@') at--;
    *user = dx_slice_of(authority.data, at);
    return dx_slice_from(authority, at);
}

// A name or address without a colon, or an address in brackets.
static bool is_host(dx_slice host) {
    if (!host.data || !host.size) return false;
    if (host.data[0] != '[') return find_any(host, ":[]") == host.size;
    return host.data[host.size - 1] == ']' && find_any(dx_slice_from(host, 1), "[]") == host.size - 2;
}

static bool write_authority(dx_buffer *out, dx_slice authority, bool tls) {
    dx_slice user, whole = split_user(authority, &user);
    size_t colon = port_at(whole);
    dx_slice host = dx_slice_of(whole.data, colon), port = dx_slice_from(whole, colon + 1);
    if (!is_host(host)) return false;
    dx_buffer_add(out, user);
    write_lower(out, host);
    if (!port.size || dx_slice_equal(port, tls ? DX_SLICE("443") : DX_SLICE("80"))) return true;
    dx_buffer_byte(out, ':');
    dx_buffer_add(out, port);
    return true;
}

// Takes "." and ".." out of what stands from `start` on, in place (RFC 3986 section 5.2.4). The path begins with "/".
static void remove_dots(dx_buffer *out, size_t start) {
    char *path = out->data + start;
    size_t size = out->size - start, to = 0;
    for (size_t at = 0; at < size;) {
        size_t end = at + 1;
        while (end < size && path[end] != '/') end++;
        dx_slice segment = dx_slice_of(path + at + 1, end - at - 1);
        bool up = dx_slice_equal(segment, DX_SLICE("..")), here = dx_slice_equal(segment, DX_SLICE("."));
        while (up && to > 0 && path[--to] != '/') {
        }
        if (!up && !here) {
            memmove(path + to, path + at, end - at);
            to += end - at;
        } else if (end == size) {
            path[to++] = '/';
        }
        at = end;
    }
    out->size = start + to;
}

static dx_status write_url(dx_slice *out, dx_arena *arena, const parts *from) {
    dx_buffer buffer;
    bool tls = dx_slice_equal_nocase(from->scheme, DX_SLICE("https"));
    if (!tls && !dx_slice_equal_nocase(from->scheme, DX_SLICE("http"))) return DX_BAD_REQUEST;
    if (!from->has_authority) return DX_BAD_REQUEST;
    dx_buffer_init(&buffer, arena, DX_CACHE_URL_CAP);
    size_t size = from->authority.size + from->path.size + from->query.size + sizeof "https://";
    (void)dx_buffer_reserve(&buffer, size < DX_CACHE_URL_CAP ? size : DX_CACHE_URL_CAP);
    dx_buffer_add(&buffer, tls ? DX_SLICE("https://") : DX_SLICE("http://"));
    if (!write_authority(&buffer, from->authority, tls)) return DX_BAD_REQUEST;
    size_t path_at = buffer.size;
    if (!from->path.size) dx_buffer_byte(&buffer, '/');
    if (!write_escaped(&buffer, from->path)) return DX_BAD_REQUEST;
    if (dx_buffer_status(&buffer) == DX_OK) remove_dots(&buffer, path_at);
    if (!write_escaped(&buffer, from->query)) return DX_BAD_REQUEST;
    if (dx_buffer_status(&buffer) != DX_OK) return dx_buffer_status(&buffer) == DX_TOO_LARGE ? DX_BAD_REQUEST : DX_NO_MEMORY;
    *out = dx_buffer_slice(&buffer);
    return DX_OK;
}

// What nothing needs to be changed in: bytes of a host in the one form, and of a path and a query without escapes, "." segments and
// fragment.
static bool is_host_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '.' || byte == '-';
}

// Behind a host: nothing, or a port as it is written in the one form, and not the scheme's own.
static bool skip_port(dx_slice url, size_t *at, const char *own) {
    enum { DIGITS = 5 };
    size_t from = *at + 1, end = from;
    if (*at == url.size || url.data[*at] != ':') return true;
    while (end < url.size && end - from < DIGITS && url.data[end] >= '0' && url.data[end] <= '9') end++;
    *at = end;
    return end > from && url.data[from] != '0' && !dx_slice_equal(dx_slice_of(url.data + from, end - from), dx_slice_str(own));
}

static bool is_normal(dx_slice url) {
    size_t at = dx_slice_starts(url, DX_SLICE("https://")) ? 8 : dx_slice_starts(url, DX_SLICE("http://")) ? 7 : 0, host = at;
    if (!at || url.size > DX_CACHE_URL_CAP) return false;
    while (at < url.size && is_host_byte(url.data[at])) at++;
    if (at == host || !skip_port(url, &at, host == 8 ? "443" : "80") || at == url.size || url.data[at] != '/') return false;
    const unsigned char *bytes = (const unsigned char *)url.data;
    unsigned char odd = 0; // gathered without a branch, many bytes at once; the one before the path is no "/"
    for (; at < url.size; at++) {
        unsigned char byte = bytes[at];
        odd |= (byte <= ' ') | (byte == 0x7f) | (byte == '%') | (byte == '#') | ((byte == '.') & (bytes[at - 1] == '/'));
    }
    return !odd;
}

dx_status dx_cache_url_normalise(dx_slice *out, dx_arena *arena, dx_slice url) {
    if (is_normal(url)) {
        *out = url;
        return DX_OK;
    }
    if (!is_clean(url)) return DX_BAD_REQUEST;
    parts from = split(url);
    return write_url(out, arena, &from);
}

// The base's path up to its last "/", and the reference's behind it.
static dx_status merge_paths(dx_slice *out, dx_arena *arena, dx_slice base, dx_slice reference) {
    size_t size = base.size;
    while (size > 0 && base.data[size - 1] != '/') size--;
    char *path = dx_arena_bytes(arena, size + reference.size + 1);
    if (!path) return DX_NO_MEMORY;
    if (size) memcpy(path, base.data, size);
    if (reference.size) memcpy(path + size, reference.data, reference.size);
    *out = dx_slice_of(path, size + reference.size);
    return DX_OK;
}

dx_status dx_cache_url_resolve(dx_slice *out, dx_arena *arena, dx_slice base, dx_slice reference) {
    if (!is_clean(reference)) return DX_BAD_REQUEST;
    parts to = split(reference), from = split(base);
    if (to.scheme.size) return write_url(out, arena, &to);
    to.scheme = from.scheme;
    if (to.has_authority) return write_url(out, arena, &to);
    to.has_authority = from.has_authority;
    to.authority = from.authority;
    if (!to.path.size) {
        to.path = from.path;
        if (!to.query.size) to.query = from.query;
    } else if (to.path.data[0] != '/') {
        dx_status status = merge_paths(&to.path, arena, from.path, to.path);
        if (status != DX_OK) return status;
    }
    return write_url(out, arena, &to);
}

bool dx_cache_url_same_origin(dx_slice a, dx_slice b) {
    parts of_a = split(a), of_b = split(b);
    dx_slice user;
    return dx_slice_equal(of_a.scheme, of_b.scheme) && dx_slice_equal(split_user(of_a.authority, &user), split_user(of_b.authority, &user));
}
