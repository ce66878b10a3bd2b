// The cache filter before a server that says what it is told to, now or later: what is answered, asked, stored, and who waits for whom.
#include "policy/cache_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "duplex/client.h"
#include "loop/embed.h"
#include "policy/cache_fixture.h"
#include "policy/cache_memory.h"

enum { CALLS = 6 };

typedef struct server {
    int status;
    dx_error_code failure; // instead
    const char *fields, *body;
    const char *adds; // a field that somebody behind the cache puts into the request
    bool holds, moved, to_get;
    int asked;
    char target[256], condition[64];
} server;

typedef struct asked {
    dx_exchange x;
    dx_arena *arena;
    dx_principal principal;
    bool over;
} asked;

typedef struct fixture {
    dx_loop *loop;
    dx_cache *cache, *private;
    dx_flight *flight;
    dx_cache_conf conf;
    dx_filter filter;
    dx_chain chain;
    server server;
    asked calls[CALLS];
    int revalidated, looked_up, hits, answered[6];
    bool streams;
} fixture;

static fixture *now; // the test that runs

// --- the server ------------------------------------------------------------------------------------------------------------------------

static void take(char *out, size_t size, dx_slice text) {
    (void)snprintf(out, size, "%.*s", DX_SLICE_ARG(text));
}

static void say(dx_exchange *x) {
    const server *s = &now->server;
    x->moved = s->moved;
    if (s->to_get) x->request.method = DX_GET;
    if (s->failure != DX_ERROR_NONE) {
        (void)dx_exchange_fail_out(x, s->failure, NULL);
        return;
    }
    x->response.status = s->status;
    x->response.fields = fixture_fields(x->arena, s->fields);
    x->response.body = dx_arena_copy(x->arena, dx_slice_str(s->body));
}

static dx_verdict handle(const void *conf, dx_exchange *x) {
    server *s = &now->server;
    (void)conf;
    s->asked++;
    take(s->target, sizeof s->target, x->request.target);
    take(s->condition, sizeof s->condition, dx_fields_find(&x->request.fields, DX_SLICE("If-None-Match")));
    if (s->adds) {
        if (dx_fields_add(&x->request.fields, x->arena, DX_SLICE("Authorization"), dx_slice_str(s->adds)) != DX_OK)
            return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
        x->request.target = DX_SLICE("/other?key=secret");
    }
    if (s->holds) return DX_WAIT;
    say(x);
    return DX_ANSWER;
}

// --- exchanges -------------------------------------------------------------------------------------------------------------------------

static void finish(dx_exchange *x) {
    DX_CONTAINER_OF(x, asked, x)->over = true;
}

static dx_exchange *begin(fixture *f, int i, dx_method method, const char *target, const char *fields, const char *who) {
    asked *a = &f->calls[i];
    if (a->arena) dx_arena_destroy(a->arena);
    *a = (asked){.arena = dx_arena_create(1u << 20)};
    if (!a->arena) *a = (asked){.arena = dx_arena_create(1u << 20)}; // the one allocation that fails
    assert_non_null(a->arena);
    dx_exchange_init(&a->x, a->arena, f->loop, 0);
    a->x.finished = finish;
    a->x.streams = f->streams;
    a->x.request.method = method;
    a->x.request.secure = true;
    a->x.request.authority = DX_SLICE("a.example");
    a->x.request.target = dx_slice_str(target);
    a->x.request.fields = fixture_fields(a->arena, fields);
    a->principal.id = dx_slice_str(who);
    if (who) a->x.principal = &a->principal;
    dx_chain_run_with(&a->x, &f->chain);
    return &a->x;
}

static dx_exchange *get_with(fixture *f, const char *fields) {
    dx_exchange *x = begin(f, 0, DX_GET, "/x", fields, NULL);
    assert_true(f->calls[0].over);
    return x;
}

static dx_exchange *get(fixture *f) {
    return get_with(f, "");
}

// As whoever runs exchanges ends one early.
static void stop(fixture *f, int i, dx_error_code why) {
    dx_exchange *x = &f->calls[i].x;
    void (*end)(dx_exchange *) = x->stop;
    x->aborted = true;
    x->stop = NULL;
    if (end) end(x);
    (void)dx_exchange_fail_out(x, why, NULL);
    dx_exchange_resume(x, DX_ANSWER);
    assert_true(f->calls[i].over);
}

