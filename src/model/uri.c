// RFC 3986 by the book: appendix B takes a reference apart, section 5.2 resolves it, the grammar of appendix A checks it.
#include "model/uri.h"

dx_uri dx_uri_split(dx_slice text) {
    dx_uri uri = {0};
    dx_slice rest = text;
    size_t hash = dx_slice_find(rest, '#');
    if (hash != SIZE_MAX) {
        uri.fragment = dx_slice_of(rest.data + hash + 1, rest.size - hash - 1);
        rest.size = hash;
    }
    size_t mark = dx_slice_find(rest, '?');
    if (mark != SIZE_MAX) {
        uri.query = dx_slice_of(rest.data + mark + 1, rest.size - mark - 1);
        rest.size = mark;
    }
    size_t colon = dx_slice_find(rest, ':'), slash = dx_slice_find(rest, '/');
    if (colon != SIZE_MAX && colon > 0 && colon < slash) {
        uri.scheme = dx_slice_of(rest.data, colon);
        rest = dx_slice_of(rest.data + colon + 1, rest.size - colon - 1);
    }
    if (dx_slice_starts(rest, DX_SLICE("//"))) {
        rest = dx_slice_of(rest.data + 2, rest.size - 2);
        size_t end = dx_slice_find(rest, '/');
        uri.authority = dx_slice_of(rest.data, end == SIZE_MAX ? rest.size : end);
        rest = dx_slice_of(rest.data + uri.authority.size, rest.size - uri.authority.size);
    }
    uri.path = rest;
    return uri;
}

// Section 5.2.4, in place; returns the new size.
static size_t remove_dots(char *path, size_t size) {
    size_t in = 0, out = 0;
    while (in < size) {
        dx_slice rest = dx_slice_of(path + in, size - in);
        if (dx_slice_starts(rest, DX_SLICE("../"))) {
            in += 3;
        } else if (dx_slice_starts(rest, DX_SLICE("./")) || dx_slice_starts(rest, DX_SLICE("/./"))) {
            in += 2;
        } else if (dx_slice_equal(rest, DX_SLICE("/."))) {
            in++;
            path[in] = '/';
        } else if (dx_slice_starts(rest, DX_SLICE("/../")) || dx_slice_equal(rest, DX_SLICE("/.."))) {
            in += rest.size == 3 ? 2 : 3;
            path[in] = '/';
            while (out && path[--out] != '/') {
            }
        } else if (dx_slice_equal(rest, DX_SLICE(".")) || dx_slice_equal(rest, DX_SLICE(".."))) {
            in = size;
        } else {
            do path[out++] = path[in++];
            while (in < size && path[in] != '/');
        }
    }
    return out;
}

typedef struct writer {
    char *at;
} writer;

static void put(writer *w, dx_slice text) {
    if (text.size) memcpy(w->at, text.data, text.size);
    w->at += text.size;
}

// Section 5.2.3: the base's path up to its last slash.
static dx_slice base_folder(const dx_uri *base) {
    if (base->authority.data && !base->path.size) return DX_SLICE("/");
    dx_slice folder = base->path;
    while (folder.size && folder.data[folder.size - 1] != '/') folder.size--;
    return folder;
}

static dx_slice write_uri(dx_arena *arena, const dx_uri *uri, dx_slice folder, bool tidy) {
    char *data = dx_arena_bytes(arena, uri->scheme.size + uri->authority.size + folder.size + uri->path.size + uri->query.size + 8);
    if (!data) return (dx_slice){0};
    writer w = {data};
    if (uri->scheme.data) {
        put(&w, uri->scheme);
        put(&w, DX_SLICE(":"));
    }
    if (uri->authority.data) {
        put(&w, DX_SLICE("//"));
        put(&w, uri->authority);
    }
    char *path = w.at;
    put(&w, folder);
    put(&w, uri->path);
    if (tidy) w.at = path + remove_dots(path, (size_t)(w.at - path));
    if (uri->query.data) {
        put(&w, DX_SLICE("?"));
        put(&w, uri->query);
    }
    return dx_slice_of(data, (size_t)(w.at - data));
}

