// Response compression: what is compressed and what never is, how long bodies and streams go out, and that entity tags survive the way to a
// client and back.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "exchange/wire_fixture.h"
#include "server/compress.h"

static wire_fixture w;
static dx_operation operation;
static char text[200000];
static const dx_compression usual = {
    .codings = DX_CODING_BIT(DX_CODING_BR) | DX_CODING_BIT(DX_CODING_ZSTD) | DX_CODING_BIT(DX_CODING_GZIP), .level = 2, .floor = 1024};

static int set_up(void **state) {
    (void)state;
    wire_open(&w);
    operation = (dx_operation){.method = DX_GET};
    w.x.operation = &operation;
    for (size_t i = 0; i < sizeof text; i++) text[i] = "{\"name\": 0123456789}\n"[(i * 7 + i / 23) % 21];
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wire_close(&w, DX_CANCELLED);
    return 0;
}

static void again(void **state) {
    (void)tear_down(state);
    (void)set_up(state);
}

static dx_status gather(void *ctx, dx_slice piece) {
    dx_buffer_add(ctx, piece);
    return dx_buffer_status(ctx);
}

static void assert_decodes(dx_coding coding, dx_slice packed, dx_slice expected) {
    dx_decompressor *decompressor;
    dx_buffer plain;
    dx_buffer_init(&plain, NULL, 1u << 20);
    assert_int_equal(dx_decompressor_create(&decompressor, coding, 1u << 20, 0), DX_OK);
    assert_int_equal(dx_decompressor_run(decompressor, packed, gather, &plain), DX_OK);
    assert_int_equal(dx_decompressor_end(decompressor), DX_OK);
    assert_true(dx_slice_equal(dx_buffer_slice(&plain), expected));
    dx_decompressor_destroy(decompressor);
    dx_buffer_deinit(&plain);
}

static void assert_field(const char *name, const char *value) {
    dx_slice found = wire_field(&w, name);
    if (!value) {
        assert_null(found.data);
        return;
    }
    assert_int_equal((long)found.size, (long)strlen(value));
    assert_memory_equal(found.data, value, found.size);
}

static void pass(void) {
    assert_int_equal(dx_compress_filter.in(&usual, &w.x), DX_NEXT);
}
static void leave(void) {
    dx_compress_filter.out(&usual, &w.x);
}

static void answer(size_t size) {
    (void)dx_exchange_json(&w.x, 200, dx_slice_of(text, size));
}

static void a_body_is_compressed_as_the_client_likes(void **state) {
    static const struct {
        const char *accept;
        dx_coding coding;
    } rows[] = {{"gzip, deflate, br, zstd", DX_CODING_BR},
                {"gzip, zstd", DX_CODING_ZSTD},
                {"gzip", DX_CODING_GZIP},
                {"br;q=0.1, gzip", DX_CODING_GZIP}};
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        wire_ask(&w, DX_SLICE("Accept-Encoding"), dx_slice_str(rows[i].accept));
        pass();
        answer(20000);
        leave();
        assert_field("content-encoding", dx_coding_name(rows[i].coding).data);
        assert_field("vary", "accept-encoding");
        assert_true(w.x.response.body.size < 10000);
        assert_decodes(rows[i].coding, w.x.response.body, dx_slice_of(text, 20000));
        again(state);
    }
}

static void two_lines_of_accept_encoding_are_one_list(void **state) {
    (void)state;
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("deflate"));
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    answer(2000);
    leave();
    assert_field("content-encoding", "gzip");
}

static void who_asks_for_nothing_gets_it_plain_and_is_told_that_it_varies(void **state) {
    (void)state;
    answer(20000);
    leave();
    assert_field("content-encoding", NULL);
    assert_field("vary", "accept-encoding");
    assert_int_equal((long)w.x.response.body.size, 20000);
}

