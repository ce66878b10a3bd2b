// A client's caches as programs see them: taking away, numbers, backends of their own, warming; against a server on loopback.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "client/test_origin.h"
#include "duplex/cache.h"
#include "redis/test_server.h"

typedef struct fixture {
    test_origin origin;
    dx_client *client;
    const char *lines;
    atomic_int fails; // so many answers are a 503
} fixture;

static void answer(void *ctx, const char *head, char *out, size_t room) {
    fixture *f = ctx;
    char body[64];
    (void)head;
    if (atomic_load(&f->fails) > 0) {
        (void)atomic_fetch_sub(&f->fails, 1);
        (void)snprintf(out, room, "HTTP/1.1 503 Out of order\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    (void)snprintf(body, sizeof body, "{\"n\":%d}", atomic_load(&f->origin.asked));
    test_origin_ok(out, room, f->lines, body);
}

// A client of the API "shop" with these settings of its cache, and of "open", which sends no credential.
static dx_error_code open_with(fixture *f, const char *cache, dx_error *error) {
    char text[4096];
    int size = snprintf(text, sizeof text,
                        "{\"apis\": {\"defaults\": {\"retry\": {\"attempts\": 1}},"
                        " \"shop\": {\"base_url\": \"%s/v1\", \"auth\": {\"type\": \"bearer\", \"token\": \"abcdef\"}, \"cache\": %s,"
                        "  \"endpoints\": {\"v1\": {\"get\": {\"path\": \"/items/{id}\", \"params\": {\"token\": {\"in\": \"header\", "
                        "\"name\": \"X-My-Token\", \"secret\": true}}}, \"list\": {\"path\": \"/items\"}}}},"
                        " \"open\": {\"base_url\": \"%s\", \"cache\": %s, \"endpoints\": {\"v1\": {\"get\": {\"path\": \"/x\"}}}}}}",
                        f->origin.url, cache, f->origin.url, strstr(cache, "warming") ? "null" : cache);
    return dx_client_open_text(&f->client, text, (size_t)size, NULL, error);
}

static void open_or_fail(fixture *f, const char *cache) {
    dx_error error = DX_ERROR_INIT;
    if (open_with(f, cache, &error)) fail_msg("%s", error.message);
}

// The number that the server gave this answer.
static int64_t get_of(fixture *f, const char *name, int id, const dx_call_options *options) {
    dx_response *response;
    dx_error error = DX_ERROR_INIT;
    dx_arg args[2] = {DX_INT("id", id), DX_END};
    if (id < 0) args[0] = DX_END;
    if (dx_client_call(&response, f->client, name, args, options, &error)) fail_msg("%s", error.message);
    int64_t n = dx_response_i64(response, "/n", -1);
    dx_response_release(response);
    return n;
}

static int64_t get(fixture *f, int id) {
    return get_of(f, "shop.get", id, NULL);
}

static uint64_t take(fixture *f, dx_cached_by by, const char *api, const char *text) {
    uint64_t removed;
    dx_error error = DX_ERROR_INIT;
    if (dx_client_cache_invalidate(f->client, by, api, text, &removed, &error)) fail_msg("%s", error.message);
    return removed;
}

static dx_cache_report report_of(fixture *f, const char *api) {
    dx_cache_report report = {.size = sizeof report};
    assert_int_equal(dx_client_cache_stats(f->client, api, &report, NULL), DX_ERROR_NONE);
    return report;
}

static void close_client(fixture *f) {
    dx_client_close(f->client);
    f->client = NULL;
}

static void what_was_fetched_is_counted_by_level(void **state) {
    fixture *f = *state;
    open_or_fail(f, "{\"ttl\": 60}");
    for (int i = 0; i < 10; i++) assert_int_equal(get(f, 1), 1);
    (void)get_of(f, "open.get", -1, NULL);
    dx_cache_report shop = report_of(f, "shop"), all = report_of(f, NULL);
    assert_int_equal(shop.hits, 9);
    assert_int_equal(shop.misses, 1);
    assert_true(shop.hit_rate > 0.89 && shop.hit_rate < 0.91);
    assert_string_equal(shop.levels[0].name, "memory");
    assert_null(shop.levels[1].name);
    assert_int_equal(shop.levels[0].gets, 10);
    assert_int_equal(shop.levels[0].hits, 9);
    assert_int_equal(shop.stores, 2); // of both, who share it
    assert_int_equal(all.misses, 2);
    assert_int_equal(all.stores, 2); // and count it once
    assert_int_equal(all.entries, 2);
    assert_int_equal(dx_client_cache_stats(f->client, "none", &all, NULL), DX_ERROR_UNKNOWN_NAME);
}

static void urls_tags_patterns_and_all_of_it_are_taken_away(void **state) {
    fixture *f = *state;
    char url[128];
    open_or_fail(f, "{\"ttl\": 60, \"tags\": [\"items\"]}");
    (void)snprintf(url, sizeof url, "%s/v1/items/1", f->origin.url);
    for (int id = 1; id <= 3; id++) (void)get(f, id);
    int64_t open = get_of(f, "open.get", -1, NULL);
    assert_int_equal(take(f, DX_CACHED_BY_URL, "shop", url), 1);
    assert_int_equal(get(f, 1), 5);
    assert_int_equal(take(f, DX_CACHED_BY_URL, "shop", "/items/1"), 1);
    assert_int_equal(get(f, 1), 6);
    assert_int_equal(get(f, 2), 2);
    assert_int_equal(take(f, DX_CACHED_BY_PATTERN, NULL, "*/items/?"), 3);
    for (int id = 1; id <= 3; id++) (void)get(f, id);
    assert_int_equal(take(f, DX_CACHED_BY_TAG, "shop", "items"), 3);
    (void)get(f, 1);
    uint64_t removed;
    assert_int_equal(dx_client_cache_clear(f->client, "shop", &removed, NULL), DX_ERROR_NONE);
    assert_int_equal(removed, 1);
    assert_int_equal(get_of(f, "open.get", -1, NULL), open);
    assert_int_equal(dx_client_cache_clear(f->client, NULL, &removed, NULL), DX_ERROR_NONE);
    assert_int_equal(removed, 1);
}

static void a_key_is_one_credentials_alone(void **state) {
    fixture *f = *state;
    dx_call_options another = DX_CALL_OPTIONS_INIT;
    const dx_header headers[] = {{"Cookie", "who=another"}, {NULL, NULL}};
    another.headers = headers;
    open_or_fail(f, "{\"ttl\": 60}");
    int64_t mine = get(f, 1), other = get_of(f, "shop.get", 1, &another);
    assert_int_not_equal(mine, other);
    assert_int_equal(take(f, DX_CACHED_BY_KEY, "shop", "/items/1"), 1);
    assert_int_not_equal(get(f, 1), mine);
    assert_int_equal(get_of(f, "shop.get", 1, &another), other);
    assert_int_equal(take(f, DX_CACHED_BY_URL, "shop", "/items/1"), 2);
}

static void secret_headers_keep_callers_apart(void **state) {
    fixture *f = *state;
    dx_response *one, *other, *again;
    open_or_fail(f, "{\"ttl\": 60}");
    assert_int_equal(dx_client_call(&one, f->client, "shop.get", DX_ARGS(DX_INT("id", 1), DX_STR("token", "a")), NULL, NULL),
                     DX_ERROR_NONE);
    assert_int_equal(dx_client_call(&other, f->client, "shop.get", DX_ARGS(DX_INT("id", 1), DX_STR("token", "b")), NULL, NULL),
                     DX_ERROR_NONE);
    assert_int_equal(dx_client_call(&again, f->client, "shop.get", DX_ARGS(DX_INT("id", 1), DX_STR("token", "a")), NULL, NULL),
                     DX_ERROR_NONE);
    assert_int_equal(dx_response_cache(other), DX_CACHED_MISS);
    assert_int_equal(dx_response_cache(again), DX_CACHED_HIT);
    dx_response_release(one);
    dx_response_release(other);
    dx_response_release(again);
}

static void what_makes_no_sense_is_told(void **state) {
    fixture *f = *state;
    dx_error error;
    open_or_fail(f, "{\"ttl\": 60}");
    assert_int_equal(dx_client_cache_invalidate(f->client, DX_CACHED_BY_URL, "shop", "no url", NULL, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_client_cache_invalidate(f->client, DX_CACHED_BY_TAG, NULL, "", NULL, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_client_cache_invalidate(f->client, DX_CACHED_BY_KEY, NULL, "http://a/x", NULL, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_client_cache_invalidate(f->client, DX_CACHED_BY_TAG, "none", "x", NULL, &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_client_cache_clear(f->client, "none", NULL, &error), DX_ERROR_UNKNOWN_NAME);
}

// --- Redis -----------------------------------------------------------------------------------------------------------------------------

static test_server redis;

static void what_a_synchronous_call_stores_in_redis_is_there_when_it_returns(void **state) {
    fixture *f = *state;
    char cache[256];
    if (!test_server_installed()) skip();
    test_server_start(&redis);
    (void)snprintf(cache, sizeof cache, "{\"type\": \"redis\", \"ttl\": 60, \"redis\": \"%s\", \"share_authorized\": true}", redis.url);
    open_or_fail(f, cache);
    int64_t first = get(f, 1);
    dx_client_close(f->client); // nothing gives the loop another turn
    open_or_fail(f, cache);
    assert_int_equal(get(f, 1), first);
    dx_cache_report report = report_of(f, "shop");
    assert_string_equal(report.levels[1].name, "redis");
    assert_int_equal(report.levels[1].hits, 1);
    assert_true(report.levels[1].p50_ns > 0);
    assert_int_equal(take(f, DX_CACHED_BY_URL, "shop", "/items/1"), 1);
    assert_int_not_equal(get(f, 1), first);
    test_server_stop(&redis);
    uint64_t removed;
    dx_error error;
    assert_int_equal(dx_client_cache_clear(f->client, "shop", &removed, &error), DX_ERROR_CONNECT);
    assert_true(get(f, 2) > first); // calls go on
    test_server_remove(&redis);
}

// --- a backend of the program's own
// --------------------------------------------------------------------------------------------------------

enum { ITEMS = 16 };

typedef struct shelf {
    pthread_mutex_t lock;
    struct {
        char key[40], variant[40], url[256], tag[32], *bytes;
        size_t size;
    } items[ITEMS];
    int gets, puts;
    bool destroyed, keeps_silent, answers_later;
    dx_cache_question *kept;
    pthread_t thread;
    bool has_thread;
} shelf;

typedef struct late {
    dx_cache_question *question;
    char bytes[4096];
    size_t size;
    bool found;
} late;

static void *answer_late(void *ctx) {
    late *l = ctx;
    dx_cache_answer(l->question, DX_ERROR_NONE, l->found ? l->bytes : NULL, l->size, 0);
    free(l);
    return NULL;
}

static int find_item(shelf *s, const char *key, const char *variant) {
    for (int i = 0; i < ITEMS; i++)
        if (s->items[i].bytes && strcmp(s->items[i].key, key) == 0 && strcmp(s->items[i].variant, variant) == 0) return i;
    return -1;
}

static void shelf_get(void *ctx, dx_cache_question *question, const char *key, const char *variant) {
    shelf *s = ctx;
    (void)pthread_mutex_lock(&s->lock);
    s->gets++;
    int i = find_item(s, key, variant);
    if (s->keeps_silent) {
        s->kept = question;
    } else if (s->answers_later) {
        late *l = calloc(1, sizeof *l);
        l->question = question;
        l->found = i >= 0;
        if (i >= 0) memcpy(l->bytes, s->items[i].bytes, l->size = s->items[i].size);
        if (s->has_thread) (void)pthread_join(s->thread, NULL);
        s->has_thread = pthread_create(&s->thread, NULL, answer_late, l) == 0;
    } else {
        dx_cache_answer(question, DX_ERROR_NONE, i >= 0 ? s->items[i].bytes : NULL, i >= 0 ? s->items[i].size : 0, 0);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static void shelf_put(void *ctx, const dx_cache_item *item) {
    shelf *s = ctx;
    (void)pthread_mutex_lock(&s->lock);
    s->puts++;
    int i = find_item(s, item->key, item->variant);
    for (int j = 0; i < 0 && j < ITEMS; j++)
        if (!s->items[j].bytes) i = j;
    assert_true(i >= 0 && item->ttl_ms > 0);
    free(s->items[i].bytes);
    s->items[i].bytes = malloc(item->size + 1);
    memcpy(s->items[i].bytes, item->bytes, s->items[i].size = item->size);
    (void)snprintf(s->items[i].key, sizeof s->items[i].key, "%s", item->key);
    (void)snprintf(s->items[i].variant, sizeof s->items[i].variant, "%s", item->variant);
    (void)snprintf(s->items[i].url, sizeof s->items[i].url, "%s", item->url);
    (void)snprintf(s->items[i].tag, sizeof s->items[i].tag, "%s", item->tags[0] ? item->tags[0] : "");
    (void)pthread_mutex_unlock(&s->lock);
}

static void drop_item(shelf *s, int i, uint64_t *removed) {
    free(s->items[i].bytes);
    s->items[i].bytes = NULL;
    ++*removed;
}

static void shelf_remove(void *ctx, dx_cache_question *question, const char *key) {
    shelf *s = ctx;
    uint64_t removed = 0;
    for (int i = 0; i < ITEMS; i++)
        if (s->items[i].bytes && strcmp(s->items[i].key, key) == 0) drop_item(s, i, &removed);
    dx_cache_answer(question, DX_ERROR_NONE, NULL, 0, removed);
}

static void shelf_invalidate(void *ctx, dx_cache_question *question, dx_cached_by by, const char *api, const char *text) {
    shelf *s = ctx;
    uint64_t removed = 0;
    assert_string_equal(api, "shop");
    for (int i = 0; i < ITEMS; i++) {
        bool meant = by == DX_CACHED_BY_TAG   ? strcmp(s->items[i].tag, text) == 0
                     : by == DX_CACHED_BY_URL ? strcmp(s->items[i].url, text) == 0
                                              : dx_cache_pattern(text, s->items[i].url);
        if (s->items[i].bytes && meant) drop_item(s, i, &removed);
    }
    dx_cache_answer(question, DX_ERROR_NONE, NULL, 0, removed);
}

static void shelf_destroy(void *ctx) {
    shelf *s = ctx;
    uint64_t removed = 0;
    if (s->has_thread) (void)pthread_join(s->thread, NULL);
    for (int i = 0; i < ITEMS; i++) drop_item(s, i, &removed);
    s->destroyed = true;
}

static dx_cache_backend shelf_backend(void) {
    dx_cache_backend backend = DX_CACHE_BACKEND_INIT;
    backend.get = shelf_get;
    backend.put = shelf_put;
    backend.remove = shelf_remove;
    backend.invalidate = shelf_invalidate;
    backend.destroy = shelf_destroy;
    return backend;
}

static const char custom[] = "{\"type\": \"custom\", \"name\": \"shelf\", \"ttl\": 60, \"tags\": [\"items\"], \"share_authorized\": true}";

static void put_up(fixture *f, shelf *s) {
    dx_cache_backend backend = shelf_backend();
    dx_error error = DX_ERROR_INIT;
    (void)pthread_mutex_init(&s->lock, NULL);
    if (dx_client_add_cache(f->client, "shelf", &backend, s, &error)) fail_msg("%s", error.message);
}

static void a_programs_own_cache_keeps_and_gives_back(void **state) {
    fixture *f = *state;
    shelf s = {0};
    open_or_fail(f, custom);
    assert_int_not_equal(get(f, 1), get(f, 1)); // it is not there yet: calls go on without
    assert_true(report_of(f, "shop").unregistered >= 2);
    put_up(f, &s);
    int64_t first = get(f, 1);
    assert_int_equal(get(f, 1), first);
    assert_int_equal(s.puts, 1);
    assert_int_equal(report_of(f, "shop").levels[1].hits, 1);
    assert_string_equal(report_of(f, "shop").levels[1].name, "custom");
    assert_int_equal(take(f, DX_CACHED_BY_TAG, "shop", "items"), 1);
    assert_int_not_equal(get(f, 1), first);
    assert_int_equal(take(f, DX_CACHED_BY_KEY, "shop", "/items/1"), 1);
    (void)get(f, 1);
    assert_int_equal(take(f, DX_CACHED_BY_PATTERN, "shop", "*items*"), 1);
    dx_error error;
    assert_int_equal(dx_client_cache_clear(f->client, "shop", NULL, &error), DX_ERROR_CONNECT); // it has no such operation
    dx_cache_backend again = shelf_backend();
    assert_int_equal(dx_client_add_cache(f->client, "shelf", &again, &s, &error), DX_ERROR_ARGUMENT);
    close_client(f);
    assert_true(s.destroyed);
}

static void it_may_answer_from_a_thread_of_its_own(void **state) {
    fixture *f = *state;
    shelf s = {.answers_later = true};
    open_or_fail(f, custom);
    put_up(f, &s);
    int64_t first = get(f, 1);
    for (int i = 0; i < 20; i++) assert_int_equal(get(f, 1), first);
    close_client(f);
}

static void it_keeps_variants_apart(void **state) {
    fixture *f = *state;
    shelf s = {.answers_later = true};
    dx_call_options german = DX_CALL_OPTIONS_INIT;
    const dx_header headers[] = {{"Accept-Language", "de"}, {NULL, NULL}};
    german.headers = headers;
    f->lines = "Vary: Accept-Language\r\n";
    open_or_fail(f, custom);
    put_up(f, &s);
    int64_t plain = get(f, 1), other = get_of(f, "shop.get", 1, &german);
    assert_int_not_equal(plain, other);
    assert_int_equal(get(f, 1), plain);
    assert_int_equal(get_of(f, "shop.get", 1, &german), other);
    close_client(f);
}

static void one_that_never_answers_ends_with_the_call_and_may_answer_when_all_is_gone(void **state) {
    fixture *f = *state;
    shelf s = {.keeps_silent = true};
    dx_call_options hurried = DX_CALL_OPTIONS_INIT;
    dx_response *response;
    dx_error error;
    hurried.timeout_ms = 20;
    open_or_fail(f, custom);
    put_up(f, &s);
    assert_int_equal(dx_client_call(&response, f->client, "shop.get", DX_ARGS(DX_INT("id", 1)), &hurried, &error), DX_ERROR_TIMEOUT);
    assert_int_equal(error.phase, DX_PHASE_CACHE);
    dx_call *call;
    assert_int_equal(dx_call_start(&call, f->client, "shop.list", NULL, NULL, NULL, NULL, &error), DX_ERROR_NONE);
    dx_cache_question *first = s.kept;
    close_client(f);
    assert_int_equal(dx_call_error(call)->code, DX_ERROR_CLOSED);
    dx_call_release(call);
    dx_cache_answer(first, DX_ERROR_NONE, "late", 4, 0);
    if (s.kept != first) dx_cache_answer(s.kept, DX_ERROR_NONE, NULL, 0, 0);
}

// --- warming ---------------------------------------------------------------------------------------------------------------------------

static void wait_for_report(fixture *f, uint64_t warmed, uint64_t failed) {
    for (;;) { // the server and the client's thread are other threads: there is nothing to wait on
        dx_cache_report report = report_of(f, "shop");
        if (report.warmed >= warmed && report.warming_failed >= failed) return;
        (void)usleep(1000);
    }
}

static void what_is_to_be_warm_is_fetched_before_anybody_asks_and_again(void **state) {
    fixture *f = *state;
    open_or_fail(f, "{\"ttl\": 60, \"warming\": {\"one\": {\"endpoint\": \"get\", \"params\": {\"id\": 1}, \"interval\": 0.02},"
                    " \"all\": {\"endpoint\": \"v1.list\"}}}");
    wait_for_report(f, 4, 0);
    int64_t before = get(f, 1);
    assert_true(before >= 1);
    assert_true(report_of(f, "shop").hits >= 1);
    uint64_t more = report_of(f, "shop").warmed + 2;
    wait_for_report(f, more, 0);
    assert_true(get(f, 1) > before);
}

static void one_that_fails_is_counted_and_made_again(void **state) {
    fixture *f = *state;
    atomic_store(&f->fails, 1);
    open_or_fail(f, "{\"ttl\": 60, \"warming\": {\"one\": {\"endpoint\": \"get\", \"params\": {\"id\": 1}}}}");
    wait_for_report(f, 0, 1);
    wait_for_report(f, 1, 1);
    assert_int_equal(report_of(f, "shop").warmed, 1);
}

static void an_endpoint_that_is_none_is_told_when_the_client_opens(void **state) {
    fixture *f = *state;
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(open_with(f, "{\"warming\": {\"one\": {\"endpoint\": \"gett\"}}}", &error), DX_ERROR_CONFIG);
    assert_non_null(strstr(error.message, "gett"));
    assert_null(f->client);
}

static void a_client_may_be_closed_while_it_warms(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        open_or_fail(f, "{\"ttl\": 60, \"warming\": {\"one\": {\"endpoint\": \"get\", \"params\": {\"id\": 1}, \"interval\": 0.001}}}");
        if (i % 2) wait_for_report(f, 1, 0);
        dx_client_close(f->client);
    }
    f->client = NULL;
}

// --- the stage -------------------------------------------------------------------------------------------------------------------------

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->lines = "";
    f->origin.answer = answer;
    f->origin.ctx = f;
    test_origin_start(&f->origin);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_client_close(f->client);
    test_origin_stop(&f->origin);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_fetched_is_counted_by_level),
        TEST(urls_tags_patterns_and_all_of_it_are_taken_away),
        TEST(a_key_is_one_credentials_alone),
        TEST(secret_headers_keep_callers_apart),
        TEST(what_makes_no_sense_is_told),
        TEST(what_a_synchronous_call_stores_in_redis_is_there_when_it_returns),
        TEST(a_programs_own_cache_keeps_and_gives_back),
        TEST(it_may_answer_from_a_thread_of_its_own),
        TEST(it_keeps_variants_apart),
        TEST(one_that_never_answers_ends_with_the_call_and_may_answer_when_all_is_gone),
        TEST(what_is_to_be_warm_is_fetched_before_anybody_asks_and_again),
        TEST(one_that_fails_is_counted_and_made_again),
        TEST(an_endpoint_that_is_none_is_told_when_the_client_opens),
        TEST(a_client_may_be_closed_while_it_warms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
