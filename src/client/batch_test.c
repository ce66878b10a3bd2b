// Batches: every call has its result, no more run at a time than allowed, one that fails is its own affair, and all can be stopped.
#include "duplex/batch.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/pages_fixture.h"

enum { FAIR, EVERY_TENTH_FAILS };

static int serve(dx_fake *fake, dx_slice target, dx_buffer *body, dx_buffer *link) {
    long id = strtol(target.data + sizeof "/v/item/" - 1, NULL, 10);
    (void)link;
    if (fake->how == EVERY_TENTH_FAILS && id % 10 == 9) return 503;
    dx_buffer_printf(body, "{\"id\": %ld}", id);
    return 200;
}

static dx_fake fake;
static dx_client *client;
static dx_error error;

static void restart(int how, unsigned threads) {
    dx_client_close(client);
    fake = (dx_fake){.serve = serve, .how = how};
    client = dx_fake_client(&fake, threads);
}

typedef struct gathered {
    dx_batch *batch;
    uint64_t made, most, told, failed, progressed, last_done, cancel_at;
    uint64_t sum, next_index;
    bool ordered, careless;
    atomic_int inside;
} gathered;

static bool make_item(void *ctx, dx_batch_item *item) {
    static _Thread_local dx_arg args[2];
    gathered *g = ctx;
    assert_int_equal(atomic_fetch_add(&g->inside, 1), 0);
    bool has_one = g->made < g->most;
    if (has_one) {
        args[0] = DX_UINT("id", g->made);
        args[1] = DX_END;
        *item = (dx_batch_item){"api.item", args, NULL, (void *)(uintptr_t)(g->made + 1)};
        g->made++;
    }
    (void)atomic_fetch_sub(&g->inside, 1);
    return has_one;
}

static void take_result(void *ctx, const dx_batch_result *result) {
    gathered *g = ctx;
    assert_int_equal(atomic_fetch_add(&g->inside, 1), 0);
    (void)sched_yield(); // time for others to come in
    if (g->ordered) assert_int_equal(result->index, g->next_index++);
    assert_int_equal((uintptr_t)result->user, result->index + 1);
    if (!result->error->code) {
        if (!g->careless) assert_int_equal(dx_response_i64(result->response, "/id", -1), result->index);
        g->sum += result->index;
    } else {
        g->failed++;
    }
    if (++g->told == g->cancel_at) dx_batch_cancel(g->batch);
    (void)atomic_fetch_sub(&g->inside, 1);
}

static void take_progress(void *ctx, const dx_batch_progress *progress) {
    gathered *g = ctx;
    g->progressed++;
    assert_true(progress->done == g->last_done + 1 && progress->failed <= progress->done);
    g->last_done = progress->done;
}

static dx_batch_options options_of(gathered *g, unsigned concurrency) {
    dx_batch_options options = DX_BATCH_OPTIONS_INIT;
    options.concurrency = concurrency;
    options.next = make_item;
    options.result = take_result;
    options.progress = take_progress;
    options.context = g;
    return options;
}

static void create(gathered *g, const dx_batch_options *options) {
    if (dx_batch_create(&g->batch, client, options, &error)) fail_msg("%s", error.message);
}

static void added_calls_keep_their_results(void **state) {
    (void)state;
    dx_batch *batch;
    dx_batch_result result;
    restart(EVERY_TENTH_FAILS, 1);
    assert_int_equal(dx_batch_create(&batch, client, NULL, &error), DX_ERROR_NONE);
    for (int i = 0; i < 50; i++) {
        char text[16]; // is copied
        (void)snprintf(text, sizeof text, "%d", i);
        assert_int_equal(dx_batch_add(batch, i == 7 ? "api.nothing" : "api.item", DX_ARGS(DX_STR("id", text)), NULL, &fake, &error),
                         DX_ERROR_NONE);
    }
    assert_false(dx_batch_get(batch, 0, &result));
    assert_int_equal(dx_batch_run(batch, &error), DX_ERROR_NONE);
    assert_int_equal(dx_batch_count(batch), 50);
    for (uint64_t i = 0; i < 50; i++) {
        assert_true(dx_batch_get(batch, i, &result));
        assert_ptr_equal(result.user, &fake);
        dx_error_code expected = i == 7 ? DX_ERROR_UNKNOWN_NAME : i % 10 == 9 ? DX_ERROR_STATUS : DX_ERROR_NONE;
        assert_int_equal(result.error->code, expected);
        if (!expected) assert_int_equal(dx_response_i64(result.response, "/id", -1), i);
    }
    assert_false(dx_batch_get(batch, 50, &result));
    assert_true(atomic_load(&fake.most) <= 10);
    assert_int_equal(dx_batch_run(batch, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_batch_add(batch, "api.item", NULL, NULL, NULL, &error), DX_ERROR_ARGUMENT);
    dx_batch_destroy(batch);
}

static void ten_thousand_calls_are_made_ten_at_a_time(void **state) {
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        gathered g = {.most = 10000, .ordered = ordered};
        restart(EVERY_TENTH_FAILS, 4);
        dx_batch_options options = options_of(&g, 10);
        options.ordered = ordered;
        options.total = 10000;
        create(&g, &options);
        assert_int_equal(dx_batch_run(g.batch, &error), DX_ERROR_NONE);
        assert_int_equal(g.told, 10000);
        assert_int_equal(g.progressed, 10000);
        assert_int_equal(g.failed, 1000);
        assert_int_equal(atomic_load(&fake.sent), 10000);
        assert_true(atomic_load(&fake.most) <= 10);
        dx_batch_destroy(g.batch);
    }
}

