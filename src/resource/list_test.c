// Lists: filters, orders, pages, counts, and what is refused.
#include "resource/fixture.h"

#include <stdio.h>

static const char *const shop =
    "{\"models\":{\"Product\":{\"type\":\"object\",\"properties\":{"
    "\"title\":{\"type\":\"string\"},\"price\":{\"type\":[\"number\",\"null\"]},\"stock\":{\"type\":\"integer\"},\"sold\":{\"type\":"
    "\"boolean\"},"
    "\"at\":{\"type\":\"string\",\"format\":\"date-time\"},\"tags\":{\"type\":\"array\"},\"note\":{\"type\":[\"string\",\"null\"]},"
    "\"secret\":{\"type\":\"string\",\"writeOnly\":true},\"max_stock\":{\"type\":\"integer\"},\"count\":{\"type\":\"integer\"}}}},"
    "\"resources\":{\"products\":{\"model\":\"Product\",\"index\":[\"price\"]},"
    "\"things\":{\"model\":\"Product\",\"id\":\"uuid\",\"access\":{\"read\":\"public\"}},"
    "\"mine\":{\"model\":\"Product\",\"owner\":true,\"soft_delete\":true,\"owner_bypass_role\":\"admin\"},"
    "\"blog\":{\"model\":\"Product\",\"owner\":true,\"access\":{\"list\":\"public\"}}}}";

static int setup(void **state) {
    static fixture f;
    fixture_open(&f, shop);
    fixture_insert(
        &f, "products",
        "{\"title\":\"Laptop\",\"price\":999.99,\"stock\":3,\"sold\":true,\"at\":\"2026-01-01T00:00:00Z\",\"tags\":[1],\"note\":\"a,b\","
        "\"secret\":\"s\",\"max_stock\":10,\"count\":5}");
    fixture_insert(&f, "products",
                   "{\"title\":\"lapdog\",\"price\":50,\"stock\":9223372036854775807,\"sold\":false,\"at\":\"2026-01-02T00:00:00.5Z\","
                   "\"note\":\"100%\"}");
    fixture_insert(&f, "products", "{\"title\":\"Desk \\\"x\\\"\",\"price\":120.5,\"stock\":-4,\"at\":\"2026-01-03T12:00:00+02:00\"}");
    fixture_insert(&f, "products", "{\"title\":\"\",\"stock\":0,\"sold\":true,\"tags\":{},\"max_stock\":20,\"note\":\"a\"}");
    fixture_insert(&f, "products", "{\"price\":50,\"stock\":3,\"note\":\"b\"}");
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

static const struct {
    const char *query, *ids;
} filters[] = {
    {"", "1 2 3 4 5"},
    {"price=50", "2 5"},
    {"price=50.0", "2 5"},
    {"price=5e1", "2 5"},
    {"price[eq]=999.99", "1"},
    {"price[ne]=50", "1 3 4"},
    {"price[gt]=50", "1 3"},
    {"price[gte]=50", "1 2 3 5"},
    {"price[lt]=120.5", "2 5"},
    {"price[lte]=120.5", "2 3 5"},
    {"min_price=100&max_price=1000", "1 3"},
    {"min_price=100&price[lt]=900", "3"},
    {"price%5Bgte%5D=120.5", "1 3"},
    {"price[in]=50,120.5", "2 3 5"},
    {"price[nin]=50,120.5", "1 4"},
    {"price[null]=true", "4"},
    {"price[null]=false", "1 2 3 5"},
    {"stock=9223372036854775807", "2"},
    {"stock[lt]=0", "3"},
    {"sold=true", "1 4"},
    {"sold=false", "2"},
    {"sold[ne]=true", "2 3 5"},
    {"title=Laptop", "1"},
    {"title=laptop", ""},
    {"title=", "4"},
    {"title=Desk+%22x%22", "3"},
    {"title[like]=lap%25", "1 2"},
    {"title[like]=LAP*", "1 2"},
    {"title[like]=*d*", "2 3"},
    {"title[like]=lap_dog", ""},
    {"title[like]=lap\\_og", ""},
    {"title[like]=lap__g", "2"},
    {"note[like]=*\\%25", "2"},
    {"note[like]=*\\**", ""},
    {"note[in]=a,b", "4 5"},
    {"note[in]=%22a,b%22", "1"},
    {"note[in]=a\\,b,a", "1 4"},
    {"note[in]=", ""},
    {"at[gte]=2026-01-02", "2 3"},
    {"at=2026-01-03T10:00:00Z", "3"},
    {"at=2026-01-03T12:00:00%2B02:00", "3"},
    {"at=2026-01-03T12:00:00+02:00", "3"},
    {"at[lt]=2026-01-02T00:00:00.5Z", "1"},
    {"tags[null]=false", "1 4"},
    {"tags[null]=true", "2 3 5"},
    {"max_stock=20", "4"}, // a field of that very name, not a bound of stock
    {"max_max_stock=10", "1"},
    {"count[eq]=5", "1"}, // the parameter count is another thing
    {"id=3", "3"},
    {"id[in]=5,1,1,99", "1 5"},
    {"id[gt]=1&id[lt]=4&price[null]=false", "2 3"},
    {"sort=price", "4 2 5 3 1"},
    {"sort=-price", "1 3 5 2 4"},
    {"sort=price,-id", "4 5 2 3 1"},
    {"sort=-stock,title", "2 5 1 4 3"},
    {"sort=id,price", "1 2 3 4 5"},
    {"sort=-id", "5 4 3 2 1"},
    {"sort=sold,-price", "3 5 2 1 4"},
    {"page=2&page_size=2", "3 4"},
    {"page=3&page_size=2", "5"},
    {"page=9&page_size=2", ""},
    {"&&price=50&", "2 5"},
};

static void every_operator_selects_the_right_rows(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < DX_COUNT_OF(filters); i++) {
        const char *ids = fixture_column(f, fixture_list(f, "products", filters[i].query), "id");
        if (strcmp(ids, filters[i].ids)) fail_msg("?%s gave \"%s\", not \"%s\"", filters[i].query, ids, filters[i].ids);
    }
}

