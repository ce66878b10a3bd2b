// Pages: every kind is read to its end and no further, no server makes it go on for ever, and where it stopped it can go on.
#include "duplex/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/pages_fixture.h"
#include "client/pages_parts.h"

// What the server does.
enum {
    FAIR,
    SAME_PAGE,    // whatever is asked for
    SAME_CURSOR,  // every page leads to the same one
    CIRCLE,       // of three cursors
    ENDLESS,      // ever new cursors, ever new items
    EMPTY_MIDDLE, // an empty page with a way on
    CAPPED,       // half of the size that was asked for
    SHRINKING,    // the total falls below what was given
    NUMBERS,      // cursors are numbers
    ZERO_ENDS,    // and the last one is 0
    ELSEWHERE,    // the next page is of another origin
    DOWNGRADED,   // http instead of https
    NO_LIST,      // items are an object
    NOT_JSON,
    MORE_WITHOUT, // says more, but not where
    BROKEN_THIRD, // the third page is a 500
    LEAKS_KEY     // the next page's URL repeats the credential
};

enum { ALL = 35 };

static long start_of(dx_slice target) {
    long page = dx_fake_number(target, "page", -1);
    if (page >= 0) return (page - 1) * 10;
    return dx_fake_number(target, "offset", dx_fake_number(target, "cursor", dx_fake_number(target, "at", 0)));
}

static void write_total(dx_fake *fake, dx_buffer *body, long from) {
    if (fake->how == SHRINKING) dx_buffer_printf(body, ", \"total\": %d", from >= 20 ? 25 : ALL);
    if (fake->how == CAPPED) dx_buffer_printf(body, ", \"total\": %d", ALL);
    if (fake->how == MORE_WITHOUT) DX_BUFFER_LIT(body, ", \"more\": true");
    if (fake->how == EMPTY_MIDDLE) dx_buffer_printf(body, ", \"more\": %s", from + 10 < ALL ? "true" : "false");
}

static void write_cursor(dx_fake *fake, dx_buffer *body, long next) {
    if (fake->how == MORE_WITHOUT) return;
    if (fake->how == SAME_CURSOR) next = 10;
    if (fake->how == CIRCLE) next = next == 30 ? 10 : next;
    if (next >= ALL && fake->how != ENDLESS) {
        if (fake->how == ZERO_ENDS) DX_BUFFER_LIT(body, ", \"next\": 0");
        return;
    }
    dx_buffer_printf(body, fake->how == NUMBERS || fake->how == ZERO_ENDS ? ", \"next\": %ld" : ", \"next\": \"%ld\"", next);
}

static void write_url(dx_fake *fake, dx_buffer *out, long next) {
    const char *base = fake->how == ELSEWHERE    ? "https://evil.example.com/v/list?at=%ld&token=stolen"
                       : fake->how == DOWNGRADED ? "http://api.example.com/v/list?at=%ld"
                       : fake->how == LEAKS_KEY  ? "/v/list?k=hidden&at=%ld&access_token=tell&pin=4711"
                                                 : "list?at=%ld&q=a%%2Cb";
    dx_buffer_printf(out, base, next);
}

static int serve(dx_fake *fake, dx_slice target, dx_buffer *body, dx_buffer *link) {
    long from = start_of(target), size = fake->how == CAPPED ? 5 : 10, to = from + size;
    if (fake->how == NOT_JSON) return DX_BUFFER_LIT(body, "<html>"), 200;
    if (fake->how == BROKEN_THIRD && from == 20) return DX_BUFFER_LIT(body, "oops"), 500;
    if (!dx_slice_equal(dx_slice_of(target.data, 7), DX_SLICE("/v/list")) || !memmem(target.data, target.size, "k=hidden", 8)) return 404;
    if (fake->how == LEAKS_KEY && memmem(target.data, target.size, "k=hidden", 8) != memrchr(target.data, 'k', target.size)) {
        const char *first = memmem(target.data, target.size, "k=hidden", 8);
        size_t behind = (size_t)(target.data + target.size - first) - 1;
        if (memmem(first + 1, behind, "k=hidden", 8)) return 400; // twice
    }
    if (fake->how == SAME_PAGE) from = 0, to = 10;
    if (fake->how == CAPPED && dx_fake_number(target, "page", -1) > 0) from = (dx_fake_number(target, "page", 1) - 1) * 5, to = from + 5;
    if (to > ALL && fake->how != ENDLESS) to = ALL;
    if (from > to) from = to;
    dx_buffer_byte(body, '{');
    if (fake->how == NO_LIST)
        DX_BUFFER_LIT(body, "\"items\": {}");
    else
        dx_fake_items(body, from, fake->how == EMPTY_MIDDLE && from == 10 ? from : to);
    write_total(fake, body, from);
    if (dx_fake_number(target, "page", -1) < 0 && dx_fake_number(target, "offset", -1) < 0) write_cursor(fake, body, from + size);
    dx_buffer_byte(body, '}');
    if (from + size < ALL || fake->how == SAME_CURSOR) {
        DX_BUFFER_LIT(link, "</v/list?at=0>; rel=\"first\", <");
        write_url(fake, link, fake->how == SAME_CURSOR ? 10 : from + size);
        DX_BUFFER_LIT(link, ">; rel=\"next\"");
    }
    return 200;
}

