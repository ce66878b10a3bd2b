// Writing rows: what bodies may say, every status, conditions, patches, references, ownership, many at once.
#include "resource/write_fixture.h"

#include <stdio.h>

#include "codec/text.h"
#include "resource/write.h"

static const char *const definition =
    "{\"models\":{"
    "\"Thing\":{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{"
    "\"title\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":50},\"price\":{\"type\":\"number\",\"minimum\":0},"
    "\"stock\":{\"type\":\"integer\"},\"active\":{\"type\":\"boolean\",\"default\":true},\"sku\":{\"type\":[\"string\",\"null\"]},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"default\":[\"new\"]},"
    "\"sold_at\":{\"type\":\"string\",\"format\":\"date-time\"},\"secret\":{\"type\":\"string\",\"writeOnly\":true},"
    "\"grade\":{\"type\":\"string\",\"readOnly\":true,\"default\":\"B\"},\"shelf_id\":{\"type\":[\"integer\",\"null\"]},"
    "\"spare_id\":{\"type\":[\"integer\",\"null\"]}}},"
    "\"Named\":{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\"},"
    "\"box_id\":{\"type\":[\"integer\",\"null\"]},\"part_id\":{\"type\":[\"string\",\"null\"]}}}},"
    "\"resources\":{"
    "\"things\":{\"model\":\"Thing\",\"unique\":[\"sku\",[\"title\",\"stock\"]],\"references\":{\"shelf_id\":\"shelves\",\"spare_id\":"
    "\"shelves\"},\"bulk\":{\"cap\":5}},"
    "\"shelves\":{\"model\":\"Named\"},"
    "\"boxes\":{\"model\":\"Named\",\"owner\":true,\"owner_bypass_role\":\"admin\"},"
    "\"notes\":{\"model\":\"Named\",\"owner\":true,\"references\":{\"box_id\":\"boxes\",\"part_id\":\"parts\"}},"
    "\"parts\":{\"model\":\"Named\",\"id\":\"uuid\",\"soft_delete\":true},"
    "\"careful\":{\"model\":\"Named\",\"require_if_match\":true},"
    "\"open\":{\"model\":\"Named\",\"access\":\"public\"}}}";

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

static dx_resource_call *create(const char *resource, const char *body) {
    return writer_run(w, dx_resource_create, resource, NULL, body);
}

// --- creating --------------------------------------------------------------------------------------------------------------

static void a_new_row_is_answered_as_it_reads(void **state) {
    (void)state;
    dx_resource_call *call =
        create("things", "{\"title\":\"one\",\"price\":1.50,\"sold_at\":\"2026-01-31T12:00:00.5+02:00\",\"secret\":\"s\"}");
    assert_call(call, DX_OK);
    assert_int_equal(call->http, 201);
    assert_slice(call->location, "/api/v1/things/1");
    assert_string_equal(writer_member(call, "price"), "1.5");
    assert_string_equal(writer_member(call, "active"), "true");
    assert_string_equal(writer_member(call, "tags"), "[\"new\"]");
    assert_string_equal(writer_member(call, "grade"), "\"B\"");
    assert_string_equal(writer_member(call, "stock"), "null");
    assert_string_equal(writer_member(call, "sold_at"), "\"2026-01-31T10:00:00.500000Z\"");
    assert_string_equal(writer_member(call, "secret"), "");
    dx_resource_call *read = writer_run(w, dx_resource_read, "things", "1", NULL);
    assert_true(dx_slice_equal(read->out, call->out));
    assert_true(dx_slice_equal(read->etag, call->etag));
    assert_true(read->modified == call->modified && call->modified > 0);
}

static void uuids_are_made_for_resources_that_want_them(void **state) {
    (void)state;
    dx_resource_call *call = create("parts", "{\"name\":\"bolt\"}");
    assert_call(call, DX_OK);
    const char *id = writer_member(call, "id");
    assert_true(dx_uuid_valid(dx_slice_of(id + 1, strlen(id) - 2)));
    char bare[DX_UUID_TEXT_SIZE + 1] = {0};
    memcpy(bare, id + 1, DX_UUID_TEXT_SIZE);
    assert_string_not_equal(writer_show(w, "parts", bare), "");
}

