// The connection, beside a real Redis: order, timeouts, losing and coming back, scripts, caps, and a server that is none.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "loop/embed.h"
#include "redis/redis.h"
#include "redis/test_server.h"

static test_server server;

typedef struct world {
    dx_loop *loop;
    dx_redis *redis;
    dx_redis_settings settings;
    bool changed, up;
    char why[160];
} world;

static void on_change(void *ctx, bool up, dx_slice why) {
    world *w = ctx;
    w->up = up;
    w->changed = true;
    (void)snprintf(w->why, sizeof w->why, "%.*s", DX_SLICE_ARG(why));
}

static void connect_to(world *w, const char *path) {
    w->settings = (dx_redis_settings)DX_REDIS_SETTINGS_INIT;
    w->settings.path = dx_slice_str(path);
    w->settings.command_timeout = 20 * DX_SECOND; // this machine may be busy
    w->settings.connect_timeout = 20 * DX_SECOND;
    w->settings.backoff_least = w->settings.backoff_most = DX_MILLISECOND;
    w->settings.changed = on_change;
    w->settings.ctx = w;
}

static void open_connection(world *w) {
    assert_int_equal(dx_redis_create(&w->redis, w->loop, &w->settings), DX_OK);
}

static int setup(void **state) {
    static world w;
    w = (world){0};
    if (dx_loop_create(&w.loop) != DX_OK) return -1;
    connect_to(&w, server.path);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    dx_redis_destroy(w->redis);
    dx_loop_destroy(w->loop);
    return 0;
}

static void wait_for(world *w, const bool *done) {
    assert_true(dx_loop_wait_for(w->loop, done, 60 * DX_SECOND));
}

static void wait_until(world *w, bool up) {
    while (w->up != up || !w->changed) {
        w->changed = false;
        wait_for(w, &w->changed);
    }
}

// One call and what came of it.
typedef struct asked {
    dx_redis_call call;
    dx_status status;
    dx_redis_kind kind;
    int64_t integer;
    size_t count;
    char text[128];
    int times;
    bool done;
    dx_redis *destroys;
} asked;

static void keep_reply(asked *a, const dx_redis_reply *reply) {
    a->kind = reply->kind;
    a->integer = reply->integer;
    a->count = reply->count;
    size_t size = reply->text.size < sizeof a->text - 1 ? reply->text.size : sizeof a->text - 1;
    if (size) memcpy(a->text, reply->text.data, size);
    a->text[size] = 0;
}

static void on_done(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    asked *a = DX_CONTAINER_OF(call, asked, call);
    a->status = status;
    a->times++;
    a->done = true;
    assert_true((status == DX_OK) == (reply != NULL));
    if (reply) keep_reply(a, reply);
    if (a->destroys) dx_redis_destroy(a->destroys);
}

#define SEND(w, a, timeout, ...)                                                                                                           \
    send_args((w), (a), (timeout), (const dx_slice[]){__VA_ARGS__}, DX_COUNT_OF(((const dx_slice[]){__VA_ARGS__})))

static dx_status send_args(world *w, asked *a, dx_nanos timeout, const dx_slice *args, size_t count) {
    *a = (asked){.call.done = on_done};
    return dx_redis_send(w->redis, &a->call, args, count, timeout);
}

#define ASK(w, a, ...)                                                                                                                     \
    do {                                                                                                                                   \
        assert_int_equal(SEND((w), (a), 0, __VA_ARGS__), DX_OK);                                                                           \
        wait_for((w), &(a)->done);                                                                                                         \
        assert_int_equal((a)->status, DX_OK);                                                                                              \
    } while (0)

