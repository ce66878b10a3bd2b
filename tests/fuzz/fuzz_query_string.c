// The pairs of a query string, written again and walked again, are the same pairs.
#include "codec/text.h"
#include "fuzz.h"

#define PAIRS_CAP 4096

typedef struct pair {
    dx_slice name, value;
} pair;

static size_t walk(dx_arena *arena, dx_slice text, pair *pairs, dx_status *status) {
    size_t count = 0;
    pair next;
    while (dx_form_next(&text, arena, &next.name, &next.value, status)) {
        FUZZ_CHECK(count < PAIRS_CAP);
        pairs[count++] = next;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > PAIRS_CAP) return 0;
    dx_arena *arena = dx_arena_create(4 << 20);
    pair *before = DX_ARENA_ARRAY(arena, pair, PAIRS_CAP), *after = DX_ARENA_ARRAY(arena, pair, PAIRS_CAP);
    dx_status status;
    size_t count = walk(arena, dx_slice_of((const char *)data, size), before, &status);
    FUZZ_CHECK(status == DX_OK || status == DX_BAD_REQUEST);
    dx_buffer text;
    dx_buffer_init(&text, arena, 4 * PAIRS_CAP);
    for (size_t i = 0; i < count; i++) {
        if (i) dx_buffer_byte(&text, '&');
        dx_percent_encode(&text, before[i].name);
        dx_buffer_byte(&text, '=');
        dx_percent_encode(&text, before[i].value);
    }
    FUZZ_CHECK(dx_buffer_status(&text) == DX_OK);
    FUZZ_CHECK(walk(arena, dx_buffer_slice(&text), after, &status) == count && status == DX_OK);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(dx_slice_equal(before[i].name, after[i].name));
        FUZZ_CHECK(dx_slice_equal(before[i].value, after[i].value));
    }
    dx_arena_destroy(arena);
    return 0;
}
