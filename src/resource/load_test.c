// Loading: what a definition's resources become, and every complaint with its place.
#include "resource/fixture.h"

#include <stdio.h>

#include "base/clock.h"

static const char *const shop =
    "{\"models\":{"
    "\"Money\":{\"type\":[\"number\",\"null\"],\"minimum\":0},"
    "\"Base\":{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{\"title\":{\"type\":\"string\"}}},"
    "\"Category\":{\"$ref\":\"#/models/Base\"},"
    "\"Product\":{\"allOf\":[{\"$ref\":\"#/models/Base\"}],\"required\":[\"stock\",\"category_id\"],\"properties\":{"
    "\"price\":{\"$ref\":\"#/models/Money\"},\"stock\":{\"type\":\"integer\",\"default\":7},\"sold\":{\"type\":\"boolean\"},"
    "\"at\":{\"type\":\"string\",\"format\":\"date-time\"},\"until\":{\"anyOf\":[{\"type\":\"string\",\"format\":\"date-time\"},{\"type\":"
    "\"null\"}]},"
    "\"tags\":{\"type\":\"array\"},\"any\":true,\"kind\":{\"enum\":[\"a\",\"b\",null]},\"rank\":{\"const\":3},"
    "\"secret\":{\"type\":\"string\",\"writeOnly\":true},\"made\":{\"type\":\"string\",\"readOnly\":true},"
    "\"category_id\":{\"type\":\"integer\"},\"parent\":{\"type\":[\"integer\",\"null\"]},\"ratio\":{\"type\":\"number\"}}}},"
    "\"resources\":{\"categories\":{\"model\":\"Category\"},"
    "\"my-products\":{\"model\":\"Product\",\"owner\":true,\"soft_delete\":true,\"unique\":[\"title\",[\"owner_id\",\"rank\"]],"
    "\"index\":[\"price\",[\"kind\",\"price\"]],\"references\":{\"category_id\":\"categories\",\"parent\":\"my-products\"},"
    "\"dropped\":[\"old\"],\"renamed\":{\"stock\":\"amount\"},\"fallback\":{\"category_id\":1,\"tags\":[1, 2]},"
    "\"access\":{\"default\":{\"roles\":[\"staff\",\"boss\"]},\"read\":\"public\",\"list\":\"authenticated\",\"delete\":{\"roles\":["
    "\"boss\"]}}}}}";

static const dx_column *column(const dx_resource *resource, const char *name) {
    for (uint16_t i = 0; i < resource->table.column_count; i++)
        if (dx_slice_equal(resource->table.columns[i].name, dx_slice_str(name))) return &resource->table.columns[i];
    fail_msg("no column %s", name);
    return NULL;
}

static const dx_resource_field *field(const dx_resource *resource, const char *name) {
    const dx_resource_field *found = dx_map_get(&resource->field_names, dx_slice_str(name));
    if (!found) fail_msg("no field %s", name);
    return found;
}

