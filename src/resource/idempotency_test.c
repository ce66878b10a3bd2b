// Idempotency-Key: what is replayed, what is refused, what survives.
#include <stdio.h>

#include "resource/idempotency.h"
#include "resource/write_fixture.h"

static const char *const definition =
    "{\"models\":{\"Note\":{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\"}}}},"
    "\"resources\":{\"notes\":{\"model\":\"Note\",\"unique\":[\"name\"]},\"others\":{\"model\":\"Note\"},"
    "\"open\":{\"model\":\"Note\",\"access\":\"public\"}}}";

static writer *w;

static int setup(void **state) {
    static writer fresh;
    w = &fresh;
    *state = w;
    writer_open(w, definition);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    writer_close(w);
    return 0;
}

static dx_resource_call *begin(const char *resource, const char *key, const char *body) {
    dx_resource_call *call = writer_call(w, resource, NULL, body);
    call->idempotency_key = dx_slice_str(key);
    return call;
}

static dx_resource_call *post(const char *resource, const char *key, const char *body) {
    dx_resource_call *call = begin(resource, key, body);
    writer_start(w, call, dx_resource_create);
    writer_wait(w);
    return call;
}

// --- the table of answers, by hand -----------------------------------------------------------------------------------------

typedef struct by_hand {
    dx_tx tx;
    const dx_statement *statement;
    const dx_value *params;
    size_t count;
    bool ran;
    int64_t value;
    dx_status status;
} by_hand;

static dx_tx_step hand_next(dx_tx *tx) {
    by_hand *hand = DX_CONTAINER_OF(tx, by_hand, tx);
    if (tx->status != DX_OK) return DX_TX_ROLLBACK;
    if (hand->ran) return DX_TX_COMMIT;
    hand->ran = true;
    tx->statement = hand->statement;
    tx->params = hand->params;
    tx->param_count = hand->count;
    return DX_TX_RUN;
}

static dx_status hand_row(dx_tx *tx, const dx_row *row) {
    DX_CONTAINER_OF(tx, by_hand, tx)->value = dx_row_value(row, 0).integer;
    return DX_OK;
}

static void hand_done(dx_tx *tx, dx_status status) {
    by_hand *hand = DX_CONTAINER_OF(tx, by_hand, tx);
    hand->status = status;
    writer *self = w;
    if (--self->pending == 0 && self->waiting) dx_loop_stop(self->loop);
}

static int64_t run_by_hand(const dx_query *query, const dx_value *params, size_t count) {
    by_hand hand = {.tx = {.mode = DX_TX_WRITE, .next = hand_next, .row = hand_row, .done = hand_done}, .params = params, .count = count};
    assert_int_equal(dx_statement_make(&hand.statement, w->f.store, w->f.arena, query), DX_OK);
    w->pending++;
    dx_store_submit(w->session, &hand.tx);
    writer_wait(w);
    assert_int_equal(hand.status, DX_OK);
    return hand.value;
}

static int64_t answers_kept(void) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_COUNT, &dx_idempotency_table);
    return run_by_hand(&query, NULL, 0);
}

static void let_answers_expire(void) {
    static const dx_expr all = {.kind = DX_EXPR_AND};
    uint16_t expires = (uint16_t)(dx_idempotency_table.column_count - 1);
    dx_value long_ago = DX_INT_VALUE(1);
    dx_query query = DX_QUERY_INIT(DX_QUERY_UPDATE, &dx_idempotency_table);
    query.columns = &expires;
    query.column_count = 1;
    query.where = &all;
    run_by_hand(&query, &long_ago, 1);
}

// --- tests -----------------------------------------------------------------------------------------------------------------

static void the_same_request_gets_the_first_answer(void **state) {
    (void)state;
    dx_resource_call *first = post("notes", "k1", "{\"name\":\"one\"}"), *again = post("notes", "\"k1\"", "{\"name\":\"one\"}");
    assert_call(first, DX_OK);
    assert_call(again, DX_OK);
    assert_int_equal(again->http, 201);
    assert_false(first->replayed);
    assert_true(again->replayed);
    assert_true(dx_slice_equal(first->out, again->out));
    assert_true(dx_slice_equal(first->etag, again->etag));
    assert_true(dx_slice_equal(first->location, again->location));
    assert_true(first->modified == again->modified);
    assert_int_equal(writer_count(w, "notes"), 1);
}

static void many_rows_are_replayed_likewise(void **state) {
    (void)state;
    dx_resource_call *first = post("notes", "k1", "[{\"name\":\"a\"},{\"name\":\"b\"}]");
    dx_resource_call *again = post("notes", "k1", "[{\"name\":\"a\"},{\"name\":\"b\"}]");
    assert_call(again, DX_OK);
    assert_true(again->replayed && dx_slice_equal(first->out, again->out));
    assert_null(again->etag.data);
    assert_int_equal(again->location.size, 0);
    assert_int_equal(writer_count(w, "notes"), 2);
}

static void another_request_with_the_key_is_refused(void **state) {
    (void)state;
    assert_call(post("notes", "k1", "{\"name\":\"one\"}"), DX_OK);
    dx_resource_call *call = post("notes", "k1", "{\"name\":\"two\"}");
    assert_call(call, DX_KEY_REUSED);
    assert_call(post("notes", "k1", "{ \"name\":\"one\"}"), DX_KEY_REUSED); // the bytes count
    assert_int_equal(writer_count(w, "notes"), 1);
}

