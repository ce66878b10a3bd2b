// Arenas: alignment, caps, reset, cleanups, resizing in place, and every allocation failing in turn.
#include "base/arena.h"

#include <setjmp.h>

#include <cmocka.h>

#include "base/memory.h"

static void pieces_are_aligned_and_do_not_overlap(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    unsigned char *pieces[200];
    for (size_t i = 0; i < DX_COUNT_OF(pieces); i++) {
        pieces[i] = dx_arena_alloc(arena, i * 3);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, i * 3);
        char *text = dx_arena_bytes(arena, i);
        memset(text, 0xff, i);
    }
    for (size_t i = 0; i < DX_COUNT_OF(pieces); i++) {
        for (size_t j = 0; j < i * 3; j++) assert_int_equal(pieces[i][j], i);
    }
    dx_arena_destroy(arena);
}

static void an_empty_piece_has_an_address(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    assert_non_null(dx_arena_alloc(arena, 0));
    assert_non_null(dx_arena_copy(arena, (dx_slice){NULL, 0}).data);
    dx_arena_destroy(arena);
}

static void the_cap_counts_the_bytes_of_the_system(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(64 * 1024);
    size_t taken = 0;
    while (dx_arena_alloc(arena, 1000)) taken += 1000;
    assert_true(dx_arena_footprint(arena) <= 64 * 1024);
    assert_true(taken >= 56 * 1000);
    assert_null(dx_arena_alloc(arena, 64 * 1024));
    assert_null(dx_arena_alloc(arena, SIZE_MAX));
    assert_null(dx_arena_bytes(arena, SIZE_MAX));
    assert_null(dx_arena_zalloc(arena, SIZE_MAX / 2, 3));
    dx_arena_destroy(arena);
}

static void a_cap_too_small_for_the_arena_itself_makes_none(void **state) {
    (void)state;
    assert_null(dx_arena_create(16));
    dx_arena *arena = dx_arena_create(1024);
    assert_non_null(arena);
    assert_true(dx_arena_footprint(arena) <= 1024);
    dx_arena_destroy(arena);
    dx_arena_destroy(NULL);
}

static void a_refusal_of_the_cap_is_told_from_one_of_the_system(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(64 * 1024);
    dx_memory_fail_at(1, true);
    assert_null(dx_arena_alloc(arena, 10000));
    assert_null(dx_arena_bytes(arena, 10000));
    (void)dx_memory_fail_stop();
    assert_false(dx_arena_outgrown(arena));
    assert_non_null(dx_arena_alloc(arena, 30000));
    assert_null(dx_arena_alloc(arena, 30000));
    assert_true(dx_arena_outgrown(arena));
    dx_arena_reset(arena);
    assert_false(dx_arena_outgrown(arena));
    while (dx_arena_alloc(arena, 100)) assert_false(dx_arena_outgrown(arena));
    assert_true(dx_arena_outgrown(arena));
    dx_arena_reset(arena);
    char *piece = dx_arena_bytes(arena, 20000);
    assert_null(dx_arena_realloc(arena, piece, 20000, 60000));
    assert_true(dx_arena_outgrown(arena));
    dx_arena_destroy(arena);
}

static void reset_keeps_only_the_first_chunk(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    size_t at_first = dx_arena_footprint(arena);
    void *first = dx_arena_alloc(arena, 100);
    for (int i = 0; i < 100; i++) assert_non_null(dx_arena_alloc(arena, 5000));
    assert_true(dx_arena_footprint(arena) > 500000);
    dx_arena_reset(arena);
    assert_int_equal(dx_arena_footprint(arena), at_first);
    assert_ptr_equal(dx_arena_alloc(arena, 100), first);
    dx_arena_destroy(arena);
}

// Twice the same work: the second time the system is asked for nothing.
static void a_small_arena_keeps_its_second_chunk(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create_small(4080, 1 << 20);
    assert_int_equal(dx_arena_footprint(arena), 4080);
    for (int round = 0; round < 3; round++) {
        dx_memory_fail_at(1, true);
        for (int i = 0; i < 10; i++) {
            char *piece = dx_arena_alloc(arena, 700);
            if (round == 0 && !piece) {
                (void)dx_memory_fail_stop();
                piece = dx_arena_alloc(arena, 700);
            }
            assert_non_null(piece);
            memset(piece, i, 700);
        }
        assert_true(round == 0 || !dx_memory_fail_stop());
        assert_int_equal(dx_arena_footprint(arena), 4080 + 8192);
        dx_arena_reset(arena);
        assert_int_equal(dx_arena_footprint(arena), 4080 + 8192);
    }
    for (int i = 0; i < 40; i++) assert_non_null(dx_arena_alloc(arena, 2000));
    dx_arena_reset(arena);
    assert_int_equal(dx_arena_footprint(arena), 4080 + 8192); // of what was larger nothing stays
    dx_arena_destroy(arena);
}

static void a_large_piece_leaves_the_present_chunk_in_use(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    char *before = dx_arena_alloc(arena, 16);
    char *large = dx_arena_alloc(arena, 300000);
    memset(large, 1, 300000);
    char *after = dx_arena_alloc(arena, 16);
    assert_true(after > before && after - before < 128);
    dx_arena_destroy(arena);
}

typedef struct journal {
    int calls[4];
    int count;
} journal;
typedef struct entry {
    journal *journal;
    int number;
} entry;