static void properties_become_typed_columns(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, shop);
    const dx_resource *r = fixture_resource(&f, "my-products");
    static const struct {
        const char *name;
        dx_column_type type;
        bool required;
    } expected[] = {
        {"id", DX_COLUMN_INTEGER, true},
        {"title", DX_COLUMN_TEXT, true},
        {"price", DX_COLUMN_NUMBER, false},
        {"stock", DX_COLUMN_INTEGER, true},
        {"sold", DX_COLUMN_BOOLEAN, false},
        {"at", DX_COLUMN_TIMESTAMP, false},
        {"until", DX_COLUMN_TIMESTAMP, false},
        {"tags", DX_COLUMN_JSON, false},
        {"any", DX_COLUMN_JSON, false},
        {"kind", DX_COLUMN_TEXT, false},
        {"rank", DX_COLUMN_INTEGER, false},
        {"secret", DX_COLUMN_TEXT, false},
        {"made", DX_COLUMN_TEXT, false},
        {"category_id", DX_COLUMN_INTEGER, true},
        {"parent", DX_COLUMN_INTEGER, false},
        {"ratio", DX_COLUMN_NUMBER, false},
        {"owner_id", DX_COLUMN_INTEGER, true},
        {"created_at", DX_COLUMN_TIMESTAMP, true},
        {"updated_at", DX_COLUMN_TIMESTAMP, true},
        {"deleted_at", DX_COLUMN_TIMESTAMP, false},
        {"_version", DX_COLUMN_INTEGER, true},
    };
    assert_int_equal(r->table.column_count, DX_COUNT_OF(expected));
    for (size_t i = 0; i < DX_COUNT_OF(expected); i++) {
        const dx_column *c = &r->table.columns[i];
        assert_true(dx_slice_equal(c->name, dx_slice_str(expected[i].name)));
        if (c->type != expected[i].type || c->required != expected[i].required)
            fail_msg("%s: type %d, required %d", expected[i].name, (int)c->type, c->required);
    }
    assert_true(dx_slice_equal(r->table.name, DX_SLICE("my_products")));
    assert_true(dx_slice_equal(r->base_path, DX_SLICE("/api/v1/my-products")));
    assert_int_equal(r->field_count, r->table.column_count - 2); // neither deleted_at nor _version
    assert_true(field(r, "secret")->write_only);
    assert_true(field(r, "made")->read_only);
    assert_true(field(r, "created_at")->read_only);
    assert_true(field(r, "price")->nullable);
    assert_false(field(r, "ratio")->nullable);
    assert_int_equal(yyjson_get_int(field(r, "stock")->default_value), 7);
    fixture_close(&f);
}

static void settings_reach_the_table(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, shop);
    const dx_resource *r = fixture_resource(&f, "my-products");
    assert_true(column(r, "title")->unique);
    assert_true(column(r, "price")->indexed);
    assert_true(column(r, "category_id")->indexed);
    assert_true(column(r, "owner_id")->indexed);
    assert_ptr_equal(column(r, "category_id")->references, &fixture_resource(&f, "categories")->table);
    assert_ptr_equal(column(r, "parent")->references, &r->table);
    assert_int_equal(r->table.index_count, 2);
    assert_true(r->table.indexes[0].unique);
    assert_int_equal(r->table.indexes[0].columns[0], r->owner_column);
    assert_int_equal(r->table.indexes[1].column_count, 2);
    assert_int_equal(r->table.dropped_count, 1);
    assert_true(dx_slice_equal(column(r, "stock")->renamed_from, DX_SLICE("amount")));
    assert_int_equal(column(r, "stock")->fallback.integer, 7); // the default
    assert_int_equal(column(r, "category_id")->fallback.integer, 1);
    assert_true(dx_slice_equal(column(r, "tags")->fallback.text, DX_SLICE("[1,2]")));
    assert_true(dx_slice_equal(field(r, "category_id")->expand_name, DX_SLICE("category")));
    assert_true(dx_slice_equal(field(r, "parent")->expand_name, DX_SLICE("parent")));
    assert_int_equal(r->page_size, 20);
    assert_int_equal(r->page_size_cap, 100);
    assert_int_equal(r->bulk_cap, 1000);
    assert_true(r->count_exact);
    fixture_close(&f);
}

static void access_falls_back_from_action_to_group_to_default(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, shop);
    const dx_resource *r = fixture_resource(&f, "my-products");
    assert_true(r->access[DX_ACTION_READ].is_public);
    assert_false(r->access[DX_ACTION_LIST].is_public);
    assert_int_equal(r->access[DX_ACTION_LIST].role_count, 0);
    assert_int_equal(r->access[DX_ACTION_CREATE].role_count, 2);
    assert_int_equal(r->access[DX_ACTION_DELETE].role_count, 1);
    const dx_resource *plain = fixture_resource(&f, "categories");
    for (int action = 0; action < DX_ACTION_COUNT; action++) {
        assert_false(plain->access[action].is_public);
        assert_int_equal(plain->access[action].role_count, 0);
    }
    assert_false(dx_resource_allowed(plain, DX_ACTION_READ, NULL));
    assert_true(dx_resource_allowed(plain, DX_ACTION_READ, &f.principal));
    assert_true(dx_resource_allowed(r, DX_ACTION_READ, NULL));
    assert_false(dx_resource_allowed(r, DX_ACTION_CREATE, &f.principal));
    dx_slice role = DX_SLICE("boss");
    f.principal.roles = &role;
    f.principal.role_count = 1;
    assert_true(dx_resource_allowed(r, DX_ACTION_CREATE, &f.principal));
    fixture_close(&f);
}