static const struct {
    const char *body;
    dx_status status;
    const char *findings; // lines; "*": some
} bodies[] = {
    {"{\"title\":\"a\",\"stock\":9223372036854775807}", DX_OK, ""},
    {"{\"title\":\"b\",\"stock\":-9223372036854775808}", DX_OK, ""},
    {"{\"title\":\"c\",\"stock\":1.0,\"price\":9007199254740993}", DX_OK, ""},
    {"{\"title\":\"d\",\"note\":null}", DX_INVALID, "/note: is not a known field"},
    {"{\"title\":\"e\",\"price\":null,\"stock\":null,\"tags\":null,\"sold_at\":null}", DX_OK, ""},
    {"{\"title\":null}", DX_INVALID, "*"},
    {"{\"title\":\"x\",\"stock\":9223372036854775808}", DX_INVALID,
     "/stock: expected an integer of 64 bits (-9223372036854775808 to 9223372036854775807)"},
    {"{\"title\":\"x\",\"stock\":1e19}", DX_INVALID,
     "/stock: expected an integer of 64 bits (-9223372036854775808 to 9223372036854775807)"},
    {"{\"title\":\"x\",\"price\":18446744073709551615}", DX_INVALID,
     "/price: expected an integer of 64 bits (-9223372036854775808 to 9223372036854775807)"},
    {"{\"title\":\"a\\u0000b\"}", DX_INVALID, "/title: must not contain the character U+0000"},
    {"{\"titel\":\"x\",\"title\":\"x\"}", DX_INVALID, "/titel: is not a known field; did you mean \"title\"?"},
    {"{\"title\":\"x\",\"id\":7}", DX_INVALID, "/id: is read-only"},
    {"{\"title\":\"x\",\"grade\":\"A\",\"created_at\":\"2026-01-01T00:00:00Z\"}", DX_INVALID,
     "/grade: is read-only\n/created_at: is read-only"},
    {"{\"title\":\"x\",\"_version\":3}", DX_INVALID, "*"},
    {"{\"title\":\"x\",\"sold_at\":\"2026-02-30T00:00:00Z\"}", DX_INVALID, "*"},
    {"{}", DX_INVALID, "*"},
    {"7", DX_INVALID, ": expected an object, found integer"},
    {"{\"title\":\"x\",\"title\":\"y\"}", DX_MALFORMED, ""},
    {"{\"title\":", DX_MALFORMED, ""},
    {"", DX_MALFORMED, ""},
};

static void bodies_are_judged(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(bodies); i++) {
        dx_resource_call *call = create("things", bodies[i].body);
        if (call->status != bodies[i].status) fail_msg("%s: %s\n%s", bodies[i].body, dx_status_name(call->status), writer_findings(call));
        const char *findings = writer_findings(call);
        if (strcmp(bodies[i].findings, "*") == 0) {
            assert_true(call->findings.count > 0);
        } else if (strcmp(findings, bodies[i].findings) != 0) {
            fail_msg("%s: %s", bodies[i].body, findings);
        }
        if (call->status == DX_MALFORMED) assert_true(call->detail.size > 0);
    }
    assert_int_equal(writer_count(w, "things"), 4);
    assert_non_null(strstr(writer_show(w, "things", "3"), "\"price\":9007199254740993,\"stock\":1,"));
}

static void every_wrong_field_is_named_at_once(void **state) {
    (void)state;
    dx_resource_call *call = create("things", "{\"price\":-1,\"stock\":\"many\",\"titel\":\"x\",\"id\":1}");
    assert_call(call, DX_INVALID);
    const char *findings = writer_findings(call);
    static const char *const pointers[] = {"/title: ", "/price: ", "/stock: ", "/titel: ", "/id: "};
    for (size_t i = 0; i < DX_COUNT_OF(pointers); i++) assert_non_null(strstr(findings, pointers[i]));
    assert_int_equal(call->findings.count, DX_COUNT_OF(pointers));
}

static void collisions_name_their_fields(void **state) {
    (void)state;
    assert_call(create("things", "{\"title\":\"a\",\"sku\":\"A1\",\"stock\":1}"), DX_OK);
    dx_resource_call *call = create("things", "{\"title\":\"b\",\"sku\":\"A1\"}");
    assert_call(call, DX_ALREADY_EXISTS);
    assert_string_equal(writer_findings(call), "/sku: exists already in another row");
    call = create("things", "{\"title\":\"a\",\"stock\":1}");
    assert_call(call, DX_ALREADY_EXISTS);
    assert_string_equal(writer_findings(call), "/title: exists already in another row, in this combination\n"
                                               "/stock: exists already in another row, in this combination");
    assert_call(create("things", "{\"title\":\"a\"}"), DX_OK); // nulls do not collide
    assert_call(create("things", "{\"title\":\"a\"}"), DX_OK);
}

// --- references ------------------------------------------------------------------------------------------------------------

