// Cursors: paging in every order and both ways, while others write; and cursors that were tampered with.
#include "resource/fixture.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const definition = "{\"models\":{\"Row\":{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{\"a\":{\"type\":["
                                      "\"integer\",\"null\"]},\"b\":{\"type\":["
                                      "\"string\",\"null\"]},\"n\":{\"type\":\"number\"}}}},\"resources\":{\"rows\":{\"model\":\"Row\","
                                      "\"index\":[\"a\"],\"page\":{\"cap\":1000}},"
                                      "\"others\":{\"model\":\"Row\"},\"texts\":{\"model\":\"Row\",\"id\":\"uuid\",\"index\":[\"a\"]},"
                                      "\"mine\":{\"model\":\"Row\",\"owner\":true},\"soft\":{\"model\":\"Row\",\"soft_delete\":true}}}";

static int setup(void **state) {
    static fixture f;
    fixture_open(&f, definition);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

static uint32_t random_state;
static unsigned pick(unsigned below) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static int64_t insert_random(fixture *f, const char *resource) {
    char json[128], a[16] = "null", b[16] = "null", id[64] = "";
    static unsigned serial;
    if (pick(4)) snprintf(a, sizeof a, "%u", pick(4));
    if (pick(4)) snprintf(b, sizeof b, "\"%c\"", 'a' + (int)pick(3));
    if (strcmp(resource, "texts") == 0) snprintf(id, sizeof id, "\"id\":\"%08x-0000-7000-8000-%012u\",", pick(1u << 20), serial++);
    snprintf(json, sizeof json, "{%s\"a\":%s,\"b\":%s,\"n\":%u.5}", id, a, b, pick(3));
    return fixture_insert(f, resource, json);
}

// --- walking ---------------------------------------------------------------------------------------------------------------

typedef struct walk {
    char ids[1 << 16];
    char *next, *previous; // links of the page reached
    int pages;
} walk;

static char *link_copy(fixture *f, const dx_resource_call *call, const char *name) {
    const char *link = fixture_link(f, call, name);
    return link ? strdup(link) : NULL;
}

static void walk_deinit(walk *w) {
    free(w->next);
    free(w->previous);
}

// Fetches a page; adds its ids behind, or in front when walking backwards.
static void walk_page(fixture *f, walk *w, const char *resource, const char *query, bool backward) {
    const dx_resource_call *call = fixture_list(f, resource, query);
    const char *ids = fixture_column(f, call, "id");
    char *next = link_copy(f, call, "next"), *previous = link_copy(f, call, "previous");
    walk_deinit(w);
    w->next = next;
    w->previous = previous;
    w->pages++;
    if (!*ids) return;
    size_t had = strlen(w->ids), more = strlen(ids);
    assert_true(had + more + 2 < sizeof w->ids);
    if (backward) {
        memmove(w->ids + more + 1, w->ids, had + 1);
        memcpy(w->ids, ids, more);
        w->ids[more] = ' ';
        if (!had) w->ids[more] = 0;
    } else {
        snprintf(w->ids + had, sizeof w->ids - had, "%s%s", had ? " " : "", ids);
    }
}

static const char *const sorts[] = {"",
                                    "sort=id",
                                    "sort=-id",
                                    "sort=a",
                                    "sort=-a",
                                    "sort=a,b",
                                    "sort=-a,b",
                                    "sort=a,-b",
                                    "sort=-a,-b",
                                    "sort=n",
                                    "sort=-n,b",
                                    "sort=b,-id",
                                    "sort=-b,id",
                                    "sort=a,b,n",
                                    "sort=-n,a,-b",
                                    "sort=created_at",
                                    "sort=-created_at,b,a,n"};

static void walking_gives_every_row_once_in_order(void **state) {
    fixture *f = *state;
    static const char *const resources[] = {"rows", "texts", "mine", "soft"};
    random_state = 1;
    for (size_t r = 0; r < DX_COUNT_OF(resources); r++)
        for (int i = 0; i < 60; i++) insert_random(f, resources[r]);
    for (size_t at = 0; at < DX_COUNT_OF(sorts) * DX_COUNT_OF(resources) * 2; at++) {
        const char *sort = sorts[at % DX_COUNT_OF(sorts)], *resource = resources[at / DX_COUNT_OF(sorts) % DX_COUNT_OF(resources)];
        unsigned page_size = at % 3 == 0 ? 1 : at % 3 == 1 ? 7 : 20;
        const char *filter = at % 2 ? "&a[ne]=3" : "";
        char query[256];
        static walk forth, back;
        memset(&forth, 0, sizeof forth);
        memset(&back, 0, sizeof back);
        snprintf(query, sizeof query, "%s%s&page_size=100", sort, filter);
        char *expected = strdup(fixture_column(f, fixture_list(f, resource, query), "id"));
        snprintf(query, sizeof query, "%s%s&cursor=&page_size=%u", sort, filter, page_size);
        walk_page(f, &forth, resource, query, false);
        assert_null(forth.previous);
        while (forth.next) {
            char *next = strdup(forth.next);
            walk_page(f, &forth, resource, next, false);
            free(next);
        }
        if (strcmp(forth.ids, expected)) fail_msg("%s?%s\ngave %s\nnot  %s", resource, query, forth.ids, expected);
        // From the last page back to the first: everything before the last page, in the same order.
        for (char *link = forth.previous ? strdup(forth.previous) : NULL; link;) {
            walk_page(f, &back, resource, link, true);
            assert_non_null(back.next);
            free(link);
            link = back.previous ? strdup(back.previous) : NULL;
        }
        size_t shown = strlen(back.ids);
        if (forth.pages > 1) assert_int_equal(back.pages, forth.pages - 1);
        if (strncmp(back.ids, expected, shown) != 0) fail_msg("%s?%s\nback %s\nnot  %s", resource, query, back.ids, expected);
        // And forth again: everything behind the first page.
        back.ids[0] = 0;
        for (char *link = back.next ? strdup(back.next) : NULL; link;) {
            walk_page(f, &back, resource, link, false);
            free(link);
            link = back.next ? strdup(back.next) : NULL;
        }
        shown = strlen(back.ids);
        if (strcmp(back.ids, expected + strlen(expected) - shown) != 0)
            fail_msg("%s?%s\nagain %s\nnot   %s", resource, query, back.ids, expected);
        walk_deinit(&forth);
        walk_deinit(&back);
        free(expected);
    }
}

// --- while others write ------------------------------------------------------------------------------------------------------

enum { ROWS_CAP = 20000, PAGES_WITH_INSERTS = 60 };

static void seen_add(unsigned *seen, const char *ids) {
    for (const char *at = ids; *at;) {
        char *end;
        long id = strtol(at, &end, 10);
        assert_true(end > at && id > 0 && id < ROWS_CAP);
        seen[id]++;
        at = *end ? end + 1 : end;
    }
}

static void rows_are_neither_missed_nor_repeated_while_others_write(void **state) {
    fixture *f = *state;
    for (unsigned round = 0; round < 40; round++) {
        static unsigned seen[ROWS_CAP];
        static bool stable[ROWS_CAP];
        static int64_t mine[ROWS_CAP];
        unsigned mine_count = 0;
        memset(seen, 0, sizeof seen);
        memset(stable, 0, sizeof stable);
        random_state = round + 100;
        for (int i = 0; i < 40; i++) {
            int64_t id = insert_random(f, "rows");
            if (pick(2))
                stable[id] = true;
            else
                mine[mine_count++] = id; // may be deleted under way
        }
        char query[128];
        snprintf(query, sizeof query, "%s&cursor=&page_size=%u", sorts[round % DX_COUNT_OF(sorts)], 1 + pick(9));
        char *next = strdup(query);
        for (unsigned page = 0; next; page++) {
            const dx_resource_call *call = fixture_list(f, "rows", next);
            seen_add(seen, fixture_column(f, call, "id"));
            free(next);
            next = link_copy(f, call, "next");
            for (unsigned i = page < PAGES_WITH_INSERTS ? pick(3) : 0; i; i--) insert_random(f, "rows");
            for (unsigned i = pick(3); i && mine_count; i--) {
                unsigned at = pick(mine_count);
                fixture_remove(f, "rows", mine[at]);
                mine[at] = mine[--mine_count];
            }
        }
        for (int id = 0; id < ROWS_CAP; id++) {
            if (seen[id] > 1) fail_msg("round %u, %s: row %d was seen %u times", round, query, id, seen[id]);
            if (stable[id] && !seen[id]) fail_msg("round %u, %s: row %d was missed", round, query, id);
        }
        char *all = strdup(fixture_column(f, fixture_list(f, "rows", "page_size=1000"), "id"));
        for (char *at = all, *end; *at; at = *end ? end + 1 : end) fixture_remove(f, "rows", strtol(at, &end, 10));
        free(all);
    }
}

static void the_row_a_cursor_stands_at_may_go(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 6; i++) fixture_insert(f, "rows", "{\"n\":1}");
    char *next = link_copy(f, fixture_list(f, "rows", "cursor=&page_size=3"), "next");
    fixture_remove(f, "rows", 3);
    fixture_remove(f, "rows", 4);
    assert_string_equal(fixture_column(f, fixture_list(f, "rows", next), "id"), "5 6");
    fixture_remove(f, "rows", 5);
    fixture_remove(f, "rows", 6);
    // An empty page still leads back, to the rows before it and no further.
    const dx_resource_call *call = fixture_list(f, "rows", next);
    assert_string_equal(fixture_column(f, call, "id"), "");
    assert_null(fixture_link(f, call, "next"));
    char *previous = link_copy(f, call, "previous");
    assert_string_equal(fixture_column(f, fixture_list(f, "rows", previous), "id"), "1 2");
    // And when the row comes back that the cursor stood at, it is among them.
    fixture_insert(f, "rows", "{\"id\":3,\"n\":1}");
    assert_string_equal(fixture_column(f, fixture_list(f, "rows", previous), "id"), "1 2 3");
    free(next);
    free(previous);
    // The same the other way.
    next = link_copy(f, fixture_list(f, "rows", "cursor=&page_size=1"), "next");
    previous = link_copy(f, fixture_list(f, "rows", next), "previous");
    fixture_remove(f, "rows", 1);
    call = fixture_list(f, "rows", previous);
    assert_string_equal(fixture_column(f, call, "id"), "");
    assert_null(fixture_link(f, call, "previous"));
    free(next);
    next = link_copy(f, call, "next");
    assert_string_equal(fixture_column(f, fixture_list(f, "rows", next), "id"), "2");
    free(next);
    free(previous);
}