static void drop(fixture *f, int i) {
    dx_arena_destroy(f->calls[i].arena);
    f->calls[i].arena = NULL;
}

static void go_on(fixture *f, int i) {
    say(&f->calls[i].x);
    dx_exchange_resume(&f->calls[i].x, DX_ANSWER);
}

static void answers(fixture *f, int status, const char *fields, const char *body) {
    f->server.status = status;
    f->server.fields = fields;
    f->server.body = body;
    f->server.failure = DX_ERROR_NONE;
}

static void assert_said(const dx_exchange *x, int status, const char *body, int cached) {
    assert_int_equal(x->failure, DX_ERROR_NONE);
    assert_int_equal(x->response.status, status);
    assert_true(dx_slice_equal(x->response.body, dx_slice_str(body)));
    assert_int_equal(x->cached, cached);
}

static dx_slice field(const dx_exchange *x, const char *name) {
    return dx_fields_find(&x->response.fields, dx_slice_str(name));
}

// --- answering from the cache ----------------------------------------------------------------------------------------------------------

static void what_is_fresh_is_answered_without_asking(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60\nX-Kept: yes\nAge: 7\nContent-Type: text/plain", "one");
    assert_said(get(f), 200, "one", DX_CACHED_MISS);
    answers(f, 200, "", "two");
    dx_exchange *x = get(f);
    assert_said(x, 200, "one", DX_CACHED_HIT);
    assert_int_equal(f->server.asked, 1);
    assert_true(dx_slice_equal(field(x, "X-Kept"), DX_SLICE("yes")));
    assert_true(dx_slice_equal(field(x, "Age"), DX_SLICE("7")));
    assert_int_equal(x->response.fields.count, 4);
    assert_non_null(dx_cache_filter_entry(x));
}

static void what_may_not_be_stored_is_fetched_each_time(void **state) {
    fixture *f = *state;
    static const char *const fields[] = {"Cache-Control: no-store", "Cache-Control: max-age=60\nVary: *", ""};
    for (size_t i = 0; i < DX_COUNT_OF(fields); i++) {
        answers(f, i == 2 ? 500 : 200, fields[i], "one");
        (void)get(f);
        assert_int_equal(get(f)->cached, DX_CACHED_MISS);
        assert_int_equal(f->server.asked, 2 * (i + 1));
    }
}

static void requests_that_say_so_go_past_the_cache(void **state) {
    fixture *f = *state;
    static const char *const past[] = {"If-None-Match: \"z\"", "Range: bytes=0-1", "Cache-Control: no-store"};
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)get(f);
    answers(f, 200, "Cache-Control: max-age=60", "two");
    for (size_t i = 0; i < DX_COUNT_OF(past); i++) assert_said(get_with(f, past[i]), 200, "two", DX_CACHED_UNUSED);
    assert_said(get(f), 200, "one", DX_CACHED_HIT);
}

static void who_wants_a_new_answer_asks_and_leaves_it_for_others(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)get(f);
    answers(f, 200, "Cache-Control: max-age=60", "two");
    assert_said(get_with(f, "Cache-Control: no-cache"), 200, "two", DX_CACHED_MISS);
    assert_said(get(f), 200, "two", DX_CACHED_HIT);
}

static void only_if_cached_never_asks(void **state) {
    fixture *f = *state;
    dx_exchange *x = get_with(f, "Cache-Control: only-if-cached");
    assert_int_equal(x->failure, DX_ERROR_NOT_CACHED);
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)get(f);
    assert_said(get_with(f, "Cache-Control: only-if-cached"), 200, "one", DX_CACHED_HIT);
    assert_int_equal(f->server.asked, 1);
}

static void streams_go_past_the_cache(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)get(f);
    f->streams = true;
    dx_exchange *x = get(f);
    assert_int_equal(f->server.asked, 2);
    assert_null(dx_cache_filter_entry(x));
}

static void head_is_answered_from_what_a_get_has_left(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60\nContent-Length: 3\nETag: \"1\"", "one");
    (void)get(f);
    dx_exchange *x = begin(f, 1, DX_HEAD, "/x", "", NULL);
    assert_said(x, 200, "", DX_CACHED_HIT);
    assert_true(dx_slice_equal(field(x, "Content-Length"), DX_SLICE("3")));
    assert_int_equal(f->server.asked, 1);
}

