// Entries: what is in the block, who holds it, and that bytes which are not an entry are a miss.
#include "policy/cache_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "policy/cache_fixture.h"

static dx_cache_entry *sample(dx_arena *arena) {
    dx_cache_key key = fixture_key(arena, "api", "me", "https://a.example/x");
    return fixture_entry(arena, &key, "Content-Type: a/b\nConnection: x-hop\nX-Hop: 1\nVary: accept\nETag: \"e\"\nX-Empty:", "Accept: q",
                         DX_SLICE("the body\0!"), 60, "users");
}

static void assert_is_sample(const dx_cache_entry *entry) {
    assert_int_equal(entry->status, 200);
    assert_int_equal(entry->freshness.response_time, FIXTURE_NOW);
    assert_int_equal(entry->freshness.lifetime_us, 60 * FIXTURE_S);
    assert_int_equal(entry->fields.count, 4);
    assert_true(dx_slice_equal(dx_fields_get(&entry->fields, DX_FIELD_CONTENT_TYPE), DX_SLICE("a/b")));
    assert_true(dx_slice_equal(dx_fields_find(&entry->fields, DX_SLICE("etag")), DX_SLICE("\"e\"")));
    assert_true(dx_slice_equal(entry->key, DX_SLICE("api\nme\nGET\nhttps://a.example/x")));
    assert_true(dx_slice_equal(entry->body, DX_SLICE("the body\0!")));
    assert_true(entry->vary.size > 0);
    assert_true(dx_cache_entry_has_tag(entry, DX_SLICE("users")) && !dx_cache_entry_has_tag(entry, DX_SLICE("user")));
    assert_true(entry->tag_bits & dx_cache_tag_bit(DX_SLICE("users")));
}

static void an_entry_has_all_but_the_fields_of_one_hop(void **state) {
    dx_cache_entry *entry = sample(*state);
    assert_is_sample(entry);
    assert_null(dx_fields_find(&entry->fields, DX_SLICE("x-hop")).data);
    dx_cache_entry_release(entry);
}

static void an_entry_lives_until_the_last_holder_lets_go(void **state) {
    dx_cache_entry *entry = sample(*state), *again = dx_cache_entry_hold(entry);
    dx_cache_entry_release(entry);
    assert_is_sample(again);
    dx_cache_entry_release(again);
    dx_cache_entry_release(NULL);
}

static void as_bytes_and_back_it_is_the_same(void **state) {
    dx_cache_entry *entry = sample(*state), *back;
    dx_buffer bytes, again;
    dx_buffer_init(&bytes, *state, 65536);
    dx_buffer_init(&again, *state, 65536);
    dx_cache_entry_write(&bytes, entry);
    assert_int_equal(dx_buffer_status(&bytes), DX_OK);
    assert_int_equal(dx_cache_entry_read(&back, dx_buffer_slice(&bytes)), DX_OK);
    assert_is_sample(back);
    assert_true(dx_slice_equal(back->vary, entry->vary));
    dx_cache_entry_write(&again, back);
    assert_true(dx_slice_equal(dx_buffer_slice(&bytes), dx_buffer_slice(&again)));
    dx_cache_entry_release(entry);
    dx_cache_entry_release(back);
}

static void bytes_cut_short_or_changed_are_a_miss(void **state) {
    dx_cache_entry *entry = sample(*state), *back;
    dx_buffer bytes;
    dx_buffer_init(&bytes, *state, 65536);
    dx_cache_entry_write(&bytes, entry);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(dx_cache_entry_read(&back, dx_slice_of(bytes.data, size)), DX_MALFORMED);
        assert_null(back);
    }
    for (size_t at = 0; at < bytes.size; at++) {
        bytes.data[at] ^= 1;
        assert_int_equal(dx_cache_entry_read(&back, dx_buffer_slice(&bytes)), DX_MALFORMED);
        bytes.data[at] ^= 1;
    }
    dx_buffer_byte(&bytes, 0);
    assert_int_equal(dx_cache_entry_read(&back, dx_buffer_slice(&bytes)), DX_MALFORMED);
    dx_cache_entry_release(entry);
}

enum { FLAGS_AT = 12 + 4 + 6 * 8 }; // behind magic and sum, the status, and the freshness's numbers