static void values_may_hold_any_bytes(void **state) {
    world *w = *state;
    asked a;
    open_connection(w);
    const dx_slice key = DX_SLICE("k\0\r\n$1"), value = DX_SLICE("\0v\r\n\xff\0");
    ASK(w, &a, DX_SLICE("SET"), key, value);
    assert_string_equal(a.text, "OK");
    ASK(w, &a, DX_SLICE("GET"), key);
    assert_memory_equal(a.text, value.data, value.size + 1);
    ASK(w, &a, DX_SLICE("STRLEN"), key);
    assert_int_equal(a.integer, value.size);
    ASK(w, &a, DX_SLICE("SET"), DX_SLICE("empty"), DX_SLICE(""));
    ASK(w, &a, DX_SLICE("GET"), DX_SLICE("empty"));
    assert_int_equal(a.kind, DX_REDIS_STRING);
    ASK(w, &a, DX_SLICE("GET"), DX_SLICE("none"));
    assert_int_equal(a.kind, DX_REDIS_NIL);
    ASK(w, &a, DX_SLICE("MGET"), key, key, key);
    assert_int_equal(a.count, 3);
    ASK(w, &a, DX_SLICE("NOTHING"));
    assert_int_equal(a.kind, DX_REDIS_ERROR);
    assert_true(dx_redis_up(w->redis, NULL));
    dx_redis_counters c;
    dx_redis_count(w->redis, &c);
    assert_int_equal(c.commands, 8);
    assert_int_equal(c.answered, 8);
    assert_int_equal(c.errors, 1);
    assert_int_equal(c.connects, 1);
    assert_int_equal(c.losses, 0);
    assert_true(c.latency_ns > 0);
}

enum { MANY = 10000 };
static int next_expected;
static bool all_done;

static void expect_next(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    (void)call;
    assert_int_equal(status, DX_OK);
    assert_int_equal(reply->integer, ++next_expected);
    if (next_expected == MANY) all_done = true;
}

static void ten_thousand_commands_are_answered_in_order(void **state) {
    world *w = *state;
    static dx_redis_call calls[MANY];
    asked a;
    open_connection(w);
    ASK(w, &a, DX_SLICE("DEL"), DX_SLICE("counter"));
    next_expected = 0;
    all_done = false;
    for (int i = 0; i < MANY; i++) {
        calls[i] = (dx_redis_call){.done = expect_next};
        assert_int_equal(dx_redis_send(w->redis, &calls[i], (const dx_slice[]){DX_SLICE("INCR"), DX_SLICE("counter")}, 2, 0), DX_OK);
    }
    wait_for(w, &all_done);
}

static void large_values_pass_in_both_directions(void **state) {
    world *w = *state;
    enum { SIZE = 8 << 20 };
    asked set[3], get[3];
    char *value = malloc(SIZE);
    memset(value, 'v', SIZE);
    open_connection(w);
    for (int i = 0; i < 3; i++) { // more than a socket takes at once
        assert_int_equal(SEND(w, &set[i], 0, DX_SLICE("SET"), DX_SLICE("large"), {value, SIZE}), DX_OK);
        assert_int_equal(SEND(w, &get[i], 0, DX_SLICE("GET"), DX_SLICE("large")), DX_OK);
    }
    wait_for(w, &get[2].done);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set[i].status, DX_OK);
        assert_int_equal(get[i].status, DX_OK);
        assert_int_equal(strlen(get[i].text), sizeof get[i].text - 1);
    }
    ASK(w, &set[0], DX_SLICE("DEL"), DX_SLICE("large"));
    free(value);
}

static void lost_server_fails_what_is_under_way_and_comes_back(void **state) {
    world *w = *state;
    asked under_way, refused, after;
    open_connection(w);
    wait_until(w, true);
    kill(server.pid, SIGSTOP); // it takes the command, and no answer comes
    assert_int_equal(SEND(w, &under_way, 0, DX_SLICE("PING")), DX_OK);
    dx_loop_turn(w->loop);
    test_server_stop(&server);
    wait_for(w, &under_way.done);
    assert_int_equal(under_way.status, DX_UNAVAILABLE);
    assert_false(w->up);
    assert_int_equal(SEND(w, &refused, 0, DX_SLICE("PING")), DX_UNAVAILABLE); // at once
    assert_int_equal(refused.times, 0);
    dx_redis_counters c;
    do {
        dx_loop_wait(w->loop, -1);
        dx_redis_count(w->redis, &c);
    } while (c.losses < 3); // it goes on trying
    dx_slice why;
    assert_false(dx_redis_up(w->redis, &why));
    assert_non_null(strstr(why.data, "cannot connect"));
    test_server_start(&server);
    wait_until(w, true);
    ASK(w, &after, DX_SLICE("PING"));
    assert_string_equal(after.text, "PONG");
    dx_redis_count(w->redis, &c);
    assert_int_equal(c.connects, 2);
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.refused, 1);
    assert_int_equal(under_way.times, 1);
}