// --- forged ------------------------------------------------------------------------------------------------------------------

static dx_status status_of(fixture *f, const char *resource, const char *prefix, const char *cursor) {
    char query[1024];
    snprintf(query, sizeof query, "%s&cursor=%s", prefix, cursor);
    return fixture_list(f, resource, query)->status;
}

static void a_cursor_that_is_not_ours_is_refused(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 4; i++) fixture_insert(f, "rows", "{\"n\":1,\"b\":\"x\"}");
    char *link = link_copy(f, fixture_list(f, "rows", "sort=b&min_n=1&page_size=2&cursor="), "next");
    char *cursor = strstr(link, "cursor=") + strlen("cursor=");
    assert_int_equal(status_of(f, "rows", "sort=b&min_n=1", cursor), DX_OK);
    assert_int_equal(status_of(f, "rows", "min_n=1&sort=b&page_size=1&fields=id&count=exact", cursor), DX_OK);
    assert_int_equal(status_of(f, "rows", "sort=-b&min_n=1", cursor), DX_BAD_CURSOR);
    assert_int_equal(status_of(f, "rows", "sort=b&min_n=2", cursor), DX_BAD_CURSOR);
    assert_int_equal(status_of(f, "rows", "sort=b", cursor), DX_BAD_CURSOR);
    assert_int_equal(status_of(f, "rows", "sort=b,n&min_n=1", cursor), DX_BAD_CURSOR);
    assert_int_equal(status_of(f, "others", "sort=b&min_n=1", cursor), DX_BAD_CURSOR);
    for (size_t i = 0; cursor[i]; i++) {
        char was = cursor[i];
        cursor[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(status_of(f, "rows", "sort=b&min_n=1", cursor), DX_BAD_CURSOR);
        cursor[i] = was;
    }
    char *kept = strdup(cursor);
    for (size_t size = strlen(cursor); size-- > 1;) {
        cursor[size] = 0;
        assert_int_equal(status_of(f, "rows", "sort=b&min_n=1", cursor), DX_BAD_CURSOR);
    }
    assert_int_equal(status_of(f, "rows", "sort=b&min_n=1", "%00"), DX_BAD_CURSOR);
    f->set->cursor_key[0] ^= 1;
    assert_int_equal(status_of(f, "rows", "sort=b&min_n=1", kept), DX_BAD_CURSOR);
    f->set->cursor_key[0] ^= 1;
    assert_int_equal(status_of(f, "rows", "sort=b&min_n=1", kept), DX_OK);
    free(kept);
    free(link);
}