static void a_head_that_disagrees_takes_what_is_stored_away(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60\nETag: \"1\"", "one");
    (void)get(f);
    answers(f, 200, "Cache-Control: max-age=60\nETag: \"1\"", "");
    (void)begin(f, 1, DX_HEAD, "/x", "Cache-Control: no-cache", NULL);
    assert_said(get(f), 200, "one", DX_CACHED_HIT); // it said the same
    answers(f, 200, "Cache-Control: max-age=60\nETag: \"2\"", "");
    (void)begin(f, 1, DX_HEAD, "/x", "Cache-Control: no-cache", NULL);
    answers(f, 200, "Cache-Control: max-age=60", "two");
    assert_said(get(f), 200, "two", DX_CACHED_MISS); // nor was the HEAD's own stored
}

// --- asking again ----------------------------------------------------------------------------------------------------------------------

static void a_304_confirms_what_is_stored(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: no-cache\nETag: \"1\"\nX-Old: 1", "one");
    (void)get(f);
    answers(f, 304, "Cache-Control: max-age=60\nETag: \"1\"\nX-New: 2", "");
    dx_exchange *x = get(f);
    assert_said(x, 200, "one", DX_CACHED_REVALIDATED);
    assert_string_equal(f->server.condition, "\"1\"");
    assert_true(dx_slice_equal(field(x, "X-Old"), DX_SLICE("1")));
    assert_true(dx_slice_equal(field(x, "X-New"), DX_SLICE("2")));
    assert_said(get(f), 200, "one", DX_CACHED_HIT); // its new lifetime has begun
    assert_int_equal(f->server.asked, 2);
}

static void a_304_that_forbids_storing_is_still_the_answer(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: no-cache\nETag: \"1\"", "one");
    (void)get(f);
    answers(f, 304, "Cache-Control: no-store\nETag: \"1\"", "");
    assert_said(get(f), 200, "one", DX_CACHED_REVALIDATED);
}

static dx_verdict say_otherwise(const void *conf, dx_exchange *x) {
    if (now->server.asked == 2) answers(now, 200, "Cache-Control: max-age=60\nETag: \"2\"", "two");
    return handle(conf, x);
}

static void a_304_of_something_else_has_it_asked_without_conditions(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: no-cache\nETag: \"1\"", "one");
    (void)get(f);
    f->server.adds = "Bearer t";
    f->chain.handler = say_otherwise;
    answers(f, 304, "ETag: \"2\"", "");
    assert_said(get(f), 200, "two", DX_CACHED_MISS);
    assert_int_equal(f->server.asked, 3);
    assert_string_equal(f->server.condition, "");
    assert_string_equal(f->server.target, "/x"); // as it came
    assert_said(get(f), 200, "two", DX_CACHED_HIT);
}

static void what_is_stale_is_given_while_it_is_fetched_once(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=0, stale-while-revalidate=60", "one");
    (void)get(f);
    assert_said(get(f), 200, "one", DX_CACHED_STALE);
    assert_int_equal(f->revalidated, 1);
    f->server.holds = true;
    (void)begin(f, 1, DX_GET, "/x", "Cache-Control: no-cache", NULL); // as the one that fetches
    assert_said(get(f), 200, "one", DX_CACHED_STALE);
    assert_int_equal(f->revalidated, 1);
    answers(f, 200, "Cache-Control: max-age=60", "two");
    go_on(f, 1);
    assert_said(get(f), 200, "two", DX_CACHED_HIT);
}

// --- errors ----------------------------------------------------------------------------------------------------------------------------

static const char stale_if_error[] = "Cache-Control: max-age=0, stale-if-error=60\nETag: \"1\"";

static void what_is_stale_stands_in_for_an_error(void **state) {
    fixture *f = *state;
    static const dx_error_code failures[] = {DX_ERROR_RESET,   DX_ERROR_CONNECT,      DX_ERROR_TIMEOUT,
                                             DX_ERROR_LIMITED, DX_ERROR_CIRCUIT_OPEN, DX_ERROR_QUEUE_FULL};
    answers(f, 200, stale_if_error, "one");
    (void)get(f);
    for (size_t i = 0; i < DX_COUNT_OF(failures); i++) {
        f->server.failure = failures[i];
        assert_said(get(f), 200, "one", DX_CACHED_STALE);
    }
    answers(f, 503, "", "broken");
    assert_said(get(f), 200, "one", DX_CACHED_STALE);
}