static int serve_urls(dx_fake *fake, dx_slice target, dx_buffer *body, dx_buffer *link) {
    long from = start_of(target);
    (void)link;
    dx_buffer_byte(body, '{');
    dx_fake_items(body, from, from + 10 > ALL ? ALL : from + 10);
    DX_BUFFER_LIT(body, ", \"next\": ");
    if (from + 10 < ALL) {
        dx_buffer_byte(body, '"');
        write_url(fake, body, from + 10);
        dx_buffer_byte(body, '"');
    } else {
        DX_BUFFER_LIT(body, "null");
    }
    dx_buffer_byte(body, '}');
    return 200;
}

static dx_fake fake;
static dx_client *client;
static dx_error error;

static void restart(int how) {
    dx_client_close(client);
    fake = (dx_fake){.serve = serve, .how = how};
    client = dx_fake_client(&fake, 2);
}

static dx_pages *open_pages(const char *name, const dx_arg *args, const dx_pages_options *options) {
    dx_pages *pages;
    if (dx_pages_open(&pages, client, name, args, options, &error)) fail_msg("%s", error.message);
    return pages;
}

// Reads items to the end: they must be those from `from` on, one after the other. Returns how many.
static long read_items(dx_pages *pages, long from, long most, dx_error_code expected) {
    const char *json;
    long count = 0;
    dx_error_code code = DX_ERROR_NONE;
    while (count < most && !(code = dx_pages_next_item(pages, &json, NULL, &error)) && json) assert_int_equal(atol(json), from + count++);
    if (count < most && code != expected) fail_msg("%d %s", code, error.message);
    return count;
}

static long all_of(const char *name, int how, const dx_pages_options *options, dx_error_code expected) {
    restart(how);
    dx_pages *pages = open_pages(name, NULL, options);
    long count = read_items(pages, 0, 1000, expected);
    dx_pages_close(pages);
    return count;
}

static const char *const kinds[] = {"api.pages", "api.offset", "api.cursor", "api.link", "api.v1.next"};

static void every_kind_is_read_to_its_end(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(kinds); i++) {
        restart(FAIR);
        if (i == 4) fake.serve = serve_urls;
        dx_pages *pages = open_pages(kinds[i], NULL, NULL);
        if (read_items(pages, 0, 1000, DX_ERROR_NONE) != ALL) fail_msg("%s", kinds[i]);
        assert_int_equal(dx_pages_page_count(pages), 4);
        assert_int_equal(dx_pages_item_count(pages), ALL);
        assert_int_equal(atomic_load(&fake.sent), 4);
        dx_response *page;
        assert_int_equal(dx_pages_next(pages, &page, &error), DX_ERROR_NONE); // and it stays at the end
        assert_null(page);
        dx_pages_close(pages);
    }
}

static void pages_are_given_whole_too(void **state) {
    (void)state;
    restart(FAIR);
    dx_pages *pages = open_pages("api.cursor", NULL, NULL);
    dx_response *page;
    size_t count = 0;
    while (!dx_pages_next(pages, &page, &error) && page) {
        count += dx_response_count(page, "/items");
        dx_response_release(page);
    }
    assert_int_equal(error.code, DX_ERROR_NONE);
    assert_int_equal(count, ALL);
    dx_pages_close(pages);
}