static void a_value_too_long_for_a_cursor_is_told(void **state) {
    fixture *f = *state;
    char json[DX_CURSOR_TEXT_CAP + 64];
    for (int longer = 0; longer < 2; longer++) {
        int size = snprintf(json, sizeof json, "{\"n\":%d,\"b\":\"", longer);
        memset(json + size, 'x', DX_CURSOR_TEXT_CAP + (size_t)longer);
        snprintf(json + size + DX_CURSOR_TEXT_CAP + longer, 8, "\"}");
        fixture_insert(f, "rows", json);
        fixture_insert(f, "rows", json);
    }
    assert_int_equal(fixture_list(f, "rows", "n=0&sort=b&page_size=1&cursor=")->status, DX_OK);
    const dx_resource_call *call = fixture_list(f, "rows", "n=1&sort=b&page_size=1&cursor=");
    assert_int_equal(call->status, DX_INVALID);
    assert_true(dx_slice_equal(call->findings.first->pointer, DX_SLICE("?sort")));
    assert_int_equal(fixture_list(f, "rows", "n=1&sort=b&page_size=1")->status, DX_OK);
}

// --- what is brief -----------------------------------------------------------------------------------------------------------

static bool is_brief(fixture *f, const char *resource, const char *query) {
    dx_view view = {0};
    dx_status status;
    dx_list_plan plan;
    dx_resource_call call = {.set = f->set,
                             .resource = fixture_resource(f, resource),
                             .arena = f->calls,
                             .principal = &f->principal,
                             .query = dx_slice_str(query)};
    assert_true(dx_view_read(&view, &call, true, &status));
    assert_true(dx_list_plan_init(&plan, &call, &view, NULL));
    return dx_list_plan_is_brief(&plan);
}