static void commands_wait_for_a_connection_that_is_being_made(void **state) {
    world *w = *state;
    asked a, b;
    connect_to(w, "/tmp/dx-redis-nobody");
    open_connection(w); // fails at once: there is no such socket
    assert_int_equal(SEND(w, &a, 0, DX_SLICE("PING")), DX_UNAVAILABLE);
    dx_redis_destroy(w->redis);
    w->redis = NULL;
    w->settings.path = (dx_slice){NULL, 0};
    w->settings.host = DX_SLICE("localhost"); // a name, so it takes a while
    w->settings.port = test_server_free_port();
    open_connection(w);
    assert_int_equal(SEND(w, &b, 0, DX_SLICE("PING")), DX_OK);
    assert_int_equal(b.times, 0);
    wait_for(w, &b.done);
    assert_int_equal(b.status, DX_UNAVAILABLE); // nobody listens
}

static void names_and_addresses_are_connected_to(void **state) {
    world *w = *state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    test_server tcp = {.port = test_server_free_port(), .password = "p w"};
    test_server_start(&tcp);
    for (size_t i = 0; i < DX_COUNT_OF(hosts); i++) {
        asked a;
        w->settings.path = (dx_slice){NULL, 0};
        w->settings.host = dx_slice_str(hosts[i]);
        w->settings.port = tcp.port;
        w->settings.user = DX_SLICE("default");
        w->settings.password = DX_SLICE("p w");
        open_connection(w);
        ASK(w, &a, DX_SLICE("PING"));
        dx_redis_destroy(w->redis);
        w->redis = NULL;
    }
    w->settings.host = DX_SLICE("nobody.invalid"); // RFC 2606: never found
    open_connection(w);
    dx_redis_destroy(w->redis); // while the name is looked for
    w->changed = false;
    open_connection(w);
    wait_until(w, false);
    assert_non_null(strstr(w->why, "cannot find the host"));
    test_server_remove(&tcp);
}

static void password_and_database_are_told_first(void **state) {
    world *w = *state;
    asked a;
    test_server locked = {.password = "s3cret"};
    test_server_start(&locked);
    connect_to(w, locked.path);
    w->settings.password = DX_SLICE("s3cret");
    w->settings.db = 5;
    open_connection(w);
    ASK(w, &a, DX_SLICE("CLIENT"), DX_SLICE("LIST"));
    ASK(w, &a, DX_SLICE("SET"), DX_SLICE("k"), DX_SLICE("v"));
    ASK(w, &a, DX_SLICE("SELECT"), DX_SLICE("5"));
    ASK(w, &a, DX_SLICE("GET"), DX_SLICE("k"));
    assert_string_equal(a.text, "v");
    dx_redis_destroy(w->redis);
    w->redis = NULL;
    static const char *const wrong[] = {"s3kret", ""};
    static const char *const words[] = {"WRONGPASS", "NOAUTH"};
    for (int i = 0; i < 2; i++) {
        w->settings.password = dx_slice_str(wrong[i]);
        w->settings.db = 0;
        w->changed = false;
        open_connection(w);
        assert_int_equal(SEND(w, &a, 0, DX_SLICE("GET"), DX_SLICE("k")), DX_OK);
        wait_for(w, &a.done);
        assert_int_equal(a.status, DX_UNAVAILABLE);
        assert_false(w->up);
        assert_non_null(strstr(w->why, words[i]));
        assert_null(strstr(w->why, "s3kret"));
        dx_redis_destroy(w->redis);
        w->redis = NULL;
    }
    test_server_remove(&locked);
}

