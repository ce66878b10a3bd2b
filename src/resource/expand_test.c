// expand=: references written out, in a fixed number of statements, and only what the caller may see.
#include "resource/fixture.h"

#include <stdio.h>

static const char *const definition =
    "{\"models\":{"
    "\"Named\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"secret\":{\"type\":\"string\",\"writeOnly\":true}}},"
    "\"Item\":{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"},\"category_id\":{\"type\":[\"integer\",\"null\"]},"
    "\"brand_id\":{\"type\":[\"string\",\"null\"]},\"parent\":{\"type\":[\"integer\",\"null\"]},\"box_id\":{\"type\":[\"integer\",\"null\"]"
    "},"
    "\"safe_id\":{\"type\":[\"integer\",\"null\"]}}}},"
    "\"resources\":{\"categories\":{\"model\":\"Named\",\"access\":\"public\"},\"brands\":{\"model\":\"Named\",\"id\":\"uuid\",\"soft_"
    "delete\":true},"
    "\"boxes\":{\"model\":\"Named\",\"owner\":true},\"safes\":{\"model\":\"Named\",\"access\":{\"roles\":[\"boss\"]}},"
    "\"items\":{\"model\":\"Item\",\"access\":\"public\",\"expand\":{\"cap\":4},\"references\":{\"category_id\":\"categories\","
    "\"brand_id\":\"brands\",\"parent\":\"items\",\"box_id\":\"boxes\",\"safe_id\":\"safes\"}}}}";

#define BRAND(n) "0190abcd-0000-7000-8000-00000000000" #n

static int setup(void **state) {
    static fixture f;
    fixture_open(&f, definition);
    fixture_insert(&f, "categories", "{\"name\":\"c1\",\"secret\":\"s\"}");
    fixture_insert(&f, "categories", "{\"name\":\"c2\"}");
    fixture_insert(&f, "brands", "{\"id\":\"" BRAND(1) "\",\"name\":\"b1\"}");
    fixture_insert(&f, "brands", "{\"id\":\"" BRAND(2) "\",\"name\":\"gone\",\"deleted_at\":\"2026-01-01T00:00:00Z\"}");
    fixture_insert(&f, "boxes", "{\"name\":\"mine\",\"owner_id\":1}");
    fixture_insert(&f, "boxes", "{\"name\":\"hers\",\"owner_id\":2}");
    fixture_insert(&f, "safes", "{\"name\":\"s1\"}");
    fixture_insert(&f, "items", "{\"title\":\"i1\",\"category_id\":1,\"brand_id\":\"" BRAND(1) "\",\"box_id\":1,\"safe_id\":1}");
    fixture_insert(&f, "items", "{\"title\":\"i2\",\"category_id\":2,\"brand_id\":\"" BRAND(2) "\",\"parent\":1,\"box_id\":2}");
    fixture_insert(&f, "items", "{\"title\":\"i3\",\"category_id\":1,\"parent\":1}");
    fixture_insert(&f, "items", "{\"title\":\"i4\"}");
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

// The `name` of what `field` of each result expanded to.
static const char *names(fixture *f, const dx_resource_call *call, const char *field) {
    dx_buffer text;
    dx_buffer_init(&text, f->calls, 1 << 16);
    size_t i, max;
    yyjson_val *row;
    yyjson_arr_foreach(yyjson_obj_get(fixture_json(f, call), "results"), i, max, row) {
        yyjson_val *value = yyjson_obj_get(row, field), *name = yyjson_obj_get(value, "name");
        if (!name) name = yyjson_obj_get(value, "title");
        if (i) dx_buffer_byte(&text, ' ');
        dx_buffer_add(&text, name ? dx_json_slice(name) : yyjson_is_null(value) ? DX_SLICE("null") : DX_SLICE("absent"));
    }
    dx_buffer_byte(&text, 0);
    return text.data;
}

static void references_become_rows(void **state) {
    fixture *f = *state;
    const dx_resource_call *call = fixture_list(f, "items", "expand=category");
    assert_string_equal(names(f, call, "category"), "c1 c2 c1 null");
    assert_string_equal(fixture_column(f, call, "category_id"), "1 2 1 null");
    assert_null(strstr(dx_arena_copy(f->calls, call->out).data, "secret"));
    call = fixture_list(f, "items", "expand=category,parent,brand");
    assert_string_equal(names(f, call, "category"), "c1 c2 c1 null");
    assert_string_equal(names(f, call, "parent"), "null i1 i1 null");  // in the place of its id
    assert_string_equal(names(f, call, "brand"), "b1 null null null"); // the second is soft-deleted
    call = fixture_list(f, "items", "expand=category&fields=title,category&sort=-id&page_size=2&cursor=");
    assert_string_equal(names(f, call, "category"), "null c1");
    assert_string_equal(fixture_column(f, call, "category_id"), "absent absent");
    char *next = strdup(fixture_link(f, call, "next"));
    call = fixture_list(f, "items", next);
    assert_string_equal(names(f, call, "category"), "c2 c1");
    call = fixture_list(f, "items", fixture_link(f, call, "previous"));
    assert_string_equal(names(f, call, "category"), "null c1");
    free(next);
    call = fixture_list(f, "items", "fields=parent&expand=parent&id=2");
    assert_string_equal(names(f, call, "parent"), "i1");
    assert_string_equal(names(f, fixture_list(f, "items", "expand=category&id=99"), "category"), "");
}

static void one_row_expands_too(void **state) {
    fixture *f = *state;
    yyjson_val *root = fixture_json(f, fixture_read(f, "items", "2", "expand=category,parent"));
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/category/name")), "c2");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/parent/title")), "i1");
    assert_int_equal(fixture_read(f, "items", "2", "expand=category,parent")->modified, 0); // what it refers to may be newer
    root = fixture_json(f, fixture_read(f, "items", "4", "expand=category"));
    assert_true(yyjson_is_null(yyjson_obj_get(root, "category")));
    assert_int_equal(fixture_read(f, "items", "99", "expand=category")->status, DX_NOT_FOUND);
}

