// Replies: built from any pieces, bounded, and out of step with nothing when memory fails.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/memory.h"
#include "redis/redis_internal.h"

static const char all[] = "*7\r\n+fine\r\n-ERR bad\r\n:-42\r\n$5\r\na\0b\r\n\r\n$-1\r\n*2\r\n$0\r\n\r\n:7\r\n*0\r\n";

static void assert_all(const dx_redis_reply *reply) {
    assert_int_equal(reply->kind, DX_REDIS_ARRAY);
    assert_int_equal(reply->count, 7);
    assert_int_equal(reply->items[0]->kind, DX_REDIS_STATUS);
    assert_string_equal(reply->items[0]->text.data, "fine");
    assert_int_equal(reply->items[1]->kind, DX_REDIS_ERROR);
    assert_string_equal(reply->items[1]->text.data, "ERR bad");
    assert_int_equal(reply->items[2]->integer, -42);
    assert_int_equal(reply->items[3]->text.size, 5);
    assert_memory_equal(reply->items[3]->text.data, "a\0b\r\n", 6);
    assert_int_equal(reply->items[4]->kind, DX_REDIS_NIL);
    assert_int_equal(reply->items[5]->items[0]->text.size, 0);
    assert_int_equal(reply->items[5]->items[1]->integer, 7);
    assert_int_equal(reply->items[6]->count, 0);
}

static void replies_come_out_whole_whatever_the_pieces(void **state) {
    (void)state;
    for (size_t piece = 1; piece < sizeof all; piece++) {
        dx_redis_replies replies;
        const dx_redis_reply *reply = NULL;
        assert_int_equal(dx_redis_replies_open(&replies, 4096), DX_OK);
        for (int round = 0; round < 2; round++) {
            for (size_t at = 0; at < sizeof all - 1; at += piece) {
                size_t left = sizeof all - 1 - at;
                assert_int_equal(dx_redis_replies_feed(&replies, all + at, left < piece ? left : piece), DX_OK);
                assert_int_equal(dx_redis_replies_next(&replies, &reply), DX_OK);
                if (left > piece) assert_null(reply);
            }
            assert_non_null(reply);
            assert_all(reply);
            dx_redis_replies_done(&replies);
        }
        dx_redis_replies_close(&replies);
    }
}

static dx_status one(dx_redis_replies *replies, const char *text, size_t size, const dx_redis_reply **reply) {
    *reply = NULL;
    dx_status status = dx_redis_replies_feed(replies, text, size);
    return status == DX_OK ? dx_redis_replies_next(replies, reply) : status;
}
#define ONE(replies, literal, reply) one((replies), "" literal, sizeof(literal) - 1, (reply))

static void reply_over_the_cap_fails_alone(void **state) {
    (void)state;
    dx_redis_replies replies;
    const dx_redis_reply *reply;
    assert_int_equal(dx_redis_replies_open(&replies, 1024), DX_OK);
    char array[16 + 4 * 100] = "*100\r\n";
    for (int i = 0; i < 100; i++) memcpy(array + 6 + 4 * i, ":1\r\n", 4);
    assert_int_equal(one(&replies, array, 406, &reply), DX_OK);
    assert_non_null(reply);
    assert_int_equal(replies.failed, DX_TOO_LARGE);
    dx_redis_replies_done(&replies);
    assert_int_equal(ONE(&replies, "*2000000000\r\n", &reply), DX_OK); // announced alone, it takes no memory
    assert_null(reply);
    assert_int_equal(replies.failed, DX_TOO_LARGE);
    dx_redis_replies_close(&replies);
    assert_int_equal(dx_redis_replies_open(&replies, 1024), DX_OK);
    assert_int_equal(ONE(&replies, "*2\r\n*3\r\n:1\r\n:2\r\n:3\r\n+in step\r\n+next\r\n", &reply), DX_OK);
    assert_int_equal(replies.failed, DX_OK);
    dx_redis_replies_done(&replies);
    assert_int_equal(dx_redis_replies_next(&replies, &reply), DX_OK);
    assert_string_equal(reply->text.data, "next");
    dx_redis_replies_close(&replies);
}