static void references_must_lead_somewhere(void **state) {
    (void)state;
    assert_call(create("shelves", "{\"name\":\"top\"}"), DX_OK);
    assert_call(create("things", "{\"title\":\"a\",\"shelf_id\":1}"), DX_OK);
    dx_resource_call *call = create("things", "{\"title\":\"b\",\"shelf_id\":9}");
    assert_call(call, DX_UNKNOWN_REFERENCE);
    assert_string_equal(writer_findings(call), "/shelf_id: no row of \"shelves\" has this id");
    call = create("things", "{\"title\":\"b\",\"shelf_id\":1,\"spare_id\":9}"); // which of the two has to be found out
    assert_call(call, DX_UNKNOWN_REFERENCE);
    assert_string_equal(writer_findings(call), "/spare_id: no row of \"shelves\" has this id");
    call = create("things", "[{\"title\":\"b\",\"shelf_id\":1},{\"title\":\"c\",\"shelf_id\":8,\"spare_id\":9}]");
    assert_call(call, DX_UNKNOWN_REFERENCE);
    assert_string_equal(writer_findings(call),
                        "/1/shelf_id: no row of \"shelves\" has this id\n/1/spare_id: no row of \"shelves\" has this id");
    call = writer_run(w, dx_resource_merge, "things", "1", "{\"shelf_id\":9}");
    assert_call(call, DX_UNKNOWN_REFERENCE);
    assert_string_equal(writer_findings(call), "/shelf_id: no row of \"shelves\" has this id");
    assert_int_equal(writer_count(w, "things"), 1);
    assert_call(writer_run(w, dx_resource_delete, "shelves", "1", NULL), DX_IN_USE);
    assert_call(writer_run(w, dx_resource_delete, "things", "1", NULL), DX_OK);
    assert_call(writer_run(w, dx_resource_delete, "shelves", "1", NULL), DX_OK);
}

static void a_reference_to_anothers_row_is_unknown(void **state) {
    (void)state;
    assert_call(create("boxes", "{\"name\":\"mine\"}"), DX_OK);
    assert_call(create("notes", "{\"name\":\"n\",\"box_id\":1}"), DX_OK);
    dx_resource_call *call = writer_call(w, "notes", NULL, "{\"name\":\"n\",\"box_id\":1}");
    call->principal = &w->jane;
    writer_start(w, call, dx_resource_create);
    writer_wait(w);
    assert_call(call, DX_UNKNOWN_REFERENCE);
    assert_string_equal(writer_findings(call), "/box_id: no row of \"boxes\" has this id");
    static const dx_slice admin = DX_SLICE_INIT("admin");
    w->jane.roles = &admin;
    w->jane.role_count = 1;
    call = writer_call(w, "notes", NULL, "{\"name\":\"n\",\"box_id\":1}");
    call->principal = &w->jane;
    writer_start(w, call, dx_resource_create);
    writer_wait(w);
    assert_call(call, DX_OK);
}

static void hidden_rows_cannot_be_referred_to_and_shown_ones_not_hidden(void **state) {
    (void)state;
    const char *id = writer_member(create("parts", "{\"name\":\"bolt\"}"), "id");
    char bare[DX_UUID_TEXT_SIZE + 1] = {0}, body[128];
    memcpy(bare, id + 1, DX_UUID_TEXT_SIZE);
    snprintf(body, sizeof body, "{\"name\":\"n\",\"part_id\":%s}", id);
    assert_call(create("notes", body), DX_OK);
    dx_resource_call *call = writer_run(w, dx_resource_delete, "parts", bare, NULL);
    assert_call(call, DX_IN_USE);
    assert_slice(call->detail, "rows of \"notes\" refer to this one");
    assert_string_not_equal(writer_show(w, "parts", bare), "");
    assert_call(writer_run(w, dx_resource_merge, "notes", "1", "{\"part_id\":null}"), DX_OK);
    assert_call(writer_run(w, dx_resource_delete, "parts", bare, NULL), DX_OK);
    assert_string_equal(writer_show(w, "parts", bare), "");
    assert_call(create("notes", body), DX_UNKNOWN_REFERENCE);
    assert_call(writer_run(w, dx_resource_delete, "parts", bare, NULL), DX_NOT_FOUND);
}

static void each_referrer_is_asked_once(void **state) {
    (void)state;
    const dx_referrer *referrer = dx_write_plans_of(fixture_resource(&w->f, "parts"))->referrers;
    assert_non_null(referrer);
    assert_string_equal(referrer->resource->name.data, "notes");
    assert_null(referrer->next);
}