// With the sum set right again, so that the checks behind it are what refuses.
static void bytes_that_lie_with_a_right_sum_are_a_miss(void **state) {
    dx_cache_entry *entry = sample(*state), *back;
    dx_buffer bytes;
    dx_buffer_init(&bytes, *state, 65536);
    dx_cache_entry_write(&bytes, entry);
    size_t refused = 0;
    for (size_t at = 12; at < bytes.size; at++) {
        bytes.data[at] ^= (char)0x80;
        uint64_t sum = dx_hash_fixed(dx_slice_of(bytes.data + 12, bytes.size - 12));
        memcpy(bytes.data + 4, &sum, sizeof sum); // little endian machines alone come here with a right one
        dx_status status = dx_cache_entry_read(&back, dx_buffer_slice(&bytes));
        if (status == DX_OK) assert_int_equal(back->fields.count, 4);
        if (at >= FLAGS_AT && at < FLAGS_AT + 4) assert_int_equal(status, DX_MALFORMED);
        refused += status != DX_OK;
        dx_cache_entry_release(back);
        bytes.data[at] ^= (char)0x80;
    }
    assert_true(refused > 40); // each byte of a size, the status, a time's sign, the flags
    dx_cache_entry_release(entry);
}

static void a_field_that_would_break_a_line_is_a_miss(void **state) {
    dx_cache_entry *entry = sample(*state), *back;
    dx_buffer bytes;
    dx_buffer_init(&bytes, *state, 65536);
    dx_cache_entry_write(&bytes, entry);
    char *at = memmem(bytes.data, bytes.size, "a/b", 3);
    assert_non_null(at);
    at[1] = '\n';
    uint64_t sum = dx_hash_fixed(dx_slice_of(bytes.data + 12, bytes.size - 12));
    memcpy(bytes.data + 4, &sum, sizeof sum);
    assert_int_equal(dx_cache_entry_read(&back, dx_buffer_slice(&bytes)), DX_MALFORMED);
    dx_cache_entry_release(entry);
}

static void caps_hold(void **state) {
    const dx_freshness freshness = {.keep_until = 1};
    dx_fields fields = {0};
    dx_slice tags[DX_CACHE_TAGS_CAP + 1];
    char wide[DX_CACHE_TAG_CAP + 1];
    dx_cache_entry *entry;
    memset(wide, 'a', sizeof wide);
    for (size_t i = 0; i < DX_COUNT_OF(tags); i++) tags[i] = DX_SLICE("t");
    for (int i = 0; i < DX_CACHE_FIELDS_CAP; i++) assert_int_equal(dx_fields_add(&fields, *state, DX_SLICE("a"), DX_SLICE("b")), DX_OK);
    dx_cache_entry_parts parts = {
        .status = 200, .freshness = &freshness, .key = DX_SLICE("k"), .fields = &fields, .tags = tags, .tag_count = DX_CACHE_TAGS_CAP};
    assert_int_equal(dx_cache_entry_create(&entry, &parts), DX_OK);
    dx_cache_entry_release(entry);
    parts.tag_count++;
    assert_int_equal(dx_cache_entry_create(&entry, &parts), DX_TOO_LARGE);
    parts.tag_count = 1;
    tags[0] = dx_slice_of(wide, DX_CACHE_TAG_CAP + 1);
    assert_int_equal(dx_cache_entry_create(&entry, &parts), DX_TOO_LARGE);
    tags[0].size = 0;
    assert_int_equal(dx_cache_entry_create(&entry, &parts), DX_INVALID);
    tags[0] = DX_SLICE("a\nb");
    assert_int_equal(dx_cache_entry_create(&entry, &parts), DX_INVALID);
    parts.tag_count = 0;
    parts.body = dx_slice_of(wide, DX_CACHE_ENTRY_CAP); // its bytes are not looked at
    assert_int_equal(dx_cache_entry_create(&entry, &parts), DX_TOO_LARGE);
    parts.body.size = 1;
    assert_int_equal(dx_fields_add(&fields, *state, DX_SLICE("a"), DX_SLICE("b")), DX_OK);
    assert_int_equal(dx_cache_entry_create(&entry, &parts), DX_TOO_LARGE);
    assert_null(entry);
}

static void without_memory_there_is_no_entry(void **state) {
    dx_cache_entry *entry = sample(*state), *back;
    dx_buffer bytes;
    dx_buffer_init(&bytes, *state, 65536);
    dx_cache_entry_write(&bytes, entry);
    dx_memory_fail_at(1, false);
    dx_status status = dx_cache_entry_read(&back, dx_buffer_slice(&bytes));
    assert_true(dx_memory_fail_stop());
    assert_int_equal(status, DX_NO_MEMORY);
    assert_null(back);
    dx_cache_entry_release(entry);
}

static int set_up(void **state) {
    *state = dx_arena_create(1 << 20);
    return *state ? 0 : -1;
}

static int tear_down(void **state) {
    dx_arena_destroy(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_entry_has_all_but_the_fields_of_one_hop),
        TEST(an_entry_lives_until_the_last_holder_lets_go),
        TEST(as_bytes_and_back_it_is_the_same),
        TEST(bytes_cut_short_or_changed_are_a_miss),
        TEST(bytes_that_lie_with_a_right_sum_are_a_miss),
        TEST(a_field_that_would_break_a_line_is_a_miss),
        TEST(caps_hold),
        TEST(without_memory_there_is_no_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
