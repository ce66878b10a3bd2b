// What happens without memory: the call ends with DX_NO_MEMORY, once, and the next one is right again.
#include "base/memory.h"
#include "resource/fixture.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const definition = "{\"models\":{\"Named\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}},"
                                      "\"Item\":{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{\"title\":{\"type\":"
                                      "\"string\"},\"price\":{\"type\":\"number\"},"
                                      "\"tags\":{\"type\":\"array\",\"default\":[1]},\"shelf_id\":{\"type\":\"integer\"}}}},"
                                      "\"resources\":{\"shelves\":{\"model\":\"Named\",\"access\":\"public\"},\"items\":{\"model\":"
                                      "\"Item\",\"owner\":true,\"index\":[\"price\",[\"title\","
                                      "\"price\"]],\"unique\":[[\"owner_id\",\"title\"]],\"references\":{\"shelf_id\":\"shelves\"},"
                                      "\"dropped\":[\"x\"],\"access\":{\"roles\":[\"a\"]}}}}";

static int calls_ended;
static void ended(dx_resource_call *call) {
    (void)call;
    calls_ended++;
}

// Runs a call in arenas of growing caps until one is large enough.
static void run_with_less(fixture *f, bool one, const char *query, const char *expected) {
    dx_status status = DX_NO_MEMORY;
    unsigned failures = 0;
    for (size_t cap = 1024; status; cap += 64) {
        assert_true(cap < 1 << 20);
        dx_arena *arena = dx_arena_create(cap);
        if (!arena) continue;
        dx_resource_call call = {.set = f->set,
                                 .resource = fixture_resource(f, "items"),
                                 .arena = arena,
                                 .principal = &f->principal,
                                 .id = DX_SLICE("1"),
                                 .query = dx_slice_str(query),
                                 .done = ended};
        calls_ended = 0;
        if (one)
            dx_resource_read(&call);
        else
            dx_resource_list(&call);
        assert_int_equal(calls_ended, 1);
        status = call.status;
        if (status) {
            if (status != DX_NO_MEMORY) fail_msg("?%s with %zu bytes: %s", query, cap, dx_status_name(status));
            failures++;
        } else if (!strstr(dx_arena_copy(f->arena, call.out).data, expected)) {
            fail_msg("?%s gave %.*s", query, DX_SLICE_ARG(call.out));
        }
        dx_arena_destroy(arena);
    }
    print_message("?%s: %u failures\n", query, failures);
    assert_true(failures > 0);
}

static void a_call_without_memory_says_so(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, definition);
    fixture_insert(&f, "shelves", "{\"name\":\"top\"}");
    char json[3000];
    int size = snprintf(json, sizeof json, "{\"owner_id\":1,\"shelf_id\":1,\"tags\":[1,2],\"title\":\"");
    memset(json + size, 'x', 900);
    memcpy(json + size + 900, "1\"}", 4);
    for (char serial = '1'; serial < '6'; serial++) {
        json[size + 900] = serial;
        fixture_insert(&f, "items", json);
    }
    run_with_less(&f, true, "", "\"tags\":[1,2]");
    run_with_less(&f, true, "expand=shelf&fields=id", "{\"id\":1,\"shelf\":{\"id\":1,\"name\":\"top\"");
    run_with_less(&f, false, "", "{\"count\":5,");
    run_with_less(&f, false, "sort=-title&cursor=&page_size=2&expand=shelf&count=exact", "\"next\":\"/api/v1/items?sort=-title");
    run_with_less(&f, false, "id[in]=1,2,3&title[like]=*x*&price[null]=true&min_id=1", "{\"count\":3,");
    fixture_close(&f);
}

static void loading_without_memory_says_so(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, definition);
    for (uint64_t n = 1;; n++) {
        dx_arena *arena = dx_arena_create(64u << 20);
        dx_diags diags;
        dx_diags_init(&diags, arena);
        dx_resource_set *set;
        dx_memory_fail_at(n, false);
        dx_status status = dx_resources_load(&set, arena, f.definition, DX_SLICE("/api/v1"), &diags);
        bool failed = dx_memory_fail_stop();
        if (failed && status == DX_OK) assert_non_null(set); // one that was not needed
        if (failed && status != DX_OK) {
            assert_int_equal(status, DX_NO_MEMORY);
            assert_null(set);
        }
        dx_arena_destroy(arena);
        if (failed) continue;
        assert_int_equal(status, DX_OK);
        assert_true(n > 3);
        break;
    }
    // And where the arena itself is at its cap, wherever that falls.
    dx_status status = DX_NO_MEMORY;
    for (size_t cap = 4096; status; cap += 512) {
        assert_true(cap < 4u << 20);
        dx_arena *arena = dx_arena_create(cap);
        dx_diags diags;
        dx_diags_init(&diags, arena);
        dx_resource_set *set;
        status = dx_resources_load(&set, arena, f.definition, DX_SLICE("/api/v1"), &diags);
        if (status) assert_int_equal(status, DX_NO_MEMORY);
        dx_arena_destroy(arena);
    }
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_without_memory_says_so),
        cmocka_unit_test(loading_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
