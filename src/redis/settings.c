// Where a Redis is, from a URL. A finding says where in the URL it is wrong and shows nothing of it: there may be a password in it.
#include <sys/un.h>

#include "codec/text.h"
#include "redis/redis.h"

typedef struct reading {
    dx_redis_settings *settings;
    dx_slice url;
    dx_arena *arena;
    dx_diags *diags;
} reading;

static dx_status wrong(const reading *r, const char *at, const char *message) {
    dx_diag *diag = dx_diags_add(r->diags, DX_INVALID, (dx_slice){NULL, 0}, "%s", message);
    if (diag) {
        diag->line = 1;
        diag->column = (uint32_t)(at - r->url.data) + 1;
    }
    return DX_INVALID;
}

static dx_status decode(const reading *r, dx_slice *out, dx_slice text, const char *message) {
    dx_status status = dx_percent_decode(out, r->arena, text, false);
    return status == DX_BAD_REQUEST ? wrong(r, text.data, message) : status;
}

// Cuts "user:password@" off the front.
static dx_status read_user(const reading *r, dx_slice *authority) {
    size_t at = dx_slice_find(*authority, '@');
    if (at == SIZE_MAX) return DX_OK;
    dx_slice user = dx_slice_of(authority->data, at), password = user;
    *authority = dx_slice_of(authority->data + at + 1, authority->size - at - 1);
    size_t second = dx_slice_find(*authority, '@');
    if (second != SIZE_MAX) return wrong(r, authority->data + second, "a second \"@\": in a user or password it is written %40");
    user = dx_slice_cut(&password, ':');
    if (!password.data || !password.size) return wrong(r, user.data, "expected user:password or :password before the \"@\"");
    dx_status status = decode(r, &r->settings->user, user, "a broken percent-escape in the user");
    return status == DX_OK ? decode(r, &r->settings->password, password, "a broken percent-escape in the password") : status;
}

static dx_status read_db(const reading *r, dx_slice text) {
    uint64_t db;
    if (!dx_slice_to_u64(text, &db) || db > UINT16_MAX) return wrong(r, text.data, "expected the number of a database");
    r->settings->db = (uint32_t)db;
    return DX_OK;
}

static dx_status read_host(const reading *r, dx_slice authority) {
    dx_slice host, port = {NULL, 0};
    if (authority.size && authority.data[0] == '[') {
        size_t end = dx_slice_find(authority, ']');
        if (end == SIZE_MAX) return wrong(r, authority.data, "the \"[\" of the address is not closed");
        host = dx_slice_of(authority.data + 1, end - 1);
        dx_slice rest = dx_slice_of(authority.data + end + 1, authority.size - end - 1);
        if (rest.size && rest.data[0] != ':') return wrong(r, rest.data, "expected a port or the end behind the address");
        if (rest.size) port = dx_slice_of(rest.data + 1, rest.size - 1);
    } else {
        port = authority;
        host = dx_slice_cut(&port, ':');
    }
    if (!host.size) return wrong(r, authority.data, "there is no host");
    if (host.size > 255) return wrong(r, host.data, "the host is longer than any can be");
    for (size_t i = 0; i < host.size; i++) {
        if ((unsigned char)host.data[i] <= ' ' || (unsigned char)host.data[i] >= 127 || host.data[i] == '%')
            return wrong(r, host.data + i, "a host has no such character");
    }
    uint64_t number = 6379;
    if (port.data && (!dx_slice_to_u64(port, &number) || number == 0 || number > UINT16_MAX))
        return wrong(r, port.data, "expected a port, 1 to 65535");
    r->settings->host = host;
    r->settings->port = (uint16_t)number;
    return DX_OK;
}

static dx_status read_tcp(const reading *r, dx_slice rest) {
    size_t end = 0;
    while (end < rest.size && rest.data[end] != '/' && rest.data[end] != '?') end++;
    dx_slice authority = dx_slice_of(rest.data, end), path = dx_slice_of(rest.data + end, rest.size - end);
    dx_status status = read_user(r, &authority);
    if (status == DX_OK) status = read_host(r, authority);
    if (status != DX_OK) return status;
    r->settings->path = (dx_slice){NULL, 0};
    size_t query = dx_slice_find(path, '?');
    if (query != SIZE_MAX) return wrong(r, path.data + query, "such a URL has no query; the database is its path");
    return path.size > 1 ? read_db(r, dx_slice_of(path.data + 1, path.size - 1)) : DX_OK;
}

static dx_status read_unix(const reading *r, dx_slice rest) {
    size_t end = dx_slice_find(rest, '/');
    if (end == SIZE_MAX) return wrong(r, rest.data, "expected the path of a socket: redis+unix:///path");
    dx_slice authority = dx_slice_of(rest.data, end), query = dx_slice_of(rest.data + end, rest.size - end);
    dx_status status = read_user(r, &authority);
    if (status != DX_OK) return status;
    if (authority.size) return wrong(r, authority.data, "a socket's URL has no host: redis+unix:///path");
    dx_slice path = dx_slice_cut(&query, '?');
    status = decode(r, &r->settings->path, path, "a broken percent-escape in the path");
    if (status != DX_OK) return status;
    if (r->settings->path.size >= sizeof((struct sockaddr_un *)0)->sun_path || dx_slice_find(r->settings->path, 0) != SIZE_MAX)
        return wrong(r, path.data, "no socket can have this path: 107 bytes at most, none of them NUL");
    r->settings->host = (dx_slice){NULL, 0};
    if (!query.data) return DX_OK;
    if (!dx_slice_starts(query, DX_SLICE("db="))) return wrong(r, query.data, "of the query only db= is known");
    return read_db(r, dx_slice_of(query.data + 3, query.size - 3));
}

dx_status dx_redis_settings_read(dx_redis_settings *settings, dx_slice url, dx_arena *arena, dx_diags *diags) {
    static const dx_slice tcp = DX_SLICE_INIT("redis://"), local = DX_SLICE_INIT("redis+unix://"), tls = DX_SLICE_INIT("rediss://");
    dx_redis_settings read = *settings;
    reading r = {&read, url, arena, diags};
    read.user = read.password = (dx_slice){NULL, 0};
    read.db = 0;
    dx_status status;
    size_t fragment = dx_slice_find(url, '#');
    if (fragment != SIZE_MAX)
        status = wrong(&r, url.data + fragment, "such a URL has no fragment; in a password a \"#\" is written %23");
    else if (dx_slice_starts(url, tcp))
        status = read_tcp(&r, dx_slice_of(url.data + tcp.size, url.size - tcp.size));
    else if (dx_slice_starts(url, local))
        status = read_unix(&r, dx_slice_of(url.data + local.size, url.size - local.size));
    else if (dx_slice_starts(url, tls))
        status = wrong(&r, url.data, "TLS to Redis is not there; let a proxy on this host speak it (stunnel)");
    else
        status = wrong(&r, url.data, "expected redis://host or redis+unix:///path");
    if (status == DX_OK) *settings = read;
    return status;
}
