// Addresses and ranges of them, an item between commas: an address that is read is written as one that reads the same, and a range has the
// address that it is written by, and no other family's.
#include <string.h>

#include "fuzz.h"
#include "net/gate.h"

#define ITEMS 32

static void check_address(dx_slice text) {
    dx_address address, again;
    char written[DX_ADDRESS_TEXT_CAP], more[DX_ADDRESS_TEXT_CAP];
    if (!dx_address_parse(&address, text)) return;
    dx_address_text(&address, written);
    FUZZ_CHECK(dx_address_parse(&again, dx_slice_of(written, strlen(written))));
    dx_address_text(&again, more);
    FUZZ_CHECK(strcmp(written, more) == 0);
    (void)dx_address_is_loopback(&address);
}

static void check_range(const dx_ranges *ranges, dx_slice text) {
    char host[64];
    dx_address address;
    size_t slash = dx_slice_find(text, '/'), size = slash == SIZE_MAX ? text.size : slash;
    if (size >= sizeof host || dx_slice_equal(text, DX_SLICE("unix"))) return;
    memcpy(host, text.data, size);
    host[size] = 0;
    FUZZ_CHECK(dx_address_read(&address, host, 0) && dx_ranges_have(ranges, &address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_slice rest = dx_slice_of((const char *)data, size), items[ITEMS];
    size_t count = 0;
    while (rest.data && count < ITEMS) items[count++] = dx_slice_cut(&rest, ',');
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_ranges *ranges = NULL;
    dx_status status = dx_ranges_create(&ranges, items, count, DX_SLICE("/x"), &diags);
    FUZZ_CHECK((status == DX_OK) == (ranges != NULL) && (status == DX_OK || diags.count > 0));
    for (size_t i = 0; i < count; i++) {
        check_address(items[i]);
        if (status == DX_OK) check_range(ranges, items[i]);
    }
    dx_ranges_destroy(ranges);
    dx_arena_destroy(arena);
    return 0;
}
