// The Range field: what is to be sent lies within the file, no byte of it twice, in no more pieces than the cap. The first 8 bytes are the
// file's size.
#include <string.h>

#include "codec/range.h"
#include "fuzz.h"

static void check_apart(const dx_byte_range *a, const dx_byte_range *b) {
    FUZZ_CHECK(a->from + a->size < b->from || b->from + b->size < a->from); // those that touch would be one
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t total;
    dx_byte_range ranges[DX_RANGES_CAP];
    size_t count = SIZE_MAX;
    if (size < sizeof total) return 0;
    memcpy(&total, data, sizeof total);
    total >>= 1; // an off_t
    dx_slice value = dx_slice_of((const char *)data + sizeof total, size - sizeof total);
    dx_range_verdict verdict = dx_range_read(value, total, ranges, &count);
    FUZZ_CHECK(verdict != DX_RANGE_SOME || (count > 0 && count <= DX_RANGES_CAP));
    FUZZ_CHECK(verdict != DX_RANGE_BEYOND || count == 0);
    if (verdict != DX_RANGE_SOME) return 0;
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(ranges[i].size > 0 && ranges[i].from < total && ranges[i].size <= total - ranges[i].from);
        for (size_t j = 0; j < i; j++) check_apart(&ranges[i], &ranges[j]);
    }
    return 0;
}
