// URLs in one form: doing it twice changes nothing, the fast way for what is in it already agrees with the slow one, and a resolved
// reference is in it. The first line is a base, the rest a reference.
#include <string.h>

#include "fuzz.h"
#include "policy/cache_key.h"
#include "policy/cache_url.h"

static void check_normal(dx_arena *arena, dx_slice url) {
    dx_slice again;
    dx_status status = dx_cache_url_normalise(&again, arena, url);
    FUZZ_CHECK(status == DX_NO_MEMORY || (status == DX_OK && dx_slice_equal(again, url)));
    FUZZ_CHECK(dx_cache_url_same_origin(url, url));
    FUZZ_CHECK(dx_slice_find(url, '\n') == SIZE_MAX && dx_slice_find(url, '#') == SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 32768) return 0;
    dx_arena *arena = dx_arena_create(4 << 20);
    if (!arena) return 0;
    dx_slice reference = dx_slice_of((const char *)data, size), base = dx_slice_cut(&reference, '\n'), normal, resolved;
    if (dx_cache_url_normalise(&normal, arena, base) == DX_OK) {
        check_normal(arena, normal);
        dx_slice marked = dx_arena_printf(arena, "%.*s#", DX_SLICE_ARG(normal)), slow; // a fragment sends it the slow way
        if (marked.data && dx_cache_url_normalise(&slow, arena, marked) == DX_OK) FUZZ_CHECK(dx_slice_equal(slow, normal));
        if (dx_cache_url_resolve(&resolved, arena, normal, reference) == DX_OK) check_normal(arena, resolved);
    }
    if (base.size <= 64) (void)dx_cache_pattern_matches(base, reference);
    dx_arena_destroy(arena);
    return 0;
}