static void late_answers_are_dropped_and_do_not_shift_the_others(void **state) {
    world *w = *state;
    asked late, next;
    open_connection(w);
    wait_until(w, true);
    kill(server.pid, SIGSTOP);
    assert_int_equal(SEND(w, &late, DX_MILLISECOND, DX_SLICE("ECHO"), DX_SLICE("late")), DX_OK);
    assert_int_equal(SEND(w, &next, 0, DX_SLICE("ECHO"), DX_SLICE("next")), DX_OK);
    wait_for(w, &late.done);
    assert_int_equal(late.status, DX_REQUEST_TIMEOUT);
    assert_false(next.done);
    kill(server.pid, SIGCONT);
    wait_for(w, &next.done);
    assert_string_equal(next.text, "next");
    assert_int_equal(late.times, 1);
    dx_redis_counters c;
    dx_redis_count(w->redis, &c);
    assert_int_equal(c.timeouts, 1);
    assert_int_equal(c.losses, 0);
}

static void server_that_says_nothing_any_more_is_left(void **state) {
    world *w = *state;
    asked a;
    w->settings.command_timeout = DX_MILLISECOND;
    open_connection(w);
    wait_until(w, true);
    kill(server.pid, SIGSTOP);
    while (w->up) { // the first ones time out, then the connection is given up
        assert_int_equal(SEND(w, &a, 0, DX_SLICE("PING")), DX_OK);
        wait_for(w, &a.done);
        assert_true(a.status == DX_REQUEST_TIMEOUT || a.status == DX_UNAVAILABLE);
    }
    assert_non_null(strstr(w->why, "says nothing"));
    kill(server.pid, SIGCONT);
    wait_until(w, true);
}

static void connecting_takes_no_longer_than_it_may(void **state) {
    world *w = *state;
    fake_server fake;
    asked a;
    fake_server_start(&fake, server.directory, DX_SLICE("")); // takes us, says nothing
    connect_to(w, fake.path);
    w->settings.connect_timeout = DX_MILLISECOND;
    open_connection(w);
    assert_int_equal(SEND(w, &a, 0, DX_SLICE("PING")), DX_OK);
    wait_for(w, &a.done);
    assert_int_equal(a.status, DX_UNAVAILABLE);
    assert_non_null(strstr(w->why, "too long"));
    dx_redis_destroy(w->redis);
    w->redis = NULL;
    fake_server_stop(&fake);
}

static void cancelled_call_is_forgotten(void **state) {
    world *w = *state;
    asked *a = calloc(1, sizeof *a), after;
    open_connection(w);
    assert_int_equal(SEND(w, a, 0, DX_SLICE("ECHO"), DX_SLICE("x")), DX_OK);
    dx_redis_cancel(&a->call);
    dx_redis_cancel(&a->call);
    assert_int_equal(a->times, 0);
    free(a);
    ASK(w, &after, DX_SLICE("ECHO"), DX_SLICE("after"));
    assert_string_equal(after.text, "after");
    dx_redis_counters c;
    dx_redis_count(w->redis, &c);
    assert_int_equal(c.cancelled, 1);
    assert_int_equal(c.answered, 1);
}

static dx_status eval(world *w, asked *a, const dx_redis_script *script, const char *key, const char *arg) {
    *a = (asked){.call.done = on_done};
    const dx_slice keys[] = {dx_slice_str(key)}, args[] = {dx_slice_str(arg)};
    return dx_redis_eval(w->redis, &a->call, script, keys, 1, args, 1, 0);
}

static int64_t times_called(world *w, const char *command) {
    asked a;
    ASK(w, &a, DX_SLICE("EVAL"),
        DX_SLICE("return tonumber(string.match(redis.call('INFO','commandstats'), "
                 "'cmdstat_'..ARGV[1]..':calls=(%d+)') or 0)"),
        DX_SLICE("0"), dx_slice_str(command));
    return a.integer;
}