static const struct {
    const char *query, *parameter, *says;
} wrong[] = {
    {"prize=5", "?prize", "did you mean \"price\"?"},
    {"prize=5", "?prize", "id, title, price"},
    {"min_prize=5", "?min_prize", "did you mean \"price\""},
    {"secret=x", "?secret", "no such parameter"},
    {"secret[null]=true", "?secret[null]", "no such parameter"},
    {"price[about]=5", "?price[about]", "eq ne gt gte lt lte in nin like null"},
    {"price=abc", "?price", "expected a number, found \"abc\""},
    {"price=0x10", "?price", "expected a number"},
    {"price=nan", "?price", "expected a number"},
    {"price=1e999", "?price", "expected a number"},
    {"price=", "?price", "expected a number"},
    {"stock=1.5", "?stock", "expected an integer"},
    {"stock=9223372036854775808", "?stock", "expected an integer"},
    {"sold=1", "?sold", "expected true or false"},
    {"at=yesterday", "?at", "expected a date-time"},
    {"at=2026-02-30", "?at", "expected a date-time"},
    {"title=%ff", "?title", "UTF-8"},
    {"title=a%00b", "?title", "expected text"},
    {"tags=1", "?tags", "only be tested for null"},
    {"tags[like]=x", "?tags[like]", "only be tested for null"},
    {"price[like]=5", "?price[like]", "like works on text"},
    {"price[null]=maybe", "?price[null]", "expected true or false"},
    {"note[in]=%22a", "?note[in]", "a quote is not closed"},
    {"price[in]=1,x", "?price[in]", "found \"x\""},
    {"price=1&price=2", "?price", "use price[in]=a,b"},
    {"page=0", "?page", "expected a number from 1"},
    {"page=x", "?page", "expected a number from 1"},
    {"page_size=0", "?page_size", "from 1 to 100"},
    {"page=1&page=2", "?page", "stands twice"},
    {"page=1&cursor=", "?page", "one of the two"},
    {"count=5", "?count", "exact or none"},
    {"sort=prize", "?sort", "did you mean \"price\""},
    {"sort=tags", "?sort", "can't sort by \"tags\""},
    {"sort=secret", "?sort", "can't sort by"},
    {"sort=price,-price", "?sort", "stands twice"},
    {"sort=", "?sort", "fields to sort by"},
    {"sort=price,stock,title,note,sold", "?sort", "at most 4"},
    {"fields=id,titel", "?fields", "did you mean \"title\""},
    {"fields=secret", "?fields", "no field \"secret\""},
    {"expand=category", "?expand", "no reference"},
};

static void mistakes_are_told_by_parameter(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        const dx_resource_call *call = fixture_list(f, "products", wrong[i].query);
        if (call->status != DX_INVALID) fail_msg("?%s: %s", wrong[i].query, dx_status_name(call->status));
        assert_int_equal(call->findings.count, 1);
        const dx_diag *diag = call->findings.first;
        const char *message = dx_arena_copy(f->calls, diag->message).data;
        if (!dx_slice_equal(diag->pointer, dx_slice_str(wrong[i].parameter)) || !strstr(message, wrong[i].says))
            fail_msg("?%s: %.*s: %s", wrong[i].query, DX_SLICE_ARG(diag->pointer), message);
    }
    assert_int_equal(fixture_list(f, "products", "prize=1&page=0&sort=x")->findings.count, 3);
    assert_int_equal(fixture_list(f, "products", "price=%zz")->status, DX_BAD_REQUEST);
}

