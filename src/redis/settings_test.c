// URLs of a Redis: what is read, and where a wrong one is wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "redis/redis.h"

static int setup(void **state) {
    *state = dx_arena_create((size_t)1 << 20);
    return *state ? 0 : -1;
}

static int teardown(void **state) {
    dx_arena_destroy(*state);
    return 0;
}

static void assert_slice(dx_slice got, const char *expected) {
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.data ? got.data : "", expected, got.size);
}

static void urls_are_read_into_their_parts(void **state) {
    static const struct {
        const char *url, *host, *path, *user, *password;
        unsigned port, db;
    } rows[] = {
        {"redis://cache", "cache", "", "", "", 6379, 0},
        {"redis://cache/", "cache", "", "", "", 6379, 0},
        {"redis://cache:7000/12", "cache", "", "", "", 7000, 12},
        {"redis://:p%40s%3as@10.0.0.1:1", "10.0.0.1", "", "", "p@s:s", 1, 0},
        {"redis://us%20er:a:b@[::1]:6380/3", "::1", "", "us er", "a:b", 6380, 3},
        {"redis://[fe80::1]", "fe80::1", "", "", "", 6379, 0},
        {"redis+unix:///run/redis.sock", "", "/run/redis.sock", "", "", 6379, 0},
        {"redis+unix:///run/a%20b?db=9", "", "/run/a b", "", "", 6379, 9},
        {"redis+unix://me:pass@/s?db=0", "", "/s", "me", "pass", 6379, 0},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_redis_settings settings = DX_REDIS_SETTINGS_INIT;
        assert_int_equal(dx_redis_settings_read(&settings, dx_slice_str(rows[i].url), *state, NULL), DX_OK);
        assert_slice(settings.host, rows[i].host);
        assert_slice(settings.path, rows[i].path);
        assert_slice(settings.user, rows[i].user);
        assert_slice(settings.password, rows[i].password);
        assert_int_equal(settings.port, rows[i].port);
        assert_int_equal(settings.db, rows[i].db);
        assert_int_equal(settings.command_timeout, DX_SECOND);
    }
}

static void wrong_url_is_told_by_its_column_and_shows_no_secret(void **state) {
    static const struct {
        const char *url;
        unsigned column;
    } rows[] = {
        {"", 1},
        {"http://cache", 1},
        {"rediss://cache", 1},
        {"redis://", 9},
        {"redis://:6379", 9},
        {"redis://cache:", 15},
        {"redis://cache:0", 15},
        {"redis://cache:65536", 15},
        {"redis://cache:6x", 15},
        {"redis://ca che", 11},
        {"redis://[::1", 9},
        {"redis://[::1]x", 14},
        {"redis://cache/x", 15},
        {"redis://cache/1/2", 15},
        {"redis://cache/70000", 15},
        {"redis://cache?db=1", 14},
        {"redis://cache#1", 14},
        {"redis://user@cache", 9},
        {"redis://user:@cache", 9},
        {"redis://:hunter2%zz@cache", 10},
        {"redis://hunter2%:x@cache", 9},
        {"redis://:hunter2@two@cache", 21},
        {"redis+unix://host", 14},
        {"redis+unix://host/path", 14},
        {"redis+unix:///a%00b", 14},
        {"redis+unix:///s?x=1", 17},
        {"redis+unix:///s?db=a", 20},
        {"redis+unix:///01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
         14},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_diags diags;
        dx_redis_settings settings = DX_REDIS_SETTINGS_INIT;
        dx_diags_init(&diags, *state);
        assert_int_equal(dx_redis_settings_read(&settings, dx_slice_str(rows[i].url), *state, &diags), DX_INVALID);
        assert_int_equal(diags.count, 1);
        assert_int_equal(diags.first->column, rows[i].column);
        dx_slice text = dx_diag_text(diags.first, *state);
        assert_null(strstr(text.data, "hunter2"));
        assert_slice(settings.host, "127.0.0.1"); // left as they were
        assert_int_equal(settings.password.size, 0);
    }
}

static void url_without_memory_is_not_read(void **state) {
    (void)state;
    dx_arena *small = dx_arena_create(sizeof(dx_arena) + 64);
    dx_redis_settings settings = DX_REDIS_SETTINGS_INIT;
    char url[600] = "redis://:%41";
    memset(url + strlen(url), 'a', 400);
    memcpy(url + 412, "@h", 3);
    assert_int_equal(dx_redis_settings_read(&settings, dx_slice_str(url), small, NULL), DX_NO_MEMORY);
    dx_arena_destroy(small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(urls_are_read_into_their_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_url_is_told_by_its_column_and_shows_no_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(url_without_memory_is_not_read, setup, teardown),
    };
    return cmocka_run_group_tests_name("redis settings", tests, NULL, NULL);
}
