// What comes of asking again, and of changing: conditions, the fields after a 304, what a change makes invalid. See freshness.h.
#include "base/compiler.h"
#include "policy/cache_control.h"
#include "policy/cache_url.h"
#include "policy/freshness.h"

static const dx_slice ETAG = DX_SLICE_INIT("etag");
static const dx_slice LAST_MODIFIED = DX_SLICE_INIT("last-modified");

static bool is_one_of(dx_slice name, const dx_slice *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (dx_slice_equal_nocase(name, names[i])) return true;
    }
    return false;
}

void dx_freshness_conditions(const dx_fields *stored, dx_slice *if_none_match, dx_slice *if_modified_since) {
    dx_micros_utc when;
    *if_none_match = dx_fields_find(stored, ETAG);
    if (!if_none_match->size) *if_none_match = (dx_slice){NULL, 0};
    *if_modified_since = dx_fields_find(stored, LAST_MODIFIED);
    if (!dx_http_date_read(*if_modified_since, &when)) *if_modified_since = (dx_slice){NULL, 0};
}

static bool named_by_connection(const dx_fields *response, dx_slice name) {
    for (uint32_t i = 0; i < response->count; i++) {
        if (response->items[i].id == DX_FIELD_CONNECTION && dx_http_list_has(response->items[i].value, name)) return true;
    }
    return false;
}

bool dx_freshness_keeps(const dx_fields *response, dx_slice name) {
    static const dx_slice HOP[] = {
        DX_SLICE_INIT("connection"),
        DX_SLICE_INIT("keep-alive"),
        DX_SLICE_INIT("proxy-connection"),
        DX_SLICE_INIT("te"),
        DX_SLICE_INIT("trailer"),
        DX_SLICE_INIT("transfer-encoding"),
        DX_SLICE_INIT("upgrade"),
        DX_SLICE_INIT("proxy-authenticate"),
        DX_SLICE_INIT("proxy-authorization"),
        DX_SLICE_INIT("proxy-authentication-info"),
    };
    if (is_one_of(name, HOP, DX_COUNT_OF(HOP)) || named_by_connection(response, name)) return false;
    dx_cache_control control;
    dx_cache_control_read(&control, response);
    return !dx_cache_control_bars(&control, name);
}

static bool is_weak(dx_slice etag) {
    return dx_slice_starts(etag, DX_SLICE("W/"));
}

static dx_slice opaque(dx_slice etag) {
    return is_weak(etag) ? dx_slice_from(etag, 2) : etag;
}

// Two entity tags by the weak comparison (RFC 9110 section 8.8.3.2).
static bool same_etag(dx_slice a, dx_slice b) {
    return dx_slice_equal(opaque(a), opaque(b));
}

bool dx_freshness_confirms(const dx_fields *stored, const dx_fields *not_modified) {
    dx_slice own = dx_fields_find(stored, ETAG), other = dx_fields_find(not_modified, ETAG);
    if (other.size) return own.size && same_etag(own, other);
    if (own.size) return true; // it answers our If-None-Match
    own = dx_fields_find(stored, LAST_MODIFIED);
    other = dx_fields_find(not_modified, LAST_MODIFIED);
    return !other.size || dx_slice_equal(own, other);
}

// Whether a field of a 304 takes the place of the stored one.
static bool updates(const dx_fields *not_modified, dx_slice name) {
    static const dx_slice OF_THE_BYTES[] = {DX_SLICE_INIT("content-length"), DX_SLICE_INIT("content-encoding"),
                                            DX_SLICE_INIT("content-range")};
    return !is_one_of(name, OF_THE_BYTES, DX_COUNT_OF(OF_THE_BYTES)) && dx_freshness_keeps(not_modified, name);
}

dx_status dx_freshness_update(dx_fields *out, dx_arena *arena, const dx_fields *stored, const dx_fields *not_modified) {
    static const dx_slice OF_THE_MOMENT[] = {DX_SLICE_INIT("date"), DX_SLICE_INIT("age")};
    *out = (dx_fields){0};
    for (uint32_t i = 0; i < stored->count; i++) {
        const dx_field *field = &stored->items[i];
        bool replaced = dx_fields_find(not_modified, field->name).data != NULL && updates(not_modified, field->name);
        if (replaced || is_one_of(field->name, OF_THE_MOMENT, DX_COUNT_OF(OF_THE_MOMENT))) continue;
        dx_status status = dx_fields_add(out, arena, field->name, field->value);
        if (status != DX_OK) return status;
    }
    for (uint32_t i = 0; i < not_modified->count; i++) {
        const dx_field *field = &not_modified->items[i];
        if (!updates(not_modified, field->name)) continue;
        dx_status status = dx_fields_add(out, arena, field->name, field->value);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

// A field that both have is the same in both.
static bool agree(const dx_fields *a, const dx_fields *b, dx_slice name) {
    dx_slice of_a = dx_fields_find(a, name), of_b = dx_fields_find(b, name);
    return !of_a.data || !of_b.data || dx_slice_equal(of_a, of_b);
}

bool dx_freshness_head_agrees(const dx_fields *stored, const dx_fields *head) {
    dx_slice own = dx_fields_find(stored, ETAG), other = dx_fields_find(head, ETAG);
    if (other.size && !(own.size && same_etag(own, other))) return false;
    return agree(stored, head, LAST_MODIFIED) && agree(stored, head, DX_SLICE("content-length"));
}

bool dx_freshness_invalidates(dx_method method, int status) {
    bool safe = method == DX_GET || method == DX_HEAD || method == DX_OPTIONS || method == DX_TRACE;
    return !safe && status >= 200 && status < 400;
}

static void add_url(dx_slice out[DX_INVALIDATED_CAP], size_t *count, dx_slice url) {
    for (size_t i = 0; i < *count; i++) {
        if (dx_slice_equal(out[i], url)) return;
    }
    out[(*count)++] = url;
}

dx_status dx_freshness_invalidated(dx_slice out[DX_INVALIDATED_CAP], size_t *count, dx_arena *arena, dx_slice target,
                                   const dx_fields *response) {
    static const dx_slice NAMES[DX_INVALIDATED_CAP - 1] = {DX_SLICE_INIT("location"), DX_SLICE_INIT("content-location")};
    dx_slice base, url;
    *count = 0;
    dx_status status = dx_cache_url_normalise(&base, arena, target);
    if (status != DX_OK) return status;
    add_url(out, count, base);
    for (size_t i = 0; i < DX_COUNT_OF(NAMES); i++) {
        dx_slice reference = dx_fields_find(response, NAMES[i]);
        if (!reference.data) continue;
        status = dx_cache_url_resolve(&url, arena, base, reference);
        if (status == DX_NO_MEMORY) return status;
        if (status == DX_OK && dx_cache_url_same_origin(base, url)) add_url(out, count, url);
    }
    return DX_OK;
}