// Each definition, and what its findings must say.
static const struct {
    const char *resources, *says;
} wrong[] = {
    {"\"a\":{\"model\":\"Itme\"}", "there is no model \"Itme\""},
    {"\"a\":{\"model\":\"Itme\"}", "\"Item\""},
    {"\"a\":{\"model\":\"Item\",\"unique\":[\"nmae\"]}", "/resources/a/unique/0: \"a\" has no field \"nmae\""},
    {"\"a\":{\"model\":\"Item\",\"index\":[[\"name\",\"tags\"]]}", "kept as JSON"},
    {"\"a\":{\"model\":\"Item\",\"references\":{\"name\":\"b\"}}", "there is no resource \"b\""},
    {"\"a\":{\"model\":\"Item\",\"references\":{\"name\":\"a\"}}", "expected a field of type integer"},
    {"\"a\":{\"model\":\"Item\",\"references\":{\"x\":\"a\"}}", "has no field \"x\""},
    {"\"a\":{\"model\":\"Item\",\"references\":{\"name_id\":\"a\"}}", "a second \"name\""},
    {"\"a\":{\"model\":\"Item\",\"owner\":true,\"access\":\"public\"}", "can't be written by anyone"},
    {"\"a\":{\"model\":\"Item\",\"owner_bypass_role\":\"admin\"}", "nothing to bypass"},
    {"\"a\":{\"model\":\"Item\",\"page\":{\"size\":50,\"cap\":10}}", "at most the cap"},
    {"\"a\":{\"model\":\"Item\",\"renamed\":{\"name\":\"tags\"}}", "still is a field"},
    {"\"a\":{\"model\":\"Item\",\"dropped\":[\"tags\"]}", "is still a field"},
    {"\"a\":{\"model\":\"Item\",\"fallback\":{\"name_id\":\"x\"}}", "/resources/a/fallback/name_id"},
    {"\"a-b\":{\"model\":\"Item\"},\"a_b\":{\"model\":\"Item\"}", "its table would be that of"},
    {"\"duplex_x\":{\"model\":\"Item\"}", "are the server's"},
    {"\"a\":{\"model\":\"Text\"}", "a model of objects"},
    {"\"a\":{\"model\":\"Empty\"}", "no \"properties\""},
    {"\"a\":{\"model\":\"Dashed\"}", "can't be a column"},
    {"\"a\":{\"model\":\"Cased\"}", "collides"},
    {"\"a\":{\"model\":\"OwnId\"}", "the model requires \"id\""},
    {"\"a\":{\"model\":\"OwnId\",\"id\":\"uuid\"}", "must be a string"},
    {"\"a\":{\"model\":\"Stuck\"}", "nobody could set it"},
    {"\"a\":{\"model\":\"Item\",\"modle\":1}", "modle"},
};