static void the_floor_holds_to_the_byte(void **state) {
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    answer(1023);
    leave();
    assert_field("content-encoding", NULL);
    assert_field("vary", NULL);
    again(state);
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    answer(1024);
    leave();
    assert_field("content-encoding", "gzip");
}

static void what_must_not_be_touched_is_not(void **state) {
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"content-encoding", "gzip"}, {"set-cookie", "a=b"}, {"cache-control", "public, no-transform"}, {"content-range", "bytes 0-1/2"}};
    for (size_t i = 0; i < DX_COUNT_OF(rows) + 4; i++) {
        wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
        answer(20000);
        if (i < DX_COUNT_OF(rows)) dx_exchange_field(&w.x, dx_slice_str(rows[i].name), dx_slice_str(rows[i].value));
        if (i == DX_COUNT_OF(rows)) operation.reflects_secrets = true;
        if (i == DX_COUNT_OF(rows) + 1) (void)dx_exchange_body(&w.x, 200, DX_SLICE("image/png"), dx_slice_of(text, 20000));
        if (i == DX_COUNT_OF(rows) + 2) w.x.response.status = 206;
        if (i == DX_COUNT_OF(rows) + 3) (void)dx_exchange_body(&w.x, 200, DX_SLICE("application/octet-stream"), dx_slice_of(text, 20000));
        leave();
        assert_int_equal((long)w.x.response.body.size, 20000);
        assert_field("vary", NULL);
        again(state);
    }
}

static void types_that_gain_are_known(void **state) {
    (void)state;
    static const char *const gain[] = {"application/json",
                                       "Application/JSON; charset=utf-8",
                                       "text/html",
                                       "text/css;charset=utf-8",
                                       "application/problem+json",
                                       "image/svg+xml",
                                       "application/wasm",
                                       "application/atom+xml"};
    static const char *const none[] = {"image/png", "application/zip", "video/mp4", "font/woff2", "application/octet-stream",
                                       "",          "text/",           "+json"};
    for (size_t i = 0; i < DX_COUNT_OF(gain); i++) assert_true(dx_compress_gains(dx_slice_str(gain[i])));
    for (size_t i = 0; i < DX_COUNT_OF(none); i++) assert_false(dx_compress_gains(dx_slice_str(none[i])));
}

static void what_gains_nothing_goes_as_it_is(void **state) {
    (void)state;
    uint32_t random = 1;
    for (size_t i = 0; i < 3000; i++) text[i] = (char)((random = random * 1664525u + 1013904223u) >> 24);
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
    answer(3000);
    dx_exchange_field(&w.x, DX_SLICE("ETag"), DX_SLICE("\"abc\""));
    leave();
    assert_field("content-encoding", NULL);
    assert_field("etag", "\"abc\"");
    assert_int_equal((long)w.x.response.body.size, 3000);
}

static void a_vary_that_stands_is_added_to_once(void **state) {
    (void)state;
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
    answer(20000);
    dx_exchange_field(&w.x, DX_SLICE("Vary"), DX_SLICE("Origin, Accept-Encoding"));
    uint32_t before = w.x.response.fields.count;
    leave();
    assert_int_equal(w.x.response.fields.count, before + 1); // Content-Encoding
}

// --- entity tags ---------------------------------------------------------------------------------------------------------------

static void a_strong_tag_is_marked_and_a_weak_one_is_not(void **state) {
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("zstd"));
    answer(20000);
    dx_exchange_field(&w.x, DX_SLICE("ETag"), DX_SLICE("\"abc\""));
    leave();
    assert_field("etag", "\"abc+zstd\"");
    again(state);
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("zstd"));
    answer(20000);
    dx_exchange_field(&w.x, DX_SLICE("ETag"), DX_SLICE("W/\"abc\""));
    leave();
    assert_field("etag", "W/\"abc\"");
}

static dx_slice asked(dx_field_id id) {
    return dx_fields_get(&w.x.request.fields, id);
}

