// The trace: runs the parser over cut-up bytes and writes its events down. For tests and the fuzz target alone.
#include "net/http1_trace.h"

#include <stdlib.h>

#include "base/memory.h"

static void demand(bool kept) {
    if (!kept) abort();
}

static void check_field(const dx_field *field) {
    dx_slice name = field->name, value = field->value;
    demand(name.size > 0);
    for (size_t at = 0; at < name.size; at++) demand((unsigned char)name.data[at] > ' ' && (unsigned char)name.data[at] < 0x7f);
    for (size_t at = 0; at < value.size; at++) {
        unsigned char c = (unsigned char)value.data[at];
        demand(c == '\t' || (c >= ' ' && c != 0x7f));
    }
    demand(dx_slice_equal(value, dx_slice_trim(value)));
}

static void check_head(const dx_request_head *head, const dx_http_limits *limits) {
    demand(head->fields.count <= limits->fields && head->target.size <= limits->target_bytes);
    demand(head->path.size > 0 && (head->path.data[0] == '/' || (head->method == DX_OPTIONS && head->path.data[0] == '*')));
    demand(head->content_length >= -1 && head->content_length <= (int64_t)limits->body_bytes);
    demand(!memchr(head->path.data, '?', head->path.size) && head->method < DX_METHOD_UNKNOWN);
    for (uint32_t i = 0; i < head->fields.count; i++) check_field(&head->fields.items[i]);
}

static void trace_head(dx_buffer *out, const dx_http1_parser *parser, const dx_request_head *head) {
    dx_buffer_printf(out, "HEAD %.*s %.*s", DX_SLICE_ARG(head->method_text), DX_SLICE_ARG(head->path));
    if (head->query.data) dx_buffer_printf(out, " ?%.*s", DX_SLICE_ARG(head->query));
    dx_buffer_printf(out, " length=%lld %s%s", (long long)head->content_length, parser->keep_alive ? "keep" : "close",
                     parser->expects ? " expects" : "");
    for (uint32_t i = 0; i < head->fields.count; i++) {
        dx_buffer_printf(out, " %.*s=%.*s", DX_SLICE_ARG(head->fields.items[i].name), DX_SLICE_ARG(head->fields.items[i].value));
    }
    DX_BUFFER_LIT(out, "\n");
}

typedef struct trace {
    dx_buffer *out;
    dx_http1_parser parser;
    dx_arena *arena;
    const dx_http_limits *limits;
    bool in_body, failed;
} trace;

static dx_http1_event trace_trailers(trace *t) {
    dx_fields fields = {NULL, 0, 0};
    demand(t->parser.trailers <= t->limits->fields && dx_http1_trailers(&t->parser, t->arena, &fields) == DX_OK);
    for (uint32_t i = 0; i < fields.count; i++) {
        check_field(&fields.items[i]);
        dx_buffer_printf(t->out, "TRAILER %.*s=%.*s\n", DX_SLICE_ARG(fields.items[i].name), DX_SLICE_ARG(fields.items[i].value));
    }
    return DX_HTTP1_END;
}

static void trace_event(trace *t, dx_http1_event event) {
    if (t->in_body && event != DX_HTTP1_BODY && event != DX_HTTP1_MORE) {
        DX_BUFFER_LIT(t->out, "\n");
        t->in_body = false;
    }
    dx_request_head head;
    if (event == DX_HTTP1_HEAD) {
        dx_arena_reset(t->arena);
        if (dx_http1_head(&t->parser, t->arena, &head) == DX_OK) {
            check_head(&head, t->limits);
            trace_head(t->out, &t->parser, &head);
        } else {
            event = DX_HTTP1_ERROR;
        }
    }
    if (event == DX_HTTP1_BODY) {
        if (!t->in_body) DX_BUFFER_LIT(t->out, "BODY ");
        dx_buffer_add(t->out, t->parser.piece);
        t->in_body = true;
    }
    if (event == DX_HTTP1_END && t->parser.trailers) event = trace_trailers(t);
    if (event == DX_HTTP1_END) DX_BUFFER_LIT(t->out, "END\n");
    t->failed = event == DX_HTTP1_ERROR;
    if (t->failed) dx_buffer_printf(t->out, "ERROR %d %s\n", dx_status_http((dx_status)t->parser.status), t->parser.reason);
}

static void trace_piece(trace *t, dx_slice piece) {
    dx_http1_event event;
    do {
        size_t before = piece.size;
        event = dx_http1_next(&t->parser, &piece);
        demand(piece.size <= before && (event != DX_HTTP1_MORE || piece.size == 0));
        trace_event(t, event);
    } while (event != DX_HTTP1_MORE && !t->failed);
}

void dx_http1_trace(dx_buffer *out, dx_slice bytes, size_t step, const dx_http_limits *limits) {
    trace t = {.out = out, .arena = dx_arena_create(1 << 20), .limits = limits};
    demand(t.arena != NULL);
    dx_http1_parser_init(&t.parser, limits);
    while (!t.failed && bytes.size) {
        size_t size = step && step < bytes.size ? step : bytes.size;
        char *alone = dx_memory_alloc(size); // so that the sanitizer sees a read past the piece
        demand(alone != NULL);
        memcpy(alone, bytes.data, size);
        trace_piece(&t, dx_slice_of(alone, size));
        dx_memory_free(alone);
        bytes = dx_slice_from(bytes, size);
    }
    dx_http1_parser_deinit(&t.parser);
    dx_arena_destroy(t.arena);
}