static void it_does_not_stand_in_for_a_refusal(void **state) {
    fixture *f = *state;
    static const dx_error_code failures[] = {DX_ERROR_AUTH, DX_ERROR_CANCELLED, DX_ERROR_CLOSED, DX_ERROR_BLOCKED};
    answers(f, 200, stale_if_error, "one");
    (void)get(f);
    for (size_t i = 0; i < DX_COUNT_OF(failures); i++) {
        f->server.failure = failures[i];
        assert_int_equal(get(f)->failure, failures[i]);
    }
    answers(f, 401, "", "who are you");
    assert_said(get(f), 401, "who are you", DX_CACHED_MISS);
}

static void what_must_be_asked_about_does_not_stand_in(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=0, must-revalidate, stale-if-error=60\nETag: \"1\"", "one");
    (void)get(f);
    answers(f, 503, "", "broken");
    assert_said(get(f), 503, "broken", DX_CACHED_MISS);
}

static void an_error_that_may_be_stored_does_not_drive_out_what_stands_in(void **state) {
    fixture *f = *state;
    answers(f, 200, stale_if_error, "one");
    (void)get(f);
    answers(f, 503, "Cache-Control: max-age=60", "broken");
    (void)get(f);
    assert_said(get(f), 200, "one", DX_CACHED_STALE);
}

// --- what takes away -------------------------------------------------------------------------------------------------------------------

static void a_change_takes_away_its_own_url_and_what_it_names(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)begin(f, 0, DX_GET, "/x", "", NULL);
    (void)begin(f, 0, DX_GET, "/y", "", NULL);
    (void)begin(f, 0, DX_GET, "/z", "", "somebody");
    answers(f, 201, "Location: /y\nContent-Location: /z", "");
    (void)begin(f, 0, DX_POST, "/x", "", NULL);
    answers(f, 200, "Cache-Control: max-age=60", "two");
    assert_said(begin(f, 0, DX_GET, "/x", "", NULL), 200, "two", DX_CACHED_MISS);
    assert_said(begin(f, 0, DX_GET, "/y", "", NULL), 200, "two", DX_CACHED_MISS);
    assert_said(begin(f, 0, DX_GET, "/z", "", "somebody"), 200, "two", DX_CACHED_MISS);
}

static void a_change_that_failed_takes_nothing_away(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)get(f);
    answers(f, 409, "", "");
    (void)begin(f, 1, DX_PUT, "/x", "", NULL);
    f->server.failure = DX_ERROR_RESET;
    (void)begin(f, 1, DX_DELETE, "/x", "", NULL);
    assert_said(get(f), 200, "one", DX_CACHED_HIT);
}

static void a_change_counts_as_it_came_whatever_became_of_the_request(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)get(f);
    f->server.to_get = f->server.moved = true; // a 303 was followed
    f->server.adds = "Bearer t";
    answers(f, 200, "", "done");
    (void)begin(f, 1, DX_POST, "/x", "", NULL);
    f->server.to_get = f->server.moved = false;
    answers(f, 200, "Cache-Control: max-age=60", "two");
    assert_said(get(f), 200, "two", DX_CACHED_MISS);
}

static void what_was_fetched_before_a_change_does_not_stay(void **state) {
    fixture *f = *state;
    f->server.holds = true;
    (void)begin(f, 0, DX_GET, "/x", "", NULL);
    f->server.holds = false;
    answers(f, 204, "", "");
    (void)begin(f, 1, DX_DELETE, "/x", "", NULL);
    answers(f, 200, "Cache-Control: max-age=60", "old");
    go_on(f, 0);
    answers(f, 200, "Cache-Control: max-age=60", "new");
    assert_said(get(f), 200, "new", DX_CACHED_MISS);
}

static void what_stands_behind_redirects_is_stored_only_on_the_definitions_word(void **state) {
    fixture *f = *state;
    f->server.moved = true;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)get(f);
    assert_int_equal(get(f)->cached, DX_CACHED_MISS);
    f->conf.options.override_ttl_s = 60;
    (void)get(f);
    assert_said(get(f), 200, "one", DX_CACHED_HIT);
}