static void a_marked_tag_comes_back_as_it_was(void **state) {
    (void)state;
    wire_ask(&w, DX_SLICE("If-Match"), DX_SLICE("\"abc+br\", \"other\", W/\"w+gzip\""));
    wire_ask(&w, DX_SLICE("If-None-Match"), DX_SLICE("\"abc+zstd\""));
    pass();
    assert_true(dx_slice_equal(asked(DX_FIELD_IF_MATCH), DX_SLICE("\"abc\", \"other\", W/\"w\"")));
    assert_true(dx_slice_equal(asked(DX_FIELD_IF_NONE_MATCH), DX_SLICE("\"abc\"")));
}

static void tags_without_a_mark_are_left_alone(void **state) {
    (void)state;
    static const char *const values[] = {"*", "\"abc\"", "\"a+brx\"", "\"+br", "+br\"", "\"br\"", "", "\"", "\"\""};
    for (size_t i = 0; i < DX_COUNT_OF(values); i++) {
        w.x.request.fields.count = 0;
        wire_ask(&w, DX_SLICE("If-Match"), dx_slice_str(values[i]));
        pass();
        if (strcmp(values[i], "+br\"") != 0) assert_true(dx_slice_equal(asked(DX_FIELD_IF_MATCH), dx_slice_str(values[i])));
    }
}

static void not_modified_names_the_tag_that_the_client_has(void **state) {
    wire_ask(&w, DX_SLICE("If-None-Match"), DX_SLICE("\"old+br\", \"abc+gzip\""));
    pass();
    (void)dx_exchange_empty(&w.x, 304);
    dx_exchange_field(&w.x, DX_SLICE("ETag"), DX_SLICE("\"abc\""));
    leave();
    assert_field("etag", "\"abc+gzip\"");
    assert_field("vary", "accept-encoding");
    again(state);
    wire_ask(&w, DX_SLICE("If-None-Match"), DX_SLICE("\"abc\""));
    pass();
    (void)dx_exchange_empty(&w.x, 304);
    dx_exchange_field(&w.x, DX_SLICE("ETag"), DX_SLICE("\"abc\""));
    leave();
    assert_field("etag", "\"abc\"");
}

// --- long bodies and streams -----------------------------------------------------------------------------------------------------

static void a_long_body_goes_out_piece_by_piece(void **state) {
    for (int full = 0; full < 2; full++) {
        wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
        answer(sizeof text);
        leave();
        assert_field("content-encoding", "gzip");
        assert_non_null(w.x.response.source);
        assert_int_equal((long)w.x.response.body.size, 0);
        dx_exchange_begun(&w.x, false);
        w.full = full;
        wire_turn(&w);
        if (full) {
            assert_int_equal((long)w.out.size, 0);
            wire_drain(&w);
        }
        for (int turns = 0; !w.finished; turns++) {
            assert_true(turns < 50);
            wire_turn(&w);
        }
        assert_decodes(DX_CODING_GZIP, dx_buffer_slice(&w.out), dx_slice_of(text, sizeof text));
        dx_exchange_closed(&w.x, DX_OK);
        again(state);
    }
}

static void a_peer_that_goes_between_two_pieces_leaves_nothing_behind(void **state) {
    (void)state;
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    answer(sizeof text);
    leave();
    dx_exchange_begun(&w.x, false);
    w.x.response.source->ready(w.x.response.source_ctx, &w.x); // posts a task for the next piece
    dx_exchange_closed(&w.x, DX_CANCELLED);
    wire_turn(&w);
    assert_false(w.finished);
}

static void a_head_alone_says_the_same_and_asks_for_nothing(void **state) {
    (void)state;
    w.x.request.method = DX_HEAD;
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    answer(sizeof text);
    leave();
    assert_field("content-encoding", "gzip");
    dx_exchange_begun(&w.x, true);
    assert_true(w.finished);
    assert_int_equal((long)w.out.size, 0);
}

