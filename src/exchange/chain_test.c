// The chain: order in and out, answers on the way, waits that are resumed later or at once, peers that go away.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exchange/chain.h"

// A filter or handler under test: what it says, and what it writes into the trace.
typedef struct part {
    char in, out;
    dx_verdict verdict;
    bool resumes_inside;
    dx_verdict inside;
} part;

static char trace[64];
static size_t trace_size;
static int finished_count;

static void note(char c) {
    trace[trace_size++] = c;
    trace[trace_size] = '\0';
}

static dx_verdict part_in(const void *conf, dx_exchange *x) {
    const part *p = conf;
    note(p->in);
    if (p->verdict == DX_ANSWER || (p->resumes_inside && p->inside == DX_ANSWER)) (void)dx_exchange_empty(x, 204);
    if (p->resumes_inside) dx_exchange_resume(x, p->inside);
    return p->verdict;
}

static void part_out(const void *conf, dx_exchange *x) {
    (void)x;
    note(((const part *)conf)->out);
}

static const dx_filter_ops both = {.name = "both", .in = part_in, .out = part_out};
static const dx_filter_ops only_in = {.name = "in", .in = part_in}, only_out = {.name = "out", .out = part_out};

// A filter that has the rest run again: so often, having waited or not.
static int runs_left;
static bool waits, resumes;
static dx_verdict part_again(const void *conf, dx_exchange *x) {
    (void)conf;
    note('?');
    dx_verdict verdict = runs_left-- > 0 ? DX_NEXT : DX_ANSWER;
    if (verdict == DX_NEXT) dx_exchange_forget(x);
    if (resumes) dx_exchange_resume(x, verdict);
    return waits ? DX_WAIT : verdict;
}
static const dx_filter_ops repeating = {.name = "again", .in = part_in, .again = part_again, .out = part_out};

static void count_finished(dx_exchange *x) {
    (void)x;
    finished_count++;
}

typedef struct fixture {
    dx_arena *arena;
    dx_exchange x;
    dx_filter filters[3];
    part parts[4];
    dx_chain chain;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->arena = dx_arena_create(1u << 20);
    dx_exchange_init(&f->x, f->arena, NULL, 0);
    f->x.finished = count_finished;
    for (size_t i = 0; i < 4; i++) f->parts[i] = (part){(char)('a' + i), (char)('A' + i), i == 3 ? DX_ANSWER : DX_NEXT, false, DX_NEXT};
    for (size_t i = 0; i < 3; i++) f->filters[i] = (dx_filter){&both, &f->parts[i]};
    f->chain = (dx_chain){f->filters, 3, part_in, &f->parts[3]};
    trace_size = 0;
    trace[0] = '\0';
    finished_count = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_arena_destroy(f->arena);
    free(f);
    return 0;
}

static void filters_run_in_order_in_and_in_reverse_out(void **state) {
    fixture *f = *state;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "abcdCBA");
    assert_int_equal(finished_count, 1);
    assert_int_equal(f->x.response.status, 204);
}

static void an_operation_runs_its_own_chain(void **state) {
    fixture *f = *state;
    dx_operation operation = {.chain = f->chain};
    f->x.operation = &operation;
    dx_chain_run(&f->x);
    assert_string_equal(trace, "abcdCBA");
}

static void a_filter_that_answers_is_not_seen_on_the_way_out(void **state) {
    fixture *f = *state;
    f->parts[1].verdict = DX_ANSWER;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "abA");
}

static void a_filter_may_have_what_lies_behind_it_run_again(void **state) {
    fixture *f = *state;
    f->filters[1].ops = &repeating;
    runs_left = 2;
    waits = resumes = false;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "abcdC?cdC?cdC?BA");
    assert_int_equal(finished_count, 1);
}

static void whether_it_runs_again_may_be_said_later(void **state) {
    fixture *f = *state;
    f->filters[1].ops = &repeating;
    runs_left = 1;
    waits = true;
    resumes = false;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "abcdC?");
    dx_exchange_resume(&f->x, DX_NEXT);
    assert_string_equal(trace, "abcdC?cdC?");
    assert_int_equal(finished_count, 0);
    dx_exchange_resume(&f->x, DX_ANSWER);
    assert_string_equal(trace, "abcdC?cdC?BA");
    assert_int_equal(finished_count, 1);
}

static void whether_it_runs_again_may_be_said_from_inside(void **state) {
    fixture *f = *state;
    f->filters[1].ops = &repeating;
    runs_left = 1;
    waits = resumes = true;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "abcdC?cdC?BA");
    assert_int_equal(finished_count, 1);
}

static void a_filter_is_not_asked_about_its_own_answer(void **state) {
    fixture *f = *state;
    f->filters[1].ops = &repeating;
    f->parts[1].verdict = DX_WAIT;
    runs_left = 1;
    dx_chain_run_with(&f->x, &f->chain);
    (void)dx_exchange_empty(&f->x, 204);
    dx_exchange_resume(&f->x, DX_ANSWER);
    assert_string_equal(trace, "abBA");
}

static void nothing_runs_again_for_a_peer_that_has_gone(void **state) {
    fixture *f = *state;
    f->filters[1].ops = &repeating;
    runs_left = 1;
    waits = true;
    resumes = false;
    dx_chain_run_with(&f->x, &f->chain);
    f->x.aborted = true;
    dx_exchange_resume(&f->x, DX_NEXT);
    assert_string_equal(trace, "abcdC?BA");
    assert_int_equal(finished_count, 1);
}

static void missing_slots_pass_through(void **state) {
    fixture *f = *state;
    f->filters[0].ops = &only_in;
    f->filters[1].ops = &only_out;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "acdCB");
}

