// The client: see the header.
#include "net/test_http2_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE   (20 * DX_SECOND)
#define QUIET      (5 * DX_MILLISECOND)
#define LINES_MOST 400

// --- what comes ------------------------------------------------------------------------------------------------------------

static uint32_t number(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void note(client *c, uint8_t type, const uint8_t *payload) {
    if (type < 16) c->frames[type]++;
    if (type == NGHTTP2_RST_STREAM) {
        c->resets++;
        c->last_reset = number(payload);
    } else if (type == NGHTTP2_GOAWAY) {
        c->goaway_last = (int32_t)number(payload);
        c->goaway_error = number(payload + 4);
    }
}

static void read_wire(client *c, dx_slice bytes) {
    dx_buffer_add(&c->wire, bytes);
    size_t at = 0;
    while (c->wire.size - at >= 9) {
        const uint8_t *frame = (const uint8_t *)c->wire.data + at;
        size_t size = number(frame) >> 8;
        if (c->wire.size - at < 9 + size) break;
        note(c, frame[3], frame + 9);
        at += 9 + size;
    }
    if (at) memmove(c->wire.data, c->wire.data + at, c->wire.size -= at);
}

static answer *answer_of(client *c, int32_t id) {
    for (size_t i = 0; i < c->asked; i++) {
        if (c->answers[i].id == id) return &c->answers[i];
    }
    return NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size, const uint8_t *value,
                     size_t value_size, uint8_t flags, void *context) {
    (void)session, (void)flags;
    answer *a = answer_of(context, frame->hd.stream_id);
    if (!a) return 0;
    if (name_size == 7 && memcmp(name, ":status", 7) == 0) {
        uint64_t shown = 0;
        assert_true(dx_slice_to_u64(dx_slice_of((const char *)value, value_size), &shown));
        int status = (int)shown;
        if (status == 100)
            a->continues++;
        else
            a->status = status;
        return 0;
    }
    if (!a->status) return 0; // an interim response's
    bool trailing = a->headed;
    char *to = trailing ? a->trailers : a->fields;
    size_t room = trailing ? sizeof a->trailers : sizeof a->fields, used = strlen(to);
    (void)snprintf(to + used, room - used, "%.*s: %.*s\n", (int)name_size, (const char *)name, (int)value_size, (const char *)value);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)session;
    answer *a = frame->hd.type == NGHTTP2_HEADERS ? answer_of(context, frame->hd.stream_id) : NULL;
    if (a && a->status) a->headed = true;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size, void *context) {
    (void)flags;
    client *c = context;
    answer *a = answer_of(c, id);
    if (a) dx_buffer_append(&a->body, data, size);
    if (!c->keep) (void)nghttp2_session_consume(session, id, size);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *context) {
    (void)session;
    client *c = context;
    answer *a = answer_of(c, id);
    if (!a) return 0;
    a->closed = true;
    a->error = error;
    c->closed++;
    return 0;
}

// --- carrying --------------------------------------------------------------------------------------------------------------

static void flush(client *c) {
    const uint8_t *bytes;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
        dx_loopback_send(c->stage->client, dx_slice_of((const char *)bytes, (size_t)size));
    }
}

static void carry(client *c) {
    const dx_buffer *got = dx_loopback_received(c->stage->client);
    if (got->size) {
        dx_slice bytes = dx_buffer_slice(got);
        read_wire(c, bytes);
        if (!c->raw) assert_true(nghttp2_session_mem_recv(c->session, (const uint8_t *)bytes.data, bytes.size) >= 0);
        dx_loopback_take(c->stage->client, bytes.size);
    }
    if (!c->raw) flush(c);
}

typedef struct goal {
    client *client;
    const size_t *counter;
    size_t least;
} goal;

static bool reached(void *context) {
    goal *g = context;
    carry(g->client);
    return g->counter && *g->counter >= g->least;
}

void client_settle(client *c) {
    goal g = {.client = c};
    (void)dx_loopback_run(c->stage->client, reached, &g, QUIET);
}

void client_await(client *c, const size_t *counter, size_t least) {
    goal g = {c, counter, least};
    if (!dx_loopback_run(c->stage->client, reached, &g, PATIENCE)) fail_msg("the counter is %zu, not %zu", *counter, least);
}

static bool gone(void *context) {
    client *c = context;
    carry(c);
    return dx_loopback_ended(c->stage->client) || dx_loopback_closed(c->stage->client);
}

void client_await_goaway(client *c, uint32_t error) {
    if (!dx_loopback_run(c->stage->client, gone, c, PATIENCE)) fail_msg("the connection is not closed");
    carry(c);
    assert_true(c->frames[NGHTTP2_GOAWAY] > 0);
    assert_int_equal(c->goaway_error, error);
}

