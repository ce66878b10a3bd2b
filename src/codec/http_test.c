// HTTP vocabulary: names, fields, dates, entity tags, negotiation.
#include "codec/http.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

static void methods_are_case_sensitive(void **state) {
    (void)state;
    for (int i = 0; i < DX_METHOD_COUNT; i++) {
        assert_int_equal(dx_method_parse(dx_slice_str(dx_method_name((dx_method)i))), i);
    }
    assert_int_equal(dx_method_parse(DX_SLICE("get")), DX_METHOD_UNKNOWN);
    assert_int_equal(dx_method_parse(DX_SLICE("")), DX_METHOD_UNKNOWN);
    assert_string_equal(dx_method_name(DX_METHOD_UNKNOWN), "UNKNOWN");
}

static void every_listed_field_is_known_in_any_case(void **state) {
    (void)state;
    const struct {
        const char *text;
        dx_field_id id;
    } fields[] = {
#define X(name, text) {text, DX_FIELD_##name},
        DX_FIELD_LIST(X)
#undef X
    };
    for (size_t i = 0; i < DX_COUNT_OF(fields); i++) {
        char name[64];
        size_t size = strlen(fields[i].text);
        memcpy(name, fields[i].text, size);
        assert_int_equal(dx_field_lookup(dx_slice_of(name, size)), fields[i].id);
        for (size_t j = 0; j < size; j += 2) {
            if (name[j] >= 'a') name[j] = (char)(name[j] - 32);
        }
        assert_int_equal(dx_field_lookup(dx_slice_of(name, size)), fields[i].id);
        name[size - 1] = '!';
        assert_int_equal(dx_field_lookup(dx_slice_of(name, size)), DX_FIELD_OTHER);
        assert_int_equal(dx_field_lookup(dx_slice_of(name, size - 1)), DX_FIELD_OTHER);
    }
    assert_int_equal(dx_field_lookup((dx_slice){NULL, 0}), DX_FIELD_OTHER);
    assert_int_equal(dx_field_lookup(DX_SLICE("content\rtype")), DX_FIELD_OTHER);
}

static void fields_grow_and_keep_their_order(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    dx_field room[2];
    dx_fields fields = {room, 0, 2};
    for (int i = 0; i < 50; i++) {
        dx_slice value = dx_arena_printf(arena, "%d", i);
        assert_int_equal(dx_fields_add(&fields, arena, i % 2 ? DX_SLICE("Host") : DX_SLICE("x-own"), value), DX_OK);
    }
    assert_int_equal(fields.count, 50);
    assert_true(dx_slice_equal(dx_fields_get(&fields, DX_FIELD_HOST), DX_SLICE("1")));
    assert_true(dx_slice_equal(dx_fields_find(&fields, DX_SLICE("X-Own")), DX_SLICE("0")));
    assert_null(dx_fields_get(&fields, DX_FIELD_ORIGIN).data);
    assert_null(dx_fields_find(&fields, DX_SLICE("x-other")).data);
    assert_true(dx_slice_equal(fields.items[49].value, DX_SLICE("49")));
    dx_arena_destroy(arena);
}

static void a_copy_of_fields_has_room_and_leaves_the_first_alone(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    dx_fields first = {0}, copy;
    assert_int_equal(dx_fields_add(&first, arena, DX_SLICE("host"), DX_SLICE("a")), DX_OK);
    assert_true(dx_fields_copy(&copy, arena, &first, 2));
    const dx_field *items = copy.items;
    for (int i = 0; i < 2; i++) assert_int_equal(dx_fields_add(&copy, arena, DX_SLICE("x"), DX_SLICE("b")), DX_OK);
    assert_true(copy.items == items && copy.count == 3 && first.count == 1);
    assert_int_equal(dx_fields_add(&copy, arena, DX_SLICE("x"), DX_SLICE("c")), DX_OK);
    assert_true(dx_slice_equal(dx_fields_get(&copy, DX_FIELD_HOST), DX_SLICE("a")));
    dx_arena_destroy(arena);
    arena = dx_arena_create(512);
    assert_false(dx_fields_copy(&copy, arena, &first, 100));
    dx_arena_destroy(arena);
}

