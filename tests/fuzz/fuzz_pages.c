// What pages take from outside: a state that somebody kept, and the URL of a next page. A state that is read is written and read again the
// same; a next page is a path that can be sent, and never another origin's.
#include <string.h>

#include "base/memory.h"
#include "client/pages_state.h"
#include "fuzz.h"

static void check_state(dx_arena *arena, dx_slice text) {
    dx_pages_mark mark, again;
    if (dx_pages_mark_read(&mark, arena, text) == DX_OK) {
        char *written = dx_pages_mark_write(&mark, NULL);
        FUZZ_CHECK(written && dx_pages_mark_read(&again, arena, dx_slice_str(written)) == DX_OK);
        FUZZ_CHECK(dx_place_equal(&mark.place, &again.place) && mark.skip == again.skip && mark.seen == again.seen);
        FUZZ_CHECK(mark.type == again.type && mark.pages == again.pages && memcmp(mark.digest, again.digest, sizeof mark.digest) == 0);
        dx_place_clear(&again.place);
        dx_memory_free(written);
    }
    dx_place_clear(&mark.place);
}

static void check_url(dx_arena *arena, dx_slice reference) {
    const dx_page_origin from = {DX_SLICE("https://api.example.com"), DX_SLICE("https://api.example.com/v3/list?page=1&k=secret"),
                                 DX_SLICE("/v3/list?page=1")};
    dx_slice target;
    if (dx_page_target(&target, arena, &from, reference) != DX_OK) return;
    dx_slice rest = target, path = dx_slice_cut(&rest, '?');
    FUZZ_CHECK(path.size && path.data[0] == '/');
    for (size_t i = 0; i < target.size; i++)
        FUZZ_CHECK((unsigned char)target.data[i] > ' ' && target.data[i] != 127 && target.data[i] != '#');
    while (rest.size) { // what auth had added is gone
        dx_slice pair = dx_slice_cut(&rest, '&');
        FUZZ_CHECK(!dx_slice_equal(pair, DX_SLICE("k")) && !dx_slice_starts(pair, DX_SLICE("k=")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_arena *arena = dx_arena_create((size_t)16 << 20);
    if (arena && size) {
        dx_slice rest = dx_slice_of((const char *)data + 1, size - 1);
        if (data[0] == 's')
            check_state(arena, rest);
        else
            check_url(arena, rest);
    }
    dx_arena_destroy(arena);
    return 0;
}