// --- what goes -------------------------------------------------------------------------------------------------------------

void client_start(client *c, stage *s) {
    memset(c, 0, sizeof *c);
    c->stage = s;
    dx_buffer_init(&c->wire, NULL, 1 << 26);
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new2(&c->session, callbacks, c, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    assert_int_equal(nghttp2_submit_settings(c->session, 0, NULL, 0), 0);
    flush(c);
}

void client_stop(client *c) {
    nghttp2_session_del(c->session);
    dx_buffer_deinit(&c->wire);
    for (size_t i = 0; i < c->asked; i++) dx_buffer_deinit(&c->answers[i].body);
}

// Cuts "name: value" lines; a pseudo field's name begins with the colon.
static size_t cut_fields(const char *fields, nghttp2_nv nvs[LINES_MOST]) {
    size_t count = 0;
    for (dx_slice rest = dx_slice_str(fields); rest.data && rest.size;) {
        dx_slice line = dx_slice_cut(&rest, '\n');
        const char *colon = memchr(line.data + 1, ':', line.size - 1);
        assert_non_null(colon);
        assert_true(count < LINES_MOST);
        size_t name = (size_t)(colon - line.data);
        nvs[count++] = (nghttp2_nv){(uint8_t *)line.data, (uint8_t *)colon + 2, name, line.size - name - 2, 0};
    }
    return count;
}

answer *client_ask(client *c, const char *fields, bool end) {
    nghttp2_nv nvs[LINES_MOST];
    size_t count = cut_fields(fields, nvs);
    assert_true(c->asked < ANSWERS);
    answer *a = &c->answers[c->asked++];
    dx_buffer_init(&a->body, NULL, 1 << 28);
    a->id = nghttp2_submit_headers(c->session, end ? NGHTTP2_FLAG_END_STREAM : 0, -1, NULL, nvs, count, NULL);
    assert_true(a->id > 0);
    flush(c);
    return a;
}

static answer *ask(client *c, const char *method, const char *path, bool end) {
    char fields[400];
    (void)snprintf(fields, sizeof fields, ":method: %s\n:path: %s\n:scheme: http\n:authority: a\n", method, path);
    return client_ask(c, fields, end);
}

answer *client_get(client *c, const char *path) {
    return ask(c, "GET", path, true);
}

answer *client_post(client *c, const char *path) {
    return ask(c, "POST", path, false);
}

static ssize_t read_upload(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags, nghttp2_data_source *source,
                           void *context) {
    (void)session, (void)id, (void)context;
    answer *a = source->ptr;
    if (size > a->upload.size) size = a->upload.size;
    if (size) memcpy(to, a->upload.data, size);
    a->upload = dx_slice_from(a->upload, size);
    if (a->upload.size == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

void client_upload(client *c, answer *a, dx_slice bytes, bool end) {
    a->upload = bytes;
    nghttp2_data_provider provider = {.source.ptr = a, .read_callback = read_upload};
    assert_int_equal(nghttp2_submit_data(c->session, end ? NGHTTP2_FLAG_END_STREAM : 0, a->id, &provider), 0);
    flush(c);
}

void client_frame(client *c, uint8_t type, uint8_t flags, int32_t id, const void *payload, size_t size) {
    uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,      type,       flags,
                       (uint8_t)(id >> 24),   (uint8_t)(id >> 16),  (uint8_t)(id >> 8), (uint8_t)id};
    dx_loopback_send(c->stage->client, dx_slice_of((const char *)head, 9));
    if (size) dx_loopback_send(c->stage->client, dx_slice_of(payload, size));
}

static void put_length(dx_buffer *to, size_t size) { // RFC 7541 section 5.1, prefix of 7 bits, no Huffman
    if (size < 127) {
        dx_buffer_byte(to, (char)size);
        return;
    }
    dx_buffer_byte(to, 127);
    for (size -= 127; size >= 128; size >>= 7) dx_buffer_byte(to, (char)(size % 128 + 128));
    dx_buffer_byte(to, (char)size);
}

void client_headers(client *c, int32_t id, const char *fields, uint8_t flags) {
    nghttp2_nv nvs[LINES_MOST];
    size_t count = cut_fields(fields, nvs);
    dx_buffer block;
    dx_buffer_init(&block, NULL, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        dx_buffer_byte(&block, 0); // literal, not indexed, new name
        put_length(&block, nvs[i].namelen);
        dx_buffer_append(&block, nvs[i].name, nvs[i].namelen);
        put_length(&block, nvs[i].valuelen);
        dx_buffer_append(&block, nvs[i].value, nvs[i].valuelen);
    }
    client_frame(c, NGHTTP2_HEADERS, flags, id, block.data, block.size);
    dx_buffer_deinit(&block);
}