// --- who shares ------------------------------------------------------------------------------------------------------------------------

static void callers_with_different_credentials_share_nothing(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)begin(f, 0, DX_GET, "/x", "", "somebody");
    answers(f, 200, "Cache-Control: max-age=60", "two");
    assert_said(begin(f, 0, DX_GET, "/x", "", "another"), 200, "two", DX_CACHED_MISS);
    assert_said(begin(f, 0, DX_GET, "/x", "", NULL), 200, "two", DX_CACHED_MISS);
    assert_said(begin(f, 0, DX_GET, "/x", "Cookie: a=1", NULL), 200, "two", DX_CACHED_MISS);
    assert_said(begin(f, 0, DX_GET, "/x", "", "somebody"), 200, "one", DX_CACHED_HIT);
}

static void what_is_somebodys_stays_in_the_private_cache(void **state) {
    fixture *f = *state;
    dx_cache_stats shared, own;
    f->conf.private_cache = f->private;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)begin(f, 0, DX_GET, "/x", "", "somebody");
    (void)begin(f, 0, DX_GET, "/y", "", NULL);
    dx_cache_stats_read(f->cache, &shared);
    dx_cache_stats_read(f->private, &own);
    assert_int_equal(shared.entries, 1);
    assert_int_equal(own.entries, 1);
    assert_said(begin(f, 0, DX_GET, "/x", "", "somebody"), 200, "one", DX_CACHED_HIT);
}

static void variants_stand_side_by_side(void **state) {
    fixture *f = *state;
    answers(f, 200, "Cache-Control: max-age=60\nVary: Accept-Language", "one");
    (void)get_with(f, "Accept-Language: en");
    answers(f, 200, "Cache-Control: max-age=60\nVary: Accept-Language", "eins");
    assert_said(get_with(f, "Accept-Language: de"), 200, "eins", DX_CACHED_MISS);
    assert_said(get_with(f, "Accept-Language: en"), 200, "one", DX_CACHED_HIT);
}

static void what_others_put_into_the_request_does_not_change_its_key(void **state) {
    fixture *f = *state;
    f->server.adds = "Bearer t"; // and another target
    answers(f, 200, "Cache-Control: max-age=60\nVary: Authorization", "one");
    (void)get(f);
    assert_said(get(f), 200, "one", DX_CACHED_HIT);
    assert_int_equal(f->server.asked, 1);
}

// --- one fetch -------------------------------------------------------------------------------------------------------------------------

static void turn(fixture *f) {
    dx_loop_turn(f->loop);
}

static void begin_all(fixture *f, int count) {
    f->server.holds = true;
    for (int i = 0; i < count; i++) (void)begin(f, i, DX_GET, "/x", "", NULL);
}

static void equal_requests_are_fetched_once(void **state) {
    fixture *f = *state;
    begin_all(f, CALLS);
    answers(f, 200, "Cache-Control: max-age=60", "one");
    go_on(f, 0);
    turn(f);
    assert_int_equal(f->server.asked, 1);
    for (int i = 1; i < CALLS; i++) assert_said(&f->calls[i].x, 200, "one", DX_CACHED_SHARED);
    assert_int_equal(f->answered[DX_CACHED_SHARED], CALLS - 1);
}

static void what_is_not_for_all_has_each_fetch_at_once(void **state) {
    fixture *f = *state;
    begin_all(f, CALLS);
    answers(f, 200, "Cache-Control: no-store", "one");
    go_on(f, 0);
    turn(f);
    assert_int_equal(f->server.asked, CALLS);
    for (int i = 1; i < CALLS; i++) go_on(f, i);
    for (int i = 1; i < CALLS; i++) assert_said(&f->calls[i].x, 200, "one", DX_CACHED_MISS);
}

static void when_a_fetch_fails_the_next_one_fetches(void **state) {
    fixture *f = *state;
    begin_all(f, 3);
    f->server.failure = DX_ERROR_RESET;
    go_on(f, 0);
    assert_int_equal(f->calls[0].x.failure, DX_ERROR_RESET);
    turn(f);
    assert_int_equal(f->server.asked, 2);
    answers(f, 200, "Cache-Control: max-age=60", "one");
    go_on(f, 1);
    turn(f);
    assert_said(&f->calls[1].x, 200, "one", DX_CACHED_MISS);
    assert_said(&f->calls[2].x, 200, "one", DX_CACHED_SHARED);
}

