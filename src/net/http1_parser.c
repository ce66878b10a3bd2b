// The byte side of HTTP/1.1: stages of a request, caps, and llhttp's errors as statuses. What a head says is read in http1_head.c.
#include "net/http1_parser.h"

#include "base/memory.h"
#include "net/stream.h"

enum { STAGE_BLANK, STAGE_HEAD, STAGE_BODY, STAGE_CHUNKS, STAGE_FAILED };

#define PARTIAL_FIRST 512u

static dx_http1_parser *parser_of(llhttp_t *llhttp) {
    return DX_CONTAINER_OF(llhttp, dx_http1_parser, llhttp);
}

dx_status dx_http1_refuse(dx_http1_parser *parser, dx_status status, const char *reason) {
    parser->stage = STAGE_FAILED;
    parser->status = (uint8_t)status;
    parser->reason = reason;
    return status;
}

static dx_http1_event fail(dx_http1_parser *parser, dx_status status, const char *reason) {
    (void)dx_http1_refuse(parser, status, reason);
    return DX_HTTP1_ERROR;
}

// llhttp stops here so that its caller learns where the head ends. We never switch protocols, so an `Upgrade` is not one.
static int on_headers_complete(llhttp_t *llhttp) {
    llhttp->upgrade = 0;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size) {
    parser_of(llhttp)->piece = dx_slice_of(at, size);
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp) {
    parser_of(llhttp)->left = 0;
    return HPE_PAUSED;
}

static int fail_user(dx_http1_parser *parser, dx_status status, const char *reason) {
    parser->status = (uint8_t)status;
    parser->reason = reason;
    return HPE_USER;
}

static int on_extension(llhttp_t *llhttp, const char *at, size_t size) {
    (void)at;
    dx_http1_parser *parser = parser_of(llhttp);
    if (size > DX_HTTP1_EXTENSION_CAP - parser->extension) return fail_user(parser, DX_BAD_REQUEST, "chunk extensions are too long");
    parser->extension += (uint32_t)size;
    return 0;
}

static int on_chunk_header(llhttp_t *llhttp) {
    parser_of(llhttp)->extension = 0;
    return 0;
}

static bool keep_partial(dx_http1_parser *parser, const char *data, size_t size);

// Gathers the text of trailers, whose pieces come as the input is cut.
static int gather(llhttp_t *llhttp, const char *at, size_t size) {
    dx_http1_parser *parser = parser_of(llhttp);
    uint32_t most = parser->limits->head_bytes; // may have been lowered since they began
    if (parser->partial_size > most || size > most - parser->partial_size)
        return fail_user(parser, DX_HEADERS_TOO_LARGE, "the trailers are too large");
    return keep_partial(parser, at, size) ? 0 : fail_user(parser, DX_NO_MEMORY, "no memory for the trailers");
}

static int on_trailer_text(llhttp_t *llhttp, const char *at, size_t size) {
    if (!memchr(at, '\n', size) && !memchr(at, '\r', size) && !memchr(at, 0, size)) return gather(llhttp, at, size);
    return fail_user(parser_of(llhttp), DX_BAD_REQUEST, "a trailer field is malformed");
}

static int on_trailer_name_end(llhttp_t *llhttp) {
    dx_http1_parser *parser = parser_of(llhttp);
    if (++parser->trailers <= parser->limits->fields) return gather(llhttp, ":", 1);
    return fail_user(parser, DX_HEADERS_TOO_LARGE, "there are too many trailers");
}

static int on_trailer_end(llhttp_t *llhttp) {
    return gather(llhttp, "\n", 1);
}

// Heads are read from their raw bytes: callbacks for their fields would only cost.
static const llhttp_settings_t head_settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};
static const llhttp_settings_t chunk_settings = {
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_chunk_extension_name = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_chunk_header = on_chunk_header,
    .on_header_field = on_trailer_text,
    .on_header_field_complete = on_trailer_name_end,
    .on_header_value = on_trailer_text,
    .on_header_value_complete = on_trailer_end,
};

