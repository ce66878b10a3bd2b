// Request bodies on their way to handlers, through a whole server on a loopback: gathered whole, spilled to files, and decoded, each
// under its caps.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/compress.h"
#include "server/stream_fixture.h"

// --- whole bodies and spools

static void whole_bodies_are_gathered(void **state) {
    (void)state;
    loopback_send(&f, "POST /whole HTTP/1.1\r\n" CHUNKED "3\r\nabc\r\n");
    loopback_settle(&f);
    assert_false(seen.handled);
    loopback_send(&f, "2\r\nde\r\n0\r\n\r\n");
    loopback_read(&f, false);
    assert_answer(200, "memory 5 a");
    loopback_ask(&f, "POST /whole HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz");
    assert_answer(200, "memory 3 x");
}

static void whole_bodies_have_a_cap(void **state) {
    (void)state;
    loopback_send(&f, "POST /whole HTTP/1.1\r\n" CHUNKED "186a1\r\n");
    send_zeros(CAP + 1);
    loopback_read(&f, false);
    assert_int_equal(f.answer.status, 413);
    assert_false(seen.handled);
}

static void a_body_over_the_declared_memory_is_spilled(void **state) {
    (void)state;
    char body[1001], head[128];
    memset(body, 's', sizeof body);
    snprintf(head, sizeof head, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    loopback_send(&f, head);
    loopback_send_bytes(&f, body, 1000);
    loopback_read(&f, false);
    assert_answer(200, "memory 1000 s");
    snprintf(head, sizeof head, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n");
    loopback_send(&f, head);
    loopback_send_bytes(&f, body, 1001);
    loopback_read(&f, false);
    assert_answer(200, "file 1001 s");
}

static void a_large_body_is_spilled_in_bounded_memory(void **state) {
    (void)state;
    loopback_send(&f, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 4194304\r\n\r\n");
    send_zeros(4u << 20);
    loopback_read(&f, false);
    assert_int_equal(f.answer.status, 200);
    assert_true(dx_slice_starts(f.answer.body, DX_SLICE("file 4194304 ")));
    loopback_ask(&f, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 4194305\r\n\r\n");
    assert_int_equal(f.answer.status, 413);
}

static void a_peer_that_goes_while_its_body_is_spilled_leaves_nothing(void **state) {
    (void)state;
    loopback_send(&f, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 4000000\r\n\r\n");
    send_zeros(1u << 20);
    loopback_settle(&f);
    loopback_connect(&f);
    loopback_settle(&f);
    assert_int_equal(f.worker->live, 0);
    assert_false(seen.handled);
}

// --- parked bodies

static size_t files_without_names(void) {
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[300], target[300];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t size = readlink(path, target, sizeof target);
        count += size > 10 && memcmp(target + size - 10, " (deleted)", 10) == 0;
    }
    closedir(folder);
    return count;
}

static void send_letters(dx_loopback *client, size_t size) {
    static char letters[65536];
    memset(letters, 's', sizeof letters);
    for (size_t n; size > 0; size -= n) {
        n = size < sizeof letters ? size : sizeof letters;
        dx_loopback_send(client, dx_slice_of(letters, n));
    }
}

static bool has_files(void *count) {
    return files_without_names() == *(size_t *)count;
}

static void a_large_body_waits_in_a_file_and_is_met_in_memory(void **state) {
    size_t one = 1;
    (void)state;
    loopback_send(&f, "POST /parked HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n");
    send_letters(f.client, 200000);
    loopback_settle(&f);
    assert_int_equal(files_without_names(), 0);
    send_letters(f.client, 1800000);
    loopback_await(&f, has_files, &one);
    assert_false(seen.handled);
    send_letters(f.client, 1000000);
    loopback_read(&f, false);
    assert_answer(200, "memory 3000000 s");
    assert_int_equal(files_without_names(), 0);
    loopback_ask(&f, "POST /whole HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz");
    assert_answer(200, "memory 3 x");
}

static void a_body_that_no_request_has_memory_for_is_refused_before_and_after_it_is_sent(void **state) {
    (void)state;
    loopback_ask(&f, "POST /parked HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 20000000\r\n\r\n");
    assert_int_equal(f.answer.status, 413);
    assert_int_equal(f.answer.interim, 0);
    assert_non_null(strstr(f.answer.body.data, "server.limits.memory"));
    loopback_connect(&f);
    loopback_send(&f, "POST /parked HTTP/1.1\r\n" CHUNKED "1312d00\r\n");
    send_letters(f.client, 20000000);
    loopback_send(&f, "\r\n0\r\n\r\n");
    loopback_read(&f, false);
    assert_int_equal(f.answer.status, 413);
    assert_non_null(strstr(f.answer.body.data, "server.limits.memory"));
    assert_false(seen.handled);
}

static bool is_held(void *count) {
    return stream_held_count >= *(size_t *)count;
}

static void of_large_bodies_so_many_are_in_memory_at_once(void **state) {
    enum { SEATS = 16, CLIENTS = 20 };
    dx_loopback *clients[CLIENTS];
    size_t seats = SEATS, more = SEATS + 2;
    (void)state;
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(dx_loopback_connect(&clients[i], f.worker->listener, "127.0.0.1:4712"), DX_OK);
        dx_loopback_send(clients[i], DX_SLICE("POST /hold HTTP/1.1\r\n" HOST "Content-Length: 600000\r\n\r\n"));
        send_letters(clients[i], 500000);
        loopback_settle(&f);
        send_letters(clients[i], 100000);
        loopback_settle(&f);
    }
    loopback_await(&f, is_held, &seats);
    loopback_settle(&f);
    assert_int_equal(stream_held_count, SEATS);
    assert_int_equal(stream_held[0]->request.body.size, 600000);
    dx_loopback_destroy(clients[SEATS]); // two of the four that wait go: the first, and one from the middle
    dx_loopback_destroy(clients[SEATS + 2]);
    loopback_settle(&f);
    for (size_t i = 0; i < 2; i++) (void)dx_exchange_empty(stream_held[i], 204);
    for (size_t i = 0; i < 2; i++) dx_exchange_resume(stream_held[i], DX_ANSWER);
    loopback_await(&f, is_held, &more);
    for (size_t i = 2; i < SEATS + 2; i++) (void)dx_exchange_empty(stream_held[i], 204);
    for (size_t i = 2; i < SEATS + 2; i++) dx_exchange_resume(stream_held[i], DX_ANSWER);
    loopback_settle(&f);
    for (size_t i = 0; i < CLIENTS; i++)
        if (i != SEATS && i != SEATS + 2) dx_loopback_destroy(clients[i]);
    loopback_settle(&f);
    assert_int_equal(f.worker->parks.seated, 0);
    assert_int_equal(files_without_names(), 0);
}

static bool is_read_back(void *ctx) {
    (void)ctx;
    return f.worker->parks.seated > 0;
}

static bool is_idle(void *ctx) {
    (void)ctx;
    return f.worker->live == 0;
}

// A thread writes to the arena meanwhile.
static void a_peer_that_goes_while_its_body_is_read_back_leaves_nothing(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        loopback_send(&f, "POST /parked HTTP/1.1\r\n" HOST "Content-Length: 8000000\r\n\r\n");
        send_letters(f.client, 8000000);
        loopback_await(&f, is_read_back, NULL);
        loopback_connect(&f);
        loopback_await(&f, is_idle, NULL);
        assert_int_equal(f.worker->parks.seated, 0);
        assert_int_equal(files_without_names(), 0);
    }
}

// --- codings

static void compress(dx_buffer *out, dx_coding coding, const char *data, size_t size) {
    dx_compressor *compressor;
    dx_buffer_init(out, NULL, 64u << 20);
    assert_int_equal(dx_compressor_create(&compressor, coding, 5, -1), DX_OK);
    assert_int_equal(dx_compressor_run(compressor, dx_slice_of(data, size), DX_COMPRESS_END, out), DX_OK);
    dx_compressor_destroy(compressor);
}

static void post(const char *path, const char *coding, const void *body, size_t size) {
    char head[256];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\n" HOST "Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", path, coding, size);
    memset(&seen, 0, sizeof seen);
    loopback_connect(&f);
    loopback_send(&f, head);
    loopback_send_bytes(&f, body, size);
    loopback_read(&f, false);
}

// Text that does not shrink below a tenth.
static char *text_of(size_t size) {
    char *text = malloc(size);
    uint32_t seed = 7;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = "0123456789abcdef"[seed >> 28];
    }
    return text;
}

static void encoded_bodies_reach_handlers_decoded(void **state) {
    (void)state;
    char *text = text_of(CAP);
    for (int coding = DX_CODING_GZIP; coding < DX_CODING_COUNT; coding++) {
        const char *name = dx_coding_name((dx_coding)coding).data;
        dx_buffer packed;
        compress(&packed, (dx_coding)coding, text, CAP);
        post("/count", name, packed.data, packed.size);
        assert_answer(200, "100000");
        post("/whole", name, packed.data, packed.size);
        assert_int_equal(f.answer.status, 200);
        assert_true(dx_slice_starts(f.answer.body, DX_SLICE("memory 100000")));
        post("/spool", name, packed.data, packed.size);
        assert_true(dx_slice_starts(f.answer.body, DX_SLICE("file 100000")));
        post("/whole", name, packed.data, packed.size - 5);
        assert_int_equal(f.answer.status, 400);
        post("/count", name, "garbage!", 8);
        assert_int_equal(f.answer.status, 400);
        assert_int_equal(seen.end_why, DX_MALFORMED);
        dx_buffer_deinit(&packed);
    }
    post("/whole", "identity", text, 10);
    assert_int_equal(f.answer.status, 200);
    free(text);
}

static void what_unpacks_to_one_over_the_cap_is_refused(void **state) {
    (void)state;
    char *text = text_of(CAP + 1);
    dx_buffer packed;
    compress(&packed, DX_CODING_GZIP, text, CAP + 1);
    post("/whole", "gzip", packed.data, packed.size);
    assert_int_equal(f.answer.status, 413);
    assert_non_null(strstr(f.answer.body.data, "unpacked"));
    assert_false(seen.handled);
    post("/count", "gzip", packed.data, packed.size);
    assert_int_equal(f.answer.status, 413);
    assert_int_equal(seen.ended, 1);
    dx_buffer_deinit(&packed);
    free(text);
}

static void a_bomb_is_refused(void **state) {
    (void)state;
    size_t size = 3u << 20;
    char *zeros = calloc(1, size);
    for (int coding = DX_CODING_GZIP; coding < DX_CODING_COUNT; coding++) {
        dx_buffer packed;
        compress(&packed, (dx_coding)coding, zeros, size);
        post("/spool", dx_coding_name((dx_coding)coding).data, packed.data, packed.size);
        assert_int_equal(f.answer.status, 413);
        assert_non_null(strstr(f.answer.body.data, "100 times"));
        dx_buffer_deinit(&packed);
    }
    free(zeros);
}

static void several_codings_and_unknown_ones_are_refused(void **state) {
    static const char *const wrong[] = {"gzip, br", "deflate", "compress", "gzip, gzip", "rot13"};
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        post(i % 2 ? "/count" : "/whole", wrong[i], "abc", 3);
        assert_int_equal(f.answer.status, 415);
        assert_string_equal(loopback_field(&f, "accept-encoding"), "gzip, br, zstd");
        assert_false(seen.handled);
    }
}