static void another_variant_is_fetched_by_who_waited_for_it(void **state) {
    fixture *f = *state;
    f->server.holds = true;
    (void)begin(f, 0, DX_GET, "/x", "Accept-Language: en", NULL);
    (void)begin(f, 1, DX_GET, "/x", "Accept-Language: de", NULL);
    answers(f, 200, "Cache-Control: max-age=60\nVary: Accept-Language", "one");
    go_on(f, 0);
    turn(f);
    assert_int_equal(f->server.asked, 2);
    answers(f, 200, "Cache-Control: max-age=60\nVary: Accept-Language", "eins");
    go_on(f, 1);
    assert_said(&f->calls[1].x, 200, "eins", DX_CACHED_MISS);
}

static void what_stands_in_for_an_error_stands_in_for_all_who_wait(void **state) {
    fixture *f = *state;
    answers(f, 200, stale_if_error, "one");
    (void)get(f);
    begin_all(f, 3);
    answers(f, 503, "", "broken");
    go_on(f, 0);
    turn(f);
    assert_int_equal(f->server.asked, 2);
    for (int i = 0; i < 3; i++) assert_said(&f->calls[i].x, 200, "one", DX_CACHED_STALE);
}

static void who_follows_may_go_away(void **state) {
    fixture *f = *state;
    uint64_t leaders, followers;
    begin_all(f, 3);
    stop(f, 1, DX_ERROR_TIMEOUT);
    drop(f, 1);
    dx_flight_count(f->flight, &leaders, &followers);
    assert_int_equal(followers, 1);
    answers(f, 200, "Cache-Control: max-age=60", "one");
    go_on(f, 0);
    turn(f);
    assert_said(&f->calls[2].x, 200, "one", DX_CACHED_SHARED);
}

static void who_is_given_up_while_the_answer_is_on_its_way_leaves_nothing_behind(void **state) {
    fixture *f = *state;
    begin_all(f, 2);
    answers(f, 200, "Cache-Control: max-age=60", "one");
    go_on(f, 0);
    stop(f, 1, DX_ERROR_TIMEOUT); // the news is posted, and was not heard
    assert_int_equal(f->calls[1].x.failure, DX_ERROR_TIMEOUT);
    drop(f, 1);
    turn(f);
}

static void who_is_given_up_when_it_shall_lead_hands_on(void **state) {
    fixture *f = *state;
    uint64_t leaders, followers;
    begin_all(f, 3);
    f->server.failure = DX_ERROR_RESET;
    go_on(f, 0);
    stop(f, 1, DX_ERROR_CANCELLED);
    drop(f, 1);
    turn(f);
    assert_int_equal(f->server.asked, 2); // the third one
    answers(f, 200, "Cache-Control: max-age=60", "one");
    go_on(f, 2);
    assert_said(&f->calls[2].x, 200, "one", DX_CACHED_MISS);
    dx_flight_count(f->flight, &leaders, &followers);
    assert_true(leaders + followers == 0);
}

static void who_fetches_may_go_away(void **state) {
    fixture *f = *state;
    begin_all(f, 2);
    stop(f, 0, DX_ERROR_CANCELLED);
    drop(f, 0);
    turn(f);
    assert_int_equal(f->server.asked, 2);
    answers(f, 200, "Cache-Control: max-age=60", "one");
    go_on(f, 1);
    assert_said(&f->calls[1].x, 200, "one", DX_CACHED_MISS);
}

static void a_deadline_at_the_end_of_a_queue_is_answered_with_what_is_stale(void **state) {
    fixture *f = *state;
    answers(f, 200, stale_if_error, "one");
    (void)get(f);
    begin_all(f, 2);
    stop(f, 1, DX_ERROR_TIMEOUT);
    assert_said(&f->calls[1].x, 200, "one", DX_CACHED_STALE);
    stop(f, 0, DX_ERROR_TIMEOUT);
    assert_said(&f->calls[0].x, 200, "one", DX_CACHED_STALE);
}

