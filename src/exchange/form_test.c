// Reading forms: fields in memory, files in spools, caps one over, backpressure from the disk, and every way it can fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "exchange/form.h"
#include "exchange/wire_fixture.h"

#define FIELD(name)       "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_(name, file) "--XX\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" file "\"\r\nContent-Type: a/b\r\n\r\n"
#define END               "\r\n--XX--\r\n"

static wire_fixture w;
static dx_form_options options;
static struct {
    int count;
    const dx_form *form;
    dx_status why;
    const char *reason;
} done;

static void on_done(void *ctx, dx_exchange *x, const dx_form *form, dx_status why, const char *reason) {
    (void)ctx;
    assert_ptr_equal(x, &w.x);
    assert_non_null(reason);
    done.count++;
    done.form = form;
    done.why = why;
    done.reason = reason;
}

static int set_up(void **state) {
    (void)state;
    wire_open(&w);
    memset(&done, 0, sizeof done);
    options = (dx_form_options)DX_FORM_OPTIONS_INIT;
    options.folder = "/tmp";
    options.file_memory = 100;
    return 0;
}

// Until the pool's threads are through.
static void settle(void) {
    for (int i = 0; i < 3; i++) wire_turn(&w);
}

static int tear_down(void **state) {
    (void)state;
    settle();
    wire_close(&w, DX_CANCELLED);
    return 0;
}

static dx_status start(const char *type) {
    dx_field field = {DX_SLICE("content-type"), dx_slice_str(type), DX_FIELD_CONTENT_TYPE};
    dx_field *kept = DX_ARENA_NEW(w.arena, dx_field);
    if (!kept) return DX_NO_MEMORY;
    *kept = field;
    w.x.request.fields = (dx_fields){kept, 1, 1};
    return dx_form_read(&w.x, &options, on_done, NULL);
}

static void open_form(void) {
    assert_int_equal(start("multipart/form-data; boundary=XX"), DX_OK);
    wire_turn(&w);
    assert_true(w.reading);
}

static void feed(const char *text) {
    wire_feed(&w, dx_slice_str(text));
}

static void feed_end(dx_status why) {
    dx_exchange_ended(&w.x, why);
    settle();
}

