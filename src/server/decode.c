// Request bodies with a Content-Encoding (RFC 9110 section 8.4): which coding, and what a client is told whose body is refused. One coding
// only: nobody sends several, and each would multiply what a small body can unpack to.
#include "server/call.h"

dx_status dx_decode_coding(const dx_exchange *x, dx_coding *out) {
    const dx_fields *fields = &x->request.fields;
    *out = DX_CODING_IDENTITY;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != DX_FIELD_CONTENT_ENCODING) continue;
        for (dx_slice rest = fields->items[i].value; rest.data;) {
            dx_slice name = dx_slice_trim(dx_slice_cut(&rest, ','));
            dx_coding coding = name.size ? dx_coding_parse(name) : DX_CODING_IDENTITY;
            if (coding == DX_CODING_IDENTITY) continue;
            if (coding == DX_CODING_UNKNOWN || *out != DX_CODING_IDENTITY) return DX_UNSUPPORTED_MEDIA_TYPE;
            *out = coding;
        }
    }
    return DX_OK;
}

static dx_verdict refuse_large(dx_call *c) {
    const dx_intake *in = &c->intake;
    bool over = in->size > in->cap || (c->x.request.content_length > 0 && (uint64_t)c->x.request.content_length > in->cap);
    if (over || !in->decoder)
        return dx_exchange_fail(&c->x, DX_TOO_LARGE, "the body may have %llu bytes%s", (unsigned long long)in->cap,
                                in->decoder ? ", unpacked" : "");
    return dx_exchange_fail(&c->x, DX_TOO_LARGE, "the body unpacks to more than %u times its size", c->app->settings.inflate_ratio);
}

dx_verdict dx_decode_refuse(dx_call *c, dx_status why) {
    dx_exchange *x = &c->x;
    x->response.close = true; // the rest of it is not worth reading
    if (why == DX_TOO_LARGE) return refuse_large(c);
    bool never_fits = x->request.content_length > 0 && (uint64_t)x->request.content_length > x->arena->cap;
    if (why == DX_NO_MEMORY && (never_fits || dx_arena_outgrown(x->arena)))
        return dx_exchange_fail(x, DX_TOO_LARGE, "the body takes more memory than a request may: server.limits.memory is %zu bytes",
                                x->arena->cap);
    if (why == DX_UNSUPPORTED_MEDIA_TYPE) {
        (void)dx_exchange_fail(x, why, "the Content-Encoding may be one of gzip, br and zstd");
        dx_exchange_field(x, DX_SLICE("accept-encoding"), DX_SLICE("gzip, br, zstd"));
        return DX_ANSWER;
    }
    if (why == DX_MALFORMED && c->intake.decoder)
        return dx_exchange_fail(x, why, "the body is not proper %.*s", DX_SLICE_ARG(dx_coding_name(c->intake.coding)));
    return dx_exchange_fail(x, why, NULL);
}