static void caps_hold(void **state) {
    fixture *f = *state;
    char query[DX_QUERY_BYTES_CAP + 64];
    size_t size = 0;
    for (int i = 0; i < DX_QUERY_CONDITIONS_CAP + 1; i++)
        size += (size_t)snprintf(query + size, sizeof query - size, "&price[ne]=%d", i + 1000);
    assert_int_equal(fixture_list(f, "products", query)->status, DX_INVALID);
    query[size - strlen("&price[ne]=1032")] = 0;
    assert_int_equal(fixture_list(f, "products", query)->status, DX_OK);

    size = (size_t)snprintf(query, sizeof query, "price[in]=1");
    for (int i = 1; i < DX_QUERY_VALUES_CAP; i++) size += (size_t)snprintf(query + size, sizeof query - size, ",1");
    assert_int_equal(fixture_list(f, "products", query)->status, DX_OK);
    snprintf(query + size, sizeof query - size, ",1");
    assert_int_equal(fixture_list(f, "products", query)->status, DX_INVALID);

    memset(query, 'a', DX_QUERY_BYTES_CAP + 1);
    query[DX_QUERY_BYTES_CAP + 1] = 0;
    memcpy(query, "title=", 6);
    assert_int_equal(fixture_list(f, "products", query)->status, DX_URI_TOO_LONG);
    query[DX_QUERY_BYTES_CAP] = 0;
    assert_int_equal(fixture_list(f, "products", query)->status, DX_OK);

    for (size = 0; size < 2 * DX_QUERY_PARAMS_CAP; size += 2) memcpy(query + size, "a&", 2);
    memcpy(query + size, "a", 2);
    assert_int_equal(fixture_list(f, "products", query)->status, DX_INVALID);

    assert_int_equal(fixture_list(f, "products", "page_size=101")->status, DX_INVALID);
    assert_int_equal(fixture_list(f, "products", "page_size=100")->status, DX_OK);
}

static void a_page_tells_count_and_neighbours(void **state) {
    fixture *f = *state;
    const dx_resource_call *call = fixture_list(f, "products", "page_size=2&page=2&min_stock=-10&page_size=2");
    assert_int_equal(call->status, DX_INVALID);
    call = fixture_list(f, "products", "page_size=2&page=2&min_stock=-10&sort=-id");
    yyjson_val *root = fixture_json(f, call);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "count")), 5);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "next")), "/api/v1/products?page_size=2&min_stock=-10&sort=-id&page=3");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "previous")), "/api/v1/products?page_size=2&min_stock=-10&sort=-id&page=1");
    assert_null(fixture_link(f, fixture_list(f, "products", "page_size=2&page=3"), "next"));
    assert_null(fixture_link(f, fixture_list(f, "products", "page_size=5"), "next"));
    assert_null(fixture_link(f, fixture_list(f, "products", ""), "previous"));
    assert_string_equal(fixture_link(f, fixture_list(f, "products", "page_size=2&page=50"), "previous"), "page_size=2&page=3");
    assert_string_equal(fixture_link(f, fixture_list(f, "products", "page_size=2"), "next"), "page_size=2&page=2");

    root = fixture_json(f, fixture_list(f, "products", "count=none&page_size=4"));
    assert_true(yyjson_is_null(yyjson_obj_get(root, "count")));
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "next")), "/api/v1/products?count=none&page_size=4&page=2");
    root = fixture_json(f, fixture_list(f, "products", "price=50"));
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "count")), 2);
}

static void rows_show_their_fields_exactly(void **state) {
    fixture *f = *state;
    const dx_resource_call *call = fixture_list(f, "products", "page_size=1");
    static const char expected[] = "\"results\":[{\"id\":1,\"title\":\"Laptop\",\"price\":999.99,\"stock\":3,\"sold\":true,\"at\":\"2026-"
                                   "01-01T00:00:00Z\",\"tags\":[1],"
                                   "\"note\":\"a,b\",\"max_stock\":10,\"count\":5,\"created_at\":\"1970-01-01T00:00:00.000001Z\","
                                   "\"updated_at\":\"1970-01-01T00:00:00.000001Z\"}]}";
    const char *text = dx_arena_copy(f->calls, call->out).data;
    if (!strstr(text, expected)) fail_msg("%s", text);
    assert_string_equal(fixture_column(f, fixture_list(f, "products", ""), "stock"), "3 9223372036854775807 -4 0 3");
    assert_string_equal(fixture_column(f, fixture_list(f, "products", ""), "price"), "999.99 50 120.5 null 50");
    assert_string_equal(fixture_column(f, fixture_list(f, "products", "fields=title,id"), "price"), "absent absent absent absent absent");
    call = fixture_list(f, "products", "fields=title,id&id=1");
    text = dx_arena_copy(f->calls, call->out).data;
    if (!strstr(text, "\"results\":[{\"id\":1,\"title\":\"Laptop\"}]}")) fail_msg("%s", text);
}