static void mistakes_are_told_where_they_are(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        char text[4096];
        snprintf(
            text, sizeof text,
            "{\"models\":{\"Item\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"name_id\":{\"type\":\"integer\"},"
            "\"tags\":{\"type\":\"array\"}}},\"Text\":{\"type\":\"string\"},\"Empty\":{\"type\":\"object\"},"
            "\"Dashed\":{\"properties\":{\"a-b\":{}}},\"Cased\":{\"properties\":{\"a\":{},\"A\":{}}},"
            "\"OwnId\":{\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"integer\"}}},"
            "\"Stuck\":{\"required\":[\"x\"],\"properties\":{\"x\":{\"readOnly\":true}}}},\n\"resources\":{%s}}",
            wrong[i].resources);
        fixture f;
        assert_int_equal(fixture_load(&f, text), DX_INVALID);
        const char *findings = fixture_findings(&f, &f.diags);
        if (!strstr(findings, wrong[i].says)) fail_msg("%s\nsays: %s\nnot: %s", wrong[i].resources, findings, wrong[i].says);
        assert_non_null(f.diags.first);
        assert_int_equal(f.diags.first->line, 2);
        fixture_close(&f);
    }
}

static void all_mistakes_are_told_at_once(void **state) {
    (void)state;
    fixture f;
    assert_int_equal(fixture_load(&f,
                                  "{\"models\":{\"A\":{\"properties\":{\"x\":{\"type\":\"integer\"}}},\"B\":{\"$ref\":\"#/models/Gone\"}},"
                                  "\"resources\":{\"a\":{\"model\":\"C\"},\"b\":{\"model\":\"A\",\"unique\":[\"y\",\"z\"]}}}"),
                     DX_INVALID);
    assert_int_equal(f.diags.count, 4);
    fixture_close(&f);
}

static void a_thousand_resources_load_at_once(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    size_t cap = 1 << 20, size = 0;
    char *text = malloc(cap);
    assert_non_null(text);
    size += (size_t)snprintf(text, cap, "{\"models\":{");
    for (int i = 0; i < COUNT; i++)
        size += (size_t)snprintf(
            text + size, cap - size,
            "%s\"M%d\":{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":9},"
            "\"b\":{\"type\":\"number\"},\"c\":{\"type\":\"integer\"},\"d\":{\"type\":\"boolean\"}}}",
            i ? "," : "", i);
    size += (size_t)snprintf(text + size, cap - size, "},\"resources\":{");
    for (int i = 0; i < COUNT; i++)
        size += (size_t)snprintf(text + size, cap - size, "%s\"r%d\":{\"model\":\"M%d\",\"references\":{\"c\":\"r%d\"}}", i ? "," : "", i,
                                 i, (i + 1) % COUNT);
    assert_true(size + 3 < cap);
    snprintf(text + size, cap - size, "}}");
    fixture f;
    dx_nanos start = dx_clock_monotonic();
    assert_int_equal(fixture_load(&f, text), DX_OK);
    print_message("%d resources: %lld ms, %zu KiB\n", COUNT, (long long)((dx_clock_monotonic() - start) / DX_MILLISECOND),
                  dx_arena_footprint(f.arena) / 1024);
    assert_int_equal(f.set->count, COUNT);
    fixture_close(&f);
    free(text);
}

static void a_default_that_its_schema_refuses_is_told(void **state) {
    (void)state;
    fixture f;
    assert_int_equal(
        fixture_load(&f, "{\"models\":{\"T\":{\"type\":\"object\",\"properties\":{\"a/b\":true,\"a\":{\"type\":\"integer\",\"minimum\":5,"
                         "\"default\":1},\"b\":{\"type\":\"string\",\"default\":\"x\"},\"c\":{\"enum\":[\"y\"],\"default\":\"x\"}}}},"
                         "\"resources\":{}}"),
        DX_INVALID);
    const char *text = fixture_findings(&f, &f.diags);
    assert_non_null(strstr(text, "/models/T/properties/a/default: does not obey its own schema"));
    assert_non_null(strstr(text, "/models/T/properties/c/default: does not obey its own schema"));
    assert_null(strstr(text, "/models/T/properties/b"));
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_become_typed_columns),
        cmocka_unit_test(settings_reach_the_table),
        cmocka_unit_test(access_falls_back_from_action_to_group_to_default),
        cmocka_unit_test(mistakes_are_told_where_they_are),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(a_default_that_its_schema_refuses_is_told),
        cmocka_unit_test(a_thousand_resources_load_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