static void string_over_the_cap_is_not_gathered(void **state) {
    (void)state;
    static char piece[16384];
    dx_redis_replies replies;
    const dx_redis_reply *reply;
    dx_status status = DX_OK;
    size_t fed = 0;
    assert_int_equal(dx_redis_replies_open(&replies, 100000), DX_OK);
    assert_int_equal(ONE(&replies, "$9999999999\r\n", &reply), DX_OK);
    for (; status == DX_OK && fed < 1000000; fed += sizeof piece) status = one(&replies, piece, sizeof piece, &reply);
    assert_int_equal(status, DX_TOO_LARGE);
    assert_in_range(fed, 100000, 200000);
    dx_redis_replies_close(&replies);
}

static void large_buffer_is_given_back(void **state) {
    (void)state;
    static char text[200020] = "$200000\r\n";
    dx_redis_replies replies;
    const dx_redis_reply *reply;
    memset(text + 9, 'x', 200000);
    memcpy(text + 200009, "\r\n", 2);
    assert_int_equal(dx_redis_replies_open(&replies, 1 << 20), DX_OK);
    redisReader *before = replies.reader;
    assert_int_equal(one(&replies, text, 200011, &reply), DX_OK);
    assert_int_equal(reply->text.size, 200000);
    dx_redis_replies_done(&replies);
    assert_ptr_not_equal(replies.reader, before);
    assert_int_equal(ONE(&replies, "+OK\r\n", &reply), DX_OK);
    assert_string_equal(reply->text.data, "OK");
    dx_redis_replies_close(&replies);
}

static void garbage_is_refused(void **state) {
    (void)state;
    static const char *const garbage[] = {"HTTP/1.1 400 Bad Request\r\n",
                                          "\r\n",
                                          "$-5\r\n",
                                          "$x\r\n",
                                          ":1x\r\n",
                                          "*-2\r\n",
                                          "*9999999999\r\n",
                                          "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
                                          "%1\r\n+a\r\n+b\r\n"};
    for (size_t i = 0; i < DX_COUNT_OF(garbage); i++) {
        dx_redis_replies replies;
        const dx_redis_reply *reply;
        assert_int_equal(dx_redis_replies_open(&replies, 4096), DX_OK);
        assert_int_equal(one(&replies, garbage[i], strlen(garbage[i]), &reply), DX_MALFORMED);
        dx_redis_replies_close(&replies);
    }
}

static void any_allocation_may_fail_without_losing_step(void **state) {
    (void)state;
    static char text[40000] = "*2\r\n$30000\r\n";
    memset(text + 12, 'x', 30000);
    size_t size = 30012;
    memcpy(text + size, "\r\n:5\r\n", 6);
    size += 6;
    for (uint64_t n = 1;; n++) {
        dx_redis_replies replies;
        const dx_redis_reply *reply = NULL;
        dx_memory_fail_at(n, false);
        dx_status status = dx_redis_replies_open(&replies, 1 << 20);
        if (status == DX_OK) status = one(&replies, text, size, &reply);
        if (!dx_memory_fail_stop()) {
            assert_int_equal(reply->items[0]->text.size, 30000);
            dx_redis_replies_close(&replies);
            assert_true(n > 2);
            break;
        }
        if (reply) {
            assert_int_equal(replies.failed, DX_NO_MEMORY);
            dx_redis_replies_done(&replies);
            assert_int_equal(ONE(&replies, "+next\r\n", &reply), DX_OK);
            assert_string_equal(reply->text.data, "next");
        } else {
            assert_int_equal(status, DX_NO_MEMORY);
        }
        dx_redis_replies_close(&replies);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_come_out_whole_whatever_the_pieces),
        cmocka_unit_test(reply_over_the_cap_fails_alone),
        cmocka_unit_test(string_over_the_cap_is_not_gathered),
        cmocka_unit_test(large_buffer_is_given_back),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(any_allocation_may_fail_without_losing_step),
    };
    return cmocka_run_group_tests_name("redis reply", tests, NULL, NULL);
}
