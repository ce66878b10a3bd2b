// The change log: what is recorded, what a page of it shows, what is forgotten, and conditions judged on a row as the store would judge
// them.
#include "base/memory.h"
#include "resource/changes.h"
#include "resource/write_fixture.h"

static const char definition[] = "{\"models\":{\"Item\":{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"}}}},"
                                 "\"resources\":{\"items\":{\"model\":\"Item\",\"changes\":{\"rows\":100}},"
                                 "\"shelves\":{\"model\":\"Item\",\"id\":\"uuid\",\"soft_delete\":true,\"changes\":true},"
                                 "\"quiet\":{\"model\":\"Item\"}}}";
static const char plain[] =
    "{\"models\":{\"Item\":{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{\"title\":{\"type\":\"string\"},\"price\":{"
    "\"type\":\"number\"},\"sold\":{\"type\":\"boolean\"},\"count\":{\"type\":\"integer\"}}}},"
    "\"resources\":{\"items\":{\"model\":\"Item\",\"owner\":true,\"unique\":[\"title\"],\"changes\":{\"keep\":\"1h\",\"rows\":100}}}}";

static writer world;

static int set_up(void **state) {
    writer_open(&world, plain);
    *state = &world;
    return 0;
}

static int tear_down(void **state) {
    writer_close(*state);
    return 0;
}

static dx_change_page page;

static dx_status read_page(writer *w, int64_t after, size_t limit) {
    return dx_changes_read(&page, w->f.arena, fixture_resource(&w->f, "items"), w->session, after, limit, true);
}

// "1:create:1:v1 2:delete:1:v1": sequence, kind, row, version.
static const char *seen(writer *w, int64_t after) {
    static const char *const kinds[] = {"create", "update", "delete"};
    dx_buffer text;
    dx_buffer_init(&text, w->f.arena, 1 << 16);
    assert_int_equal(read_page(w, after, DX_CHANGES_PAGE), DX_OK);
    for (size_t i = 0; i < page.count; i++) {
        const dx_change *change = &page.items[i];
        dx_buffer_printf(&text, "%s%lld:%s:%lld:v%lld%s", i ? " " : "", (long long)change->sequence, kinds[change->kind],
                         (long long)change->row.integer, (long long)change->version.integer, change->values ? "" : "-");
    }
    dx_buffer_byte(&text, '\0');
    return text.data;
}

static void writes_are_recorded_with_what_they_did(void **state) {
    writer *w = *state;
    assert_call(writer_run(w, dx_resource_create, "items", NULL, "{\"title\":\"a\"}"), DX_OK);
    assert_call(writer_run(w, dx_resource_create, "items", NULL, "[{\"title\":\"b\"},{\"title\":\"c\"}]"), DX_OK);
    assert_call(writer_run(w, dx_resource_merge, "items", "1", "{\"price\":2}"), DX_OK);
    assert_call(writer_run(w, dx_resource_merge, "items", "1", "{\"price\":2}"), DX_OK);
    assert_call(writer_run(w, dx_resource_replace, "items", "2", "{\"title\":\"B\"}"), DX_OK);
    assert_call(writer_run(w, dx_resource_delete, "items", "3", NULL), DX_OK);
    assert_string_equal(seen(w, 0), "1:create:1:v1 2:create:2:v1 3:create:3:v1- 4:update:1:v2 5:update:2:v2 6:delete:3:v1-");
    assert_string_equal(seen(w, 4), "5:update:2:v2 6:delete:3:v1-");
    assert_int_equal(page.oldest, 1);
    assert_int_equal(page.newest, 6);
    assert_int_equal(page.items[1].owner.integer, 1);
}