static void without_a_flight_each_fetches_for_itself(void **state) {
    fixture *f = *state;
    f->conf.flight = NULL;
    begin_all(f, 3);
    assert_int_equal(f->server.asked, 3);
    answers(f, 200, "Cache-Control: max-age=60", "one");
    for (int i = 0; i < 3; i++) go_on(f, i);
    for (int i = 0; i < 3; i++) assert_said(&f->calls[i].x, 200, "one", DX_CACHED_MISS);
}

// --- a backend that takes its time -------------------------------------------------------------------------------------------------------

typedef struct slow {
    dx_cache cache;
    dx_cache *behind;
    dx_cache_call *pending;
} slow;

static bool slow_get(dx_cache *cache, dx_cache_call *call) {
    DX_CONTAINER_OF(cache, slow, cache)->pending = call;
    return false;
}
static void slow_put(dx_cache *cache, dx_cache_call *call) {
    dx_cache_put(DX_CONTAINER_OF(cache, slow, cache)->behind, call);
}
static void slow_cancel(dx_cache *cache, dx_cache_call *call) {
    slow *s = DX_CONTAINER_OF(cache, slow, cache);
    assert_ptr_equal(s->pending, call);
    s->pending = NULL;
}

static const dx_cache_ops slow_ops = {.name = "slow", .get = slow_get, .put = slow_put, .cancel = slow_cancel};

static void let_answer(slow *s) {
    dx_cache_call *call = s->pending;
    s->pending = NULL;
    assert_true(dx_cache_get(s->behind, call));
    call->level = "slow";
    call->done(call);
}

static void what_a_slow_backend_finds_is_answered_later(void **state) {
    fixture *f = *state;
    slow s = {.cache = {&slow_ops}, .behind = f->cache};
    f->conf.cache = &s.cache;
    answers(f, 200, "Cache-Control: max-age=60", "one");
    (void)begin(f, 0, DX_GET, "/x", "", NULL);
    assert_int_equal(f->server.asked, 0);
    let_answer(&s);
    assert_said(&f->calls[0].x, 200, "one", DX_CACHED_MISS);
    (void)begin(f, 0, DX_GET, "/x", "", NULL);
    let_answer(&s);
    assert_said(&f->calls[0].x, 200, "one", DX_CACHED_HIT);
    assert_true(f->looked_up == 2 && f->hits == 1);
}

static void a_look_up_that_is_given_up_is_let_go(void **state) {
    fixture *f = *state;
    slow s = {.cache = {&slow_ops}, .behind = f->cache};
    f->conf.cache = &s.cache;
    (void)begin(f, 0, DX_GET, "/x", "", NULL);
    stop(f, 0, DX_ERROR_TIMEOUT);
    assert_null(s.pending);
    assert_int_equal(f->calls[0].x.failure, DX_ERROR_TIMEOUT);
    assert_int_equal(f->server.asked, 0);
}

// --- memory ----------------------------------------------------------------------------------------------------------------------------

// A miss, a hit, a confirmation, one that follows and a change: whichever allocation fails, the call is answered, or fails for want of it.
static void run_through(fixture *f) {
    f->server.holds = false;
    answers(f, 200, "Cache-Control: no-cache\nETag: \"1\"", "one");
    (void)get(f);
    answers(f, 304, "Cache-Control: max-age=60\nETag: \"1\"", "");
    (void)get(f);
    (void)get(f);
    begin_all(f, 2);
    answers(f, 200, "Cache-Control: max-age=60", "two");
    for (int i = 0; i < 2; i++)
        if (!f->calls[i].over) go_on(f, i);
    f->server.holds = false;
    turn(f);
    (void)begin(f, 2, DX_POST, "/x", "", NULL);
    for (int i = 0; i < 3; i++) assert_true(f->calls[i].over);
}

static void any_allocation_may_fail(void **state) {
    fixture *f = *state;
    uint64_t n = 0;
    for (bool reached = true; reached && n < 1000;) {
        dx_cache_call all = {.space = DX_SLICE("")};
        (void)dx_cache_clear(f->cache, &all);
        dx_memory_fail_at(++n, false);
        run_through(f);
        reached = dx_memory_fail_stop();
    }
    assert_in_range(n, 10, 999);
}

// --- the stage -------------------------------------------------------------------------------------------------------------------------

static void revalidate(void *ctx, dx_exchange *x) {
    (void)x;
    ((fixture *)ctx)->revalidated++;
}

