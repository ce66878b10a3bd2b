// What happens to an account between a request's look at it and what the request writes: a hash lies between the two, which may have
// waited for seconds. The world changes at the moment when the handler asks for its way into the store.
#include "identity/fixture.h"

static dx_session *(*ask)(const dx_app *app, unsigned worker);
static void (*meddle)(void);
static int meddle_at; // 1: before the next transaction

static dx_session *meddling_session(const dx_app *app, unsigned worker) {
    if (--meddle_at == 0) meddle();
    return ask(app, worker);
}

static void meddle_before(int transaction, void (*what)(void)) {
    ask = world.identity.session;
    world.identity.session = meddling_session;
    meddle = what;
    meddle_at = transaction;
}

static void run(const dx_statement *statement, const dx_value *values, size_t count) {
    dx_step step = {statement, values, count, NULL, false};
    dx_script script;
    dx_script_init(&script, DX_TX_WRITE, &step, 1, NULL);
    dx_store_run(world.store, &script.tx);
    assert_int_equal(script.outcome, DX_OK);
}

static void end_sessions(void) {
    const dx_value values[] = {DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    run(world.identity.statements.sessions_revoke, values, 2);
}

static void change_password(void) {
    char hash[DX_PASSWORD_HASH_CAP];
    test_advance(DX_MILLISECOND);
    assert_int_equal(dx_password_hash(hash, DX_SLICE("what the operator set"), &world.identity.settings.cost), DX_OK);
    const dx_value values[] = {DX_TEXT_VALUE(dx_slice_str(hash)), DX_INT_VALUE(test_utc), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    run(world.identity.statements.set_password, values, 4);
    end_sessions();
}

static void disable(void) {
    test_advance(DX_MILLISECOND);
    const dx_value values[] = {DX_BOOL_VALUE(true), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    run(world.identity.statements.set_disabled, values, 3);
    end_sessions();
}

static void change_roles(void) {
    test_advance(DX_MILLISECOND);
    const dx_value values[] = {DX_TEXT_VALUE(DX_SLICE("[\"editor\"]")), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    run(world.identity.statements.set_roles, values, 3);
}

static void renew_hash(void) {
    char hash[DX_PASSWORD_HASH_CAP];
    assert_int_equal(dx_password_hash(hash, DX_SLICE(PASSPHRASE), &world.identity.settings.cost), DX_OK);
    const dx_value values[] = {DX_TEXT_VALUE(dx_slice_str(hash)), DX_INT_VALUE(test_utc), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    run(world.identity.statements.set_password, values, 4);
}

static int login(void) {
    return test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery").status;
}

// Else whoever had the old password would have a session that outlives the change.
static void a_login_under_way_does_not_outlive_a_change_of_password(void **state) {
    (void)state;
    test_register("john");
    meddle_before(2, change_password);
    assert_int_equal(login(), 401);
}

static void a_login_under_way_is_refused_when_the_account_is_disabled(void **state) {
    (void)state;
    test_register("john");
    meddle_before(2, disable);
    assert_int_equal(login(), 403);
}

static void a_login_under_way_goes_on_when_something_else_changes(void **state) {
    (void)state;
    test_register("john");
    meddle_before(2, change_roles);
    assert_int_equal(login(), 200);
    world.identity.session = ask;
    meddle_before(2, renew_hash); // by a login beside it
    assert_int_equal(login(), 200);
}

static int change(const char *token) {
    return test_call(dx_password_handle, token, "{\"current_password\":\"" PASSPHRASE "\",\"new_password\":\"what a thief sets\"}").status;
}

// 1: the token's session is read, 2: the account is, 3: the new hash is written.
static void a_change_of_password_under_way_does_not_overrule_the_operators(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    meddle_before(3, change_password);
    assert_int_equal(change(tokens.access), 401);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=what+a+thief+sets").status, 401);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=what+the+operator+set").status, 200);
}

static void a_session_that_has_ended_changes_nothing_any_more(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    meddle_before(3, end_sessions);
    assert_int_equal(change(tokens.access), 401);
    world.identity.session = ask;
    assert_int_equal(login(), 200);
    tokens = test_login("john");
    meddle_before(2, end_sessions);
    assert_int_equal(test_call(dx_me_change_handle, tokens.access, "{\"email\":\"thief@example.com\"}").status, 401);
    world.identity.session = ask;
    assert_int_equal(test_call(dx_login_handle, NULL, "username=thief@example.com&password=correct+horse+battery").status, 401);
}

// --- what forgives failed logins ---------------------------------------------------------------------------------------------

static void fail_logins(int count) {
    for (int i = 0; i < count; i++)
        assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=not+the+password").status, 401);
}

// A stolen access token must not buy more guesses at the password.
static void changing_the_address_does_not_forgive_failed_logins(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    fail_logins(4);
    test_advance(DX_SECOND);
    assert_int_equal(test_call(dx_me_change_handle, tokens.access, "{\"email\":\"john@example.com\"}").status, 200);
    fail_logins(1);
    assert_int_equal(login(), 429);
}

static void unlocking_forgives_failed_logins(void **state) {
    (void)state;
    test_register("john");
    fail_logins(5);
    assert_int_equal(login(), 429);
    test_advance(DX_SECOND);
    const dx_value values[] = {DX_INT_VALUE(test_utc), DX_INT_VALUE(1)}, name = DX_TEXT_VALUE(DX_SLICE("john"));
    run(world.identity.statements.failure_delete, &name, 1);
    assert_int_equal(login(), 429); // memory still has them
    run(world.identity.statements.unlock, values, 2);
    assert_int_equal(login(), 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_login_under_way_does_not_outlive_a_change_of_password),
        TEST(a_login_under_way_is_refused_when_the_account_is_disabled),
        TEST(a_login_under_way_goes_on_when_something_else_changes),
        TEST(a_change_of_password_under_way_does_not_overrule_the_operators),
        TEST(a_session_that_has_ended_changes_nothing_any_more),
        TEST(changing_the_address_does_not_forgive_failed_logins),
        TEST(unlocking_forgives_failed_logins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