static void what_came_to_nothing_is_not_recorded(void **state) {
    writer *w = *state;
    assert_call(writer_run(w, dx_resource_create, "items", NULL, "{\"title\":\"a\"}"), DX_OK);
    assert_call(writer_run(w, dx_resource_create, "items", NULL, "{\"title\":\"a\"}"), DX_ALREADY_EXISTS);
    assert_call(writer_run(w, dx_resource_create, "items", NULL, "[{\"title\":\"b\"},{\"title\":\"a\"}]"), DX_ALREADY_EXISTS);
    assert_call(writer_run(w, dx_resource_delete, "items", "77", NULL), DX_NOT_FOUND);
    assert_call(writer_run(w, dx_resource_create, "items", NULL, "{\"title\":\"c\"}"), DX_OK);
    assert_int_equal(read_page(w, 0, 10), DX_OK);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.items[0].row.integer, 1);
    dx_buffer text;
    dx_buffer_init(&text, w->f.arena, 4096);
    dx_change_write(&text, fixture_resource(&w->f, "items"), &page.items[1], 4096);
    assert_non_null(strstr(dx_arena_copy(w->f.arena, dx_buffer_slice(&text)).data, "\"title\":\"c\""));
    text.size = 0;
    dx_change_write(&text, fixture_resource(&w->f, "items"), &page.items[1], 100);
    assert_non_null(strstr(dx_arena_copy(w->f.arena, dx_buffer_slice(&text)).data, "\"row\":null,\"omitted\":true}"));
}

static void create_many(writer *w, int from, int count) {
    dx_buffer body;
    dx_buffer_init(&body, w->f.arena, 1 << 20);
    for (int i = 0; i < count; i++) dx_buffer_printf(&body, "%s{\"title\":\"t%d\"}", i ? "," : "[", from + i);
    DX_BUFFER_LIT(&body, "]");
    dx_buffer_byte(&body, '\0');
    assert_call(writer_run(w, dx_resource_create, "items", NULL, body.data), DX_OK);
}

static void pages_follow_each_other_without_a_gap(void **state) {
    writer *w = *state;
    create_many(w, 0, 150);
    int64_t after = 0;
    size_t counts[] = {64, 64, 22};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(read_page(w, after, 1000), DX_OK);
        assert_int_equal(page.count, counts[i]);
        assert_int_equal(page.items[0].sequence, after + 1);
        assert_int_equal(page.more, i < 2);
        after = page.items[page.count - 1].sequence;
    }
    assert_int_equal(read_page(w, after, 1000), DX_OK);
    assert_true(page.count == 0 && !page.more && page.newest == 150);
}

// --- pruning ---------------------------------------------------------------------------------------------------------------

static bool more_to_prune;
static dx_loop *pruning;

static void pruned(dx_change_pruner *pruner, bool more) {
    (void)pruner;
    more_to_prune = more;
    dx_loop_stop(pruning);
}

typedef struct prune_turn {
    dx_task task;
    dx_change_pruner pruner;
} prune_turn;

static void begin_pruning(dx_task *task) {
    dx_changes_prune(&DX_CONTAINER_OF(task, prune_turn, task)->pruner, fixture_resource(&world.f, "items"), world.session, pruned);
}

static bool prune(writer *w) {
    prune_turn turn = {.task = {.run = begin_pruning}};
    pruning = w->loop;
    dx_loop_post(w->loop, &turn.task);
    assert_int_equal(dx_loop_run(w->loop), DX_OK);
    return more_to_prune;
}

static void more_than_is_to_be_kept_is_forgotten_piece_by_piece(void **state) {
    writer *w = *state;
    create_many(w, 0, 900);
    assert_true(prune(w));
    assert_int_equal(read_page(w, 0, 1), DX_OK);
    assert_int_equal(page.oldest, DX_CHANGES_PRUNE_ROWS + 1);
    assert_false(prune(w));
    assert_int_equal(read_page(w, 0, 1), DX_OK);
    assert_int_equal(page.oldest, 801);
    assert_int_equal(page.newest, 900);
    assert_false(prune(w));
    create_many(w, 900, 1);
    assert_int_equal(read_page(w, 900, 1), DX_OK);
    assert_int_equal(page.items[0].sequence, 901);
}

