// Accounts, logins, tokens and sessions, as the handlers answer them.
#include "crypto/digest.h"
#include "identity/fixture.h"

static bool is_code(const test_answer *answer, int status, const char *code) {
    if (answer->status == status && dx_slice_equal(answer->error_code, dx_slice_str(code))) return true;
    print_error("found %d %.*s\n", answer->status, DX_SLICE_ARG(answer->body));
    return false;
}
#define assert_code(answer, status, code) assert_true(is_code(&(answer), status, code))

static int probe(const char *token) {
    return test_call(test_probe, token, NULL).status;
}

static yyjson_val *claims_of(const char *token, const dx_key *key) {
    yyjson_doc *doc;
    dx_jwt_expect expect = {.now_s = test_utc / 1000000};
    assert_int_equal(dx_jwt_verify(&doc, world.arena, key, dx_slice_str(token), &expect), DX_OK);
    return yyjson_doc_get_root(doc);
}

// --- registration -----------------------------------------------------------------------------------------------------------

static void a_registered_account_is_shown_without_its_password(void **state) {
    (void)state;
    test_answer answer =
        test_call(dx_register_handle, NULL, "{\"username\":\"John\",\"email\":\"John@Example.com\",\"password\":\"" PASSPHRASE "\"}");
    assert_int_equal(answer.status, 201);
    assert_true(dx_slice_equal(answer.location, DX_SLICE("/auth/me")));
    assert_true(dx_slice_equal(dx_json_member_slice(answer.json, "username"), DX_SLICE("John")));
    assert_null(yyjson_obj_get(answer.json, "password"));
    assert_true(yyjson_is_int(yyjson_obj_get(answer.json, "id")));
    assert_true(yyjson_equals_str(yyjson_arr_get(yyjson_obj_get(answer.json, "roles"), 0), "user"));
}

static void names_are_unique_in_any_case_and_the_conflict_names_the_field(void **state) {
    (void)state;
    test_register("john");
    test_answer taken =
        test_call(dx_register_handle, NULL, "{\"username\":\"JOHN\",\"email\":\"other@example.com\",\"password\":\"" PASSPHRASE "\"}");
    assert_code(taken, 409, "already_exists");
    taken = test_call(dx_register_handle, NULL, "{\"username\":\"jane\",\"email\":\"JOHN@example.com\",\"password\":\"" PASSPHRASE "\"}");
    assert_code(taken, 409, "already_exists");
}

static void what_cannot_be_registered_is_refused(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"username\":\"a@b\",\"email\":\"x@example.com\",\"password\":\"" PASSPHRASE "\"}",
        "{\"username\":\"\",\"email\":\"x@example.com\",\"password\":\"" PASSPHRASE "\"}",
        "{\"username\":\"john\",\"email\":\"nobody\",\"password\":\"" PASSPHRASE "\"}",
        "{\"username\":\"john\",\"email\":\"x@example.com\",\"password\":\"short\"}",
        "{\"username\":\"john\",\"email\":\"x@example.com\",\"password\":\"Password1234!\"}",
        "{\"username\":\"johnathan7\",\"email\":\"x@example.com\",\"password\":\"johnathan7!!\"}",
        "{\"username\":\"john\",\"email\":\"long.address@example.com\",\"password\":\"long.address@example.com\"}",
        "{\"username\":\"john\",\"email\":\"x@example.com\",\"password\":\"" PASSPHRASE "\",\"roles\":[\"admin\"]}",
        "{\"username\":7,\"email\":\"x@example.com\",\"password\":\"" PASSPHRASE "\"}",
        "{\"username\":\"john\",\"email\":\"x@example.com\"}",
        "username=john&email=x@example.com&password=correct+horse+battery&role=admin",
    };
    for (size_t i = 0; i < DX_COUNT_OF(bodies); i++) {
        test_answer answer = test_call(dx_register_handle, NULL, bodies[i]);
        assert_code(answer, 422, "validation_failed");
    }
    test_answer broken = test_call(dx_register_handle, NULL, "{\"username\":");
    assert_int_equal(broken.status, 400);
}