static void servers_that_repeat_themselves_are_told_of(void **state) {
    (void)state;
    assert_int_equal(all_of("api.pages", SAME_PAGE, NULL, DX_ERROR_MALFORMED), 10);
    assert_non_null(strstr(error.message, "same page twice"));
    assert_int_equal(all_of("api.cursor", SAME_CURSOR, NULL, DX_ERROR_MALFORMED), 20);
    assert_non_null(strstr(error.message, "same cursor twice"));
    assert_int_equal(all_of("api.cursor", CIRCLE, NULL, DX_ERROR_MALFORMED), 30);
    assert_int_equal(all_of("api.link", SAME_CURSOR, NULL, DX_ERROR_MALFORMED), 20);
}

static void equal_pages_may_be_allowed(void **state) {
    (void)state;
    dx_pages_options options = DX_PAGES_OPTIONS_INIT;
    options.allow_equal = true;
    options.max_pages = 5;
    restart(SAME_PAGE);
    dx_pages *pages = open_pages("api.pages", NULL, &options);
    dx_response *page;
    while (!dx_pages_next(pages, &page, &error)) dx_response_release(page);
    assert_int_equal(error.code, DX_ERROR_TOO_LARGE);
    assert_int_equal(dx_pages_page_count(pages), 5);
    dx_pages_close(pages);
}

static void a_server_that_never_ends_is_left_after_max_pages(void **state) {
    (void)state;
    dx_pages_options options = DX_PAGES_OPTIONS_INIT;
    options.max_pages = 7;
    options.prefetch = 4;
    assert_int_equal(all_of("api.cursor", ENDLESS, &options, DX_ERROR_TOO_LARGE), 70);
    assert_int_equal(atomic_load(&fake.sent), 7);
    assert_non_null(strstr(error.message, "max_pages"));
}

static void what_the_server_says_of_more_counts_before_short_and_empty_pages(void **state) {
    (void)state;
    restart(EMPTY_MIDDLE);
    dx_pages *pages = open_pages("api.cursor", NULL, NULL);
    assert_int_equal(read_items(pages, 0, 10, DX_ERROR_NONE), 10);
    assert_int_equal(read_items(pages, 20, 1000, DX_ERROR_NONE), 15);
    dx_pages_close(pages);
    pages = open_pages("api.pages", NULL, NULL);
    assert_int_equal(read_items(pages, 0, 10, DX_ERROR_NONE), 10);
    assert_int_equal(read_items(pages, 20, 1000, DX_ERROR_NONE), 15);
    dx_pages_close(pages);
    assert_int_equal(all_of("api.pages", CAPPED, NULL, DX_ERROR_NONE), ALL); // half pages, but a total
    assert_int_equal(all_of("api.offset", CAPPED, NULL, DX_ERROR_NONE), ALL);
    dx_pages_options options = DX_PAGES_OPTIONS_INIT;
    options.prefetch = 3;
    assert_int_equal(all_of("api.offset", CAPPED, &options, DX_ERROR_NONE), ALL); // what was fetched by a wrong guess is fetched anew
    assert_int_equal(all_of("api.offset", SHRINKING, NULL, DX_ERROR_NONE), 30);
    assert_int_equal(all_of("api.cursor", MORE_WITHOUT, NULL, DX_ERROR_MALFORMED), 10);
}

static void cursors_may_be_numbers_and_zero_ends(void **state) {
    (void)state;
    assert_int_equal(all_of("api.cursor", NUMBERS, NULL, DX_ERROR_NONE), ALL);
    assert_int_equal(all_of("api.cursor", ZERO_ENDS, NULL, DX_ERROR_NONE), ALL);
}

static void the_next_page_is_of_the_own_origin_or_not_called(void **state) {
    (void)state;
    assert_int_equal(all_of("api.link", ELSEWHERE, NULL, DX_ERROR_REDIRECT), 10);
    assert_non_null(strstr(error.message, "evil.example.com"));
    assert_null(strstr(error.message, "stolen"));
    assert_int_equal(atomic_load(&fake.sent), 1);
    assert_int_equal(all_of("api.link", DOWNGRADED, NULL, DX_ERROR_NONE), ALL); // by https, as the API is
}