static void what_the_caller_may_not_read_is_null(void **state) {
    fixture *f = *state;
    assert_string_equal(names(f, fixture_list(f, "items", "expand=box"), "box"), "mine null null null");
    assert_string_equal(names(f, fixture_list(f, "items", "expand=safe"), "safe"), "null null null null");
    f->role = DX_SLICE("boss");
    assert_string_equal(names(f, fixture_list(f, "items", "expand=safe"), "safe"), "s1 null null null");
    f->principal.number = 2;
    assert_string_equal(names(f, fixture_list(f, "items", "expand=box"), "box"), "null hers null null");
    f->anonymous = true;
    assert_string_equal(names(f, fixture_list(f, "items", "expand=box,safe"), "box"), "null null null null");
    assert_string_equal(names(f, fixture_list(f, "items", "expand=category"), "category"), "c1 c2 c1 null");
}

static void mistakes_are_told(void **state) {
    fixture *f = *state;
    static const struct {
        const char *query, *says;
    } cases[] = {{"expand=categry", "did you mean \"category\"?"},
                 {"expand=category_id", "this resource expands: category, brand, parent, box, safe"},
                 {"expand=category.parent", "references of references"},
                 {"expand=", "can't expand"},
                 {"expand=category,brand,parent,box,safe", "at most 4"},
                 {"fields=category", "no field \"category\""}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        const dx_resource_call *call = fixture_list(f, "items", cases[i].query);
        assert_int_equal(call->status, DX_INVALID);
        const char *message = dx_arena_copy(f->calls, call->findings.first->message).data;
        if (!strstr(message, cases[i].says)) fail_msg("?%s: %s", cases[i].query, message);
    }
}

// A list of everything by hand, that counts the statements its expansion runs.
typedef struct counted {
    dx_tx tx;
    dx_expand expand;
    size_t rows, statements;
    bool started, fetched;
} counted;

static dx_tx_step counted_next(dx_tx *tx) {
    counted *c = DX_CONTAINER_OF(tx, counted, tx);
    assert_int_equal(tx->status, DX_OK);
    if (!c->started) {
        c->started = true;
        return DX_TX_RUN; // the page itself, set already
    }
    c->fetched = true;
    bool more;
    assert_int_equal(dx_expand_next(&c->expand, tx, &more), DX_OK);
    c->statements += more;
    return more ? DX_TX_RUN : DX_TX_COMMIT;
}

static dx_status counted_row(dx_tx *tx, const dx_row *row) {
    counted *c = DX_CONTAINER_OF(tx, counted, tx);
    if (c->fetched) return dx_expand_row(&c->expand, row);
    return dx_expand_note(&c->expand, c->rows++, row) ? DX_OK : DX_NO_MEMORY;
}

static void counted_done(dx_tx *tx, dx_status status) {
    (void)tx;
    assert_int_equal(status, DX_OK);
}

static size_t statements_for(fixture *f, const char *query) {
    dx_view view = {0};
    dx_status status;
    dx_list_plan plan;
    dx_resource_call call = {.set = f->set, .resource = fixture_resource(f, "items"), .arena = f->calls, .query = dx_slice_str(query)};
    assert_true(dx_view_read(&view, &call, true, &status));
    assert_true(dx_list_plan_init(&plan, &call, &view, NULL));
    counted c = {.tx = {.mode = DX_TX_READ, .next = counted_next, .row = counted_row, .done = counted_done}};
    assert_true(dx_expand_init(&c.expand, &call, &view, view.page_size));
    assert_int_equal(dx_list_plan_rows(&plan, &c.tx, 0, view.page_size, 0), DX_OK);
    dx_store_run(f->store, &c.tx);
    assert_int_equal(c.rows, view.page_size);
    return c.statements;
}

static void a_page_of_any_size_takes_one_statement_a_reference(void **state) {
    fixture *f = *state;
    char json[64];
    for (int i = 0; i < 96; i++) {
        snprintf(json, sizeof json, "{\"name\":\"c%d\"}", i + 3);
        int64_t id = fixture_insert(f, "categories", json);
        snprintf(json, sizeof json, "{\"title\":\"x\",\"category_id\":%lld}", (long long)id);
        fixture_insert(f, "items", json);
    }
    const dx_resource_call *call = fixture_list(f, "items", "expand=category,parent&page_size=100");
    const char *all = names(f, call, "category");
    assert_true(strncmp(all, "c1 c2 c1 null c3 c4 ", 20) == 0);
    assert_string_equal(all + strlen(all) - 7, "c97 c98");
    assert_int_equal(statements_for(f, "expand=category,parent&page_size=2"), 2);
    assert_int_equal(statements_for(f, "expand=category,parent&page_size=100"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(references_become_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(one_row_expands_too, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_caller_may_not_read_is_null, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_of_any_size_takes_one_statement_a_reference, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