static void note(void *ctx) {
    entry *call = ctx;
    call->journal->calls[call->journal->count++] = call->number;
}

static void cleanups_run_newest_first_and_once(void **state) {
    (void)state;
    journal order = {{0}, 0};
    entry one = {&order, 1}, two = {&order, 2};
    dx_arena *arena = dx_arena_create(1 << 16);
    assert_int_equal(dx_arena_defer(arena, note, &one), DX_OK);
    assert_int_equal(dx_arena_defer(arena, note, &two), DX_OK);
    dx_arena_reset(arena);
    assert_int_equal(order.count, 2);
    assert_int_equal(order.calls[0], 2);
    assert_int_equal(order.calls[1], 1);
    dx_arena_destroy(arena);
    assert_int_equal(order.count, 2);
}

static void a_cleanup_that_finds_no_memory_runs_at_once(void **state) {
    (void)state;
    journal order = {{0}, 0};
    entry one = {&order, 1};
    dx_arena *arena = dx_arena_create(512);
    while (dx_arena_alloc(arena, 16)) continue;
    assert_int_equal(dx_arena_defer(arena, note, &one), DX_NO_MEMORY);
    assert_int_equal(order.count, 1);
    dx_arena_destroy(arena);
    assert_int_equal(order.count, 1);
}

static void the_last_piece_grows_and_shrinks_in_place(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    char *piece = dx_arena_realloc(arena, NULL, 0, 100);
    assert_ptr_equal(dx_arena_realloc(arena, piece, 100, 1000), piece);
    memset(piece, 7, 1000);
    assert_ptr_equal(dx_arena_realloc(arena, piece, 1000, 10), piece);
    char *next = dx_arena_alloc(arena, 10);
    assert_true(next - piece <= 48);
    char *moved = dx_arena_realloc(arena, piece, 10, 20); // no longer the last
    assert_ptr_not_equal(moved, piece);
    assert_int_equal(moved[9], 7);
    assert_null(dx_arena_realloc(arena, moved, 20, 1 << 20));
    assert_null(dx_arena_realloc(arena, moved, 20, SIZE_MAX));
    assert_ptr_equal(dx_arena_realloc(arena, piece, 10, 5), piece);
    dx_arena_destroy(arena);
}

static void a_large_piece_grows_without_leaving_its_old_room_behind(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(600000);
    size_t size = 100000;
    char *piece = dx_arena_alloc(arena, size);
    memset(piece, 7, size);
    for (; size < 500000; size += 50000) {
        piece = dx_arena_realloc(arena, piece, size, size + 50000);
        assert_non_null(piece);
        assert_int_equal(piece[99999], 7);
        memset(piece, 7, size + 50000);
        assert_true(dx_arena_footprint(arena) < size + 60000);
    }
    assert_null(dx_arena_realloc(arena, piece, size, 600000)); // the old piece stands
    assert_int_equal(piece[size - 1], 7);
    piece = dx_arena_realloc(arena, piece, size, 1000);
    assert_true(dx_arena_footprint(arena) < 12000);
    dx_arena_destroy(arena);
}

static void copies_and_formatted_text_end_in_nul(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    dx_slice copy = dx_arena_copy(arena, DX_SLICE("abc"));
    assert_string_equal(copy.data, "abc");
    dx_slice text = dx_arena_printf(arena, "%s-%d", "x", 7);
    assert_string_equal(text.data, "x-7");
    assert_int_equal(text.size, 3);
    dx_slice wide = dx_arena_printf(arena, "%01000d", 5); // longer than the stack buffer
    assert_int_equal(wide.size, 1000);
    assert_int_equal(strlen(wide.data), 1000);
    assert_int_equal(wide.data[999], '5');
    dx_arena_destroy(arena);
}

static bool many_things(void) {
    dx_arena *arena = dx_arena_create(1 << 20);
    if (arena == NULL) return false;
    bool whole = true;
    for (int i = 0; i < 10; i++) {
        whole = dx_arena_alloc(arena, 3000) && whole;
        whole = dx_arena_copy(arena, DX_SLICE("text")).data && whole;
        whole = dx_arena_alloc(arena, 50000) && whole;
    }
    dx_arena_destroy(arena);
    return whole;
}

static void every_failing_allocation_is_reported(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        bool whole = many_things();
        bool failed = dx_memory_fail_stop();
        assert_int_equal(whole, !failed);
        if (!failed) break;
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(an_empty_piece_has_an_address),
        cmocka_unit_test(the_cap_counts_the_bytes_of_the_system),
        cmocka_unit_test(a_cap_too_small_for_the_arena_itself_makes_none),
        cmocka_unit_test(a_refusal_of_the_cap_is_told_from_one_of_the_system),
        cmocka_unit_test(reset_keeps_only_the_first_chunk),
        cmocka_unit_test(a_small_arena_keeps_its_second_chunk),
        cmocka_unit_test(a_large_piece_leaves_the_present_chunk_in_use),
        cmocka_unit_test(cleanups_run_newest_first_and_once),
        cmocka_unit_test(a_cleanup_that_finds_no_memory_runs_at_once),
        cmocka_unit_test(the_last_piece_grows_and_shrinks_in_place),
        cmocka_unit_test(copies_and_formatted_text_end_in_nul),
        cmocka_unit_test(a_large_piece_grows_without_leaving_its_old_room_behind),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
