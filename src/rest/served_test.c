// The HTTP face behind a whole server, in memory: what filters, bodies and protocol make of it together.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/compress.h"
#include "rest/rest.h"
#include "server/loopback_fixture.h"

#define HOST "Host: test\r\n"
#define JSON "Content-Type: application/json\r\n"

const dx_feature *const dx_features[] = {&dx_rest_feature, NULL};

static loopback_fixture f;

static int set_up(void **state) {
    (void)state;
    loopback_open(&f,
                  "{\"models\":{\"Thing\":{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{\"title\":{\"type\":\"string\"},"
                  "\"price\":{\"type\":\"number\"}}}},"
                  "\"resources\":{\"things\":{\"model\":\"Thing\",\"access\":\"public\"}},"
                  "\"server\":{\"log\":{\"level\":\"off\"},\"limits\":{\"body\":\"1KiB\"}}}");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    loopback_close(&f);
    return 0;
}

static int set_up_small(void **state) {
    (void)state;
    loopback_open(&f, "{\"models\":{\"Thing\":{\"type\":\"object\",\"properties\":{\"list\":{\"type\":\"array\"}}}},"
                      "\"resources\":{\"things\":{\"model\":\"Thing\",\"access\":\"public\"}},"
                      "\"server\":{\"log\":{\"level\":\"off\"},\"limits\":{\"body\":\"1MiB\",\"memory\":\"512KiB\"}}}");
    return 0;
}

static int post(const char *fields, const char *body, size_t size) {
    char head[512];
    snprintf(head, sizeof head, "POST /api/v1/things HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n", fields, size);
    loopback_send(&f, head);
    loopback_send_bytes(&f, body, size);
    return loopback_read(&f, false)->status;
}

static int post_text(const char *fields, const char *body) {
    return post(fields, body, strlen(body));
}

static void create_answers_with_location_and_validators(void **state) {
    (void)state;
    assert_int_equal(post_text(JSON, "{\"title\":\"one\"}"), 201);
    assert_string_equal(loopback_field(&f, "Location"), "/api/v1/things/1");
    assert_int_equal(loopback_field(&f, "ETag")[0], '"');
    assert_string_equal(loopback_field(&f, "Content-Type"), "application/json");
    assert_int_equal(strlen(loopback_field(&f, "Last-Modified")), DX_HTTP_DATE_SIZE);
    assert_non_null(strstr(f.answer.body.data, "\"title\":\"one\""));
    assert_int_equal(loopback_ask(&f, "GET /api/v1/things/1 HTTP/1.1\r\n" HOST "\r\n")->status, 200);
    assert_non_null(strstr(f.answer.body.data, "\"title\":\"one\""));
}

static void a_head_has_the_length_of_what_get_would_say(void **state) {
    (void)state;
    assert_int_equal(post_text(JSON, "{\"title\":\"one\"}"), 201);
    size_t size = loopback_ask(&f, "GET /api/v1/things/1 HTTP/1.1\r\n" HOST "\r\n")->body.size;
    assert_int_equal(loopback_ask(&f, "HEAD /api/v1/things/1 HTTP/1.1\r\n" HOST "\r\n")->status, 200);
    assert_int_equal(strtoul(loopback_field(&f, "Content-Length"), NULL, 10), size);
}

static void media_types_are_checked(void **state) {
    (void)state;
    assert_int_equal(post_text("Content-Type: application/vnd.shop+json\r\n", "{\"title\":\"one\"}"), 201);
    assert_int_equal(post_text("Content-Type: text/plain\r\n", "{\"title\":\"one\"}"), 415);
    assert_string_equal(loopback_field(&f, "Accept"), "application/json");
    assert_int_equal(post_text("", "{\"title\":\"one\"}"), 415);
    assert_int_equal(post_text(JSON, "{\"title\":1}"), 422);
    assert_string_equal(loopback_field(&f, "Content-Type"), "application/problem+json");
    assert_int_equal(post_text(JSON, ""), 400);
}

static void encoded_bodies_are_decoded_before_they_are_judged(void **state) {
    (void)state;
    static const char title[] = "{\"title\":\"packed\"}";
    for (int coding = DX_CODING_GZIP; coding < DX_CODING_COUNT; coding++) {
        char fields[128];
        dx_buffer packed;
        dx_compressor *compressor;
        dx_buffer_init(&packed, NULL, 1u << 20);
        assert_int_equal(dx_compressor_create(&compressor, (dx_coding)coding, 5, -1), DX_OK);
        assert_int_equal(dx_compressor_run(compressor, dx_slice_str(title), DX_COMPRESS_END, &packed), DX_OK);
        dx_compressor_destroy(compressor);
        snprintf(fields, sizeof fields, JSON "Content-Encoding: %s\r\n", dx_coding_name((dx_coding)coding).data);
        assert_int_equal(post(fields, packed.data, packed.size), 201);
        assert_non_null(strstr(f.answer.body.data, "\"title\":\"packed\""));
        dx_buffer_deinit(&packed);
    }
    assert_int_equal(post_text(JSON "Content-Encoding: deflate\r\n", title), 415);
    assert_string_equal(loopback_field(&f, "Accept-Encoding"), "gzip, br, zstd");
}

static void bodies_over_the_servers_cap_are_refused(void **state) {
    (void)state;
    char body[1100];
    memset(body, ' ', sizeof body);
    memcpy(body, "{\"title\":\"one\"}", 15);
    assert_int_equal(post(JSON, body, 1024), 201);
    assert_int_equal(post(JSON, body, 1025), 413);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

// Gathering the first takes more than there is, reading the second.
static void a_body_for_which_there_is_too_little_memory_is_a_413(void **state) {
    static const size_t sizes[] = {900000, 100000};
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(sizes); i++) {
        char *body = malloc(sizes[i]);
        memset(body, '1', sizes[i]);
        for (size_t at = 10; at < sizes[i]; at += 2) body[at] = ',';
        memcpy(body, "{\"list\":[1", 10);
        memcpy(body + sizes[i] - 2, "]}", 2);
        body[sizes[i] - 3] = '1';
        loopback_connect(&f);
        assert_int_equal(post(JSON, body, sizes[i]), 413);
        assert_non_null(strstr(f.answer.body.data, "server.limits.memory"));
        free(body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(create_answers_with_location_and_validators),
        TEST(a_head_has_the_length_of_what_get_would_say),
        TEST(media_types_are_checked),
        TEST(encoded_bodies_are_decoded_before_they_are_judged),
        TEST(bodies_over_the_servers_cap_are_refused),
        cmocka_unit_test_setup_teardown(a_body_for_which_there_is_too_little_memory_is_a_413, set_up_small, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