static void a_list_has_an_entity_tag(void **state) {
    fixture *f = *state;
    const dx_resource_call *call = fixture_list(f, "products", "sort=-id");
    dx_slice tag = dx_arena_copy(f->arena, call->etag);
    assert_true(tag.size > 10 && tag.data[0] == '"');
    call = fixture_list(f, "products", "sort=id");
    assert_false(dx_slice_equal(call->etag, tag));

    dx_resource_call again = *fixture_list(f, "products", "sort=-id");
    again.if_none_match = tag;
    again.owner = NULL;
    dx_resource_list(&again);
    assert_int_equal(again.http, 304);
    assert_int_equal(again.out.size, 0);
    assert_true(dx_slice_equal(again.etag, tag));
}

static void an_owner_sees_only_their_rows(void **state) {
    fixture *f = *state;
    fixture_insert(f, "mine", "{\"title\":\"a\",\"owner_id\":1}");
    fixture_insert(f, "mine", "{\"title\":\"b\",\"owner_id\":2}");
    fixture_insert(f, "mine", "{\"title\":\"c\",\"owner_id\":1,\"deleted_at\":\"2026-01-01T00:00:00Z\"}");
    assert_string_equal(fixture_column(f, fixture_list(f, "mine", ""), "id"), "1");
    assert_int_equal(yyjson_get_int(yyjson_obj_get(fixture_json(f, fixture_list(f, "mine", "")), "count")), 1);
    assert_string_equal(fixture_column(f, fixture_list(f, "mine", "owner_id=2"), "id"), "");
    assert_int_equal(fixture_read(f, "mine", "1", "")->status, DX_OK);
    assert_int_equal(fixture_read(f, "mine", "2", "")->status, DX_NOT_FOUND);
    assert_int_equal(fixture_read(f, "mine", "3", "")->status, DX_NOT_FOUND);
    f->principal.number = 2;
    assert_string_equal(fixture_column(f, fixture_list(f, "mine", ""), "id"), "2");
    f->role = DX_SLICE("admin");
    assert_string_equal(fixture_column(f, fixture_list(f, "mine", ""), "id"), "1 2");
    assert_int_equal(fixture_read(f, "mine", "1", "")->status, DX_OK);
    assert_int_equal(fixture_read(f, "mine", "3", "")->status, DX_NOT_FOUND);
    f->role = (dx_slice){0};
    f->anonymous = true;
    assert_string_equal(fixture_column(f, fixture_list(f, "mine", ""), "id"), "");
    assert_int_equal(fixture_read(f, "mine", "1", "")->status, DX_NOT_FOUND);
    // Where listing is public, everybody's rows are listed; reading one still is the owner's.
    fixture_insert(f, "blog", "{\"title\":\"a\",\"owner_id\":1}");
    assert_string_equal(fixture_column(f, fixture_list(f, "blog", ""), "id"), "1");
    assert_int_equal(fixture_read(f, "blog", "1", "")->status, DX_NOT_FOUND);
    f->anonymous = false;
    f->principal.number = 1;
    assert_int_equal(fixture_read(f, "blog", "1", "")->status, DX_OK);
}