static void a_reader_that_does_not_consume_holds_the_decoder(void **state) {
    (void)state;
    size_t size = 16u << 20;
    char *text = text_of(1u << 20), head[256];
    dx_buffer packed, all;
    consumes = false;
    dx_buffer_init(&all, NULL, 64u << 20);
    for (size_t i = 0; i < size; i += 1u << 20) dx_buffer_append(&all, text, 1u << 20);
    compress(&packed, DX_CODING_GZIP, all.data, all.size);
    snprintf(head, sizeof head, "POST /pour HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", packed.size);
    loopback_send(&f, head);
    loopback_send_bytes(&f, packed.data, packed.size);
    loopback_settle(&f);
    assert_true(seen.read >= DX_BODY_WINDOW && seen.read < 2 * DX_BODY_WINDOW);
    assert_true(dx_arena_footprint(seen.x->arena) < (3u << 20));
    consumes = true;
    dx_exchange_consume(seen.x, seen.read);
    loopback_read(&f, false);
    assert_answer(200, "16777216");
    free(text);
    dx_buffer_deinit(&packed);
    dx_buffer_deinit(&all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(whole_bodies_are_gathered),
        TEST(whole_bodies_have_a_cap),
        TEST(a_body_over_the_declared_memory_is_spilled),
        TEST(a_large_body_is_spilled_in_bounded_memory),
        TEST(a_peer_that_goes_while_its_body_is_spilled_leaves_nothing),
        TEST(a_large_body_waits_in_a_file_and_is_met_in_memory),
        TEST(a_body_that_no_request_has_memory_for_is_refused_before_and_after_it_is_sent),
        TEST(of_large_bodies_so_many_are_in_memory_at_once),
        TEST(a_peer_that_goes_while_its_body_is_read_back_leaves_nothing),
        TEST(encoded_bodies_reach_handlers_decoded),
        TEST(what_unpacks_to_one_over_the_cap_is_refused),
        TEST(a_bomb_is_refused),
        TEST(several_codings_and_unknown_ones_are_refused),
        TEST(a_reader_that_does_not_consume_holds_the_decoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
