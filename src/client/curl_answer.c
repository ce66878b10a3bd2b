// What comes back over libcurl: the head, line by line, and failures in our words.
#include "client/curl_parts.h"

#include <string.h>

// "HTTP/1.1 404 Not Found": a head begins. Interim ones (1xx) and those of a proxy's CONNECT come before, and are forgotten.
static void begin_head(curl_transfer *t, dx_slice line) {
    dx_exchange *x = t->transfer->x;
    dx_slice rest = line, version = dx_slice_cut(&rest, ' ');
    int64_t status = 0;
    (void)dx_slice_to_i64(dx_slice_cut(&rest, ' '), &status);
    x->response.fields.count = 0;
    x->response.status = (int)status;
    x->request.version = dx_slice_equal(version, DX_SLICE("HTTP/2")) ? 20 : dx_slice_equal(version, DX_SLICE("HTTP/1.0")) ? 10 : 11;
}

// Two lengths that differ: what one reader takes for the body, another takes for the next answer (RFC 9110 section 8.6).
static bool contradicts(curl_transfer *t, dx_slice name, dx_slice value) {
    if (dx_field_lookup(name) != DX_FIELD_CONTENT_LENGTH) return false;
    dx_slice before = dx_fields_get(&t->transfer->x->response.fields, DX_FIELD_CONTENT_LENGTH);
    return before.data && !dx_slice_equal(before, value);
}

static bool lack_memory(curl_transfer *t) {
    t->body.status = DX_NO_MEMORY;
    return false;
}

static bool add_line(curl_transfer *t, dx_slice line) {
    dx_exchange *x = t->transfer->x;
    size_t colon = dx_slice_find(line, ':');
    if (colon == SIZE_MAX || colon == 0) return true; // no field; libcurl has let it pass
    dx_slice copy = dx_arena_copy(x->arena, line);
    if (!copy.data) return lack_memory(t);
    // Name and value end in a NUL each, for those who read them as C strings.
    ((char *)(uintptr_t)copy.data)[colon] = '\0';
    dx_slice value = dx_slice_trim(dx_slice_from(copy, colon + 1));
    if (value.size) ((char *)(uintptr_t)value.data)[value.size] = '\0';
    if (!value.data || !value.size) value = (dx_slice){"", 0};
    if (contradicts(t, dx_slice_of(copy.data, colon), value)) {
        t->two_lengths = true;
        return false;
    }
    return dx_fields_add(&x->response.fields, x->arena, dx_slice_of(copy.data, colon), value) != DX_NO_MEMORY || lack_memory(t);
}

bool dx_curl_take_header(curl_transfer *t, dx_slice line) {
    while (line.size && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r')) line.size--;
    t->head_bytes += line.size;
    if (++t->head_lines > DX_HEAD_LINES_CAP || t->head_bytes > DX_HEAD_BYTES_CAP) {
        t->head_too_large = true;
        return false;
    }
    if (t->head_whole) return true; // a trailer, which may not change what was said before (RFC 9110 section 6.5.1)
    if (dx_slice_starts(line, DX_SLICE("HTTP/"))) {
        begin_head(t, line);
        return true;
    }
    if (line.size) return add_line(t, line);
    t->head_whole = t->transfer->x->response.status >= 200;
    return true;
}

typedef struct curl_code {
    CURLcode from;
    dx_error_code to;
} curl_code;

static const curl_code codes[] = {
    {CURLE_COULDNT_RESOLVE_HOST, DX_ERROR_RESOLVE},
    {CURLE_COULDNT_RESOLVE_PROXY, DX_ERROR_RESOLVE},
    {CURLE_COULDNT_CONNECT, DX_ERROR_CONNECT},
    {CURLE_OPERATION_TIMEDOUT, DX_ERROR_TIMEOUT},
    {CURLE_SSL_CONNECT_ERROR, DX_ERROR_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, DX_ERROR_TLS},
    {CURLE_SSL_CERTPROBLEM, DX_ERROR_TLS},
    {CURLE_SSL_CLIENTCERT, DX_ERROR_TLS},
    {CURLE_SSL_CACERT_BADFILE, DX_ERROR_TLS},
    {CURLE_SSL_CIPHER, DX_ERROR_TLS},
    {CURLE_SSL_ISSUER_ERROR, DX_ERROR_TLS},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, DX_ERROR_TLS},
    {CURLE_SSL_INVALIDCERTSTATUS, DX_ERROR_TLS},
    {CURLE_GOT_NOTHING, DX_ERROR_RESET},
    {CURLE_SEND_ERROR, DX_ERROR_RESET},
    {CURLE_RECV_ERROR, DX_ERROR_RESET},
    {CURLE_PARTIAL_FILE, DX_ERROR_RESET},
    {CURLE_SEND_FAIL_REWIND, DX_ERROR_RESET}, // it would have sent again what can't be read again
    {CURLE_HTTP2, DX_ERROR_PROTOCOL},
    {CURLE_HTTP2_STREAM, DX_ERROR_PROTOCOL},
    {CURLE_WEIRD_SERVER_REPLY, DX_ERROR_PROTOCOL},
    {CURLE_UNSUPPORTED_PROTOCOL, DX_ERROR_PROTOCOL},
    {CURLE_BAD_CONTENT_ENCODING, DX_ERROR_MALFORMED},
    {CURLE_OUT_OF_MEMORY, DX_ERROR_NO_MEMORY},
    {CURLE_ABORTED_BY_CALLBACK, DX_ERROR_FILE},
    {CURLE_READ_ERROR, DX_ERROR_FILE},
    {CURLE_URL_MALFORMAT, DX_ERROR_ARGUMENT},
    {CURLE_PROXY, DX_ERROR_CONNECT},
};