static void on_ready(void *ctx, dx_exchange *x) {
    (void)ctx;
    assert_true(dx_exchange_write(x, DX_SLICE("data: one\n\n")));
    dx_exchange_flush(x);
}
static void on_closed(void *ctx, dx_exchange *x, dx_status why) {
    (void)ctx;
    (void)x;
    (void)why;
}
static const dx_source_ops source = {on_ready, NULL, on_closed};

static void a_stream_is_compressed_when_its_handler_allows_it(void **state) {
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
    (void)dx_exchange_stream(&w.x, 200, DX_SLICE("text/event-stream"), &source, NULL);
    leave();
    assert_field("content-encoding", NULL);
    again(state);
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
    w.x.response.compress = true;
    (void)dx_exchange_stream(&w.x, 200, DX_SLICE("text/event-stream"), &source, NULL);
    leave();
    assert_field("content-encoding", "br");
    wire_begin(&w);
    assert_true(w.out.size > 0); // flushed: an event is not held back
    dx_exchange_finish(&w.x, NULL);
    assert_decodes(DX_CODING_BR, dx_buffer_slice(&w.out), DX_SLICE("data: one\n\n"));
}

// --- files -----------------------------------------------------------------------------------------------------------------------

// The first `size` bytes of the text, as a file that is the answer.
static int answer_file(size_t size) {
    FILE *made = tmpfile();
    assert_non_null(made);
    assert_int_equal(fwrite(text, 1, sizeof text, made), sizeof text);
    assert_int_equal(fflush(made), 0);
    int fd = dup(fileno(made));
    fclose(made);
    (void)dx_exchange_file(&w.x, 200, DX_SLICE("text/css"), fd, 0, (int64_t)size);
    dx_exchange_field(&w.x, DX_SLICE("ETag"), DX_SLICE("\"abc\""));
    dx_exchange_field(&w.x, DX_SLICE("Accept-Ranges"), DX_SLICE("bytes"));
    return fd;
}

static void assert_closed(int fd) {
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_file_goes_through_the_encoder(void **state) {
    for (int full = 0; full < 2; full++) {
        wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
        int fd = answer_file(150000);
        leave();
        assert_field("content-encoding", "br");
        assert_field("etag", "\"abc+br\"");
        assert_field("accept-ranges", NULL); // ranges count what is stored
        dx_exchange_begun(&w.x, false);
        w.full = full;
        wire_turn(&w);
        if (full) wire_drain(&w);
        while (!w.finished) wire_turn(&w);
        assert_decodes(DX_CODING_BR, dx_buffer_slice(&w.out), dx_slice_of(text, 150000));
        dx_exchange_closed(&w.x, DX_OK);
        assert_closed(fd);
        again(state);
    }
}

static void a_file_that_has_shrunk_is_cut_off(void **state) {
    (void)state;
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    int fd = answer_file(150000);
    leave();
    assert_int_equal(ftruncate(fd, 100000), 0);
    dx_exchange_begun(&w.x, false);
    while (!w.finished && !w.was_cut) wire_turn(&w);
    assert_true(w.was_cut);
    dx_exchange_closed(&w.x, DX_CANCELLED);
    assert_closed(fd);
}

static void a_peer_that_goes_has_its_file_closed(void **state) {
    (void)state;
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    int fd = answer_file(150000);
    leave();
    dx_exchange_begun(&w.x, false);
    w.x.response.source->ready(w.x.response.source_ctx, &w.x); // posts a task for the next piece, or has a thread read
    dx_exchange_closed(&w.x, DX_CANCELLED);
    wire_turn(&w);
    assert_false(w.finished);
    assert_closed(fd);
}

static void a_files_head_alone_says_the_same(void **state) {
    (void)state;
    w.x.request.method = DX_HEAD;
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    int fd = answer_file(150000);
    leave();
    assert_field("content-encoding", "gzip");
    assert_field("accept-ranges", NULL);
    dx_exchange_begun(&w.x, true);
    assert_true(w.finished);
    dx_exchange_closed(&w.x, DX_OK);
    assert_closed(fd);
}

static void a_part_of_a_file_and_a_very_large_one_go_as_they_are(void **state) {
    wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
    (void)answer_file(150000);
    w.x.response.status = 206;
    leave();
    assert_field("content-encoding", NULL);
    assert_true(w.x.response.file_open);
    for (int64_t over = 0; over < 2; over++) {
        again(state);
        wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("gzip"));
        (void)answer_file(150000);
        w.x.response.file_size = (4 << 20) + over;
        leave();
        assert_field("content-encoding", over ? NULL : "gzip");
        assert_field("accept-ranges", over ? "bytes" : NULL);
    }
}