static void what_is_no_page_is_refused(void **state) {
    (void)state;
    assert_int_equal(all_of("api.pages", NO_LIST, NULL, DX_ERROR_MALFORMED), 0);
    assert_non_null(strstr(error.message, "paginate.items"));
    assert_int_equal(all_of("api.pages", NOT_JSON, NULL, DX_ERROR_MALFORMED), 0);
}

static void an_error_leaves_the_place(void **state) {
    (void)state;
    restart(BROKEN_THIRD);
    dx_pages *pages = open_pages("api.offset", NULL, NULL);
    assert_int_equal(read_items(pages, 0, 1000, DX_ERROR_STATUS), 20);
    dx_response *page;
    assert_int_equal(dx_pages_next(pages, &page, &error), DX_ERROR_STATUS);
    assert_int_equal(dx_response_status(page), 500);
    dx_response_release(page);
    fake.how = FAIR;
    assert_int_equal(read_items(pages, 20, 1000, DX_ERROR_NONE), 15);
    dx_pages_close(pages);
}

static void pages_are_fetched_ahead_in_order_and_within_bounds(void **state) {
    (void)state;
    dx_pages_options options = DX_PAGES_OPTIONS_INIT;
    for (size_t i = 0; i < 4; i++) {
        options.prefetch = 16;
        if (all_of(kinds[i], FAIR, &options, DX_ERROR_NONE) != ALL) fail_msg("%s", kinds[i]);
        assert_true(atomic_load(&fake.sent) <= 4 + 16 && atomic_load(&fake.most) <= 16);
        if (i >= 2) assert_int_equal(atomic_load(&fake.sent), 4);
    }
    options.prefetch = -1;
    assert_int_equal(all_of("api.pages", FAIR, &options, DX_ERROR_NONE), ALL);
    assert_int_equal(atomic_load(&fake.most), 1);
}

static void reading_goes_on_from_a_state_in_the_midst_of_a_page(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(kinds); i++) {
        for (long at = 0; at <= ALL; at += 5) {
            restart(FAIR);
            if (i == 4) fake.serve = serve_urls;
            dx_pages *pages = open_pages(kinds[i], NULL, NULL);
            assert_int_equal(read_items(pages, 0, at, DX_ERROR_NONE), at);
            char *place = dx_pages_state(pages);
            dx_pages_close(pages);
            if (dx_pages_resume(&pages, client, kinds[i], NULL, NULL, place, &error)) fail_msg("%s", error.message);
            dx_text_free(place);
            assert_int_equal(dx_pages_item_count(pages), at);
            if (read_items(pages, at, 1000, DX_ERROR_NONE) != ALL - at) fail_msg("%s from %ld", kinds[i], at);
            assert_int_equal(dx_pages_item_count(pages), ALL);
            dx_pages_close(pages);
        }
    }
}

static void pages_begin_where_the_parameter_says(void **state) {
    (void)state;
    restart(FAIR);
    dx_pages *pages = open_pages("api.pages", DX_ARGS(DX_STR("page", "3")), NULL);
    assert_int_equal(read_items(pages, 20, 1000, DX_ERROR_NONE), 15);
    dx_pages_close(pages);
    pages = open_pages("api.cursor", DX_ARGS(DX_INT("cursor", 30)), NULL);
    assert_int_equal(read_items(pages, 30, 1000, DX_ERROR_NONE), 5);
    dx_pages_close(pages);
    assert_int_equal(dx_pages_open(&pages, client, "api.pages", DX_ARGS(DX_STR("page", "x")), NULL, &error), DX_ERROR_ARGUMENT);
}