static void a_value_that_would_split_the_message_is_refused(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    dx_fields fields = {0};
    assert_int_equal(dx_fields_add(&fields, arena, DX_SLICE("location"), DX_SLICE("/a\r\nset-cookie: x")), DX_INTERNAL);
    assert_int_equal(dx_fields_add(&fields, arena, DX_SLICE("location"), DX_SLICE("/a\nb")), DX_INTERNAL);
    assert_int_equal(dx_fields_add(&fields, arena, DX_SLICE("location"), DX_SLICE("/a\0b")), DX_INTERNAL);
    assert_int_equal(dx_fields_add(&fields, arena, DX_SLICE("a\r\nb"), DX_SLICE("c")), DX_INTERNAL);
    assert_int_equal(fields.count, 0);
    dx_arena_destroy(arena);
}

static void only_what_breaks_a_line_is_refused_wherever_it_stands(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    for (size_t size = 1; size < 20; size++) {
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[20];
                dx_field item;
                dx_fields fields = {&item, 0, 1};
                memset(text, 'v', sizeof text);
                text[at] = (char)byte;
                bool breaks = byte == '\r' || byte == '\n' || byte == 0;
                assert_int_equal(dx_fields_add(&fields, arena, DX_SLICE("a"), dx_slice_of(text, size)), breaks ? DX_INTERNAL : DX_OK);
            }
        }
    }
    dx_arena_destroy(arena);
}

static void fields_without_memory_say_so(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(512);
    dx_fields fields = {0};
    dx_status status = DX_OK;
    while (status == DX_OK) status = dx_fields_add(&fields, arena, DX_SLICE("a"), DX_SLICE("b"));
    assert_int_equal(status, DX_NO_MEMORY);
    assert_int_equal(fields.count, fields.capacity);
    dx_arena_destroy(arena);
}

static void every_status_of_ours_has_a_phrase(void **state) {
    (void)state;
    for (int i = 0; i < DX_STATUS_COUNT; i++) assert_true(strlen(dx_http_phrase(dx_status_http((dx_status)i))) > 0);
    assert_string_equal(dx_http_phrase(404), "Not Found");
    assert_string_equal(dx_http_phrase(100), "Continue");
    assert_string_equal(dx_http_phrase(511), "Network Authentication Required");
    assert_string_equal(dx_http_phrase(299), "");
}

static void dates_are_written_and_read_in_all_forms(void **state) {
    (void)state;
    const dx_micros_utc time = 784111777 * (int64_t)1000000;
    char text[DX_HTTP_DATE_SIZE];
    dx_http_date_write(text, time + 999999);
    assert_memory_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT", DX_HTTP_DATE_SIZE);
    const char *good[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                          "Sun Nov 06 08:49:37 1994"};
    for (size_t i = 0; i < DX_COUNT_OF(good); i++) {
        dx_micros_utc read = 0;
        assert_true(dx_http_date_read(dx_slice_str(good[i]), &read));
        assert_true(read == time);
    }
    const char *bad[] = {"",
                         "Sun, 06 Nov 1994 08:49:37 UTC",
                         "Sun, 6 Nov 1994 08:49:37 GMT",
                         "Sun, 31 Feb 1994 08:49:37 GMT",
                         "sun, 06 Nov 1994 08:49:37 GMT",
                         "Sun, 06 Nov 1994 24:49:37 GMT",
                         "Sun, 06 Nov 1994 08:49:37 GMT ",
                         "Funday, 06-Nov-94 08:49:37 GMT",
                         "Sun, 00 Nov 1994 08:49:37 GMT"};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) {
        dx_micros_utc read;
        assert_false(dx_http_date_read(dx_slice_str(bad[i]), &read));
    }
}

static void two_digit_years_lie_at_most_fifty_years_ahead(void **state) {
    (void)state;
    int this_year = dx_civil_from_utc(dx_clock_utc()).year;
    for (int ahead = -49; ahead <= 50; ahead++) {
        char text[64];
        snprintf(text, sizeof text, "Sunday, 06-Nov-%02d 08:49:37 GMT", (this_year + ahead) % 100);
        dx_micros_utc read;
        assert_true(dx_http_date_read(dx_slice_str(text), &read));
        assert_int_equal(dx_civil_from_utc(read).year, this_year + ahead);
    }
}