static void script_is_sent_whole_only_when_the_server_does_not_know_it(void **state) {
    world *w = *state;
    dx_redis_script script, wrong;
    asked a[3];
    open_connection(w);
    dx_redis_script_init(&script, DX_SLICE("return {KEYS[1], ARGV[1], #ARGV}"));
    dx_redis_script_init(&wrong, DX_SLICE("return redis.call('NOTHING')"));
    ASK(w, &a[0], DX_SLICE("SCRIPT"), DX_SLICE("FLUSH"));
    ASK(w, &a[0], DX_SLICE("CONFIG"), DX_SLICE("RESETSTAT"));
    assert_int_equal(eval(w, &a[0], &script, "key", "arg"), DX_OK);
    wait_for(w, &a[0].done);
    assert_int_equal(a[0].status, DX_OK);
    assert_int_equal(a[0].count, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(eval(w, &a[i], &script, "key", "arg"), DX_OK);
    for (int i = 0; i < 3; i++) {
        wait_for(w, &a[i].done);
        assert_int_equal(a[i].count, 3);
        assert_int_equal(a[i].times, 1);
    }
    assert_int_equal(times_called(w, "evalsha"), 4);
    assert_int_equal(times_called(w, "eval"), 2); // ours and the one that asks
    assert_int_equal(eval(w, &a[0], &wrong, "key", "arg"), DX_OK);
    wait_for(w, &a[0].done);
    assert_int_equal(a[0].kind, DX_REDIS_ERROR);
    dx_redis_counters c;
    dx_redis_count(w->redis, &c);
    assert_int_equal(c.commands, c.answered);
}

static void script_under_way_may_be_cancelled_and_time_out(void **state) {
    world *w = *state;
    dx_redis_script script;
    asked gone, late, after;
    open_connection(w);
    wait_until(w, true);
    dx_redis_script_init(&script, DX_SLICE("return 1 -- never seen before"));
    kill(server.pid, SIGSTOP);
    assert_int_equal(eval(w, &gone, &script, "k", "a"), DX_OK);
    assert_int_equal(eval(w, &late, &script, "k", "a"), DX_OK);
    dx_redis_cancel(&gone.call);
    late.call.timer.due = 0;
    dx_timer_start(w->loop, &late.call.timer, 1);
    wait_for(w, &late.done);
    assert_int_equal(late.status, DX_REQUEST_TIMEOUT);
    kill(server.pid, SIGCONT);
    ASK(w, &after, DX_SLICE("PING"));
    assert_int_equal(gone.times, 0);
}

static void destroying_answers_all_that_is_under_way_once(void **state) {
    world *w = *state;
    enum { COUNT = 300 };
    static asked a[COUNT];
    dx_redis_script script;
    dx_redis_script_init(&script, DX_SLICE("return 1"));
    open_connection(w);
    for (int i = 0; i < COUNT; i++) {
        if (i % 3)
            assert_int_equal(SEND(w, &a[i], 0, DX_SLICE("PING")), DX_OK);
        else
            assert_int_equal(eval(w, &a[i], &script, "k", "a"), DX_OK);
        if (i == COUNT / 2) dx_loop_turn(w->loop);
    }
    dx_redis_destroy(w->redis);
    w->redis = NULL;
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(a[i].times, 1);
        assert_true(a[i].status == DX_CANCELLED || (i <= COUNT / 2 && a[i].status == DX_OK));
    }
    dx_redis_destroy(NULL);
}

static void connection_may_be_destroyed_by_an_answer(void **state) {
    world *w = *state;
    asked a, b;
    for (int lost = 0; lost < 2; lost++) { // by an answer, and by the failure of all
        open_connection(w);
        wait_until(w, true);
        assert_int_equal(SEND(w, &a, 0, DX_SLICE("PING")), DX_OK);
        assert_int_equal(SEND(w, &b, 0, DX_SLICE("PING")), DX_OK);
        a.destroys = w->redis;
        if (lost) {
            kill(server.pid, SIGSTOP);
            dx_loop_turn(w->loop);
            test_server_stop(&server);
        }
        wait_for(w, &b.done);
        assert_int_equal(a.status, lost ? DX_UNAVAILABLE : DX_OK);
        assert_int_equal(b.status, DX_CANCELLED);
        assert_int_equal(a.times + b.times, 2);
        w->redis = NULL;
        w->up = false;
    }
    test_server_start(&server);
}