typedef struct ending {
    atomic_int told;
    dx_error_code code;
    bool was_null;
} ending;

static void on_done(void *ctx, dx_batch *batch, const dx_error *why) {
    ending *e = ctx;
    e->code = why->code;
    e->was_null = !batch;
    (void)atomic_fetch_add(&e->told, 1);
}

static void a_batch_may_be_started_and_waited_for(void **state) {
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        gathered g = {.most = 2000, .ordered = ordered};
        ending e = {0};
        restart(FAIR, 4);
        dx_batch_options options = options_of(&g, 50);
        options.ordered = ordered;
        create(&g, &options);
        assert_int_equal(dx_batch_start(g.batch, on_done, &e, &error), DX_ERROR_NONE);
        assert_int_equal(dx_batch_wait(g.batch, -1), DX_ERROR_NONE);
        assert_int_equal(atomic_load(&e.told), 1);
        assert_int_equal(e.code, DX_ERROR_NONE);
        assert_int_equal(g.sum, 1999 * 2000 / 2);
        dx_batch_destroy(g.batch);
    }
}

static void the_first_failure_may_end_it(void **state) {
    (void)state;
    gathered g = {.most = 1000};
    restart(EVERY_TENTH_FAILS, 1);
    dx_batch_options options = options_of(&g, 1);
    options.stop_on_error = true;
    create(&g, &options);
    assert_int_equal(dx_batch_run(g.batch, &error), DX_ERROR_STATUS);
    assert_int_equal(g.told, 10);
    assert_int_equal(error.http_status, 503);
    dx_batch_destroy(g.batch);
    g = (gathered){.most = 1000};
    options = options_of(&g, 1);
    options.max_failures = 3;
    create(&g, &options);
    assert_int_equal(dx_batch_run(g.batch, &error), DX_ERROR_STATUS);
    assert_int_equal(g.told, 40); // three are forgiven
    dx_batch_destroy(g.batch);
}

static void a_batch_is_cancelled_midway(void **state) {
    (void)state;
    for (int async = 0; async < 2; async++) {
        gathered g = {.most = 10000, .cancel_at = 100};
        ending e = {0};
        restart(FAIR, 2);
        dx_batch_options options = options_of(&g, 10);
        create(&g, &options);
        if (async) {
            assert_int_equal(dx_batch_start(g.batch, on_done, &e, &error), DX_ERROR_NONE);
            assert_int_equal(dx_batch_wait(g.batch, -1), DX_ERROR_NONE);
            assert_int_equal(e.code, DX_ERROR_CANCELLED);
        } else {
            assert_int_equal(dx_batch_run(g.batch, &error), DX_ERROR_CANCELLED);
        }
        assert_true(g.told >= 100 && g.told < 120);
        assert_int_equal(g.told, g.made);
        dx_batch_destroy(g.batch);
    }
}

static void calls_that_were_not_begun_say_so(void **state) {
    (void)state;
    dx_batch *batch;
    dx_batch_result result;
    restart(FAIR, 1);
    assert_int_equal(dx_batch_create(&batch, client, NULL, &error), DX_ERROR_NONE);
    assert_int_equal(dx_batch_add(batch, "api.item", DX_ARGS(DX_INT("id", 1)), NULL, &fake, &error), DX_ERROR_NONE);
    dx_batch_cancel(batch);
    assert_int_equal(dx_batch_run(batch, &error), DX_ERROR_CANCELLED);
    assert_true(dx_batch_get(batch, 0, &result));
    assert_int_equal(result.error->code, DX_ERROR_CANCELLED);
    assert_ptr_equal(result.user, &fake);
    assert_null(result.response);
    dx_batch_destroy(batch);
}

