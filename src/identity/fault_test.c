// Faults on purpose: every allocation of a request fails once, the pool has no room, and what has expired goes.
#include <semaphore.h>

#include "base/memory.h"
#include "identity/fixture.h"

// Every allocation of one request fails in turn: the answer is a 503 (or, where nothing was lost, the right one), and the next request
// works as ever.
static void every_allocation(dx_handler handler, const char *token, const char *body, int right) {
    for (uint64_t n = 1;; n++) {
        assert_true(n < 2000);
        test_answer answer = test_call_failing(handler, token, body, n);
        if (!answer.injected) break;
        if (answer.status != right && answer.status != 503 && answer.status != 507) fail_msg("allocation %d: %d", (int)n, answer.status);
    }
}

static void out_of_memory_fails_that_request_alone(void **state) {
    (void)state;
    world.identity.settings.lockout.after = 0;
    dx_lockout_destroy(world.identity.memory->lockout);
    world.identity.memory->lockout = dx_lockout_create(&world.identity.settings.lockout);
    test_register("john");
    test_tokens tokens = test_login("john");
    every_allocation(dx_login_handle, NULL, "username=john&password=correct+horse+battery", 200);
    every_allocation(dx_login_handle, NULL, "username=john&password=not+the+password", 401);
    world.identity.memory->epoch++;
    every_allocation(test_probe, tokens.access, NULL, 200);
    every_allocation(dx_me_handle, tokens.access, NULL, 200);
    every_allocation(dx_register_handle, NULL, "{\"username\":\"x\",\"email\":\"nobody\",\"password\":\"short\"}", 422);
    assert_int_equal(test_call(dx_me_handle, tokens.access, NULL).status, 200);
}

static int64_t counted;
static dx_status take_count(void *ctx, const dx_row *row) {
    (void)ctx, (void)row;
    counted++;
    return DX_OK;
}

static int64_t expired_sessions(void) {
    const dx_value values[] = {DX_INT_VALUE(test_utc), DX_INT_VALUE(100000)};
    dx_step step = {world.identity.statements.sessions_expired, values, 2, take_count, false};
    dx_script script;
    counted = 0;
    dx_script_init(&script, DX_TX_READ, &step, 1, NULL);
    dx_store_run(world.store, &script.tx);
    assert_int_equal(script.outcome, DX_OK);
    return counted;
}

static void stop_loop(void *ctx) {
    dx_loop_stop(ctx);
}

static void sessions_that_have_expired_are_swept_a_few_at_a_time(void **state) {
    (void)state;
    world.identity.settings.refresh_ttl_s = 3600;
    test_register("john");
    for (int i = 0; i < DX_SWEEP_ROWS + 10; i++) (void)test_login("john");
    test_advance(3601 * DX_SECOND);
    test_tokens alive = test_login("john");
    assert_int_equal(expired_sessions(), DX_SWEEP_ROWS + 10);
    dx_sweeper *sweeper = dx_sweeper_create(&world.identity, world.arena, world.loop);
    assert_non_null(sweeper);
    for (int64_t left = 10;; left = 0) {
        dx_sweeper_look(sweeper, stop_loop, world.loop);
        assert_int_equal(dx_loop_run(world.loop), DX_OK);
        assert_int_equal(expired_sessions(), left);
        if (left == 0) break;
    }
    assert_int_equal(test_call(test_probe, alive.access, NULL).status, 200);
}

#define POOL_THREADS 4 // libuv's default
static sem_t gate, begun;
static void wait_at_gate(dx_work *work) {
    (void)work;
    (void)sem_post(&begun);
    while (sem_wait(&gate) != 0) continue;
}
static void done_nothing(dx_work *work) {
    (void)work;
}

static void a_full_pool_is_a_503_and_counts_no_failure(void **state) {
    (void)state;
    static dx_work filler[2 * DX_WORK_QUEUE_CAP];
    size_t count = 0;
    test_register("john");
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(sem_init(&begun, 0, 0), 0);
    for (; count < DX_COUNT_OF(filler); count++) {
        filler[count] = (dx_work){.work = wait_at_gate, .done = done_nothing};
        if (dx_loop_work(world.loop, &filler[count]) != DX_OK) break;
        // Every thread of the pool holds a piece before the queue is filled: otherwise one that wakes late makes room in it again.
        if (count < POOL_THREADS) assert_int_equal(sem_wait(&begun), 0);
    }
    assert_true(count < DX_COUNT_OF(filler));
    for (int i = 0; i < 7; i++) { // more often than failures would be free
        test_answer answer = test_call_at_once(dx_login_handle, NULL, "username=john&password=correct+horse+battery");
        assert_int_equal(answer.status, 503);
    }
    for (size_t i = 0; i < count; i++) assert_int_equal(sem_post(&gate), 0);
    assert_int_equal(dx_loop_run(world.loop), DX_OK);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery").status, 200);
    assert_int_equal(sem_destroy(&gate), 0);
    assert_int_equal(sem_destroy(&begun), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(out_of_memory_fails_that_request_alone),
        TEST(sessions_that_have_expired_are_swept_a_few_at_a_time),
        TEST(a_full_pool_is_a_503_and_counts_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