static void what_is_too_old_is_forgotten_but_for_the_newest(void **state) {
    writer *w = *state;
    create_many(w, 0, 5);
    dx_change_log *log = fixture_resource(&w->f, "items")->changes;
    log->keep = -DX_SECOND; // all of it is too old
    assert_false(prune(w));
    assert_int_equal(read_page(w, 0, 10), DX_OK);
    assert_true(page.count == 1 && page.oldest == 5 && page.newest == 5);
    assert_false(prune(w));
}

// --- conditions ------------------------------------------------------------------------------------------------------------

static bool view_read(writer *w, dx_view *view, const char *query) {
    dx_resource_call *call = writer_call(w, "items", NULL, NULL);
    dx_slice last;
    dx_status status;
    memset(view, 0, sizeof *view);
    call->query = dx_slice_str(query);
    return dx_changes_view_read(view, &last, call, &status);
}

// Each is asked of the store by a list and of the rows one by one here: the same rows must come.
static void conditions_hold_for_the_rows_that_a_list_has(void **state) {
    writer *w = *state;
    assert_call(writer_run(w, dx_resource_create, "items", NULL,
                           "[{\"title\":\"a\",\"price\":1},{\"title\":\"b\",\"price\":2.5,\"sold\":true},{\"title\":\"B\",\"price\":-3},"
                           "{\"title\":\"\",\"count\":9007199254740993},{\"title\":\"\\u00e4\",\"price\":9007199254740992,\"sold\":false},"
                           "{\"title\":\"ab\",\"price\":1.0,\"count\":0}]"),
                DX_OK);
    static const char *const queries[] = {
        "title=a",
        "title[ne]=a",
        "title[in]=a,B",
        "title[nin]=a,B",
        "title[gt]=a",
        "title[lte]=b",
        "price=1",
        "price[ne]=1",
        "min_price=1",
        "max_price=2.4",
        "price[in]=1,2.5",
        "price[nin]=1,2.5",
        "sold=true",
        "sold[ne]=true",
        "sold[null]=true",
        "sold[null]=false",
        "price[null]=true",
        "price[lt]=9007199254740993",
        "count[gt]=9007199254740992",
        "count[lt]=1",
        "id[gte]=3",
        "min_price=1&max_price=2",
        "price[gt]=-3.5",
        "price=9007199254740992",
    };
    assert_int_equal(read_page(w, 0, 10), DX_OK);
    for (size_t q = 0; q < DX_COUNT_OF(queries); q++) {
        dx_view view;
        assert_true(view_read(w, &view, queries[q]));
        dx_buffer mine;
        dx_buffer_init(&mine, w->f.arena, 4096);
        for (size_t i = 0; i < page.count; i++) {
            if (!dx_conditions_hold(view.conditions, view.condition_count, page.items[i].values)) continue;
            dx_buffer_printf(&mine, "%s%lld", mine.size ? " " : "", (long long)page.items[i].row.integer);
        }
        dx_buffer_byte(&mine, '\0');
        char query[128];
        (void)snprintf(query, sizeof query, "%s&sort=id", queries[q]);
        dx_resource_call *list = writer_call(w, "items", NULL, NULL);
        list->query = dx_slice_str(query);
        writer_start(w, list, dx_resource_list);
        writer_wait(w);
        const char *theirs = fixture_column(&w->f, list, "id");
        if (strcmp(mine.data, theirs) != 0) fail_msg("%s: %s here, %s by the store", queries[q], mine.data, theirs);
    }
}

static void what_a_feed_cannot_judge_is_refused(void **state) {
    writer *w = *state;
    dx_view view;
    static const char *const queries[] = {
        "sort=id", "page=1", "fields=id", "title[like]=a*", "nope=1", "price=x", "last_event_id=1&last_event_id=2"};
    for (size_t i = 0; i < DX_COUNT_OF(queries); i++) assert_false(view_read(w, &view, queries[i]));
    assert_true(view_read(w, &view, "&last_event_id=&title=a"));
}

// --- settings and memory ---------------------------------------------------------------------------------------------------

