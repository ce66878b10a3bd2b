// A cursor that parses is written again and read back the same; bytes without our signature are never taken for a cursor. The first byte of
// the input picks the order, the rest are the bytes behind the signature.
#include "fuzz.h"
#include "resource/list.h"

static const uint8_t key[32] = {7};

static void view_init(dx_view *view, uint8_t order) {
    static const dx_column_type types[] = {DX_COLUMN_TEXT, DX_COLUMN_INTEGER, DX_COLUMN_NUMBER, DX_COLUMN_BOOLEAN, DX_COLUMN_TIMESTAMP};
    view->key_count = (uint16_t)(1 + order % (DX_QUERY_SORT_CAP + 1));
    for (uint16_t i = 0; i < view->key_count; i++)
        view->keys[i] = (dx_sort_key){.column = i, .type = types[(order / 5 + i) % DX_COUNT_OF(types)], .nullable = (order >> 6) & 1};
}

static bool same(dx_value a, dx_value b) {
    if (a.type != b.type) return false;
    if (a.type == DX_VALUE_NULL) return true;
    if (a.type == DX_VALUE_TEXT) return dx_slice_equal(a.text, b.text);
    return a.integer == b.integer; // a number's bits
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 2 * DX_CURSOR_SIZE_CAP) return 0;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_slice bytes = dx_slice_of((const char *)data + 1, size - 1);
    dx_view view = {0};
    view_init(&view, data[0]);
    dx_cursor cursor, again;
    FUZZ_CHECK(!dx_cursor_read(&again, arena, key, 0, &view, bytes));
    if (dx_cursor_parse(&cursor, view.keys, view.key_count, bytes)) {
        bool too_long;
        dx_slice text = dx_cursor_write(arena, key, 1, &cursor, &too_long);
        FUZZ_CHECK(text.data || too_long);
        if (text.data) {
            FUZZ_CHECK(!dx_cursor_read(&again, arena, key, 2, &view, text));
            FUZZ_CHECK(dx_cursor_read(&again, arena, key, 1, &view, text));
            FUZZ_CHECK(again.backward == cursor.backward && again.inclusive == cursor.inclusive && again.count == cursor.count);
            for (uint16_t i = 0; i < cursor.count; i++) FUZZ_CHECK(same(again.values[i], cursor.values[i]));
        }
    }
    dx_arena_destroy(arena);
    return 0;
}