static void a_waiting_filter_is_gone_on_with_later(void **state) {
    fixture *f = *state;
    f->parts[1].verdict = DX_WAIT;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "ab");
    assert_int_equal(finished_count, 0);
    dx_exchange_resume(&f->x, DX_NEXT);
    assert_string_equal(trace, "abcdCBA");
    assert_int_equal(finished_count, 1);
}

static void a_filter_that_waited_and_answers_is_seen_on_the_way_out(void **state) {
    fixture *f = *state;
    f->parts[1].verdict = DX_WAIT;
    dx_chain_run_with(&f->x, &f->chain);
    (void)dx_exchange_empty(&f->x, 204);
    dx_exchange_resume(&f->x, DX_ANSWER);
    assert_string_equal(trace, "abBA");
}

static void a_waiting_handler_is_answered_later(void **state) {
    fixture *f = *state;
    f->parts[3].verdict = DX_WAIT;
    dx_chain_run_with(&f->x, &f->chain);
    (void)dx_exchange_empty(&f->x, 201);
    dx_exchange_resume(&f->x, DX_ANSWER);
    assert_string_equal(trace, "abcdCBA");
    assert_int_equal(f->x.response.status, 201);
}

static void resuming_from_inside_works_and_does_not_recurse(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < 4; i++) {
        f->parts[i].verdict = DX_WAIT;
        f->parts[i].resumes_inside = true;
        f->parts[i].inside = i == 3 ? DX_ANSWER : DX_NEXT;
    }
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "abcdCBA");
    assert_int_equal(finished_count, 1);
}

static void a_filter_may_answer_from_inside_its_wait(void **state) {
    fixture *f = *state;
    f->parts[2].verdict = DX_WAIT;
    f->parts[2].resumes_inside = true;
    f->parts[2].inside = DX_ANSWER;
    dx_chain_run_with(&f->x, &f->chain);
    assert_string_equal(trace, "abcCBA");
}

static void nothing_behind_a_wait_runs_when_the_peer_has_gone(void **state) {
    fixture *f = *state;
    f->parts[1].verdict = DX_WAIT;
    dx_chain_run_with(&f->x, &f->chain);
    f->x.aborted = true;
    dx_exchange_resume(&f->x, DX_NEXT);
    assert_string_equal(trace, "abBA");
    assert_int_equal(finished_count, 1);
    assert_int_equal(f->x.error, DX_CANCELLED);
}

static void an_answer_that_came_after_the_peer_went_is_kept(void **state) {
    fixture *f = *state;
    f->parts[3].verdict = DX_WAIT;
    dx_chain_run_with(&f->x, &f->chain);
    f->x.aborted = true;
    (void)dx_exchange_empty(&f->x, 201);
    dx_exchange_resume(&f->x, DX_ANSWER);
    assert_int_equal(f->x.response.status, 201);
    assert_string_equal(trace, "abcdCBA");
}

static void no_answer_for_a_peer_that_went_is_no_internal_error(void **state) {
    fixture *f = *state;
    f->parts[3].verdict = DX_WAIT;
    dx_chain_run_with(&f->x, &f->chain);
    f->x.aborted = true;
    dx_exchange_resume(&f->x, DX_ANSWER);
    assert_int_equal(f->x.error, DX_CANCELLED);
    assert_int_equal(f->x.response.status, 499);
    assert_string_equal(trace, "abcdCBA");
}

static void a_handler_that_sets_no_answer_is_an_internal_error(void **state) {
    fixture *f = *state;
    f->parts[3].verdict = DX_NEXT;
    dx_chain_run_with(&f->x, &f->chain);
    assert_int_equal(f->x.response.status, 500);
    assert_int_equal(f->x.error, DX_INTERNAL);
    assert_string_equal(trace, "abcdCBA");
}

static void resuming_a_finished_exchange_does_nothing(void **state) {
    fixture *f = *state;
    dx_chain_run_with(&f->x, &f->chain);
    dx_exchange_resume(&f->x, DX_NEXT);
    assert_int_equal(finished_count, 1);
}

static void a_chain_without_filters_runs_its_handler(void **state) {
    fixture *f = *state;
    dx_chain bare = {NULL, 0, part_in, &f->parts[3]};
    dx_chain_run_with(&f->x, &bare);
    assert_string_equal(trace, "d");
    assert_int_equal(finished_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(filters_run_in_order_in_and_in_reverse_out),
        TEST(an_operation_runs_its_own_chain),
        TEST(a_filter_that_answers_is_not_seen_on_the_way_out),
        TEST(a_filter_may_have_what_lies_behind_it_run_again),
        TEST(whether_it_runs_again_may_be_said_later),
        TEST(whether_it_runs_again_may_be_said_from_inside),
        TEST(a_filter_is_not_asked_about_its_own_answer),
        TEST(nothing_runs_again_for_a_peer_that_has_gone),
        TEST(missing_slots_pass_through),
        TEST(a_waiting_filter_is_gone_on_with_later),
        TEST(a_filter_that_waited_and_answers_is_seen_on_the_way_out),
        TEST(a_waiting_handler_is_answered_later),
        TEST(resuming_from_inside_works_and_does_not_recurse),
        TEST(a_filter_may_answer_from_inside_its_wait),
        TEST(nothing_behind_a_wait_runs_when_the_peer_has_gone),
        TEST(an_answer_that_came_after_the_peer_went_is_kept),
        TEST(no_answer_for_a_peer_that_went_is_no_internal_error),
        TEST(a_handler_that_sets_no_answer_is_an_internal_error),
        TEST(resuming_a_finished_exchange_does_nothing),
        TEST(a_chain_without_filters_runs_its_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