static void server_that_speaks_something_else_is_left(void **state) {
    world *w = *state;
    static const dx_slice garbage[] = {
        DX_SLICE_INIT("HTTP/1.1 400 Bad Request\r\n\r\n"),
        DX_SLICE_INIT("+PONG\r\n+what nobody asked\r\n+or\r\n+this\r\n+or that\r\n"),
        DX_SLICE_INIT("-ERR max number of clients reached\r\n"),
        DX_SLICE_INIT("+PONG\r\n$-7\r\n"),
        DX_SLICE_INIT("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
        DX_SLICE_INIT("\0\0\0\0"),
    };
    for (size_t i = 0; i < DX_COUNT_OF(garbage); i++) {
        fake_server fake;
        dx_redis_counters c;
        fake_server_start(&fake, server.directory, garbage[i]);
        connect_to(w, fake.path);
        open_connection(w);
        do {
            asked a;
            dx_status status = SEND(w, &a, 0, DX_SLICE("PING"));
            if (status == DX_OK) {
                wait_for(w, &a.done);
                assert_int_equal(a.times, 1);
                assert_true(a.status == DX_UNAVAILABLE || (i == 1 && a.status == DX_OK));
            } else {
                assert_int_equal(status, DX_UNAVAILABLE);
                dx_loop_wait(w->loop, -1);
            }
            dx_redis_count(w->redis, &c);
        } while (c.losses < 3);
        dx_redis_destroy(w->redis);
        w->redis = NULL;
        fake_server_stop(&fake);
    }
}

static void caps_refuse_what_is_over_them(void **state) {
    world *w = *state;
    asked a[4];
    w->settings.in_flight_cap = 3;
    w->settings.unsent_cap = 1000;
    w->settings.reply_cap = 10000;
    open_connection(w);
    for (int i = 0; i < 3; i++) assert_int_equal(SEND(w, &a[i], 0, DX_SLICE("PING")), DX_OK);
    assert_int_equal(SEND(w, &a[3], 0, DX_SLICE("PING")), DX_OVERLOADED);
    wait_for(w, &a[2].done);
    char large[1000] = "";
    assert_int_equal(SEND(w, &a[0], 0, DX_SLICE("SET"), DX_SLICE("k"), {large, sizeof large}), DX_OVERLOADED);
    assert_int_equal(SEND(w, &a[0], 0, DX_SLICE("ECHO"), {large, SIZE_MAX / 2}), DX_OVERLOADED);
    assert_int_equal(dx_redis_send(w->redis, &a[0].call, NULL, 0, 0), DX_INVALID);
    ASK(w, &a[0], DX_SLICE("PING"));
    // An array over the cap costs the call alone, a string over it the connection.
    ASK(w, &a[0], DX_SLICE("DEL"), DX_SLICE("list"));
    ASK(w, &a[0], DX_SLICE("EVAL"), DX_SLICE("for i = 1, 1000 do redis.call('RPUSH', 'list', i) end"), DX_SLICE("0"));
    assert_int_equal(SEND(w, &a[0], 0, DX_SLICE("LRANGE"), DX_SLICE("list"), DX_SLICE("0"), DX_SLICE("-1")), DX_OK);
    assert_int_equal(SEND(w, &a[1], 0, DX_SLICE("LLEN"), DX_SLICE("list")), DX_OK);
    wait_for(w, &a[1].done);
    assert_int_equal(a[0].status, DX_TOO_LARGE);
    assert_int_equal(a[1].integer, 1000);
    assert_int_equal(SEND(w, &a[0], 0, DX_SLICE("EVAL"), DX_SLICE("return string.rep('x', 1000000)"), DX_SLICE("0")), DX_OK);
    assert_int_equal(SEND(w, &a[1], 0, DX_SLICE("PING")), DX_OK);
    wait_for(w, &a[1].done);
    assert_int_equal(a[0].status, DX_TOO_LARGE);
    assert_int_equal(a[1].status, DX_UNAVAILABLE);
    wait_until(w, true);
}

static void any_allocation_may_fail_and_costs_one_command(void **state) {
    world *w = *state;
    dx_redis_script script;
    dx_redis_script_init(&script, DX_SLICE("return 'a script'"));
    asked a, b;
    for (uint64_t n = 1;; n++) { // making a connection
        dx_memory_fail_at(n, false);
        dx_status status = dx_redis_create(&w->redis, w->loop, &w->settings);
        bool failed = dx_memory_fail_stop();
        if (status == DX_OK)
            wait_until(w, true); // it may have been refused once, and comes back
        else
            assert_int_equal(status, DX_NO_MEMORY);
        if (!failed) break;
        if (status == DX_OK) dx_redis_destroy(w->redis);
        w->redis = NULL;
        w->up = false;
    }
    static char large[300000]; // larger than what is kept
    int failures = 0;
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status first = SEND(w, &a, 0, DX_SLICE("ECHO"), {large, sizeof large}), second = eval(w, &b, &script, "k", "a");
        if (first == DX_OK) wait_for(w, &a.done);
        if (second == DX_OK) wait_for(w, &b.done);
        if (!dx_memory_fail_stop()) {
            assert_int_equal(a.status, DX_OK);
            assert_string_equal(b.text, "a script");
            assert_true(failures >= 2);
            break;
        }
        if (first == DX_OK) first = a.status;
        if (second == DX_OK) second = b.status;
        int failed = (first == DX_NO_MEMORY) + (second == DX_NO_MEMORY);
        assert_true(failed <= 1); // none where a buffer made do with less
        assert_int_equal((first == DX_OK) + (second == DX_OK), 2 - failed);
        failures += failed;
        assert_true(dx_redis_up(w->redis, NULL));
    }
    dx_redis_counters c;
    dx_redis_count(w->redis, &c);
    assert_int_equal(c.losses, 0);
}