static void assert_slice(dx_slice slice, const char *text) {
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

static void fields_and_files_are_gathered(void **state) {
    (void)state;
    open_form();
    feed(FIELD("title") "one\r\n" FILE_("pic", "a/b.png") "small\r\n" FIELD("empty"));
    feed(END);
    feed_end(DX_OK);
    assert_int_equal(done.count, 1);
    assert_int_equal(done.why, DX_OK);
    assert_int_equal(done.form->count, 3);
    assert_slice(dx_form_find(done.form, DX_SLICE("title"))->value, "one");
    assert_slice(dx_form_find(done.form, DX_SLICE("empty"))->value, "");
    assert_null(dx_form_find(done.form, DX_SLICE("none")));
    const dx_form_part *file = dx_form_find(done.form, DX_SLICE("pic"));
    assert_slice(file->file_name, "b.png");
    assert_slice(file->content_type, "a/b");
    assert_slice(dx_spool_bytes(file->file), "small");
    assert_null(file->value.data);
}

static void large_files_go_to_disk_and_hold_the_client(void **state) {
    (void)state;
    static char much[65536];
    memset(much, 'm', sizeof much);
    open_form();
    feed(FILE_("f", "x"));
    size_t consumed = w.consumed, fed = 0;
    for (int i = 0; i < 16; i++) {
        wire_feed(&w, dx_slice_of(much, sizeof much));
        fed += sizeof much;
    }
    assert_true(w.consumed - consumed < fed); // the loop has not run: nothing is written
    assert_true(w.consumed - consumed <= DX_SPOOL_WINDOW + sizeof much);
    while (w.consumed - consumed < fed) wire_turn(&w);
    feed(END);
    feed_end(DX_OK);
    while (!done.count) wire_turn(&w);
    assert_int_equal(done.why, DX_OK);
    const dx_form_part *file = dx_form_find(done.form, DX_SLICE("f"));
    char last;
    assert_int_equal(dx_spool_size(file->file), fed);
    assert_int_equal(pread(dx_spool_file(file->file), &last, 1, (off_t)fed - 1), 1);
    assert_int_equal(last, 'm');
}

static void refused(dx_status why, const char *words) {
    assert_int_equal(done.count, 1);
    assert_int_equal(done.why, why);
    assert_null(done.form);
    if (!strstr(done.reason, words)) fail_msg("%s", done.reason);
    feed("more"); // is read and dropped
    feed_end(DX_OK);
    assert_int_equal(done.count, 1);
}

static void a_field_one_over_its_cap_is_refused(void **state) {
    (void)state;
    options.field_bytes = 5;
    open_form();
    feed(FIELD("a") "12345\r\n" FIELD("b"));
    assert_int_equal(done.count, 0);
    feed("123456");
    feed(END);
    refused(DX_TOO_LARGE, "a field");
}

static void all_fields_one_over_their_cap_are_refused(void **state) {
    (void)state;
    options.fields_bytes = 10;
    open_form();
    feed(FIELD("a") "12345\r\n" FIELD("b") "12345\r\n" FIELD("c"));
    assert_int_equal(done.count, 0);
    feed("1" END);
    refused(DX_TOO_LARGE, "the fields");
}

static void a_file_one_over_its_cap_is_refused(void **state) {
    (void)state;
    options.file_bytes = 5;
    open_form();
    feed(FILE_("a", "x") "12345\r\n" FILE_("b", "y"));
    assert_int_equal(done.count, 0);
    feed("123456" END);
    refused(DX_TOO_LARGE, "a file");
}

static void one_part_over_the_cap_is_refused(void **state) {
    (void)state;
    options.parts = 2;
    open_form();
    feed(FIELD("a") "\r\n" FIELD("a") "\r\n");
    assert_int_equal(done.count, 0);
    feed(FIELD("a"));
    refused(DX_TOO_LARGE, "too many");
}

static void what_is_no_form_is_refused_at_once(void **state) {
    (void)state;
    assert_int_equal(start("application/json"), DX_UNSUPPORTED_MEDIA_TYPE);
    assert_int_equal(start("multipart/form-data"), DX_MALFORMED);
    assert_null(w.x.reader);
}

static void a_malformed_form_has_its_reason(void **state) {
    (void)state;
    open_form();
    feed(FIELD("a") "1");
    feed_end(DX_OK);
    assert_int_equal(done.why, DX_MALFORMED);
    assert_non_null(strstr(done.reason, "last boundary"));
}

static void a_client_that_goes_ends_it(void **state) {
    (void)state;
    open_form();
    feed(FILE_("a", "x") "123");
    feed_end(DX_CANCELLED);
    assert_int_equal(done.count, 1);
    assert_int_equal(done.why, DX_CANCELLED);
}

static void a_disk_that_takes_nothing_ends_it(void **state) {
    (void)state;
    char much[200];
    memset(much, 'x', sizeof much);
    options.folder = "/nonexistent";
    open_form();
    feed(FILE_("a", "x"));
    wire_feed(&w, dx_slice_of(much, sizeof much));
    while (!done.count) wire_turn(&w);
    refused(DX_STORE_UNAVAILABLE, "");
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        settle();
        wire_close(&w, DX_CANCELLED);
        wire_open(&w);
        memset(&done, 0, sizeof done);
        dx_memory_fail_at(n, false);
        dx_status status = start("multipart/form-data; boundary=XX");
        if (status == DX_OK) {
            wire_turn(&w);
            feed(FIELD("a") "1\r\n" FILE_("b", "x"));
            feed("12345" END);
            feed_end(DX_OK);
            assert_int_equal(done.count, 1);
            status = done.why;
        }
        bool failed = dx_memory_fail_stop();
        assert_true(status == DX_OK || (failed && status == DX_NO_MEMORY)); // a buffer that can't double asks for less
        if (!failed) break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(fields_and_files_are_gathered),       TEST(large_files_go_to_disk_and_hold_the_client),
        TEST(a_field_one_over_its_cap_is_refused), TEST(all_fields_one_over_their_cap_are_refused),
        TEST(a_file_one_over_its_cap_is_refused),  TEST(one_part_over_the_cap_is_refused),
        TEST(what_is_no_form_is_refused_at_once),  TEST(a_malformed_form_has_its_reason),
        TEST(a_client_that_goes_ends_it),          TEST(a_disk_that_takes_nothing_ends_it),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
