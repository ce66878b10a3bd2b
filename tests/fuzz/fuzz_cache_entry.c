// A cache entry's bytes, as they come from Redis. They are read as they are, and once more with the sum set right, so that the checks
// behind it are reached. What is taken for an entry gives the same bytes again, and nothing of it can break a line.
#include <string.h>

#include "base/hash.h"
#include "fuzz.h"
#include "policy/cache_entry.h"
#include "policy/vary.h"

static void check_read(dx_slice bytes) {
    dx_cache_entry *entry;
    dx_buffer again;
    dx_fields none = {0};
    if (dx_cache_entry_read(&entry, bytes) != DX_OK) {
        FUZZ_CHECK(entry == NULL);
        return;
    }
    FUZZ_CHECK(entry->status >= 200 && entry->status <= 599 && entry->key.size > 0 && entry->fields.count <= DX_CACHE_FIELDS_CAP);
    for (uint32_t i = 0; i < entry->fields.count; i++) {
        dx_slice value = entry->fields.items[i].value;
        FUZZ_CHECK(dx_slice_find(value, '\n') == SIZE_MAX && dx_slice_find(value, '\r') == SIZE_MAX);
    }
    (void)dx_vary_matches(entry->vary, &none);
    (void)dx_freshness_decide(&entry->freshness, DX_GET, &none, INT64_MAX / 16);
    dx_buffer_init(&again, NULL, 4 << 20);
    dx_cache_entry_write(&again, entry);
    FUZZ_CHECK(dx_buffer_status(&again) != DX_OK || dx_slice_equal(dx_buffer_slice(&again), bytes));
    dx_buffer_deinit(&again);
    dx_cache_entry_release(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_read(dx_slice_of((const char *)data, size));
    if (size < 12 || size > 1 << 20) return 0;
    char *copy = malloc(size);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data, size);
    memcpy(copy, "DXC1", 4);
    uint64_t sum = dx_hash_fixed(dx_slice_of(copy + 12, size - 12));
    memcpy(copy + 4, &sum, sizeof sum);
    check_read(dx_slice_of(copy, size));
    free(copy);
    return 0;
}