static void references_to_uuids_are_kept_in_lower_case(void **state) {
    (void)state;
    const char *id = writer_member(create("parts", "{\"name\":\"bolt\"}"), "id");
    char body[128] = "{\"name\":\"n\",\"part_id\":";
    size_t size = strlen(body);
    for (const char *c = id; *c; c++) body[size++] = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
    body[size] = '}';
    dx_resource_call *call = create("notes", body);
    assert_call(call, DX_OK);
    assert_string_equal(writer_member(call, "part_id"), id);
}

// --- replacing -------------------------------------------------------------------------------------------------------------

static void a_whole_representation_can_be_put_back(void **state) {
    (void)state;
    dx_resource_call *first = create("things", "{\"title\":\"one\",\"price\":5,\"active\":false}");
    const char *text = dx_arena_copy(w->f.arena, first->out).data;
    dx_resource_call *call = writer_run(w, dx_resource_replace, "things", "1", text);
    assert_call(call, DX_OK);
    assert_int_equal(call->http, 200);
    assert_true(dx_slice_equal(call->out, first->out));   // nothing changed,
    assert_true(dx_slice_equal(call->etag, first->etag)); // so nothing was written
    call = writer_run(w, dx_resource_replace, "things", "1", "{\"title\":\"two\"}");
    assert_call(call, DX_OK);
    assert_false(dx_slice_equal(call->etag, first->etag));
    assert_string_equal(writer_member(call, "price"), "null");
    assert_string_equal(writer_member(call, "active"), "true"); // the default
    assert_true(dx_slice_equal(writer_run(w, dx_resource_read, "things", "1", NULL)->out, call->out));
}

static void read_only_fields_may_only_say_what_is_so(void **state) {
    (void)state;
    assert_call(create("things", "{\"title\":\"one\"}"), DX_OK);
    assert_call(writer_run(w, dx_resource_replace, "things", "1", "{\"title\":\"x\",\"id\":1,\"grade\":\"B\"}"), DX_OK);
    dx_resource_call *call = writer_run(w, dx_resource_replace, "things", "1", "{\"title\":\"x\",\"id\":2,\"grade\":\"A\"}");
    assert_call(call, DX_INVALID);
    assert_string_equal(writer_findings(call), "/id: is read-only\n/grade: is read-only");
    call = writer_run(w, dx_resource_merge, "things", "1", "{\"grade\":null,\"created_at\":null}");
    assert_call(call, DX_INVALID);
    assert_string_equal(writer_findings(call), "/grade: is read-only\n/created_at: is read-only");
    assert_call(writer_run(w, dx_resource_merge, "things", "1", "{\"grade\":\"A\"}"), DX_INVALID);
}

static void what_is_not_there_cannot_be_written(void **state) {
    (void)state;
    static const writer_action actions[] = {dx_resource_replace, dx_resource_merge, dx_resource_delete};
    static const char *const ids[] = {"1", "0", "-1", "01", "x", "", "99999999999999999999"};
    for (size_t a = 0; a < DX_COUNT_OF(actions); a++) {
        for (size_t i = 0; i < DX_COUNT_OF(ids); i++)
            assert_call(writer_run(w, actions[a], "things", ids[i], "{\"title\":\"x\"}"), DX_NOT_FOUND);
    }
    assert_int_equal(writer_count(w, "things"), 0);
}

// --- conditions ------------------------------------------------------------------------------------------------------------

static dx_resource_call *conditional(writer_action action, const char *resource, const char *if_match, const char *if_none_match) {
    dx_resource_call *call = writer_call(w, resource, "1", "{\"name\":\"changed\"}");
    call->if_match = dx_slice_str(if_match);
    call->if_none_match = dx_slice_str(if_none_match);
    writer_start(w, call, action);
    writer_wait(w);
    return call;
}

static void conditions_guard_every_write(void **state) {
    (void)state;
    dx_resource_call *first = create("shelves", "{\"name\":\"a\"}");
    const char *tag = dx_arena_copy(w->f.arena, first->etag).data;
    char weak[128], list[256];
    snprintf(weak, sizeof weak, "W/%s", tag);
    snprintf(list, sizeof list, "\"other\", %s", tag);
    static const writer_action actions[] = {dx_resource_replace, dx_resource_merge, dx_resource_delete};
    for (size_t a = 0; a < DX_COUNT_OF(actions); a++) {
        assert_call(conditional(actions[a], "shelves", "\"other\"", NULL), DX_PRECONDITION_FAILED);
        assert_call(conditional(actions[a], "shelves", weak, NULL), DX_PRECONDITION_FAILED); // If-Match compares strongly
        assert_call(conditional(actions[a], "shelves", NULL, "*"), DX_PRECONDITION_FAILED);
        assert_call(conditional(actions[a], "shelves", NULL, weak), DX_PRECONDITION_FAILED);
    }
    dx_resource_call *call = conditional(dx_resource_replace, "shelves", list, "\"other\"");
    assert_call(call, DX_OK);
    assert_call(conditional(dx_resource_merge, "shelves", tag, NULL), DX_PRECONDITION_FAILED);
    tag = dx_arena_copy(w->f.arena, call->etag).data;
    assert_call(conditional(dx_resource_delete, "shelves", tag, NULL), DX_OK);
    assert_call(conditional(dx_resource_replace, "shelves", "*", NULL), DX_NOT_FOUND);
}