dx_slice dx_uri_resolve(dx_arena *arena, dx_slice base_text, dx_slice reference, dx_slice *fragment) {
    dx_uri uri = dx_uri_split(reference), base = dx_uri_split(base_text);
    dx_slice folder = {0};
    bool tidy = true;
    *fragment = uri.fragment;
    if (!uri.scheme.data) {
        uri.scheme = base.scheme;
        if (!uri.authority.data) {
            uri.authority = base.authority;
            if (!uri.path.size) {
                tidy = false;
                uri.path = base.path;
                if (!uri.query.data) uri.query = base.query;
            } else if (uri.path.data[0] != '/') {
                folder = base_folder(&base);
                tidy = folder.size > 0 || base_text.size > 0;
            }
        }
    }
    return write_uri(arena, &uri, folder, tidy && (uri.scheme.data || base_text.size));
}

// Classes of characters (appendix A).
enum { UNRESERVED = 1, SUB_DELIM = 2, HEX = 4, SCHEME = 8 };

static int class_of(char c) {
    if (c >= '0' && c <= '9') return UNRESERVED | HEX | SCHEME;
    char lower = (char)(c | 0x20);
    if (lower >= 'a' && lower <= 'z') return UNRESERVED | SCHEME | (lower <= 'f' ? HEX : 0);
    if (c == '-' || c == '.') return UNRESERVED | SCHEME;
    if (c == '+') return SUB_DELIM | SCHEME;
    if (c == '_' || c == '~') return UNRESERVED;
    return c && strchr("!$&'()*,;=", c) ? SUB_DELIM : 0;
}

// Only unreserved, sub-delims, percent escapes and the characters in `also`.
static bool made_of(dx_slice text, const char *also) {
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (class_of(c) & (UNRESERVED | SUB_DELIM)) continue;
        if (c == '%') {
            if (text.size - i < 3 || !(class_of(text.data[i + 1]) & HEX) || !(class_of(text.data[i + 2]) & HEX)) return false;
            i += 2;
        } else if (!c || !strchr(also, c)) {
            return false;
        }
    }
    return true;
}

static bool scheme_valid(dx_slice scheme) {
    if (!scheme.size || !(class_of(scheme.data[0]) & SCHEME) || ((scheme.data[0] | 0x20) < 'a')) return false;
    for (size_t i = 0; i < scheme.size; i++)
        if (!(class_of(scheme.data[i]) & SCHEME)) return false;
    return true;
}

// IPvFuture: "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
static bool future_valid(dx_slice text) {
    if (text.size < 4 || (text.data[0] | 0x20) != 'v') return false;
    size_t at = 1;
    while (at < text.size && class_of(text.data[at]) & HEX) at++;
    if (at == 1 || at + 1 >= text.size || text.data[at] != '.') return false;
    for (at++; at < text.size; at++)
        if (text.data[at] != ':' && !(class_of(text.data[at]) & (UNRESERVED | SUB_DELIM))) return false;
    return true;
}

static bool host_valid(dx_slice host) {
    if (!host.size || host.data[0] != '[') return made_of(host, "");
    if (host.data[host.size - 1] != ']') return false;
    dx_slice inside = dx_slice_of(host.data + 1, host.size - 2);
    return dx_ipv6_valid(inside) || future_valid(inside);
}

static bool authority_valid(dx_slice authority) {
    size_t at = dx_slice_find(authority, '@');
    if (at != SIZE_MAX) {
        if (!made_of(dx_slice_of(authority.data, at), ":")) return false;
        authority = dx_slice_of(authority.data + at + 1, authority.size - at - 1);
    }
    size_t host = authority.size;
    while (host && authority.data[host - 1] >= '0' && authority.data[host - 1] <= '9') host--;
    if (host && authority.data[host - 1] == ':')
        host--; // what stood behind is the port
    else
        host = authority.size;
    return host_valid(dx_slice_of(authority.data, host));
}

bool dx_uri_reference_valid(dx_slice text) {
    dx_uri uri = dx_uri_split(text);
    if (uri.scheme.data && !scheme_valid(uri.scheme)) return false;
    if (uri.authority.data && !authority_valid(uri.authority)) return false;
    if (!uri.scheme.data && !uri.authority.data) { // path-noscheme: no colon in the first segment
        size_t colon = dx_slice_find(uri.path, ':');
        if (colon != SIZE_MAX && colon < dx_slice_find(uri.path, '/')) return false;
    }
    return made_of(uri.path, ":@/") && made_of(uri.query, ":@/?") && made_of(uri.fragment, ":@/?");
}

bool dx_uri_valid(dx_slice text) {
    return dx_uri_split(text).scheme.data && dx_uri_reference_valid(text);
}