static void only_a_bounded_range_of_an_index_is_brief(void **state) {
    fixture *f = *state;
    static const struct {
        const char *resource, *query;
        bool brief;
    } cases[] = {
        {"rows", "cursor=", true},
        {"rows", "cursor=&sort=-id", true},
        {"rows", "cursor=&sort=a", true},
        {"rows", "count=none", true},
        {"rows", "", false},
        {"rows", "cursor=&count=exact", false},
        {"rows", "count=none&page=2", false},
        {"rows", "cursor=&sort=a,-id", false},
        {"rows", "cursor=&sort=b", false},
        {"rows", "cursor=&b=x", false},
        {"rows", "cursor=&a=1", true},
        {"rows", "cursor=&a=1&b=x", false},
        {"rows", "cursor=&min_a=1", false},
        {"rows", "cursor=&sort=a&min_a=1", true},
        {"rows", "cursor=&sort=a&a[null]=true", false},
        {"rows", "cursor=&id=4", true},
        {"rows", "cursor=&id[gt]=4", true},
        {"rows", "cursor=&id[in]=4", false},
        {"texts", "cursor=", true},
        {"texts", "cursor=&sort=a", true},
        {"texts", "cursor=&a=1", true},
        {"mine", "cursor=", true},
        {"mine", "cursor=&sort=a", false},
        {"mine", "cursor=&owner_id=1", true},
        {"soft", "cursor=", false},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++)
        if (is_brief(f, cases[i].resource, cases[i].query) != cases[i].brief)
            fail_msg("%s?%s is%s brief", cases[i].resource, cases[i].query, cases[i].brief ? " not" : "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(walking_gives_every_row_once_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_are_neither_missed_nor_repeated_while_others_write, setup, teardown),
        cmocka_unit_test_setup_teardown(the_row_a_cursor_stands_at_may_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cursor_that_is_not_ours_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_value_too_long_for_a_cursor_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(only_a_bounded_range_of_an_index_is_brief, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