static void a_condition_can_be_required(void **state) {
    (void)state;
    assert_call(create("careful", "{\"name\":\"a\"}"), DX_OK);
    assert_call(writer_run(w, dx_resource_replace, "careful", "1", "{\"name\":\"b\"}"), DX_PRECONDITION_REQUIRED);
    assert_call(writer_run(w, dx_resource_merge, "careful", "1", "{\"name\":\"b\"}"), DX_PRECONDITION_REQUIRED);
    assert_call(writer_run(w, dx_resource_patch, "careful", "1", "[]"), DX_PRECONDITION_REQUIRED);
    assert_call(writer_run(w, dx_resource_delete, "careful", "1", NULL), DX_PRECONDITION_REQUIRED);
    assert_call(conditional(dx_resource_merge, "careful", "*", NULL), DX_OK);
    assert_call(conditional(dx_resource_delete, "careful", "*", NULL), DX_OK);
}

// --- patches ---------------------------------------------------------------------------------------------------------------

static void merge_patches_change_what_they_name(void **state) {
    (void)state;
    assert_call(create("things", "{\"title\":\"one\",\"price\":5,\"tags\":[\"a\"],\"secret\":\"s\",\"sku\":\"A\"}"), DX_OK);
    dx_resource_call *call = writer_run(w, dx_resource_merge, "things", "1", "{\"price\":6,\"tags\":null,\"sku\":null}");
    assert_call(call, DX_OK);
    assert_string_equal(writer_member(call, "price"), "6");
    assert_string_equal(writer_member(call, "title"), "\"one\"");
    assert_string_equal(writer_member(call, "tags"), "null");
    assert_string_equal(writer_member(call, "sku"), "null");
    dx_resource_call *same = writer_run(w, dx_resource_merge, "things", "1", "{\"price\":6.0}");
    assert_call(same, DX_OK);
    assert_true(dx_slice_equal(same->etag, call->etag));
    assert_call(writer_run(w, dx_resource_merge, "things", "1", "{\"title\":null}"), DX_INVALID);
    assert_call(writer_run(w, dx_resource_merge, "things", "1", "{\"price\":-1}"), DX_INVALID);
    assert_call(writer_run(w, dx_resource_merge, "things", "1", "[]"), DX_INVALID);
    assert_call(writer_run(w, dx_resource_merge, "things", "1", "{"), DX_MALFORMED);
}

static void json_patches_are_all_or_nothing(void **state) {
    (void)state;
    assert_call(create("things", "{\"title\":\"one\",\"price\":5,\"tags\":[\"a\"]}"), DX_OK);
    dx_resource_call *call =
        writer_run(w, dx_resource_patch, "things", "1",
                   "[{\"op\":\"test\",\"path\":\"/price\",\"value\":5},{\"op\":\"add\",\"path\":\"/tags/-\",\"value\":\"b\"},"
                   "{\"op\":\"replace\",\"path\":\"/title\",\"value\":\"two\"},{\"op\":\"remove\",\"path\":\"/price\"}]");
    assert_call(call, DX_OK);
    assert_string_equal(writer_member(call, "tags"), "[\"a\",\"b\"]");
    assert_string_equal(writer_member(call, "title"), "\"two\"");
    assert_string_equal(writer_member(call, "price"), "null");
    static const struct {
        const char *patch;
        dx_status status;
    } wrong[] = {
        {"[{\"op\":\"replace\",\"path\":\"/title\",\"value\":\"x\"},{\"op\":\"test\",\"path\":\"/stock\",\"value\":1}]", DX_CONFLICT},
        {"[{\"op\":\"remove\",\"path\":\"/tags/7\"}]", DX_INVALID},
        {"[{\"op\":\"add\",\"path\":\"/colour\",\"value\":1}]", DX_INVALID},
        {"[{\"op\":\"remove\",\"path\":\"/id\"}]", DX_INVALID},
        {"[{\"op\":\"replace\",\"path\":\"/id\",\"value\":2}]", DX_INVALID},
        {"[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]", DX_INVALID},
        {"{\"title\":\"x\"}", DX_MALFORMED},
        {"[{\"op\":\"jump\",\"path\":\"/title\"}]", DX_MALFORMED},
    };
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        dx_resource_call *refused = writer_run(w, dx_resource_patch, "things", "1", wrong[i].patch);
        if (refused->status != wrong[i].status) fail_msg("%s: %s", wrong[i].patch, dx_status_name(refused->status));
    }
    assert_true(dx_slice_equal(writer_run(w, dx_resource_read, "things", "1", NULL)->out, call->out));
}

