// What a head says. llhttp has vouched for every byte's place in the grammar; this reads the lines again from the raw head, which is one
// scan by memchr, and holds them against the rules that llhttp leaves to its user.
#include "net/http1_parser.h"
#include "net/target.h"

static dx_status bad(dx_http1_parser *parser, const char *reason) {
    return dx_http1_refuse(parser, DX_BAD_REQUEST, reason);
}

// One line without its CR LF, taken off the front of `rest`; false for a bare CR or LF.
static bool take_line(dx_slice *rest, dx_slice *line) {
    const char *end = memchr(rest->data, '\n', rest->size);
    if (!end || end == rest->data || end[-1] != '\r') return false;
    *line = dx_slice_of(rest->data, (size_t)(end - 1 - rest->data));
    *rest = dx_slice_from(*rest, (size_t)(end + 1 - rest->data));
    return !memchr(line->data, '\r', line->size);
}

// RFC 9112 section 3.2: origin-form, absolute-form (reduced to what origin-form would say, its authority kept for Host) or `*`.
static dx_status read_target(dx_http1_parser *parser, dx_request_head *out, dx_slice *authority) {
    dx_slice rest = out->target;
    if (out->target.size > parser->limits->target_bytes) return dx_http1_refuse(parser, DX_URI_TOO_LONG, "the request target is too long");
    if (!dx_target_is_uri(rest)) return bad(parser, "the request target is malformed");
    if (rest.data[0] != '/') {
        if (dx_slice_equal(rest, DX_SLICE("*"))) {
            if (out->method != DX_OPTIONS) return bad(parser, "only OPTIONS may ask for *");
            out->path = rest;
            return DX_OK;
        }
        size_t scheme = rest.size > 7 && dx_slice_equal_nocase(dx_slice_of(rest.data, 7), DX_SLICE("http://"))    ? 7
                        : rest.size > 8 && dx_slice_equal_nocase(dx_slice_of(rest.data, 8), DX_SLICE("https://")) ? 8
                                                                                                                  : 0;
        if (!scheme) return bad(parser, "the request target is neither a path nor an http URI");
        rest = dx_slice_from(rest, scheme);
        size_t end = 0;
        while (end < rest.size && rest.data[end] != '/' && rest.data[end] != '?') end++;
        *authority = dx_slice_of(rest.data, end);
        if (end == 0 || !dx_target_is_authority(*authority)) return bad(parser, "the request target's authority is malformed");
        rest = dx_slice_of(rest.data + end, rest.size - end);
    }
    dx_target_split(rest, out);
    if (rest.size == 0 && out->method == DX_OPTIONS) out->path = DX_SLICE("*");
    return DX_OK;
}