static int start_server(void **state) {
    (void)state;
    test_server_start(&server);
    return 0;
}

static int remove_server(void **state) {
    (void)state;
    test_server_remove(&server);
    return 0;
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_WORLD(values_may_hold_any_bytes),
        WITH_WORLD(ten_thousand_commands_are_answered_in_order),
        WITH_WORLD(large_values_pass_in_both_directions),
        WITH_WORLD(lost_server_fails_what_is_under_way_and_comes_back),
        WITH_WORLD(commands_wait_for_a_connection_that_is_being_made),
        WITH_WORLD(names_and_addresses_are_connected_to),
        WITH_WORLD(password_and_database_are_told_first),
        WITH_WORLD(late_answers_are_dropped_and_do_not_shift_the_others),
        WITH_WORLD(server_that_says_nothing_any_more_is_left),
        WITH_WORLD(connecting_takes_no_longer_than_it_may),
        WITH_WORLD(cancelled_call_is_forgotten),
        WITH_WORLD(script_is_sent_whole_only_when_the_server_does_not_know_it),
        WITH_WORLD(script_under_way_may_be_cancelled_and_time_out),
        WITH_WORLD(destroying_answers_all_that_is_under_way_once),
        WITH_WORLD(connection_may_be_destroyed_by_an_answer),
        WITH_WORLD(server_that_speaks_something_else_is_left),
        WITH_WORLD(caps_refuse_what_is_over_them),
        WITH_WORLD(any_allocation_may_fail_and_costs_one_command),
    };
    if (!test_server_installed()) {
        puts("skipped: redis-server is not installed (tools/install-packages test)");
        return 77; // meson counts it as skipped
    }
    return cmocka_run_group_tests_name("redis", tests, start_server, remove_server);
}
