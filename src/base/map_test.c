// Maps: look-up, order, removal, growth, "did you mean", memory running out.
#include "base/map.h"

#include <setjmp.h>

#include <cmocka.h>

#include "base/memory.h"

static int marks[5000];

static dx_slice key(dx_arena *arena, int number) {
    return dx_arena_printf(arena, "key-%d", number);
}

static void keys_are_found_after_growth_in_order_of_insertion(void **state) {
    (void)state;
    dx_arena *keys = dx_arena_create(1 << 20);
    dx_map map;
    dx_map_init(&map, NULL);
    for (int i = 0; i < 5000; i++) assert_int_equal(dx_map_put(&map, key(keys, i), &marks[i]), DX_OK);
    for (int i = 0; i < 5000; i++) assert_ptr_equal(dx_map_get(&map, key(keys, i)), &marks[i]);
    assert_null(dx_map_get(&map, DX_SLICE("key-5000")));
    assert_null(dx_map_get(&map, (dx_slice){NULL, 0}));
    dx_map_entry *entry;
    int seen = 0;
    for (size_t i = 0; (entry = dx_map_next(&map, &i)); seen++) assert_ptr_equal(entry->value, &marks[seen]);
    assert_int_equal(seen, 5000);
    dx_map_deinit(&map);
    dx_arena_destroy(keys);
}

static void putting_again_replaces_and_keeps_the_place(void **state) {
    (void)state;
    dx_map map;
    dx_map_init(&map, NULL);
    assert_int_equal(dx_map_put(&map, DX_SLICE("a"), &marks[0]), DX_OK);
    assert_int_equal(dx_map_put(&map, DX_SLICE("b"), &marks[1]), DX_OK);
    assert_int_equal(dx_map_put(&map, DX_SLICE("a"), &marks[2]), DX_OK);
    assert_int_equal(map.count, 2);
    size_t at = 0;
    assert_ptr_equal(dx_map_next(&map, &at)->value, &marks[2]);
    dx_map_deinit(&map);
}

static void removed_keys_are_gone_and_their_room_is_used_again(void **state) {
    (void)state;
    dx_arena *keys = dx_arena_create(4 << 20);
    dx_map map;
    dx_map_init(&map, NULL);
    assert_int_equal(dx_map_put(&map, DX_SLICE("stays"), &marks[1]), DX_OK);
    for (int i = 0; i < 10000; i++) {
        dx_slice name = key(keys, i);
        assert_int_equal(dx_map_put(&map, name, &marks[0]), DX_OK);
        assert_ptr_equal(dx_map_remove(&map, name), &marks[0]);
        assert_null(dx_map_remove(&map, name));
        assert_null(dx_map_get(&map, name));
    }
    assert_int_equal(map.count, 1);
    assert_true(map.capacity <= 64);
    assert_ptr_equal(dx_map_get(&map, DX_SLICE("stays")), &marks[1]);
    dx_map_deinit(&map);
    dx_arena_destroy(keys);
}

static void the_nearest_key_is_within_a_third_of_the_word(void **state) {
    (void)state;
    const dx_slice words[] = {DX_SLICE_INIT("listen"), DX_SLICE_INIT("store"), DX_SLICE_INIT("workers"), DX_SLICE_INIT("page_size")};
    const struct {
        const char *word, *nearest;
    } cases[] = {{"lsiten", "listen"},
                 {"stroe", "store"},
                 {"worker", "workers"},
                 {"Page_Size", "page_size"},
                 {"pagesize", "page_size"},
                 {"colour", ""},
                 {"x", ""},
                 {"", ""},
                 {"stere", "store"},
                 {"sto", ""}};
    dx_map map;
    dx_map_init(&map, NULL);
    for (size_t i = 0; i < DX_COUNT_OF(words); i++) assert_int_equal(dx_map_put(&map, words[i], &marks[i]), DX_OK);
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_slice by_list = dx_nearest_word(dx_slice_str(cases[i].word), words, DX_COUNT_OF(words));
        dx_slice by_map = dx_map_nearest(&map, dx_slice_str(cases[i].word));
        assert_true(dx_slice_equal(by_list, dx_slice_str(cases[i].nearest)));
        assert_true(dx_slice_equal(by_map, by_list));
    }
    dx_map_deinit(&map);
}

static void very_long_words_are_not_compared(void **state) {
    (void)state;
    char word[200];
    memset(word, 'a', sizeof word);
    dx_slice candidate = dx_slice_of(word, 199);
    assert_int_equal(dx_nearest_word(dx_slice_of(word, 200), &candidate, 1).size, 0);
}

static void every_failing_allocation_leaves_the_map_whole(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_slice keys[200]; // made before allocations fail
    for (int i = 0; i < 200; i++) keys[i] = key(arena, i);
    for (uint64_t n = 1;; n++) {
        dx_map map;
        dx_map_init(&map, NULL);
        dx_memory_fail_at(n, false);
        int put = 0;
        while (put < 200 && dx_map_put(&map, keys[put], &marks[put]) == DX_OK) put++;
        bool failed = dx_memory_fail_stop();
        assert_int_equal(put == 200, !failed);
        assert_int_equal(map.count, put);
        for (int i = 0; i < put; i++) assert_ptr_equal(dx_map_get(&map, keys[i]), &marks[i]);
        dx_map_deinit(&map);
        if (!failed) break;
        assert_true(n < 100);
    }
    dx_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_after_growth_in_order_of_insertion),
        cmocka_unit_test(putting_again_replaces_and_keeps_the_place),
        cmocka_unit_test(removed_keys_are_gone_and_their_room_is_used_again),
        cmocka_unit_test(the_nearest_key_is_within_a_third_of_the_word),
        cmocka_unit_test(very_long_words_are_not_compared),
        cmocka_unit_test(every_failing_allocation_leaves_the_map_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