static void kinds_of_ids_and_deletion_have_logs_of_their_own(void **state) {
    (void)state;
    writer *w = &world;
    writer_open(w, definition);
    assert_call(writer_run(w, dx_resource_create, "shelves", NULL, "{\"title\":\"top\"}"), DX_OK);
    dx_change_page *shelves = &page;
    const dx_resource *resource = fixture_resource(&w->f, "shelves");
    assert_int_equal(dx_changes_read(shelves, w->f.arena, resource, w->session, 0, 10, true), DX_OK);
    assert_int_equal(shelves->count, 1);
    char id[64];
    (void)snprintf(id, sizeof id, "%.*s", DX_SLICE_ARG(shelves->items[0].row.text));
    assert_call(writer_run(w, dx_resource_delete, "shelves", id, NULL), DX_OK);
    assert_int_equal(dx_changes_read(shelves, w->f.arena, resource, w->session, 1, 10, true), DX_OK);
    assert_true(shelves->count == 1 && shelves->items[0].kind == DX_CHANGE_DELETE && shelves->items[0].version.integer == 2);
    assert_null(fixture_resource(&w->f, "quiet")->changes);
    assert_int_equal(fixture_resource(&w->f, "items")->changes->rows, 100);
    writer_close(w);
}

static void too_long_a_name_is_told(void **state) {
    (void)state;
    fixture f;
    assert_int_equal(
        fixture_load(&f, "{\"models\":{\"T\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}},"
                         "\"resources\":{\"a123456789b123456789c123456789d123456789e123456789\":{\"model\":\"T\",\"changes\":true},"
                         "\"b\":{\"model\":\"T\",\"changes\":{\"keep\":\"5s\"}}}}"),
        DX_INVALID);
    assert_non_null(strstr(fixture_findings(&f, &f.diags), "at most 49 characters"));
    assert_non_null(strstr(fixture_findings(&f, &f.diags), "expected at least 1m"));
    fixture_close(&f);
}

static void whichever_allocation_fails_a_change_is_recorded_or_nothing_happened(void **state) {
    writer *w = *state;
    int64_t rows = 0;
    for (uint64_t n = 1;; n++) {
        char body[64];
        (void)snprintf(body, sizeof body, "{\"title\":\"m%llu\"}", (unsigned long long)n);
        dx_resource_call *call = writer_call(w, "items", NULL, body);
        dx_memory_fail_at(n, false);
        writer_start(w, call, dx_resource_create);
        writer_wait(w);
        bool failed = dx_memory_fail_stop();
        rows += call->status == DX_OK;
        if (!failed) break;
    }
    for (uint64_t n = 1;; n++) {
        dx_arena *arena = dx_arena_create(1 << 20);
        dx_memory_fail_at(n, false);
        dx_status status = dx_changes_read(&page, arena, fixture_resource(&w->f, "items"), w->session, 0, DX_CHANGES_PAGE, true);
        bool failed = dx_memory_fail_stop();
        if (status != DX_OK) assert_int_equal(status, DX_NO_MEMORY);
        dx_arena_destroy(arena);
        if (!failed) break;
    }
    assert_int_equal(read_page(w, 0, DX_CHANGES_PAGE), DX_OK);
    assert_int_equal(page.count, rows);
    assert_int_equal(writer_count(w, "items"), rows);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(writes_are_recorded_with_what_they_did),
        TEST(what_came_to_nothing_is_not_recorded),
        TEST(pages_follow_each_other_without_a_gap),
        TEST(more_than_is_to_be_kept_is_forgotten_piece_by_piece),
        TEST(what_is_too_old_is_forgotten_but_for_the_newest),
        TEST(conditions_hold_for_the_rows_that_a_list_has),
        TEST(what_a_feed_cannot_judge_is_refused),
        cmocka_unit_test(kinds_of_ids_and_deletion_have_logs_of_their_own),
        cmocka_unit_test(too_long_a_name_is_told),
        TEST(whichever_allocation_fails_a_change_is_recorded_or_nothing_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