static dx_status read_request_line(dx_http1_parser *parser, dx_slice line, dx_request_head *out, dx_slice *authority) {
    static const size_t version_size = sizeof " HTTP/1.1" - 1;
    const llhttp_t *llhttp = &parser->llhttp;
    if (llhttp->http_major != 1 || llhttp->http_minor > 1) {
        return dx_http1_refuse(parser, DX_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken");
    }
    parser->http10 = llhttp->http_minor == 0;
    const char *space = memchr(line.data, ' ', line.size);
    if (!space || line.size < (size_t)(space - line.data) + 2 + version_size) return bad(parser, "the request line is malformed");
    out->method_text = dx_slice_of(line.data, (size_t)(space - line.data));
    out->target = dx_slice_of(space + 1, line.size - out->method_text.size - 1 - version_size);
    // llhttp takes RTSP and ICE for protocols, too.
    if (memcmp(space + 1 + out->target.size, " HTTP/1.", version_size - 1) != 0) return bad(parser, "the request line is malformed");
    switch (llhttp->method) {
    case HTTP_GET:
        out->method = DX_GET;
        break;
    case HTTP_HEAD:
        out->method = DX_HEAD;
        break;
    case HTTP_POST:
        out->method = DX_POST;
        break;
    case HTTP_PUT:
        out->method = DX_PUT;
        break;
    case HTTP_PATCH:
        out->method = DX_PATCH;
        break;
    case HTTP_DELETE:
        out->method = DX_DELETE;
        break;
    case HTTP_OPTIONS:
        out->method = DX_OPTIONS;
        break;
    case HTTP_TRACE:
        out->method = DX_TRACE;
        break;
    default:
        return dx_http1_refuse(parser, DX_NOT_IMPLEMENTED, "the method is not known here");
    }
    return read_target(parser, out, authority);
}

static dx_status read_field(dx_http1_parser *parser, dx_slice line, dx_field *out) {
    const char *colon = memchr(line.data, ':', line.size);
    if (line.data[0] == ' ' || line.data[0] == '\t') return bad(parser, "a field is folded over lines");
    if (!colon || colon == line.data || colon[-1] == ' ' || colon[-1] == '\t') return bad(parser, "a field's name is malformed");
    out->name = dx_slice_of(line.data, (size_t)(colon - line.data));
    const char *from = colon + 1, *to = line.data + line.size;
    while (from < to && (*from == ' ' || *from == '\t')) from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t')) to--;
    out->value = dx_slice_of(from, (size_t)(to - from));
    out->id = dx_field_lookup(out->name);
    return DX_OK;
}

typedef struct framing {
    bool upgrades;  // Connection names Upgrade
    bool websocket; // and that names WebSocket
    dx_field *host;
    uint32_t hosts, lengths, codings;
    dx_slice coding, expect;
} framing;

static void note_field(framing *seen, dx_field *field) {
    switch (field->id) {
    case DX_FIELD_HOST:
        seen->hosts++;
        seen->host = field;
        break;
    case DX_FIELD_CONTENT_LENGTH:
        seen->lengths++;
        break;
    case DX_FIELD_TRANSFER_ENCODING:
        seen->codings++;
        seen->coding = field->value;
        break;
    case DX_FIELD_CONNECTION:
        seen->upgrades |= dx_http_list_has(field->value, DX_SLICE("upgrade"));
        break;
    case DX_FIELD_UPGRADE:
        seen->websocket |= dx_http_list_has(field->value, DX_SLICE("websocket"));
        break;
    case DX_FIELD_EXPECT:
        seen->expect = field->value;
        break;
    default:
        break;
    }
}

static dx_status check_framing(dx_http1_parser *parser, const framing *seen) {
    if (seen->hosts > 1 || (seen->hosts == 0 && !parser->http10)) return bad(parser, seen->hosts ? "Host is repeated" : "Host is missing");
    if (seen->hosts && !dx_target_is_authority(seen->host->value)) return bad(parser, "Host is malformed");
    if (seen->lengths > 1) return bad(parser, "Content-Length is repeated");
    if (seen->lengths && seen->codings) return bad(parser, "both Content-Length and Transfer-Encoding");
    if (seen->codings && parser->http10) return bad(parser, "HTTP/1.0 has no Transfer-Encoding");
    if (seen->codings && (seen->codings > 1 || !dx_slice_equal_nocase(seen->coding, DX_SLICE("chunked")))) {
        return dx_http1_refuse(parser, DX_NOT_IMPLEMENTED, "the only transfer coding is chunked");
    }
    // llhttp decides how the body is framed: it must have understood the fields as we do.
    if ((seen->codings > 0) != parser->chunked || (seen->lengths == 0 && parser->left > 0))
        return bad(parser, "the body's framing is unclear");
    if (parser->left > parser->limits->body_bytes) return dx_http1_refuse(parser, DX_TOO_LARGE, "the body is too large");
    parser->expects = false;
    if (seen->expect.data && !parser->http10) {
        parser->expects = dx_slice_equal_nocase(seen->expect, DX_SLICE("100-continue"));
        if (!parser->expects) return dx_http1_refuse(parser, DX_EXPECTATION_FAILED, "the only expectation met is 100-continue");
        if (!parser->chunked && parser->left == 0) parser->expects = false;
    }
    return DX_OK;
}

// Counts the lines first, so that the fields' array is taken in one piece.
static dx_status read_fields(dx_http1_parser *parser, dx_slice rest, dx_arena *arena, dx_fields *out, framing *seen) {
    uint32_t lines = 0;
    for (const char *at = rest.data, *end = rest.data + rest.size; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) lines++;
    if (lines == 0) return bad(parser, "the head's end is malformed");
    lines--; // the empty line at the end
    if (lines > parser->limits->fields) return dx_http1_refuse(parser, DX_HEADERS_TOO_LARGE, "there are too many fields");
    out->items = dx_arena_alloc(arena, lines * sizeof *out->items);
    if (!out->items) return dx_http1_refuse(parser, DX_NO_MEMORY, "no memory for the fields");
    out->capacity = lines;
    out->count = 0;
    while (out->count < lines) {
        dx_slice line;
        if (!take_line(&rest, &line) || line.size == 0) return bad(parser, "a field is malformed");
        dx_field *field = &out->items[out->count++];
        dx_status status = read_field(parser, line, field);
        if (status != DX_OK) return status;
        note_field(seen, field);
    }
    return dx_slice_equal(rest, DX_SLICE("\r\n")) ? DX_OK : bad(parser, "the head's end is malformed");
}

dx_status dx_http1_head(dx_http1_parser *parser, dx_arena *arena, dx_request_head *out) {
    *out = (dx_request_head){.query = {NULL, 0}};
    dx_slice line, authority = {NULL, 0}, rest = dx_slice_of(dx_arena_bytes(arena, parser->raw.size), parser->raw.size);
    if (!rest.data) return dx_http1_refuse(parser, DX_NO_MEMORY, "no memory for the head");
    memcpy((char *)rest.data, parser->raw.data, rest.size);
    if (!take_line(&rest, &line)) return bad(parser, "the request line is malformed");
    dx_status status = read_request_line(parser, line, out, &authority);
    framing seen = {0};
    if (status == DX_OK) status = read_fields(parser, rest, arena, &out->fields, &seen);
    if (status == DX_OK) status = check_framing(parser, &seen);
    if (status != DX_OK) return status;
    if (authority.data && seen.host) seen.host->value = authority; // RFC 9112 section 3.2.2: the target's authority wins
    out->content_length = parser->chunked ? -1 : (int64_t)parser->left;
    if (seen.upgrades && seen.websocket && out->method == DX_GET && !parser->http10 && out->content_length == 0) {
        out->protocol = DX_SLICE("websocket");
    }
    uint16_t flags = parser->llhttp.flags;
    parser->keep_alive = !(flags & F_CONNECTION_CLOSE) && (!parser->http10 || (flags & F_CONNECTION_KEEP_ALIVE));
    return DX_OK;
}