static void begin_request(dx_http1_parser *parser) {
    llhttp_reset(&parser->llhttp);
    parser->llhttp.settings = (void *)(uintptr_t)&head_settings;
    parser->stage = STAGE_BLANK;
    parser->blank = 0;
}

void dx_http1_parser_init(dx_http1_parser *parser, const dx_http_limits *limits) {
    *parser = (dx_http1_parser){.limits = limits};
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &head_settings);
}

static void drop_partial(dx_http1_parser *parser) {
    dx_memory_free(parser->partial);
    parser->partial = NULL;
    parser->partial_size = parser->partial_capacity = parser->trailers = 0;
}

void dx_http1_parser_deinit(dx_http1_parser *parser) {
    drop_partial(parser);
}

bool dx_http1_parser_idle(const dx_http1_parser *parser) {
    return parser->stage == STAGE_BLANK && parser->blank == 0;
}

bool dx_http1_parser_in_head(const dx_http1_parser *parser) {
    return parser->stage == STAGE_HEAD || (parser->stage == STAGE_BLANK && parser->blank > 0);
}

static bool keep_partial(dx_http1_parser *parser, const char *data, size_t size) {
    uint32_t need = parser->partial_size + (uint32_t)size; // both within limits->head_bytes
    if (need > parser->partial_capacity) {
        uint32_t capacity = parser->partial_capacity ? parser->partial_capacity : PARTIAL_FIRST;
        while (capacity < need) capacity *= 2;
        char *grown = dx_memory_realloc(parser->partial, capacity);
        if (!grown) return false;
        parser->partial = grown;
        parser->partial_capacity = capacity;
    }
    memcpy(parser->partial + parser->partial_size, data, size);
    parser->partial_size = need;
    return true;
}

// RFC 9112 section 2.2: a server should ignore at least one empty line before a request. We take one, whole, and no more.
static dx_http1_event skip_blank(dx_http1_parser *parser, dx_slice *input) {
    while (input->size) {
        char byte = input->data[0];
        if (parser->blank == 1 ? byte != '\n' : byte == '\n' || (byte == '\r' && parser->blank == 2)) {
            return fail(parser, DX_BAD_REQUEST, "stray line breaks before the request");
        }
        if (byte != '\r' && byte != '\n') {
            parser->stage = STAGE_HEAD;
            break;
        }
        parser->blank++;
        *input = dx_slice_from(*input, 1);
    }
    return DX_HTTP1_MORE;
}