static void json_patches_cannot_see_write_only_fields(void **state) {
    (void)state;
    assert_call(create("things", "{\"title\":\"one\",\"secret\":\"hush\"}"), DX_OK);
    assert_call(writer_run(w, dx_resource_patch, "things", "1", "[{\"op\":\"copy\",\"from\":\"/secret\",\"path\":\"/title\"}]"),
                DX_INVALID);
    assert_call(writer_run(w, dx_resource_patch, "things", "1", "[{\"op\":\"test\",\"path\":\"/secret\",\"value\":\"hush\"}]"), DX_INVALID);
    assert_call(writer_run(w, dx_resource_patch, "things", "1", "[{\"op\":\"replace\",\"path\":\"/title\",\"value\":\"two\"}]"), DX_OK);
    // Nor does a tag that stays say that a guess was right.
    dx_resource_call *read = writer_run(w, dx_resource_read, "things", "1", NULL);
    dx_resource_call *call = writer_run(w, dx_resource_merge, "things", "1", "{\"secret\":\"hush\"}");
    assert_false(dx_slice_equal(call->etag, read->etag));
}

static void racing_changes_all_count(void **state) {
    (void)state;
    enum { RACERS = 40 };
    assert_call(create("things", "{\"title\":\"one\",\"tags\":[]}"), DX_OK);
    dx_resource_call *calls[RACERS];
    for (int i = 0; i < RACERS; i++) {
        char patch[96];
        snprintf(patch, sizeof patch, "[{\"op\":\"add\",\"path\":\"/tags/-\",\"value\":\"t%d\"}]", i);
        calls[i] = writer_call(w, "things", "1", patch);
        writer_start(w, calls[i], dx_resource_patch); // each reads the row before any of them has written it
    }
    writer_wait(w);
    for (int i = 0; i < RACERS; i++) assert_call(calls[i], DX_OK);
    dx_resource_call *read = writer_run(w, dx_resource_read, "things", "1", NULL);
    const char *tags = writer_member(read, "tags");
    for (int i = 0; i < RACERS; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "\"t%d\"", i);
        assert_non_null(strstr(tags, tag));
    }
    char version[16];
    snprintf(version, sizeof version, "-%d\"", RACERS + 1);
    assert_non_null(strstr(dx_arena_copy(read->arena, read->etag).data, version));
}

static void only_one_of_racing_conditional_writers_wins(void **state) {
    (void)state;
    dx_resource_call *first = create("shelves", "{\"name\":\"a\"}"), *calls[10];
    size_t won = 0;
    for (int i = 0; i < 10; i++) {
        char body[32];
        snprintf(body, sizeof body, "{\"name\":\"%d\"}", i);
        calls[i] = writer_call(w, "shelves", "1", body);
        calls[i]->if_match = first->etag;
        writer_start(w, calls[i], dx_resource_replace);
    }
    writer_wait(w);
    for (int i = 0; i < 10; i++) {
        if (calls[i]->status != DX_OK) assert_call(calls[i], DX_PRECONDITION_FAILED);
        won += calls[i]->status == DX_OK;
    }
    assert_int_equal(won, 1);
}

// --- ownership -------------------------------------------------------------------------------------------------------------

static void anothers_row_is_not_there(void **state) {
    (void)state;
    static const writer_action actions[] = {dx_resource_replace, dx_resource_merge, dx_resource_delete};
    dx_resource_call *first = create("boxes", "{\"name\":\"mine\"}");
    assert_string_equal(writer_member(first, "owner_id"), "1");
    for (size_t a = 0; a < DX_COUNT_OF(actions); a++) {
        dx_resource_call *call = writer_call(w, "boxes", "1", "{\"name\":\"hers\"}");
        call->principal = &w->jane;
        writer_start(w, call, actions[a]);
        writer_wait(w);
        assert_call(call, DX_NOT_FOUND);
    }
    dx_resource_call *many = writer_call(w, "boxes", NULL, NULL);
    many->principal = &w->jane;
    many->query = DX_SLICE("id=1");
    writer_start(w, many, dx_resource_delete_many);
    writer_wait(w);
    assert_call(many, DX_NOT_FOUND);
    dx_resource_call *nobody = writer_call(w, "boxes", NULL, "{\"name\":\"x\"}");
    nobody->principal = NULL;
    writer_start(w, nobody, dx_resource_create);
    assert_call(nobody, DX_UNAUTHENTICATED);
    assert_true(dx_slice_equal(writer_run(w, dx_resource_read, "boxes", "1", NULL)->out, first->out));
}

