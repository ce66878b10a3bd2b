// Whether a request comes from a page of the server's own: browsers say in Origin (RFC 6454) what page asks.
#include "exchange/exchange.h"

// Host and port of an origin, without the port that its scheme has anyway. NULL data: it is none ("null").
static dx_slice authority_of(dx_slice origin) {
    bool tls = dx_slice_starts(origin, DX_SLICE("https://"));
    if (!tls && !dx_slice_starts(origin, DX_SLICE("http://"))) return (dx_slice){NULL, 0};
    dx_slice authority = dx_slice_from(origin, tls ? 8 : 7), port = tls ? DX_SLICE(":443") : DX_SLICE(":80");
    bool usual = authority.size > port.size && dx_slice_equal(dx_slice_from(authority, authority.size - port.size), port);
    return usual ? dx_slice_of(authority.data, authority.size - port.size) : authority;
}

bool dx_exchange_is_own_origin(const dx_exchange *x, dx_slice origin) {
    dx_slice host = dx_fields_get(&x->request.fields, DX_FIELD_HOST), authority = authority_of(origin);
    if (!authority.data || !host.data) return false;
    if (dx_slice_equal_nocase(authority, host)) return true;
    dx_slice rest = dx_slice_from(host, authority.size); // the client may name the usual port
    bool starts = host.size > authority.size && dx_slice_equal_nocase(dx_slice_of(host.data, authority.size), authority);
    return starts && dx_slice_equal(rest, dx_slice_starts(origin, DX_SLICE("https")) ? DX_SLICE(":443") : DX_SLICE(":80"));
}