static bool in_token(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

// A method that llhttp does not know: 501 when what came so far may be one, 400 when it is no token.
static dx_http1_event fail_method(dx_http1_parser *parser, const char *data, const char *at) {
    dx_slice seen[2] = {{parser->partial, parser->partial_size}, {data, (size_t)(at - data) + 1}};
    size_t size = 0;
    for (int part = 0; part < 2; part++) {
        for (size_t i = 0; i < seen[part].size; i++, size++) {
            char c = seen[part].data[i];
            if (!in_token(c) && (c != ' ' || size == 0)) return fail(parser, DX_BAD_REQUEST, "the request line is malformed");
        }
    }
    return fail(parser, DX_NOT_IMPLEMENTED, "the method is not known here");
}

// llhttp has seen the greeting of HTTP/2 up to its last byte.
static dx_http1_event fail_preface(dx_http1_parser *parser, dx_slice *input) {
    size_t used = (size_t)(llhttp_get_error_pos(&parser->llhttp) - input->data);
    parser->preface = parser->blank == 0 && parser->partial_size + used == sizeof DX_HTTP2_PREFACE - 1;
    *input = dx_slice_from(*input, used);
    return fail(parser, DX_VERSION_NOT_SUPPORTED, "HTTP/2 is not spoken here");
}

static dx_http1_event fail_llhttp(dx_http1_parser *parser, llhttp_errno_t error, const char *data) {
    const char *at = llhttp_get_error_pos(&parser->llhttp);
    switch (error) {
    case HPE_USER:
    case HPE_CB_HEADER_FIELD_COMPLETE:
    case HPE_CB_HEADER_VALUE_COMPLETE:
        return fail(parser, parser->status, parser->reason);
    case HPE_INVALID_VERSION: // also what stands behind a good one
        if (parser->llhttp.http_major == 1 && parser->llhttp.http_minor <= 1)
            return fail(parser, DX_BAD_REQUEST, "the request line is malformed");
        return fail(parser, DX_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken");
    case HPE_INVALID_METHOD:
        return fail_method(parser, data, at);
    case HPE_INVALID_TRANSFER_ENCODING:
        if (parser->stage == STAGE_CHUNKS) return fail(parser, DX_BAD_REQUEST, "a trailer field may not frame the body");
        if (parser->llhttp.flags & F_CONTENT_LENGTH) return fail(parser, DX_BAD_REQUEST, "both Content-Length and Transfer-Encoding");
        return fail(parser, DX_NOT_IMPLEMENTED, "the only transfer coding is chunked");
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        if (parser->llhttp.flags & F_TRANSFER_ENCODING) return fail(parser, DX_BAD_REQUEST, "both Content-Length and Transfer-Encoding");
        return fail(parser, DX_BAD_REQUEST, "Content-Length is repeated");
    case HPE_INVALID_CONTENT_LENGTH:
        return fail(parser, DX_BAD_REQUEST, "Content-Length is not a number");
    case HPE_INVALID_CHUNK_SIZE:
        return fail(parser, DX_BAD_REQUEST, "a chunk's size is malformed");
    case HPE_INVALID_URL:
        return fail(parser, DX_BAD_REQUEST, "the request target is malformed");
    case HPE_INVALID_CONSTANT:
        return fail(parser, DX_BAD_REQUEST, "the request line is malformed");
    default:
        return fail(parser, DX_BAD_REQUEST, parser->stage == STAGE_HEAD ? "a field is malformed" : "the chunked body is malformed");
    }
}

// The head is at its cap and not complete: the target is to blame when the request line has not ended, or has taken more than its due.
static dx_http1_event fail_head_cap(dx_http1_parser *parser) {
    const char *line_end = memchr(parser->partial, '\n', parser->partial_size);
    if (!line_end || (size_t)(line_end - parser->partial) > parser->limits->target_bytes + sizeof "OPTIONS  HTTP/1.1\r") {
        return fail(parser, DX_URI_TOO_LONG, "the request target is too long");
    }
    return fail(parser, DX_HEADERS_TOO_LARGE, "the head is too large");
}

static dx_http1_event next_head(dx_http1_parser *parser, dx_slice *input) {
    uint32_t most = parser->limits->head_bytes; // may have been lowered since the head began
    size_t room = most > parser->partial_size ? most - parser->partial_size : 0;
    size_t size = input->size < room ? input->size : room;
    const char *data = input->data;
    llhttp_errno_t error = llhttp_execute(&parser->llhttp, data, size);
    if (error == HPE_PAUSED) {
        size_t used = (size_t)(llhttp_get_error_pos(&parser->llhttp) - data);
        *input = dx_slice_from(*input, used);
        if (!parser->partial)
            parser->raw = dx_slice_of(data, used);
        else if (keep_partial(parser, data, used))
            parser->raw = dx_slice_of(parser->partial, parser->partial_size);
        else
            return fail(parser, DX_NO_MEMORY, "no memory for the head");
        parser->left = parser->llhttp.content_length;
        parser->chunked = (parser->llhttp.flags & F_CHUNKED) != 0;
        parser->body = parser->framing = parser->extension = 0;
        parser->stage = parser->chunked ? STAGE_CHUNKS : STAGE_BODY;
        if (parser->chunked) parser->llhttp.settings = (void *)(uintptr_t)&chunk_settings;
        return DX_HTTP1_HEAD;
    }
    if (error == HPE_PAUSED_H2_UPGRADE) return fail_preface(parser, input);
    if (error != HPE_OK) return fail_llhttp(parser, error, data);
    *input = dx_slice_from(*input, size);
    if (!keep_partial(parser, data, size)) return fail(parser, DX_NO_MEMORY, "no memory for the head");
    return parser->partial_size >= parser->limits->head_bytes ? fail_head_cap(parser) : DX_HTTP1_MORE;
}

static dx_http1_event next_body(dx_http1_parser *parser, dx_slice *input) {
    if (parser->left == 0) {
        begin_request(parser);
        return DX_HTTP1_END;
    }
    if (input->size == 0) return DX_HTTP1_MORE;
    size_t size = input->size < parser->left ? input->size : (size_t)parser->left;
    parser->piece = dx_slice_of(input->data, size);
    parser->left -= size;
    parser->body += size;
    *input = dx_slice_from(*input, size);
    return DX_HTTP1_BODY;
}

// Runs llhttp once over a chunked body: up to a piece, the end of the request or the end of the input.
static dx_http1_event step_chunks(dx_http1_parser *parser, dx_slice *input, bool *stopped) {
    parser->piece = dx_slice_of(NULL, 0);
    if (llhttp_get_errno(&parser->llhttp) == HPE_PAUSED) llhttp_resume(&parser->llhttp);
    const char *data = input->data;
    llhttp_errno_t error = llhttp_execute(&parser->llhttp, data, input->size);
    *stopped = error != HPE_OK;
    size_t used = *stopped ? (size_t)(llhttp_get_error_pos(&parser->llhttp) - data) : input->size;
    *input = dx_slice_from(*input, used);
    // What is not the piece came before it: measured without the piece, so that how the bytes are cut makes no difference.
    parser->framing += used - parser->piece.size;
    if (parser->framing > DX_HTTP1_FRAMING_CAP + 8 * parser->body) return fail(parser, DX_BAD_REQUEST, "too much chunk framing");
    if (error != HPE_OK && error != HPE_PAUSED) return fail_llhttp(parser, error, data);
    parser->body += parser->piece.size;
    return parser->piece.size ? DX_HTTP1_BODY : DX_HTTP1_MORE;
}

static dx_http1_event next_chunk(dx_http1_parser *parser, dx_slice *input) {
    bool stopped = true;
    dx_http1_event event = DX_HTTP1_MORE;
    if (input->size == 0) return event; // nothing may end without a byte, and llhttp would lose its place
    parser->left = 1;                   // until on_message_complete
    while (event == DX_HTTP1_MORE && stopped && parser->left && input->size) event = step_chunks(parser, input, &stopped);
    if (event != DX_HTTP1_MORE || parser->left) return event;
    begin_request(parser);
    return DX_HTTP1_END;
}

static dx_status read_trailers(const dx_http1_parser *parser, dx_arena *arena, dx_fields *out) {
    dx_slice rest = dx_arena_copy(arena, dx_slice_of(parser->partial, parser->partial_size));
    out->items = dx_arena_alloc(arena, parser->trailers * sizeof *out->items);
    out->capacity = parser->trailers;
    out->count = 0;
    if (!rest.data || !out->items) return DX_NO_MEMORY;
    while (rest.size) {
        dx_slice value = dx_slice_cut(&rest, '\n'), name = dx_slice_cut(&value, ':');
        if (!dx_stream_trailer_allowed(name)) continue;
        out->items[out->count++] = (dx_field){.name = name, .value = dx_slice_trim(value), .id = dx_field_lookup(name)};
    }
    return DX_OK;
}

dx_status dx_http1_trailers(dx_http1_parser *parser, dx_arena *arena, dx_fields *out) {
    dx_status status = arena ? read_trailers(parser, arena, out) : DX_OK;
    drop_partial(parser);
    return status;
}

dx_http1_event dx_http1_next(dx_http1_parser *parser, dx_slice *input) {
    if (parser->stage == STAGE_BLANK) {
        if (skip_blank(parser, input) == DX_HTTP1_ERROR) return DX_HTTP1_ERROR;
        if (parser->stage == STAGE_BLANK) return DX_HTTP1_MORE;
    }
    if (parser->stage == STAGE_HEAD) return input->size ? next_head(parser, input) : DX_HTTP1_MORE;
    // The head's text; the trailers' comes behind the first chunk.
    if (parser->partial && (parser->stage == STAGE_BODY || parser->framing == 0)) drop_partial(parser);
    if (parser->stage == STAGE_BODY) return next_body(parser, input);
    return parser->stage == STAGE_CHUNKS ? next_chunk(parser, input) : DX_HTTP1_ERROR;
}