static bool make_stalled(void *ctx, dx_batch_item *item) {
    gathered *g = ctx;
    static const dx_arg args[] = {{.name = "cursor", .kind = DX_ARG_STR, .size = 1, .value.text = "x"}, {0}};
    *item = (dx_batch_item){"api.stalled", args, NULL, (void *)(uintptr_t)(++g->made)};
    return true;
}

static void a_deadline_is_of_the_whole(void **state) {
    (void)state;
    static const char text[] = "{\"api\": {\"base_url\": \"https://api.example.com\", \"timeout\": 0, \"endpoints\": {\"v1\": "
                               "{\"stalled\": {\"path\": \"/stall!\","
                               " \"params\": {\"cursor\": {\"in\": \"query\"}}}}}}}";
    gathered g = {.most = 100};
    restart(FAIR, 1);
    dx_transport_use use = client->use;
    dx_client_close(client);
    assert_int_equal(dx_client_open_text(&client, text, sizeof text - 1, NULL, &error), DX_ERROR_NONE);
    client->use = use;
    dx_batch_options options = options_of(&g, 3);
    options.timeout_ms = 50;
    options.next = make_stalled;
    for (int ordered = 0; ordered < 2; ordered++) {
        g = (gathered){.ordered = ordered};
        options.ordered = ordered;
        create(&g, &options);
        assert_int_equal(dx_batch_run(g.batch, &error), DX_ERROR_TIMEOUT);
        assert_int_equal(g.told, 3);
        assert_int_equal(g.failed, 3);
        dx_batch_destroy(g.batch);
    }
    // and one that is destroyed under way is told so, once
    ending e = {0};
    gathered h = {0};
    options.context = &h;
    options.timeout_ms = 0;
    create(&h, &options);
    assert_int_equal(dx_batch_start(h.batch, on_done, &e, &error), DX_ERROR_NONE);
    while (atomic_load(&fake.under_way) < 3) (void)sched_yield();
    dx_batch_destroy(h.batch);
    while (!atomic_load(&e.told)) (void)sched_yield();
    dx_client_close(client);
    client = NULL;
    assert_int_equal(atomic_load(&e.told), 1);
    assert_int_equal(e.code, DX_ERROR_CANCELLED);
    assert_true(e.was_null);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    restart(FAIR, 1);
    for (int kept = 0; kept < 2; kept++) {
        for (uint64_t n = 1;; n++) {
            dx_batch *batch = NULL;
            gathered g = {.most = 8, .careless = true}; // reading the answer may fail, too
            dx_batch_options options = options_of(&g, 2);
            options.ordered = kept;
            if (kept) options.result = NULL;
            dx_memory_fail_at(n, false);
            dx_error_code code = dx_batch_create(&batch, client, &options, &error);
            if (!code) code = dx_batch_add(batch, "api.item", DX_ARGS(DX_INT("id", 0)), NULL, (void *)1, &error);
            if (!code) g.made = 1;
            if (!code) code = dx_batch_run(batch, &error);
            bool failed = dx_memory_fail_stop();
            if (code) assert_int_equal(code, DX_ERROR_NO_MEMORY);
            if (!failed) assert_int_equal(code, DX_ERROR_NONE);
            dx_batch_progress progress = {0};
            if (batch) dx_batch_tell(batch, &progress);
            if (!code) assert_int_equal(progress.done, 8);
            if (!failed) assert_int_equal(progress.failed, 0);
            dx_batch_destroy(batch);
            if (!failed) break;
        }
    }
}

static int end(void **state) {
    (void)state;
    dx_client_close(client);
    client = NULL;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_calls_keep_their_results),
        cmocka_unit_test(ten_thousand_calls_are_made_ten_at_a_time),
        cmocka_unit_test(a_batch_may_be_started_and_waited_for),
        cmocka_unit_test(the_first_failure_may_end_it),
        cmocka_unit_test(a_batch_is_cancelled_midway),
        cmocka_unit_test(calls_that_were_not_begun_say_so),
        cmocka_unit_test(a_deadline_is_of_the_whole),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("client/batch", tests, NULL, end);
}
