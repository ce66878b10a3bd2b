// Fields of a header block → the request head. nghttp2 has decoded them and vouches for their bytes, for names in lower case, for pseudo
// fields that are known, single and first, for the absence of fields that belong to a connection, and for the framing by Content-Length
// (RFC 9113 sections 8.2 and 8.3). Here they are kept, counted, and read as the owner expects a request of any version.
#include "net/http2.h"
#include "net/target.h"

#define FIELDS_FIRST 16u
#define ENTRY_COST   32u // RFC 9113 section 6.5.2

static dx_status refuse(dx_http2_stream *st, dx_status status, const char *reason) {
    if (st->refusal != DX_OK) return st->refusal; // the first reason stands
    st->refusal = (uint8_t)status;
    st->reason = reason;
    return status;
}

static dx_arena *arena_of(dx_http2_stream *st) {
    return DX_UNLIKELY(st->trailing) ? dx_stream_late_arena(st->stream) : st->stream->arena;
}

// Text of the static table need not be copied.
static dx_slice keep(dx_http2_stream *st, nghttp2_rcbuf *text) {
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(text);
    if (nghttp2_rcbuf_is_static(text)) return dx_slice_of((const char *)bytes.base, bytes.len);
    dx_arena *arena = arena_of(st);
    char *copy = arena ? dx_arena_bytes(arena, bytes.len) : NULL;
    if (!copy) {
        (void)refuse(st, DX_NO_MEMORY, "no memory for the request");
        return dx_slice_of(NULL, 0);
    }
    memcpy(copy, bytes.base, bytes.len);
    return dx_slice_of(copy, bytes.len);
}

static bool grow(dx_http2_stream *st) {
    dx_fields *fields = &st->fields;
    uint32_t capacity = fields->capacity ? fields->capacity * 2 : FIELDS_FIRST;
    dx_arena *arena = arena_of(st);
    dx_field *items = arena ? dx_arena_alloc(arena, capacity * sizeof *items) : NULL;
    if (!items) {
        (void)refuse(st, DX_NO_MEMORY, "no memory for the fields");
        return false;
    }
    if (fields->count) memcpy(items, fields->items, fields->count * sizeof *items);
    fields->items = items;
    fields->capacity = capacity;
    return true;
}

static void add_field(dx_http2_stream *st, dx_slice name, dx_slice value) {
    dx_fields *fields = &st->fields;
    if (fields->count == fields->capacity && !grow(st)) return;
    fields->items[fields->count++] = (dx_field){.name = name, .value = value, .id = dx_field_lookup(name)};
}

static void add_pseudo(dx_http2_stream *st, dx_slice name, dx_slice value) {
    if (dx_slice_equal(name, DX_SLICE(":path")))
        st->path = value;
    else if (dx_slice_equal(name, DX_SLICE(":method")))
        st->method = value;
    else if (dx_slice_equal(name, DX_SLICE(":authority")))
        st->authority = value;
    else if (dx_slice_equal(name, DX_SLICE(":protocol")))
        st->protocol = value;
}

bool dx_http2_head_add(dx_http2_stream *st, nghttp2_rcbuf *name, nghttp2_rcbuf *value) {
    const dx_http_limits *limits = &st->stream->listener->options.limits;
    size_t cost = nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len + ENTRY_COST;
    st->head_bytes += (uint32_t)cost; // of a few more than head_bytes at most, far from overflow
    if (DX_UNLIKELY(st->head_bytes > limits->head_bytes)) {
        (void)refuse(st, DX_HEADERS_TOO_LARGE, "the fields are too large");
        return st->head_bytes / DX_HTTP2_HEAD_EXCESS <= limits->head_bytes;
    }
    dx_slice kept = keep(st, name), text = keep(st, value);
    if (st->refusal != DX_OK) return true;
    if (!st->trailing && kept.data[0] == ':') {
        add_pseudo(st, kept, text);
    } else if (st->trailing && !dx_stream_trailer_allowed(kept)) {
        return true;
    } else if (DX_UNLIKELY(st->fields.count >= limits->fields)) {
        (void)refuse(st, DX_HEADERS_TOO_LARGE, "there are too many fields");
    } else {
        add_field(st, kept, text);
    }
    return true;
}

// RFC 9113 section 8.2.3: a Cookie cut in crumbs is one again before anybody reads it.
static dx_status join_cookies(dx_http2_stream *st, uint32_t cookies) {
    dx_fields *fields = &st->fields;
    size_t size = 2 * (cookies - 1);
    for (uint32_t i = 0; i < fields->count; i++) size += fields->items[i].id == DX_FIELD_COOKIE ? fields->items[i].value.size : 0;
    char *whole = dx_arena_bytes(st->stream->arena, size), *to = whole;
    if (!whole) return refuse(st, DX_NO_MEMORY, "no memory for the fields");
    dx_field *first = NULL;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        dx_field field = fields->items[i];
        if (field.id != DX_FIELD_COOKIE) {
            fields->items[kept++] = field;
            continue;
        }
        if (first) {
            memcpy(to, "; ", 2);
            to += 2;
        } else {
            first = &fields->items[kept];
            fields->items[kept++] = field;
        }
        if (field.value.size) memcpy(to, field.value.data, field.value.size);
        to += field.value.size;
    }
    if (first) first->value = dx_slice_of(whole, size);
    fields->count = kept;
    return DX_OK;
}

