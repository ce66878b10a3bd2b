// Log lines: always one valid JSON object, secrets hidden, too much left out.
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char line[DX_LOG_RECORD_CAP + 1];
static int lines;

static void keep(void *ctx, const char *text, size_t size) {
    (void)ctx;
    assert_true(size <= DX_LOG_RECORD_CAP);
    memcpy(line, text, size);
    line[size] = '\0';
    lines++;
}

static int setup(void **state) {
    (void)state;
    lines = 0;
    dx_log_setup(DX_LOG_INFO, keep, NULL);
    return 0;
}

static void a_record_is_one_json_object_a_line(void **state) {
    (void)state;
    dx_log_record record;
    dx_log_begin(&record, DX_LOG_WARN, "request");
    dx_log_text(&record, "path", DX_SLICE("/a\"b\\c\n\x01"));
    dx_log_int(&record, "status", -7);
    dx_log_bool(&record, "ok", true);
    dx_log_micros(&record, "took", 1500 * DX_MICROSECOND + 999);
    dx_log_end(&record);
    assert_memory_equal(line, "{\"time\":\"20", 11);
    assert_int_equal(line[36], '"'); // 2026-01-31T12:00:00.123456Z is 27 bytes
    assert_string_equal(
        line + 37,
        ",\"level\":\"warn\",\"event\":\"request\",\"path\":\"/a\\\"b\\\\c\\n\\u0001\",\"status\":-7,\"ok\":true,\"took\":1500}\n");
}

static void malformed_utf8_is_replaced(void **state) {
    (void)state;
    dx_log_record record;
    dx_log_begin(&record, DX_LOG_INFO, "e");
    dx_log_text(&record, "x",
                DX_SLICE("\xc3\xa4\xff"
                         "a\xc3"
                         "b\xed\xa0\x80"
                         "\xf0\x9f\x98\x80\xe2\x82"));
    dx_log_end(&record);
    assert_non_null(strstr(line, "\"x\":\"\xc3\xa4\xef\xbf\xbd"
                                 "a\xef\xbf\xbd"
                                 "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                 "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\"}\n"));
}

static void a_field_that_does_not_fit_is_left_out_and_said_so(void **state) {
    (void)state;
    static char large[DX_LOG_RECORD_CAP];
    memset(large, 'x', sizeof large);
    dx_log_record record;
    dx_log_begin(&record, DX_LOG_INFO, "e");
    dx_log_text(&record, "a", dx_slice_of(large, 4000));
    dx_log_text(&record, "b", dx_slice_of(large, 4000));
    dx_log_int(&record, "c", 1);
    for (int i = 0; i < 1000; i++) dx_log_int(&record, "d", 1);
    dx_log_end(&record);
    assert_null(strstr(line, "\"b\""));
    assert_non_null(strstr(line, "\"c\":1"));
    assert_string_equal(line + strlen(line) - 19, ",\"truncated\":true}\n");
}

static void levels_below_the_set_one_are_not_written(void **state) {
    (void)state;
    dx_log(DX_LOG_DEBUG, "e", "no");
    dx_log_record record;
    dx_log_begin(&record, DX_LOG_DEBUG, "e");
    dx_log_int(&record, "x", 1);
    dx_log_end(&record);
    assert_int_equal(lines, 0);
    dx_log(DX_LOG_ERROR, "e", "n=%d", 5);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(line, "\"message\":\"n=5\"}"));
    dx_log_setup(DX_LOG_OFF, keep, NULL);
    dx_log(DX_LOG_ERROR, "e", "no");
    assert_int_equal(lines, 1);
    assert_false(dx_log_enabled(DX_LOG_OFF));
}

static void a_long_message_is_cut(void **state) {
    (void)state;
    dx_log(DX_LOG_INFO, "e", "%08000d", 1);
    assert_non_null(strstr(line, "\"truncated\":true"));
    assert_non_null(strstr(line, "\"message\":\"0000"));
}

static void level_names_are_read(void **state) {
    (void)state;
    dx_log_level level;
    assert_true(dx_log_level_parse(DX_SLICE("WARN"), &level));
    assert_int_equal(level, DX_LOG_WARN);
    assert_false(dx_log_level_parse(DX_SLICE("loud"), &level));
}

static void names_of_secrets_are_known(void **state) {
    (void)state;
    const char *secret[] = {
        "password",     "Password",           "new_password",  "userPassword",  "passwd",     "secret",     "client-secret", "token",
        "access_token", "refreshToken",       "authorization", "Authorization", "cookie",     "set-cookie", "api_key",       "apikey",
        "apiKey",       "X-API-Key",          "credentials",   "private_key",   "SECRET_KEY", "tokens",     "password_hash", "db.password",
        "ACCESS_TOKEN", "Proxy-Authorization"};
    const char *open[] = {"user",         "path", "token_type", "tokens_used", "token_expires_in", "key", "monkey", "passes", "secretary_",
                          "cookie_count", "",     "_",          "author",      "idempotency_key"};
    for (size_t i = 0; i < DX_COUNT_OF(secret); i++) {
        if (!dx_log_is_secret(dx_slice_str(secret[i]))) fail_msg("%s is not taken for a secret", secret[i]);
    }
    for (size_t i = 0; i < DX_COUNT_OF(open); i++) {
        if (dx_log_is_secret(dx_slice_str(open[i]))) fail_msg("%s is taken for a secret", open[i]);
    }
    dx_log_record record;
    dx_log_begin(&record, DX_LOG_INFO, "e");
    dx_log_text(&record, "api_key", DX_SLICE("k-123"));
    dx_log_int(&record, "token", 123);
    dx_log_end(&record);
    assert_null(strstr(line, "123"));
    assert_non_null(strstr(line, "\"api_key\":\"[redacted]\",\"token\":\"[redacted]\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_record_is_one_json_object_a_line, setup),
        cmocka_unit_test_setup(malformed_utf8_is_replaced, setup),
        cmocka_unit_test_setup(a_field_that_does_not_fit_is_left_out_and_said_so, setup),
        cmocka_unit_test_setup(levels_below_the_set_one_are_not_written, setup),
        cmocka_unit_test_setup(a_long_message_is_cut, setup),
        cmocka_unit_test_setup(level_names_are_read, setup),
        cmocka_unit_test_setup(names_of_secrets_are_known, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