static void the_second_of_two_at_once_is_told_so(void **state) {
    (void)state;
    dx_resource_call *first = begin("notes", "k1", "{\"name\":\"one\"}"), *second = begin("notes", "k1", "{\"name\":\"one\"}");
    writer_start(w, first, dx_resource_create);
    writer_start(w, second, dx_resource_create);
    assert_call(second, DX_IN_FLIGHT);
    writer_wait(w);
    assert_call(first, DX_OK);
    assert_call(post("notes", "k1", "{\"name\":\"one\"}"), DX_OK); // no longer in flight
    assert_int_equal(writer_count(w, "notes"), 1);
}

static void keys_are_each_callers_and_resources_own(void **state) {
    (void)state;
    assert_call(post("notes", "k1", "{\"name\":\"one\"}"), DX_OK);
    assert_call(post("others", "k1", "{\"name\":\"two\"}"), DX_OK);
    dx_resource_call *call = begin("notes", "k1", "{\"name\":\"three\"}");
    call->principal = &w->jane;
    writer_start(w, call, dx_resource_create);
    writer_wait(w);
    assert_call(call, DX_OK);
    assert_false(call->replayed);
}

// The row and the answer to it are one transaction: what undoes the one undoes the other.
static void a_request_that_failed_may_be_tried_again(void **state) {
    (void)state;
    assert_call(post("notes", NULL, "{\"name\":\"taken\"}"), DX_OK);
    assert_call(post("notes", "k1", "[{\"name\":\"free\"},{\"name\":\"taken\"}]"), DX_ALREADY_EXISTS);
    assert_int_equal(answers_kept(), 0);
    assert_int_equal(writer_count(w, "notes"), 1);
    assert_call(post("notes", "k1", "{\"name\":\"other\"}"), DX_OK);
    assert_int_equal(answers_kept(), 1);
}

static void an_answer_without_a_row_cannot_be(void **state) {
    (void)state;
    assert_call(post("notes", "k1", "{\"name\":1}"), DX_INVALID);
    assert_call(post("notes", "k1", "{"), DX_MALFORMED);
    assert_int_equal(answers_kept(), 0);
}

static void keys_must_be_well_formed(void **state) {
    (void)state;
    char most[DX_KEYED_KEY_CAP + 2];
    memset(most, 'k', sizeof most);
    most[DX_KEYED_KEY_CAP + 1] = 0;
    static const char *const wrong[] = {"", "\"\"", "a b", "a,b", "a\"b", "\"a\"b\"", "\xc3\xa4", "a\tb"};
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        dx_resource_call *call = post("notes", wrong[i], "{\"name\":\"one\"}");
        if (call->status != DX_BAD_REQUEST) fail_msg("%s: %s", wrong[i], dx_status_name(call->status));
    }
    assert_call(post("notes", most, "{\"name\":\"one\"}"), DX_BAD_REQUEST);
    most[DX_KEYED_KEY_CAP] = 0;
    assert_call(post("notes", most, "{\"name\":\"one\"}"), DX_OK);
    assert_call(post("notes", "\"a b, c\"", "{\"name\":\"two\"}"), DX_OK);
}

static void strangers_need_keys_nobody_can_guess(void **state) {
    (void)state;
    static const char *const keys[] = {"k1", "123456789012345", "8e03978e-40d5-43e8-bc93-6894a57f9324"};
    for (size_t i = 0; i < DX_COUNT_OF(keys); i++) {
        dx_resource_call *call = begin("open", keys[i], "{\"name\":\"one\"}");
        call->principal = NULL;
        writer_start(w, call, dx_resource_create);
        writer_wait(w);
        assert_call(call, i < 2 ? DX_BAD_REQUEST : DX_OK);
    }
}

static void answers_are_forgotten_in_time(void **state) {
    (void)state;
    assert_call(post("notes", "k1", "{\"name\":\"one\"}"), DX_OK);
    let_answers_expire();
    dx_resource_call *call = post("notes", "k1", "{\"name\":\"two\"}");
    assert_call(call, DX_OK);
    assert_false(call->replayed);
    assert_int_equal(answers_kept(), 1);
}

static void expired_answers_do_not_pile_up(void **state) {
    (void)state;
    char key[16], body[32];
    for (int i = 0; i < 7; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(body, sizeof body, "{\"name\":\"%d\"}", i);
        assert_call(post("notes", key, body), DX_OK);
    }
    let_answers_expire();
    int64_t before = answers_kept();
    for (int i = 7; i < 12; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(body, sizeof body, "{\"name\":\"%d\"}", i);
        assert_call(post("notes", key, body), DX_OK);
        int64_t now = answers_kept();
        if (i < 10) assert_int_equal(now, before - 1); // each clears two and adds one
        before = now;
    }
    assert_int_equal(before, 5); // 7 -> 6, 5, 4, then the last expired one goes, then only additions
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_same_request_gets_the_first_answer),  TEST(many_rows_are_replayed_likewise),
        TEST(another_request_with_the_key_is_refused), TEST(the_second_of_two_at_once_is_told_so),
        TEST(keys_are_each_callers_and_resources_own), TEST(a_request_that_failed_may_be_tried_again),
        TEST(an_answer_without_a_row_cannot_be),       TEST(keys_must_be_well_formed),
        TEST(strangers_need_keys_nobody_can_guess),    TEST(answers_are_forgotten_in_time),
        TEST(expired_answers_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