static void entity_tags_compare_strongly_or_weakly(void **state) {
    (void)state;
    const struct {
        const char *list, *tag;
        bool weak, found;
    } cases[] = {
        {"\"a\"", "\"a\"", false, true},
        {"W/\"a\"", "\"a\"", false, false},
        {"\"a\"", "W/\"a\"", false, false},
        {"W/\"a\"", "\"a\"", true, true},
        {"W/\"a\"", "W/\"a\"", true, true},
        {"*", "\"a\"", false, true},
        {" * ", "\"a\"", true, true},
        {"\"x\", \"a,b\",\"a\"", "\"a\"", false, true},
        {"\"x\", \"a,b\"", "\"a\"", false, false},
        {"\"b\",,W/\"a\"", "\"a\"", true, true},
        {"a", "\"a\"", true, false},
        {"", "\"a\"", true, false},
        {"\"a", "\"a\"", true, false},
        {"w/\"a\"", "\"a\"", true, false},
        {"\"\"", "\"\"", false, true},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        bool found = dx_http_etag_in(dx_slice_str(cases[i].list), dx_slice_str(cases[i].tag), cases[i].weak);
        if (found != cases[i].found) fail_msg("%s in %s", cases[i].tag, cases[i].list);
    }
}

static void media_types_compare_without_parameters(void **state) {
    (void)state;
    assert_true(dx_http_media_is(DX_SLICE("Application/JSON ; charset=utf-8"), "application/json"));
    assert_true(dx_http_media_is(DX_SLICE("application/json"), "application/json"));
    assert_false(dx_http_media_is(DX_SLICE("application/jsonp"), "application/json"));
    assert_false(dx_http_media_is(DX_SLICE(""), "application/json"));
}

static void the_closest_range_gives_the_quality(void **state) {
    (void)state;
    const struct {
        const char *accept;
        int quality;
    } cases[] = {
        {"", 1000},
        {"  ", 1000},
        {"application/json", 1000},
        {"*/*;q=0.1", 100},
        {"text/html", 0},
        {"application/*;q=0.5, */*", 500},
        {"*/*, application/json;q=0", 0},
        {"text/html, application/json;q=0.25;x=y", 250},
        {"APPLICATION/Json; Q=0.123", 123},
        {"application/json;q=0.1234", 1000},
        {"application/json;q=7", 1000},
        {"application/json;v=\"a,b\\\",c\";q=0.3", 300},
        {"application/json;v=\"\\", 1000},
        {",,application/json;q=1.000,", 1000},
        {"application/problem+json", 0},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        int quality = dx_http_accept_quality(dx_slice_str(cases[i].accept), "application/json");
        if (quality != cases[i].quality) fail_msg("%s gives %d", cases[i].accept, quality);
    }
    assert_int_equal(dx_http_accept_quality((dx_slice){NULL, 0}, "text/html"), 1000);
}

static void lists_have_tokens(void **state) {
    (void)state;
    assert_true(dx_http_list_has(DX_SLICE("keep-alive, Close"), DX_SLICE("close")));
    assert_false(dx_http_list_has(DX_SLICE("closed, x-close"), DX_SLICE("close")));
    assert_false(dx_http_list_has(DX_SLICE("\"a, close\""), DX_SLICE("close")));
    assert_false(dx_http_list_has((dx_slice){NULL, 0}, DX_SLICE("close")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_case_sensitive),
        cmocka_unit_test(every_listed_field_is_known_in_any_case),
        cmocka_unit_test(fields_grow_and_keep_their_order),
        cmocka_unit_test(a_copy_of_fields_has_room_and_leaves_the_first_alone),
        cmocka_unit_test(a_value_that_would_split_the_message_is_refused),
        cmocka_unit_test(only_what_breaks_a_line_is_refused_wherever_it_stands),
        cmocka_unit_test(fields_without_memory_say_so),
        cmocka_unit_test(every_status_of_ours_has_a_phrase),
        cmocka_unit_test(dates_are_written_and_read_in_all_forms),
        cmocka_unit_test(two_digit_years_lie_at_most_fifty_years_ahead),
        cmocka_unit_test(entity_tags_compare_strongly_or_weakly),
        cmocka_unit_test(media_types_compare_without_parameters),
        cmocka_unit_test(the_closest_range_gives_the_quality),
        cmocka_unit_test(lists_have_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