static void a_state_is_of_its_endpoint_and_parameters_and_of_no_secret(void **state) {
    (void)state;
    restart(LEAKS_KEY);
    dx_pages *pages = open_pages("api.link", DX_ARGS(DX_STR("q", "a"), DX_STR("pin", "4711")), NULL);
    assert_int_equal(read_items(pages, 0, 10, DX_ERROR_NONE), 10);
    char *place = dx_pages_state(pages);
    dx_pages_close(pages);
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_pages_mark mark;
    assert_int_equal(dx_pages_mark_read(&mark, arena, dx_slice_str(place)), DX_OK);
    assert_string_equal(mark.place.text, "/v/list?at=10");
    dx_place_clear(&mark.place);
    dx_arena_destroy(arena);
    assert_int_equal(dx_pages_resume(&pages, client, "api.link", DX_ARGS(DX_STR("q", "b")), NULL, place, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_pages_resume(&pages, client, "api.cursor", DX_ARGS(DX_STR("cursor", "a")), NULL, place, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_pages_resume(&pages, client, "api.link", NULL, NULL, "bm9uc2Vuc2U", &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_pages_resume(&pages, client, "api.link", NULL, NULL, "", &error), DX_ERROR_ARGUMENT);
    assert_null(pages);
    // another PIN is all right
    if (dx_pages_resume(&pages, client, "api.link", DX_ARGS(DX_STR("pin", "5"), DX_STR("q", "a")), NULL, place, &error))
        fail_msg("%s", error.message);
    assert_int_equal(read_items(pages, 10, 1000, DX_ERROR_NONE), 25);
    dx_pages_close(pages);
    dx_text_free(place);
}

static void settings_that_cannot_be_are_refused_at_once(void **state) {
    (void)state;
    dx_pages *pages;
    dx_pages_options options = DX_PAGES_OPTIONS_INIT;
    dx_call_options call = DX_CALL_OPTIONS_INIT;
    dx_sink sink = {0};
    restart(FAIR);
    assert_int_equal(dx_pages_open(&pages, client, "api.item", DX_ARGS(DX_INT("id", 1)), NULL, &error), DX_ERROR_CONFIG);
    assert_int_equal(dx_pages_open(&pages, client, "api.pagez", NULL, NULL, &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_pages_open(&pages, client, "api.pages", DX_ARGS(DX_INT("nope", 1)), NULL, &error), DX_ERROR_ARGUMENT);
    static const char *const wrong[] = {
        "[]", "{\"type\": \"x\"}", "{\"size\": 0}", "{\"itemz\": \"\"}", "{\"items\": \"a\"}", "{\"param\": \"x\"}"};
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        options.paginate = wrong[i];
        if (dx_pages_open(&pages, client, "api.pages", NULL, &options, &error) != DX_ERROR_ARGUMENT) fail_msg("%s", wrong[i]);
    }
    options.paginate = NULL;
    options.call = &call;
    call.sink = &sink;
    assert_int_equal(dx_pages_open(&pages, client, "api.pages", NULL, &options, &error), DX_ERROR_ARGUMENT);
    assert_null(pages);
}

// --- without waiting ---------------------------------------------------------------------------------------------------------------------

typedef struct reader {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    long items, told;
    dx_error_code code;
    bool over, was_null;
} reader;

static void on_page(void *ctx, dx_pages *pages, dx_response *page, const dx_error *why) {
    reader *r = ctx;
    pthread_mutex_lock(&r->lock);
    r->told++;
    r->items += page ? (long)dx_response_count(page, "/items") : 0;
    r->code = why->code;
    r->was_null = !pages;
    r->over = !page || !pages || dx_pages_fetch(pages, on_page, r, NULL);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    dx_response_release(page);
}

static void wait_over(reader *r) {
    pthread_mutex_lock(&r->lock);
    while (!r->over) (void)pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

static void pages_are_fetched_without_waiting(void **state) {
    (void)state;
    for (int ahead = 0; ahead <= 3; ahead += 3) {
        for (size_t i = 0; i < 4; i++) {
            reader r = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
            dx_pages_options options = DX_PAGES_OPTIONS_INIT;
            options.prefetch = ahead;
            restart(FAIR);
            dx_pages *pages = open_pages(kinds[i], NULL, &options);
            assert_int_equal(dx_pages_fetch(pages, on_page, &r, &error), DX_ERROR_NONE);
            wait_over(&r);
            assert_int_equal(r.items, ALL);
            assert_int_equal(r.told, 5);
            assert_int_equal(r.code, DX_ERROR_NONE);
            dx_pages_close(pages);
        }
    }
}

static void what_is_cancelled_or_closed_is_told_once(void **state) {
    (void)state;
    reader r = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    restart(FAIR);
    for (int close = 0; close < 2; close++) {
        r.over = false;
        dx_pages *pages = open_pages("api.link", NULL, NULL);
        dx_place_clear(&pages->at);
        assert_int_equal(dx_place_set(&pages->at, DX_PLACE_TARGET, DX_SLICE("/v/list?stall!")), DX_OK);
        assert_int_equal(dx_pages_fetch(pages, on_page, &r, &error), DX_ERROR_NONE);
        assert_int_equal(dx_pages_fetch(pages, on_page, &r, &error), DX_ERROR_ARGUMENT); // one at a time
        if (close)
            dx_pages_close(pages);
        else
            dx_pages_cancel(pages);
        wait_over(&r);
        assert_int_equal(r.told, close + 1);
        assert_int_equal(r.code, DX_ERROR_CANCELLED);
        assert_int_equal(r.was_null, close);
        dx_response *page;
        if (close) continue;
        assert_int_equal(dx_pages_next(pages, &page, &error), DX_ERROR_CANCELLED);
        dx_pages_close(pages);
    }
}

static void pages_may_outlive_their_client(void **state) {
    (void)state;
    dx_pages_options options = DX_PAGES_OPTIONS_INIT;
    options.prefetch = 5;
    restart(FAIR);
    dx_pages *pages = open_pages("api.pages", NULL, &options);
    dx_response *page;
    assert_int_equal(dx_pages_next(pages, &page, &error), DX_ERROR_NONE);
    dx_client_close(client);
    client = NULL;
    assert_int_equal(dx_response_i64(page, "/items/3", -1), 3);
    dx_response_release(page);
    dx_pages_close(pages);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const char *json;
    for (size_t i = 0; i < DX_COUNT_OF(kinds); i++) {
        restart(FAIR);
        if (i == 4) fake.serve = serve_urls;
        for (uint64_t n = 1;; n++) {
            dx_pages *pages = NULL;
            char *place = NULL;
            long count = 0;
            dx_memory_fail_at(n, false);
            dx_error_code code = dx_pages_open(&pages, client, kinds[i], NULL, NULL, &error);
            while (!code && !(code = dx_pages_next_item(pages, &json, NULL, &error)) && json) count++;
            if (!code) place = dx_pages_state(pages);
            bool failed = dx_memory_fail_stop();
            if (!failed) {
                assert_int_equal(count, ALL);
                assert_non_null(place);
            } else if (code) {
                if (code != DX_ERROR_NO_MEMORY && code != DX_ERROR_MALFORMED) fail_msg("%d %s", code, error.message);
                if (pages) assert_int_equal(read_items(pages, count, 1000, DX_ERROR_NONE), ALL - count); // it goes on where it was
            }
            dx_text_free(place);
            dx_pages_close(pages);
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
        cmocka_unit_test(every_kind_is_read_to_its_end),
        cmocka_unit_test(pages_are_given_whole_too),
        cmocka_unit_test(servers_that_repeat_themselves_are_told_of),
        cmocka_unit_test(equal_pages_may_be_allowed),
        cmocka_unit_test(a_server_that_never_ends_is_left_after_max_pages),
        cmocka_unit_test(what_the_server_says_of_more_counts_before_short_and_empty_pages),
        cmocka_unit_test(cursors_may_be_numbers_and_zero_ends),
        cmocka_unit_test(the_next_page_is_of_the_own_origin_or_not_called),
        cmocka_unit_test(what_is_no_page_is_refused),
        cmocka_unit_test(an_error_leaves_the_place),
        cmocka_unit_test(pages_are_fetched_ahead_in_order_and_within_bounds),
        cmocka_unit_test(reading_goes_on_from_a_state_in_the_midst_of_a_page),
        cmocka_unit_test(pages_begin_where_the_parameter_says),
        cmocka_unit_test(a_state_is_of_its_endpoint_and_parameters_and_of_no_secret),
        cmocka_unit_test(settings_that_cannot_be_are_refused_at_once),
        cmocka_unit_test(pages_are_fetched_without_waiting),
        cmocka_unit_test(what_is_cancelled_or_closed_is_told_once),
        cmocka_unit_test(pages_may_outlive_their_client),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("client/pages", tests, NULL, end);
}