// libcurl calls a head's line that is too long, and chunks that are none, by other names.
static dx_error_code code_for(const curl_transfer *t, CURLcode code, const char *said) {
    if (code == CURLE_OUT_OF_MEMORY && ((t->head_bytes && !t->head_whole) || t->paused)) return DX_ERROR_TOO_LARGE;
    if (code == CURLE_RECV_ERROR && strstr(said, "chunked-encoding")) return DX_ERROR_PROTOCOL;

    for (size_t i = 0; i < DX_COUNT_OF(codes); i++)
        if (codes[i].from == code) return codes[i].to;
    return DX_ERROR_INTERNAL;
}

void dx_curl_fail(curl_transfer *t, CURLcode code) {
    dx_exchange *x = t->transfer->x;
    dx_status body = dx_buffer_status(&t->body), pieces = dx_buffer_status(&t->pieces);
    if (t->sent_twice) {
        (void)dx_exchange_fail_out(
            x, DX_ERROR_RESET,
            "the server closed the connection when the request came; it may have been carried out, so it is not sent "
            "again (an idempotency key would allow that)");
    } else if (t->two_lengths) {
        (void)dx_exchange_fail_out(x, DX_ERROR_PROTOCOL, "the answer has two lengths that differ");
    } else if (t->refused != DX_ERROR_NONE) {
        (void)dx_exchange_fail_out(x, t->refused, "%.*s resolves to an address that the guard refuses", DX_SLICE_ARG(x->request.authority));
    } else if (body == DX_TOO_LARGE) {
        (void)dx_exchange_fail_out(x, DX_ERROR_TOO_LARGE, "the answer is larger than max_body (%llu bytes)",
                                   (unsigned long long)t->transfer->wire->max_body);
    } else if (body == DX_NO_MEMORY || pieces != DX_OK) {
        (void)dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    } else if (t->head_too_large) {
        (void)dx_exchange_fail_out(x, DX_ERROR_TOO_LARGE, "the answer's head is larger than %zu KiB or %d lines", DX_HEAD_BYTES_CAP >> 10,
                                   DX_HEAD_LINES_CAP);
    } else if (t->upload_failed) {
        (void)dx_exchange_fail_out(x, DX_ERROR_FILE, "the request's body could not be read to its end");
    } else if (x->response.status == 101) {
        (void)dx_exchange_fail_out(x, DX_ERROR_PROTOCOL, "the server changed the protocol, which nobody asked it to");
    } else if (code == CURLE_OK) {
        (void)dx_exchange_fail_out(x, DX_ERROR_RESET, "the connection ended in the answer's head");
    } else {
        const char *said = t->handle && t->handle->error[0] ? t->handle->error : curl_easy_strerror(code);
        (void)dx_exchange_fail_out(x, code_for(t, code, said), "%s", said);
    }
}