static void a_bypassing_role_changes_rows_and_leaves_their_owner(void **state) {
    (void)state;
    static const dx_slice admin = DX_SLICE_INIT("admin");
    assert_call(create("boxes", "{\"name\":\"mine\"}"), DX_OK);
    w->jane.roles = &admin;
    w->jane.role_count = 1;
    dx_resource_call *call = writer_call(w, "boxes", "1", "{\"name\":\"hers\"}");
    call->principal = &w->jane;
    writer_start(w, call, dx_resource_replace);
    writer_wait(w);
    assert_call(call, DX_OK);
    assert_string_equal(writer_member(call, "owner_id"), "1");
}

// --- many ------------------------------------------------------------------------------------------------------------------

static void many_rows_are_created_together_or_not_at_all(void **state) {
    (void)state;
    dx_resource_call *call = create("things", "[{\"title\":\"a\"},{\"title\":\"b\",\"sku\":\"B\"}]");
    assert_call(call, DX_OK);
    assert_int_equal(call->http, 201);
    assert_string_equal(writer_member(call, "count"), "2");
    call = create("things", "[{\"title\":\"ok\"},{\"title\":\"\",\"price\":-1},{\"titel\":1,\"title\":\"x\"},3]");
    assert_call(call, DX_INVALID);
    const char *findings = writer_findings(call);
    static const char *const pointers[] = {"/1/title: ", "/1/price: ", "/2/titel: ", "/3: "};
    for (size_t i = 0; i < DX_COUNT_OF(pointers); i++) assert_non_null(strstr(findings, pointers[i]));
    call = create("things", "[{\"title\":\"c\"},{\"title\":\"d\"},{\"title\":\"e\",\"sku\":\"B\"}]");
    assert_call(call, DX_ALREADY_EXISTS);
    assert_string_equal(writer_findings(call), "/2/sku: exists already in another row");
    assert_call(create("things", "[]"), DX_INVALID);
    assert_call(
        create("things", "[{\"title\":\"1\"},{\"title\":\"2\"},{\"title\":\"3\"},{\"title\":\"4\"},{\"title\":\"5\"},{\"title\":\"6\"}]"),
        DX_INVALID);
    assert_int_equal(writer_count(w, "things"), 2);
}

static dx_resource_call *delete_many(const char *resource, const char *query, const char *body) {
    dx_resource_call *call = writer_call(w, resource, NULL, body);
    call->query = dx_slice_str(query);
    writer_start(w, call, dx_resource_delete_many);
    writer_wait(w);
    return call;
}

static void many_rows_are_deleted_together_or_not_at_all(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_call(create("things", "[{\"title\":\"a\"},{\"title\":\"b\"},{\"title\":\"c\"},{\"title\":\"d\"}]"), DX_OK);
    dx_resource_call *call = delete_many("things", "id=1,2,99", NULL);
    assert_call(call, DX_NOT_FOUND);
    assert_slice(call->detail, "there is no row with the id 99; nothing was deleted");
    assert_call(delete_many("things", "id=1,x", NULL), DX_NOT_FOUND);
    assert_call(delete_many("things", "", NULL), DX_INVALID);
    assert_call(delete_many("things", "price=3", NULL), DX_INVALID);
    assert_call(delete_many("things", "id=1&active=true", NULL), DX_INVALID);
    assert_call(delete_many("things", "id=1", "{\"ids\":[2]}"), DX_INVALID);
    assert_call(delete_many("things", "id=1,2,3,4,5,6", NULL), DX_INVALID);
    assert_call(delete_many("things", "", "{\"ids\":[]}"), DX_INVALID);
    assert_call(delete_many("things", "", "{\"ids\":[1.5]}"), DX_INVALID);
    assert_call(delete_many("things", "", "{\"ids\":[1],\"all\":true}"), DX_INVALID);
    assert_call(delete_many("things", "", "[1]"), DX_INVALID);
    assert_int_equal(writer_count(w, "things"), 8);
    call = delete_many("things", "id=1,2,2&id=1", NULL);
    assert_call(call, DX_OK);
    assert_int_equal(call->http, 200);
    assert_slice(call->out, "{\"count\":2}");
    assert_call(delete_many("things", "id[in]=3", NULL), DX_OK);
    assert_call(delete_many("things", "", "{\"ids\":[4,\"5\"]}"), DX_OK);
    assert_int_equal(writer_count(w, "things"), 3);
    assert_call(delete_many("careful", "id=1", NULL), DX_PRECONDITION_REQUIRED);
}