static void without_memory_a_file_goes_as_it_is_or_says_so(void **state) {
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
        int fd = answer_file(150000);
        dx_memory_fail_at(n, false);
        leave();
        failed = dx_memory_fail_stop();
        bool encoded = wire_field(&w, "content-encoding").data;
        assert_int_equal(encoded, w.x.response.encoder != NULL);
        assert_int_equal(w.x.response.status, encoded || w.x.response.file_open ? 200 : 503);
        if (w.x.response.file_open) assert_field("etag", "\"abc\"");
        dx_exchange_closed(&w.x, DX_CANCELLED);
        assert_closed(fd);
        again(state);
    }
}

static void without_memory_it_goes_plain_or_says_so(void **state) {
    static const size_t sizes[] = {20000, 100000};
    for (size_t i = 0; i < 2; i++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            wire_ask(&w, DX_SLICE("Accept-Encoding"), DX_SLICE("br"));
            answer(sizes[i]);
            dx_exchange_field(&w.x, DX_SLICE("ETag"), DX_SLICE("\"abc\""));
            dx_memory_fail_at(n, false);
            leave();
            failed = dx_memory_fail_stop();
            bool encoded = wire_field(&w, "content-encoding").data;
            if (w.x.response.status == 200 && !encoded) {
                assert_int_equal((long)w.x.response.body.size, (long)sizes[i]);
                assert_field("etag", "\"abc\"");
            }
            if (encoded) assert_field("etag", "\"abc+br\"");
            again(state);
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    dx_compress_setup();
    const struct CMUnitTest tests[] = {
        TEST(without_memory_it_goes_plain_or_says_so),
        TEST(a_body_is_compressed_as_the_client_likes),
        TEST(two_lines_of_accept_encoding_are_one_list),
        TEST(who_asks_for_nothing_gets_it_plain_and_is_told_that_it_varies),
        TEST(the_floor_holds_to_the_byte),
        TEST(what_must_not_be_touched_is_not),
        TEST(types_that_gain_are_known),
        TEST(what_gains_nothing_goes_as_it_is),
        TEST(a_vary_that_stands_is_added_to_once),
        TEST(a_strong_tag_is_marked_and_a_weak_one_is_not),
        TEST(a_marked_tag_comes_back_as_it_was),
        TEST(tags_without_a_mark_are_left_alone),
        TEST(not_modified_names_the_tag_that_the_client_has),
        TEST(a_long_body_goes_out_piece_by_piece),
        TEST(a_peer_that_goes_between_two_pieces_leaves_nothing_behind),
        TEST(a_head_alone_says_the_same_and_asks_for_nothing),
        TEST(a_stream_is_compressed_when_its_handler_allows_it),
        TEST(a_file_goes_through_the_encoder),
        TEST(a_file_that_has_shrunk_is_cut_off),
        TEST(a_peer_that_goes_has_its_file_closed),
        TEST(a_files_head_alone_says_the_same),
        TEST(a_part_of_a_file_and_a_very_large_one_go_as_they_are),
        TEST(without_memory_a_file_goes_as_it_is_or_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