static void what_was_sent_is_wiped(void **state) {
    (void)state;
    test_register("john");
    assert_true(test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery").wiped);
    assert_true(test_call(dx_login_handle, NULL, "{\"username\":\"john\",\"password\":\"" PASSPHRASE "\"}").wiped);
    assert_true(test_call(dx_login_handle, NULL, "username=john&password=wrong+horse+battery").wiped);
    assert_true(test_call(dx_register_handle, NULL, "{\"username\":\"x\",\"password\":\"" PASSPHRASE "\"}").wiped);
    assert_true(test_call(dx_login_handle, NULL, "{\"password\":\"" PASSPHRASE "\",").wiped);
}

// --- login ------------------------------------------------------------------------------------------------------------------

static void login_takes_forms_and_json_by_username_or_address(void **state) {
    (void)state;
    test_register("john");
    static const char *const bodies[] = {
        "username=john&password=correct+horse+battery",
        "grant_type=password&username=JOHN&password=correct%20horse%20battery&scope=&client_id=x",
        "{\"username\":\"John@Example.com\",\"password\":\"" PASSPHRASE "\"}",
        "{\"email\":\"john@example.com\",\"password\":\"" PASSPHRASE "\"}",
    };
    for (size_t i = 0; i < DX_COUNT_OF(bodies); i++) {
        test_answer answer = test_call(dx_login_handle, NULL, bodies[i]);
        assert_int_equal(answer.status, 200);
        assert_int_equal(yyjson_get_int(yyjson_obj_get(answer.json, "expires_in")), 900);
        assert_true(yyjson_equals_str(yyjson_obj_get(answer.json, "token_type"), "bearer"));
    }
    test_answer other = test_call(dx_login_handle, NULL, "grant_type=client_credentials&username=john&password=x");
    assert_code(other, 422, "validation_failed");
}

static void access_tokens_carry_their_claims(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    yyjson_val *claims = claims_of(tokens.access, world.identity.key);
    assert_true(yyjson_equals_str(yyjson_obj_get(claims, "type"), "access"));
    assert_true(yyjson_equals_str(yyjson_obj_get(claims, "sub"), "1"));
    assert_int_equal(yyjson_get_sint(yyjson_obj_get(claims, "iat")), test_utc / 1000000);
    assert_int_equal(yyjson_get_sint(yyjson_obj_get(claims, "exp")), test_utc / 1000000 + 900);
    assert_true(dx_json_member_slice(claims, "jti").size > 0);
}

static void wrong_unknown_and_disabled_answer_alike(void **state) {
    (void)state;
    test_register("john");
    test_answer wrong = test_call(dx_login_handle, NULL, "username=john&password=not+the+password");
    test_answer unknown = test_call(dx_login_handle, NULL, "username=nobody&password=not+the+password");
    assert_code(wrong, 401, "invalid_credentials");
    assert_true(dx_slice_equal(wrong.body, unknown.body));
    assert_true(wrong.authenticate.size > 0);
    const dx_value values[] = {DX_BOOL_VALUE(true), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    dx_step step = {world.identity.statements.set_disabled, values, 3, NULL, true};
    dx_script script;
    dx_script_init(&script, DX_TX_WRITE, &step, 1, NULL);
    dx_store_run(world.store, &script.tx);
    assert_int_equal(script.outcome, DX_OK);
    wrong = test_call(dx_login_handle, NULL, "username=john&password=not+the+password");
    assert_true(dx_slice_equal(wrong.body, unknown.body));
    test_answer right = test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery");
    assert_code(right, 403, "account_disabled");
}

static void set_hash(const char *hash) {
    const dx_value values[] = {DX_TEXT_VALUE(dx_slice_str(hash)), DX_INT_VALUE(test_utc), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    dx_step step = {world.identity.statements.set_password, values, 4, NULL, true};
    dx_script script;
    dx_script_init(&script, DX_TX_WRITE, &step, 1, NULL);
    dx_store_run(world.store, &script.tx);
    assert_int_equal(script.outcome, DX_OK);
}

static dx_account stored_account;
static dx_status take_stored(void *ctx, const dx_row *row) {
    (void)ctx;
    return dx_account_read(&stored_account, world.arena, row);
}

static const dx_account *read_account(int64_t id) {
    dx_value value = DX_INT_VALUE(id);
    dx_step step = {world.identity.statements.by_id, &value, 1, take_stored, false};
    dx_script script;
    dx_script_init(&script, DX_TX_READ, &step, 1, NULL);
    dx_store_run(world.store, &script.tx);
    assert_int_equal(script.outcome, DX_OK);
    return &stored_account;
}

static void a_bcrypt_hash_logs_in_and_is_renewed(void **state) {
    (void)state;
    test_register("john");
    set_hash("$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=U*U").status, 200);
    assert_true(dx_slice_starts(read_account(1)->password, DX_SLICE("$argon2id$")));
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=U*U").status, 200);
    assert_int_equal(stored_account.last_login_at, test_utc);
}

// --- lockout ----------------------------------------------------------------------------------------------------------------

static void repeated_failures_lock_known_and_unknown_names_alike(void **state) {
    (void)state;
    test_register("john");
    for (int i = 0; i < 12; i++) {
        test_answer known = test_call(dx_login_handle, NULL, "username=john&password=not+the+password");
        test_answer unknown = test_call(dx_login_handle, NULL, "username=nobody&password=not+the+password");
        assert_int_equal(known.status, i < 5 ? 401 : 429);
        assert_int_equal(known.status, unknown.status);
        assert_true(dx_slice_equal(known.body, unknown.body));
        assert_true(dx_slice_equal(known.retry_after, unknown.retry_after));
    }
    test_answer right = test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery");
    assert_code(right, 429, "rate_limited"); // not even looked at
    assert_true(dx_slice_equal(right.retry_after, DX_SLICE("5")));
    test_advance(5 * DX_SECOND);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=not+the+password").status, 401);
    test_answer longer = test_call(dx_login_handle, NULL, "username=john&password=not+the+password");
    assert_true(dx_slice_equal(longer.retry_after, DX_SLICE("10"))); // twice as long
    test_advance(10 * DX_SECOND);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery").status, 200);
    for (int i = 0; i < 5; i++) // forgiven: the free ones are back
        assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=not+the+password").status, 401);
}

static void a_lock_of_a_real_account_outlives_the_process(void **state) {
    (void)state;
    test_register("john");
    test_advance(DX_SECOND);
    for (int i = 0; i < 5; i++) (void)test_call(dx_login_handle, NULL, "username=john&password=not+the+password");
    test_register("jane");                              // written behind the failures: they are stored when this is
    dx_lockout_destroy(world.identity.memory->lockout); // what a restart forgets
    world.identity.memory->lockout = dx_lockout_create(&world.identity.settings.lockout);
    test_answer answer = test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery");
    assert_code(answer, 429, "rate_limited");
    test_advance(5 * DX_SECOND);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery").status, 200);
}

// --- the filter -------------------------------------------------------------------------------------------------------------

static void a_token_makes_the_principal(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    for (int i = 0; i < 3; i++) {
        test_answer answer = test_call(test_probe, tokens.access, NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.principal, "john");
        assert_string_equal(answer.roles, "user");
    }
    assert_false(test_call(test_probe, NULL, NULL).has_principal);
}

static void bad_tokens_are_refused_and_say_why(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    const char *bad[] = {tokens.refresh,
                         "x",
                         "a.b.c",
                         test_format("%.*s", (int)strlen(tokens.access) - 2, tokens.access),
                         "",
                         test_format("%s.", tokens.access)};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) {
        test_answer answer = test_call(test_probe, bad[i], NULL);
        assert_code(answer, 401, "invalid_token");
        assert_true(dx_slice_starts(answer.authenticate, DX_SLICE("Bearer error=\"invalid_token\"")));
    }
    test_advance(900 * DX_SECOND);
    test_answer expired = test_call(test_probe, tokens.access, NULL);
    assert_code(expired, 401, "expired_token");
    // What gives new tokens takes no notice of old ones.
    assert_int_equal(test_call(dx_login_handle, tokens.access, "username=john&password=correct+horse+battery").status, 200);
}

// Whoever shares the key may sign other things with it: only what says that it is an access token is one.
static void a_token_of_another_type_is_refused(void **state) {
    (void)state;
    test_register("john");
    dx_slice session = dx_json_member_slice(claims_of(test_login("john").access, world.identity.key), "sid"), token;
    for (int good = 0; good < 2; good++) {
        const char *claims = test_format("{\"sub\":\"1\",\"sid\":\"%.*s\",\"exp\":%lld,\"type\":\"%s\"}", DX_SLICE_ARG(session),
                                         (long long)test_utc / 1000000 + 60, good ? "access" : "invitation");
        assert_int_equal(dx_jws_sign(&token, world.arena, world.identity.key, DX_SLICE("JWT"), dx_slice_str(claims)), DX_OK);
        assert_int_equal(probe(token.data), good ? 200 : 401);
    }
}

// "exp" is any JSON number. What the cache remembers of it is what the first look found.
static void a_cached_token_lasts_as_long_however_its_end_is_written(void **state) {
    (void)state;
    test_register("john");
    dx_slice session = dx_json_member_slice(claims_of(test_login("john").access, world.identity.key), "sid"), token;
    const char *ends[] = {test_format("%lld.5", (long long)test_utc / 1000000 + 60), "18446744073709551615"};
    for (size_t i = 0; i < DX_COUNT_OF(ends); i++) {
        const char *claims = test_format("{\"sub\":\"1\",\"sid\":\"%.*s\",\"exp\":%s,\"type\":\"access\"}", DX_SLICE_ARG(session), ends[i]);
        assert_int_equal(dx_jws_sign(&token, world.arena, world.identity.key, DX_SLICE("JWT"), dx_slice_str(claims)), DX_OK);
        assert_int_equal(probe(token.data), 200);
        assert_int_equal(probe(token.data), 200);
        test_advance(60 * DX_SECOND);
        assert_int_equal(probe(token.data), i == 0 ? 401 : 200);
    }
}

static void every_operation_describes_itself(void **state) {
    (void)state;
    const dx_handler handlers[] = {dx_register_handle, dx_login_handle,     dx_refresh_handle,  dx_logout_handle,
                                   dx_me_handle,       dx_me_change_handle, dx_password_handle, dx_jwks_handle};
    for (size_t i = 0; i < DX_COUNT_OF(handlers); i++) {
        dx_operation operation = {.handler = handlers[i]};
        yyjson_mut_doc *doc = dx_json_mut_doc(world.arena);
        yyjson_mut_val *object = yyjson_mut_obj(doc);
        dx_identity_describe(NULL, &operation, doc, object);
        assert_non_null(yyjson_mut_obj_get(object, "summary"));
        assert_non_null(yyjson_mut_obj_get(object, "responses"));
        assert_int_equal(yyjson_mut_arr_size(yyjson_mut_obj_get(object, "tags")), 1);
    }
}

static void a_cached_token_expires_too(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    test_advance(899 * DX_SECOND);
    assert_int_equal(probe(tokens.access), 200);
    test_advance(DX_SECOND);
    assert_int_equal(probe(tokens.access), 401);
    assert_int_equal(probe(tokens.access), 401);
}

static void run_by_another_process(const dx_statement *statement, const dx_value *values, size_t count) {
    dx_step step = {statement, values, count, NULL, true};
    dx_script script;
    dx_script_init(&script, DX_TX_WRITE, &step, 1, NULL);
    dx_store_run(world.store, &script.tx);
    assert_int_equal(script.outcome, DX_OK);
}

static void what_another_process_changes_is_believed_after_a_second(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    assert_int_equal(probe(tokens.access), 200);
    test_advance(10 * DX_MILLISECOND);
    const dx_value roles[] = {DX_TEXT_VALUE(DX_SLICE("[\"admin\",\"editor\"]")), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    run_by_another_process(world.identity.statements.set_roles, roles, 3);
    assert_string_equal(test_call(test_probe, tokens.access, NULL).roles, "user"); // the stated bound
    test_advance(DX_SECOND);
    assert_string_equal(test_call(test_probe, tokens.access, NULL).roles, "admin,editor");
    const dx_value disabled[] = {DX_BOOL_VALUE(true), DX_INT_VALUE(test_utc), DX_INT_VALUE(1)};
    run_by_another_process(world.identity.statements.set_disabled, disabled, 3);
    test_advance(DX_SECOND);
    assert_int_equal(probe(tokens.access), 401);
}

static void the_cache_stays_within_its_bytes(void **state) {
    (void)state;
    test_register("john");
    dx_account account = *read_account(1);
    test_tokens first = test_login("john");
    dx_slice session = dx_json_member_slice(claims_of(first.access, world.identity.key), "sid"), token;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(dx_access_token(&token, world.arena, &world.identity, &account, session, test_utc / 1000000), DX_OK);
        assert_int_equal(probe(token.data), 200);
    }
    assert_true(dx_token_cache_bytes(world.identity.caches[0]) <= 256 << 10);
    assert_true(dx_token_cache_bytes(world.identity.caches[0]) > 100 << 10);
    assert_int_equal(probe(first.access), 200);
}

// --- refresh and logout -----------------------------------------------------------------------------------------------------

static test_answer refresh(const char *token) {
    return test_call(dx_refresh_handle, NULL, test_format("{\"refresh_token\":\"%s\"}", token));
}

static void refreshing_rotates(void **state) {
    (void)state;
    test_register("john");
    test_tokens first = test_login("john");
    test_advance(DX_SECOND);
    test_answer answer = refresh(first.refresh);
    test_tokens second = test_tokens_of(&answer);
    assert_string_not_equal(first.refresh, second.refresh);
    assert_int_equal(probe(second.access), 200);
    test_answer form = test_call(dx_refresh_handle, NULL, test_format("grant_type=refresh_token&refresh_token=%s", second.refresh));
    assert_int_equal(form.status, 200);
}

static void a_lost_answer_can_be_asked_for_again(void **state) {
    (void)state;
    test_register("john");
    test_tokens first = test_login("john");
    test_advance(DX_SECOND);
    test_answer one = refresh(first.refresh);
    test_advance(4 * DX_SECOND);
    test_answer two = refresh(first.refresh);
    assert_string_equal(test_tokens_of(&one).refresh, test_tokens_of(&two).refresh);
    assert_int_equal(refresh(test_tokens_of(&two).refresh).status, 200);
}

static void a_spent_refresh_token_ends_the_whole_session(void **state) {
    (void)state;
    test_register("john");
    test_tokens first = test_login("john"), elsewhere = test_login("john");
    test_answer answer = refresh(first.refresh);
    test_tokens second = test_tokens_of(&answer);
    assert_int_equal(probe(second.access), 200);
    test_advance(6 * DX_SECOND);
    test_answer reused = refresh(first.refresh);
    assert_code(reused, 401, "invalid_token");
    assert_int_equal(refresh(second.refresh).status, 401);
    assert_int_equal(probe(second.access), 401); // at once, cached or not
    assert_int_equal(probe(elsewhere.access), 200);
}

static void the_token_before_the_last_is_never_in_the_grace(void **state) {
    (void)state;
    test_register("john");
    test_tokens first = test_login("john");
    test_answer answer = refresh(first.refresh);
    test_tokens second = test_tokens_of(&answer);
    answer = refresh(second.refresh);
    test_tokens third = test_tokens_of(&answer);
    assert_int_equal(probe(third.access), 200);
    assert_int_equal(refresh(first.refresh).status, 401);
    assert_int_equal(refresh(third.refresh).status, 401);
    assert_int_equal(probe(third.access), 401); // at once, though it is cached
}

static void refresh_refuses_what_is_no_refresh_token(void **state) {
    (void)state;
    test_register("john");
    test_tokens tokens = test_login("john");
    test_answer answer = refresh(tokens.access);
    assert_code(answer, 401, "invalid_token");
    answer = refresh("x");
    assert_code(answer, 401, "invalid_token");
    answer = test_call(dx_refresh_handle, NULL, "{}");
    assert_code(answer, 422, "validation_failed");
    test_advance(691200 * DX_SECOND);
    answer = refresh(tokens.refresh);
    assert_code(answer, 401, "expired_token");
}

static void logout_ends_this_session_at_once_and_no_other(void **state) {
    (void)state;
    test_register("john");
    test_tokens one = test_login("john"), two = test_login("john");
    assert_int_equal(probe(one.access), 200);
    assert_int_equal(test_call(dx_logout_handle, one.access, NULL).status, 204);
    assert_int_equal(probe(one.access), 401);
    assert_int_equal(refresh(one.refresh).status, 401);
    assert_int_equal(probe(two.access), 200);
    assert_int_equal(test_call(dx_logout_handle, NULL, test_format("{\"refresh_token\":\"%s\"}", two.refresh)).status, 204);
    assert_int_equal(probe(two.access), 401);
    assert_int_equal(test_call(dx_logout_handle, NULL, NULL).status, 401);
}

static void logout_everywhere_ends_all_sessions_of_the_account_alone(void **state) {
    (void)state;
    test_register("john");
    test_register("jane");
    test_tokens one = test_login("john"), two = test_login("john"), jane = test_login("jane");
    assert_int_equal(test_call(dx_logout_handle, one.access, "{\"all\":true}").status, 204);
    assert_int_equal(probe(two.access), 401);
    assert_int_equal(probe(jane.access), 200);
}

// Whoever finds an old one could otherwise log its owner out again and again, for as long as its days last.
static void a_refresh_token_that_is_no_longer_good_ends_no_other_session(void **state) {
    (void)state;
    test_register("john");
    test_tokens left = test_login("john"), spent = test_login("john"), other = test_login("john");
    assert_int_equal(test_call(dx_logout_handle, left.access, NULL).status, 204);
    test_answer rotated = refresh(spent.refresh);
    test_advance(6 * DX_SECOND);
    const char *old[] = {left.refresh, spent.refresh};
    for (size_t i = 0; i < DX_COUNT_OF(old); i++) {
        test_answer answer = test_call(dx_logout_handle, NULL, test_format("{\"refresh_token\":\"%s\",\"all\":true}", old[i]));
        assert_code(answer, 401, "invalid_token");
        assert_int_equal(probe(other.access), 200);
    }
    assert_int_equal(probe(test_tokens_of(&rotated).access), 401); // its own session: a spent one is a stolen one
    test_tokens good = test_login("john");
    assert_int_equal(test_call(dx_logout_handle, NULL, test_format("refresh_token=%s&all=true", good.refresh)).status, 204);
    assert_int_equal(probe(other.access), 401);
}

static void a_flag_in_a_form_is_true_or_false(void **state) {
    (void)state;
    test_register("john");
    test_tokens one = test_login("john"), two = test_login("john");
    test_answer unclear = test_call(dx_logout_handle, one.access, "all=1");
    assert_code(unclear, 422, "validation_failed");
    assert_int_equal(test_call(dx_logout_handle, one.access, "all=false").status, 204);
    assert_int_equal(probe(one.access), 401);
    assert_int_equal(test_call(dx_logout_handle, two.access, "all=true").status, 204);
}

static void too_many_sessions_end_the_one_used_longest_ago(void **state) {
    (void)state;
    test_register("john");
    test_register("jane");
    test_tokens kept = test_login("john"), jane = test_login("jane");
    test_advance(DX_SECOND);
    test_tokens oldest = test_login("john");
    test_advance(DX_SECOND);
    test_answer used = refresh(kept.refresh);
    for (int i = 2; i < DX_SESSIONS_CAP; i++) (void)test_login("john");
    assert_int_equal(probe(oldest.access), 200);
    (void)test_login("john");
    assert_int_equal(probe(oldest.access), 401); // at once, though it is cached
    assert_int_equal(refresh(oldest.refresh).status, 401);
    assert_int_equal(refresh(test_tokens_of(&used).refresh).status, 200);
    assert_int_equal(probe(jane.access), 200);
}

static int64_t rows_seen;
static dx_status count_row(void *ctx, const dx_row *row) {
    (void)ctx, (void)row;
    rows_seen++;
    return DX_OK;
}

static void sessions_that_were_ended_do_not_pile_up(void **state) {
    (void)state;
    test_register("john");
    for (int i = 0; i < 5; i++) assert_int_equal(test_call(dx_logout_handle, test_login("john").access, NULL).status, 204);
    const dx_value values[] = {DX_INT_VALUE(INT64_MAX), DX_INT_VALUE(100)};
    dx_step step = {world.identity.statements.sessions_expired, values, 2, count_row, false};
    dx_script script;
    rows_seen = 0;
    dx_script_init(&script, DX_TX_READ, &step, 1, NULL);
    dx_store_run(world.store, &script.tx);
    assert_int_equal(script.outcome, DX_OK);
    assert_int_equal(rows_seen, 1);
}

// --- one's own account ------------------------------------------------------------------------------------------------------

static void me_shows_and_changes_the_address(void **state) {
    (void)state;
    test_register("john");
    test_register("jane");
    test_tokens tokens = test_login("john");
    test_answer me = test_call(dx_me_handle, tokens.access, NULL);
    assert_int_equal(me.status, 200);
    assert_true(yyjson_equals_str(yyjson_obj_get(me.json, "username"), "john"));
    me = test_call(dx_me_change_handle, tokens.access, "{\"email\":\"New@example.com\"}");
    assert_int_equal(me.status, 200);
    assert_true(yyjson_equals_str(yyjson_obj_get(me.json, "email"), "New@example.com"));
    assert_int_equal(test_call(dx_login_handle, NULL, "username=new@example.com&password=correct+horse+battery").status, 200);
    me = test_call(dx_me_change_handle, tokens.access, "{\"email\":\"JANE@example.com\"}");
    assert_code(me, 409, "already_exists");
    me = test_call(dx_me_change_handle, tokens.access, "{\"username\":\"x\"}");
    assert_code(me, 422, "validation_failed");
    assert_int_equal(test_call(dx_me_handle, NULL, NULL).status, 401);
}

static void guessing_the_current_password_is_braked_too(void **state) {
    (void)state;
    static const char guess[] = "{\"current_password\":\"not the password\",\"new_password\":\"a brand new phrase\"}";
    test_register("john");
    test_tokens tokens = test_login("john");
    for (int i = 0; i < 5; i++) assert_int_equal(test_call(dx_password_handle, tokens.access, guess).status, 422);
    test_answer answer = test_call(dx_password_handle, tokens.access, guess);
    assert_code(answer, 429, "rate_limited");
    assert_true(dx_slice_equal(answer.retry_after, DX_SLICE("5")));
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery").status, 429); // one count for both
}

static void a_new_password_ends_the_other_sessions(void **state) {
    (void)state;
    test_register("john");
    test_tokens mine = test_login("john"), other = test_login("john");
    assert_int_equal(probe(other.access), 200); // cached from now on
    test_answer wrong =
        test_call(dx_password_handle, mine.access, "{\"current_password\":\"not the password\",\"new_password\":\"a brand new phrase\"}");
    assert_code(wrong, 422, "validation_failed");
    wrong = test_call(dx_password_handle, mine.access, "{\"current_password\":\"" PASSPHRASE "\",\"new_password\":\"password1234\"}");
    assert_code(wrong, 422, "validation_failed");
    assert_int_equal(
        test_call(dx_password_handle, mine.access, "{\"current_password\":\"" PASSPHRASE "\",\"new_password\":\"a brand new phrase\"}")
            .status,
        204);
    assert_int_equal(probe(mine.access), 200);
    assert_int_equal(probe(other.access), 401);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=correct+horse+battery").status, 401);
    assert_int_equal(test_call(dx_login_handle, NULL, "username=john&password=a+brand+new+phrase").status, 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_registered_account_is_shown_without_its_password),
        TEST(names_are_unique_in_any_case_and_the_conflict_names_the_field),
        TEST(what_cannot_be_registered_is_refused),
        TEST(what_was_sent_is_wiped),
        TEST(login_takes_forms_and_json_by_username_or_address),
        TEST(access_tokens_carry_their_claims),
        TEST(wrong_unknown_and_disabled_answer_alike),
        TEST(a_bcrypt_hash_logs_in_and_is_renewed),
        TEST(repeated_failures_lock_known_and_unknown_names_alike),
        TEST(a_lock_of_a_real_account_outlives_the_process),
        TEST(a_token_makes_the_principal),
        TEST(bad_tokens_are_refused_and_say_why),
        TEST(a_token_of_another_type_is_refused),
        TEST(a_cached_token_lasts_as_long_however_its_end_is_written),
        TEST(every_operation_describes_itself),
        TEST(a_cached_token_expires_too),
        TEST(what_another_process_changes_is_believed_after_a_second),
        TEST(the_cache_stays_within_its_bytes),
        TEST(refreshing_rotates),
        TEST(a_lost_answer_can_be_asked_for_again),
        TEST(a_spent_refresh_token_ends_the_whole_session),
        TEST(the_token_before_the_last_is_never_in_the_grace),
        TEST(refresh_refuses_what_is_no_refresh_token),
        TEST(logout_ends_this_session_at_once_and_no_other),
        TEST(logout_everywhere_ends_all_sessions_of_the_account_alone),
        TEST(a_refresh_token_that_is_no_longer_good_ends_no_other_session),
        TEST(a_flag_in_a_form_is_true_or_false),
        TEST(too_many_sessions_end_the_one_used_longest_ago),
        TEST(sessions_that_were_ended_do_not_pile_up),
        TEST(me_shows_and_changes_the_address),
        TEST(guessing_the_current_password_is_braked_too),
        TEST(a_new_password_ends_the_other_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