static void a_row_is_read_by_id(void **state) {
    fixture *f = *state;
    const dx_resource_call *call = fixture_read(f, "products", "2", "");
    assert_int_equal(call->http, 200);
    assert_true(dx_slice_starts(call->out, DX_SLICE("{\"id\":2,\"title\":\"lapdog\"")));
    assert_int_equal(call->modified, 1);
    assert_int_equal(call->etag.data[0], '"');
    assert_int_equal(call->etag.data[call->etag.size - 1], '"');
    static const char *const nothing[] = {"99", "0", "02", "+2", " 2", "2 ", "-1", "x", "", "2.0", "99999999999999999999"};
    for (size_t i = 0; i < DX_COUNT_OF(nothing); i++) assert_int_equal(fixture_read(f, "products", nothing[i], "")->status, DX_NOT_FOUND);
    call = fixture_read(f, "products", "2", "fields=title");
    assert_true(dx_slice_equal(call->out, DX_SLICE("{\"title\":\"lapdog\"}")));
    assert_int_equal(fixture_read(f, "products", "2", "sort=id")->status, DX_INVALID);

    fixture_insert(f, "things", "{\"id\":\"0190abcd-0000-7000-8000-000000000001\",\"title\":\"u\"}");
    assert_int_equal(fixture_read(f, "things", "0190abcd-0000-7000-8000-000000000001", "")->status, DX_OK);
    assert_int_equal(fixture_read(f, "things", "0190ABCD-0000-7000-8000-000000000001", "")->status, DX_OK);
    assert_int_equal(fixture_read(f, "things", "0190abcd-0000-7000-8000-000000000002", "")->status, DX_NOT_FOUND);
    assert_int_equal(fixture_read(f, "things", "1", "")->status, DX_NOT_FOUND);
    assert_string_equal(fixture_column(f, fixture_list(f, "things", "id=0190ABCD-0000-7000-8000-000000000001"), "title"), "\"u\"");
}

static void a_row_that_is_unchanged_is_not_sent(void **state) {
    fixture *f = *state;
    fixture_insert(f, "products", "{\"id\":50,\"updated_at\":\"2026-01-01T10:00:00.7Z\"}");
    dx_slice tag = dx_arena_copy(f->arena, fixture_read(f, "products", "50", "")->etag);
    dx_resource_call again = *fixture_read(f, "products", "50", "");
    dx_micros_utc second = again.modified / 1000000 * 1000000;
    static const struct {
        bool same;
        int after;
        int http;
    } cases[] = {{true, 9, 304}, {true, -9, 304}, {false, 9, 200}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) { // If-None-Match wins over the date
        again.owner = NULL;
        again.if_none_match = cases[i].same ? tag : DX_SLICE("\"x\"");
        again.if_modified_since = second + cases[i].after * 1000000;
        dx_resource_read(&again);
        assert_int_equal(again.http, cases[i].http);
    }
    again.if_none_match = (dx_slice){0};
    for (int after = -1; after < 2; after++) {
        again.owner = NULL;
        again.if_modified_since = second + after * 1000000;
        dx_resource_read(&again);
        assert_int_equal(again.http, after < 0 ? 200 : 304);
    }
    again = *fixture_read(f, "products", "50", "fields=id");
    assert_false(dx_slice_equal(again.etag, tag));
}

// On a worker's loop: lists that count are read on another thread, reads by key are answered at once.
static dx_loop *running;
static void ended_on_loop(dx_resource_call *call) {
    if (++*(int *)call->owner == 4) dx_loop_stop(running);
}

static void a_session_answers_on_its_loop(void **state) {
    fixture *f = *state;
    int ended = 0;
    assert_int_equal(dx_loop_create(&running), DX_OK);
    dx_session *session = dx_store_session(f->store, 0, running);
    dx_resource_call calls[4];
    dx_arena *arenas[4];
    static const char *const queries[] = {"sort=-price&title[like]=*", "price=50&count=exact", "", "cursor=&sort=price&page_size=2"};
    for (int i = 0; i < 4; i++) {
        arenas[i] = dx_arena_create(1 << 20);
        calls[i] = (dx_resource_call){.set = f->set,
                                      .resource = fixture_resource(f, "products"),
                                      .session = session,
                                      .arena = arenas[i],
                                      .principal = &f->principal,
                                      .query = dx_slice_str(queries[i]),
                                      .done = ended_on_loop,
                                      .owner = &ended};
        dx_resource_list(&calls[i]);
    }
    assert_int_equal(calls[3].http, 200); // brief: before the call returned
    assert_int_equal(dx_loop_run(running), DX_OK);
    static const char *const ids[] = {"1 3 2 4", "2 5", "1 2 3 4 5", "4 2"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(calls[i].status, DX_OK);
        assert_string_equal(fixture_column(f, &calls[i], "id"), ids[i]);
        dx_arena_destroy(arenas[i]);
    }
    dx_store_close(f->store); // before its loop goes
    f->store = NULL;
    dx_loop_destroy(running);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_operator_selects_the_right_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes_are_told_by_parameter, setup, teardown),
        cmocka_unit_test_setup_teardown(caps_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_tells_count_and_neighbours, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_show_their_fields_exactly, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_has_an_entity_tag, setup, teardown),
        cmocka_unit_test_setup_teardown(an_owner_sees_only_their_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_is_read_by_id, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_that_is_unchanged_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_answers_on_its_loop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
