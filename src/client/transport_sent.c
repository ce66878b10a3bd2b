// A request as transports see it, and the patterns that mean some of them.
#include "client/call.h"
#include "client/transport.h"

static const dx_header *copy_fields(const dx_fields *fields, dx_arena *arena) {
    dx_header *headers = DX_ARENA_ARRAY(arena, dx_header, fields->count + 1);
    for (uint32_t i = 0; headers && i < fields->count; i++) {
        headers[i].name = dx_arena_copy(arena, fields->items[i].name).data;
        headers[i].value = fields->items[i].value.size ? dx_arena_copy(arena, fields->items[i].value).data : "";
        if (!headers[i].name || !headers[i].value) return NULL;
    }
    return headers;
}

static bool gather(dx_buffer *out, dx_transfer *transfer) {
    dx_upload *upload = transfer->upload;
    if (!dx_upload_rewind(upload)) {
        (void)dx_exchange_fail_out(transfer->x, DX_ERROR_FILE, "the request's body can't be read again");
        return false;
    }
    for (;;) {
        char *room = dx_buffer_reserve(out, (size_t)64 << 10);
        int64_t got = room ? dx_upload_read(upload, room, (size_t)64 << 10) : -1;
        if (got == 0) return true;
        if (got > 0) {
            out->size += (size_t)got;
            continue;
        }
        bool no_memory = dx_buffer_status(out) == DX_NO_MEMORY;
        (void)dx_exchange_fail_out(transfer->x, no_memory ? DX_ERROR_NO_MEMORY : DX_ERROR_FILE,
                                   room ? "the request's body could not be read to its end" : NULL);
        return false;
    }
}

bool dx_sent_make(dx_sent *out, dx_arena *arena, dx_transfer *transfer) {
    dx_exchange *x = transfer->x;
    const dx_call *call = x->owner;
    dx_buffer body;
    dx_buffer_init(&body, arena, DX_SENT_BODY_CAP);
    if (transfer->upload && !gather(&body, transfer)) return false;
    if (!transfer->upload) dx_buffer_add(&body, x->request.body);
    dx_buffer_byte(&body, '\0');
    *out = (dx_sent){.method = dx_method_name(x->request.method),
                     .url = dx_arena_copy(arena, transfer->url).data,
                     .headers = copy_fields(&x->request.fields, arena),
                     .body = body.data,
                     .endpoint = dx_arena_copy(arena, call->endpoint->full).data};
    if (dx_buffer_status(&body) != DX_OK || !out->url || !out->headers || !out->endpoint) return false;
    out->body_size = body.size - 1;
    return true;
}

bool dx_glob_fits(dx_slice pattern, dx_slice text) {
    size_t p = 0, t = 0, star = SIZE_MAX, back = 0;
    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            back = t;
        } else if (p < pattern.size && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) { // the star takes one byte more
            p = star + 1;
            t = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*') p++;
    return p == pattern.size;
}

bool dx_sent_fits(const dx_sent *sent, const char *method, const char *pattern) {
    if (method && !dx_slice_equal_nocase(dx_slice_str(method), dx_slice_str(sent->method))) return false;
    if (!pattern) return true;
    dx_slice url = dx_slice_str(sent->url), wanted = dx_slice_str(pattern);
    if (dx_slice_starts(wanted, DX_SLICE("http"))) return dx_glob_fits(wanted, url);
    const char *host = strstr(sent->url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    dx_slice target = path ? dx_slice_str(path) : DX_SLICE("/");
    size_t question = dx_slice_find(target, '?');
    if (question != SIZE_MAX && dx_slice_find(wanted, '?') == SIZE_MAX) target.size = question;
    return dx_glob_fits(wanted, target);
}