static void a_deletion_of_many_stops_at_a_row_in_use(void **state) {
    (void)state;
    assert_call(create("shelves", "[{\"name\":\"a\"},{\"name\":\"b\"}]"), DX_OK);
    assert_call(create("things", "{\"title\":\"t\",\"shelf_id\":2}"), DX_OK);
    assert_call(delete_many("shelves", "id=1,2", NULL), DX_IN_USE);
    assert_int_equal(writer_count(w, "shelves"), 2);
}

// In arenas of growing caps, until one is large enough: without memory nothing is written, or it is written and told.
static void memory_that_runs_out_fails_the_call_alone(void **state) {
    (void)state;
    static const writer_action actions[] = {dx_resource_create, dx_resource_replace, dx_resource_merge, dx_resource_patch,
                                            dx_resource_delete};
    char row[64], patch[96], key[16];
    unsigned failures = 0, serial = 0;
    assert_call(create("shelves", "{\"name\":\"a\"}"), DX_OK);
    for (size_t a = 0; a < DX_COUNT_OF(actions); a++) {
        bool told = false;
        for (size_t cap = 1024; !told; cap += 64) {
            assert_true(cap < 1 << 20);
            snprintf(row, sizeof row, "{\"name\":\"%u\"}", ++serial);
            snprintf(patch, sizeof patch, "[{\"op\":\"replace\",\"path\":\"/name\",\"value\":\"%u\"}]", serial);
            snprintf(key, sizeof key, "k%u", serial);
            dx_resource_call *call = writer_call(w, "shelves", "1", actions[a] == dx_resource_patch ? patch : row);
            dx_arena *small = dx_arena_create(cap);
            const char *before = writer_show(w, "shelves", "1");
            size_t count = writer_count(w, "shelves");
            if (actions[a] == dx_resource_create) call->idempotency_key = dx_slice_str(key);
            if (small) call->arena = small;
            writer_start(w, call, actions[a]);
            writer_wait(w);
            told = call->status == DX_OK;
            if (!told) {
                if (call->status != DX_NO_MEMORY) fail_msg("action %zu with %zu bytes: %s", a, cap, dx_status_name(call->status));
                failures++;
                assert_string_equal(writer_show(w, "shelves", "1"), before);
                assert_int_equal(writer_count(w, "shelves"), count);
            } else if (actions[a] == dx_resource_create) {
                assert_int_equal(writer_count(w, "shelves"), count + 1);
            } else {
                assert_string_not_equal(writer_show(w, "shelves", "1"), before);
            }
            dx_arena_destroy(small);
            while (w->count > 2) dx_arena_destroy(w->arenas[--w->count]);
        }
    }
    print_message("%u failures\n", failures);
    assert_true(failures > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_new_row_is_answered_as_it_reads),
        TEST(uuids_are_made_for_resources_that_want_them),
        TEST(bodies_are_judged),
        TEST(every_wrong_field_is_named_at_once),
        TEST(collisions_name_their_fields),
        TEST(references_must_lead_somewhere),
        TEST(a_reference_to_anothers_row_is_unknown),
        TEST(hidden_rows_cannot_be_referred_to_and_shown_ones_not_hidden),
        TEST(each_referrer_is_asked_once),
        TEST(references_to_uuids_are_kept_in_lower_case),
        TEST(a_whole_representation_can_be_put_back),
        TEST(read_only_fields_may_only_say_what_is_so),
        TEST(what_is_not_there_cannot_be_written),
        TEST(conditions_guard_every_write),
        TEST(a_condition_can_be_required),
        TEST(merge_patches_change_what_they_name),
        TEST(json_patches_are_all_or_nothing),
        TEST(json_patches_cannot_see_write_only_fields),
        TEST(racing_changes_all_count),
        TEST(only_one_of_racing_conditional_writers_wins),
        TEST(anothers_row_is_not_there),
        TEST(a_bypassing_role_changes_rows_and_leaves_their_owner),
        TEST(many_rows_are_created_together_or_not_at_all),
        TEST(many_rows_are_deleted_together_or_not_at_all),
        TEST(a_deletion_of_many_stops_at_a_row_in_use),
        TEST(memory_that_runs_out_fails_the_call_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