typedef struct seen {
    dx_field *host, *length, *expect;
    uint32_t hosts, cookies;
} seen;

static seen look(const dx_fields *fields) {
    seen found = {0};
    for (uint32_t i = 0; i < fields->count; i++) {
        dx_field *field = &fields->items[i];
        switch (field->id) {
        case DX_FIELD_HOST:
            found.hosts++;
            found.host = field;
            break;
        case DX_FIELD_CONTENT_LENGTH:
            found.length = field; // nghttp2 lets one through
            break;
        case DX_FIELD_EXPECT:
            found.expect = field;
            break;
        case DX_FIELD_COOKIE:
            found.cookies++;
            break;
        default:
            break;
        }
    }
    return found;
}

// RFC 9113 section 8.3.1: ":authority" is what HTTP/1.1 has in Host, and both must say the same.
static dx_status read_authority(dx_http2_stream *st, const seen *found) {
    if (found->hosts > 1) return refuse(st, DX_BAD_REQUEST, "Host is repeated");
    if (st->authority.data && found->host && !dx_slice_equal_nocase(st->authority, found->host->value)) {
        return refuse(st, DX_BAD_REQUEST, "Host and :authority differ");
    }
    dx_slice authority = found->host ? found->host->value : st->authority;
    if (!dx_target_is_authority(authority)) return refuse(st, DX_BAD_REQUEST, "the authority is malformed");
    if (!found->host) add_field(st, DX_SLICE("host"), authority);
    return st->refusal;
}

static dx_status read_method(dx_http2_stream *st, dx_request_head *out) {
    out->method_text = st->method;
    out->method = dx_method_parse(st->method);
    if (out->method == DX_CONNECT && st->protocol.data) { // RFC 8441
        out->protocol = st->protocol;
        out->method = DX_GET;
        out->method_text = DX_SLICE("GET");
    } else if (out->method == DX_CONNECT || out->method == DX_METHOD_UNKNOWN) {
        return refuse(st, DX_NOT_IMPLEMENTED, "the method is not known here");
    }
    return DX_OK;
}

static dx_status read_path(dx_http2_stream *st, dx_request_head *out) {
    out->target = st->path;
    if (st->path.size > st->stream->listener->options.limits.target_bytes) {
        return refuse(st, DX_URI_TOO_LONG, "the request target is too long");
    }
    bool whole = dx_slice_equal(st->path, DX_SLICE("*"));
    if (!dx_target_is_uri(st->path) || (whole && out->method != DX_OPTIONS) || (!whole && !dx_slice_starts(st->path, DX_SLICE("/")))) {
        return refuse(st, DX_BAD_REQUEST, "the request target is malformed");
    }
    dx_target_split(st->path, out);
    return DX_OK;
}

static dx_status read_framing(dx_http2_stream *st, dx_request_head *out, const seen *found, bool ended) {
    uint64_t length;
    out->content_length = ended ? 0 : -1;
    if (!ended && found->length && !out->protocol.data) {
        if (!dx_slice_to_u64(found->length->value, &length) || length > INT64_MAX) {
            return refuse(st, DX_BAD_REQUEST, "Content-Length is malformed");
        }
        if (length > st->stream->listener->options.limits.body_bytes) return refuse(st, DX_TOO_LARGE, "the body is too large");
        out->content_length = (int64_t)length;
    }
    if (!found->expect) return DX_OK;
    if (!dx_slice_equal_nocase(found->expect->value, DX_SLICE("100-continue"))) {
        return refuse(st, DX_EXPECTATION_FAILED, "the only expectation met is 100-continue");
    }
    st->expects = out->content_length != 0;
    return DX_OK;
}

dx_status dx_http2_head_finish(dx_http2_stream *st, bool ended) {
    dx_request_head *out = &st->stream->head;
    if (st->refusal != DX_OK) return st->refusal;
    if (dx_stream_know(st->stream) != DX_OK) return refuse(st, DX_NO_MEMORY, "no memory for the request");
    out->version = 20;
    dx_status status = read_method(st, out);
    if (status == DX_OK) status = read_path(st, out);
    seen found = look(&st->fields);
    if (status == DX_OK) status = read_framing(st, out, &found, ended);
    if (status == DX_OK) status = read_authority(st, &found); // adds a field: `found` is of no more use
    if (status == DX_OK && found.cookies > 1) status = join_cookies(st, found.cookies);
    out->fields = st->fields;
    return status;
}
