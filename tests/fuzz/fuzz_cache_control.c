// Cache-Control and its kin, of a request and a response at once (parted by the first NUL; each line "name:value"). Whatever they say:
// no-store anywhere means not stored, a decision never goes against no-cache or must-revalidate, and times stay in order.
#include <string.h>

#include "fuzz.h"
#include "policy/cache_control.h"
#include "policy/freshness.h"
#include "policy/vary.h"

#define NOW ((dx_micros_utc)1767268800 * 1000000)

static dx_fields read_fields(dx_arena *arena, dx_slice text) {
    dx_fields fields = {0};
    for (int lines = 0; text.data && lines < 64; lines++) {
        dx_slice value = dx_slice_cut(&text, '\n'), name = dx_slice_cut(&value, ':');
        if (name.size && dx_fields_add(&fields, arena, name, dx_slice_trim(value)) != DX_OK) continue;
    }
    return fields;
}

static void check_stored(dx_arena *arena, const dx_freshness *f, const dx_fields *request, const dx_fields *response) {
    dx_cache_control said;
    dx_buffer vary;
    dx_cache_control_read(&said, response);
    FUZZ_CHECK(!said.no_store || said.must_understand);
    FUZZ_CHECK(f->keep_until > NOW && f->initial_age_us >= 0 && f->lifetime_us >= 0 && f->while_revalidate_us >= 0 && f->if_error_us >= 0);
    FUZZ_CHECK(!said.no_cache || f->flags & DX_FRESHNESS_NO_CACHE);
    for (int64_t later = 0; later < 1000; later += 333) {
        dx_cache_decision d = dx_freshness_decide(f, DX_GET, request, NOW + later * 1000000);
        bool answers = d.verdict == DX_CACHE_FRESH || d.verdict == DX_CACHE_STALE_REVALIDATE;
        FUZZ_CHECK(!answers || !(f->flags & DX_FRESHNESS_NO_CACHE));
        FUZZ_CHECK(!(f->flags & DX_FRESHNESS_MUST_REVALIDATE) || !answers || !d.stale);
        FUZZ_CHECK(d.error_until == 0 || !(f->flags & (DX_FRESHNESS_NO_CACHE | DX_FRESHNESS_MUST_REVALIDATE)));
        FUZZ_CHECK(d.age_s >= 0);
    }
    dx_buffer_init(&vary, arena, DX_VARY_BLOCK_CAP * 2);
    if (!dx_vary_write(&vary, response, request) || dx_buffer_status(&vary) != DX_OK) return;
    FUZZ_CHECK(dx_vary_matches(dx_buffer_slice(&vary), request)); // a request is like itself
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 65536) return 0;
    dx_arena *arena = dx_arena_create(4 << 20);
    if (!arena) return 0;
    dx_slice second = dx_slice_of((const char *)data, size), first = dx_slice_cut(&second, '\0');
    dx_fields request = read_fields(arena, first), response = read_fields(arena, second), updated;
    dx_freshness_options options = DX_FRESHNESS_OPTIONS_INIT;
    if (size & 1) options.default_ttl_s = 60;
    const dx_freshness_input in = {DX_GET, 200, &request, &response, NOW - 1000000, NOW};
    dx_freshness freshness;
    if (dx_freshness_judge(&freshness, &in, &options)) check_stored(arena, &freshness, &request, &response);
    if (dx_freshness_update(&updated, arena, &response, &request) == DX_OK) FUZZ_CHECK(updated.count <= request.count + response.count);
    (void)dx_vary_matches(first, &response);
    dx_arena_destroy(arena);
    return 0;
}