static void looked_up(void *ctx, const dx_cache *cache, const dx_cache_call *found, dx_nanos took) {
    fixture *f = ctx;
    assert_non_null(cache);
    assert_true(took >= 0);
    f->looked_up++;
    if (found->entry) f->hits++;
}

static void answered(void *ctx, uint8_t how) {
    ((fixture *)ctx)->answered[how]++;
}

static int set_up(void **state) {
    const dx_cache_memory_options memory = {.budget_bytes = 1u << 20};
    fixture *f = *state = now = dx_memory_zalloc(1, sizeof *f);
    if (!f || dx_loop_create(&f->loop) != DX_OK || dx_cache_memory_create(&f->cache, &memory) != DX_OK ||
        dx_cache_memory_create(&f->private, &memory) != DX_OK || dx_flight_create(&f->flight) != DX_OK)
        return -1;
    f->conf = (dx_cache_conf){.cache = f->cache,
                              .flight = f->flight,
                              .space = DX_SLICE("api"),
                              .options = DX_FRESHNESS_OPTIONS_INIT,
                              .revalidate = revalidate,
                              .ctx = f,
                              .looked_up = looked_up,
                              .answered = answered,
                              .watcher = f};
    f->filter = (dx_filter){&dx_cache_filter, &f->conf};
    f->chain = (dx_chain){&f->filter, 1, handle, NULL};
    answers(f, 200, "", "");
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    for (int i = 0; i < CALLS; i++) dx_arena_destroy(f->calls[i].arena);
    dx_cache_destroy(f->cache);
    dx_cache_destroy(f->private);
    dx_flight_destroy(f->flight);
    dx_loop_destroy(f->loop);
    dx_memory_free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_fresh_is_answered_without_asking),
        TEST(what_may_not_be_stored_is_fetched_each_time),
        TEST(requests_that_say_so_go_past_the_cache),
        TEST(who_wants_a_new_answer_asks_and_leaves_it_for_others),
        TEST(only_if_cached_never_asks),
        TEST(streams_go_past_the_cache),
        TEST(head_is_answered_from_what_a_get_has_left),
        TEST(a_head_that_disagrees_takes_what_is_stored_away),
        TEST(a_304_confirms_what_is_stored),
        TEST(a_304_that_forbids_storing_is_still_the_answer),
        TEST(a_304_of_something_else_has_it_asked_without_conditions),
        TEST(what_is_stale_is_given_while_it_is_fetched_once),
        TEST(what_is_stale_stands_in_for_an_error),
        TEST(it_does_not_stand_in_for_a_refusal),
        TEST(what_must_be_asked_about_does_not_stand_in),
        TEST(an_error_that_may_be_stored_does_not_drive_out_what_stands_in),
        TEST(a_change_takes_away_its_own_url_and_what_it_names),
        TEST(a_change_that_failed_takes_nothing_away),
        TEST(a_change_counts_as_it_came_whatever_became_of_the_request),
        TEST(what_was_fetched_before_a_change_does_not_stay),
        TEST(what_stands_behind_redirects_is_stored_only_on_the_definitions_word),
        TEST(callers_with_different_credentials_share_nothing),
        TEST(what_is_somebodys_stays_in_the_private_cache),
        TEST(variants_stand_side_by_side),
        TEST(what_others_put_into_the_request_does_not_change_its_key),
        TEST(equal_requests_are_fetched_once),
        TEST(what_is_not_for_all_has_each_fetch_at_once),
        TEST(when_a_fetch_fails_the_next_one_fetches),
        TEST(another_variant_is_fetched_by_who_waited_for_it),
        TEST(what_stands_in_for_an_error_stands_in_for_all_who_wait),
        TEST(who_follows_may_go_away),
        TEST(who_is_given_up_while_the_answer_is_on_its_way_leaves_nothing_behind),
        TEST(who_is_given_up_when_it_shall_lead_hands_on),
        TEST(who_fetches_may_go_away),
        TEST(a_deadline_at_the_end_of_a_queue_is_answered_with_what_is_stale),
        TEST(without_a_flight_each_fetches_for_itself),
        TEST(what_a_slow_backend_finds_is_answered_later),
        TEST(a_look_up_that_is_given_up_is_let_go),
        TEST(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
