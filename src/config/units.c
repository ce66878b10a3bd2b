// Durations and sizes: one number with one unit.
#include "config/definition.h"

typedef struct unit {
    dx_slice name;
    uint64_t factor;
} unit;

static bool read_with(dx_slice text, const unit *units, size_t count, uint64_t *out) {
    size_t digits = 0;
    uint64_t number;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') digits++;
    if (digits < 1 || digits > 9 || !dx_slice_to_u64(dx_slice_of(text.data, digits), &number)) return false;
    for (size_t i = 0; i < count; i++) {
        if (!dx_slice_equal(dx_slice_from(text, digits), units[i].name)) continue;
        return !__builtin_mul_overflow(number, units[i].factor, out);
    }
    return false;
}

bool dx_duration_read(dx_slice text, int64_t *nanos) {
    static const unit units[] = {{DX_SLICE_INIT("ms"), 1000000ull},
                                 {DX_SLICE_INIT("s"), 1000000000ull},
                                 {DX_SLICE_INIT("m"), 60ull * 1000000000},
                                 {DX_SLICE_INIT("h"), 3600ull * 1000000000},
                                 {DX_SLICE_INIT("d"), 86400ull * 1000000000}};
    uint64_t value;
    if (!read_with(text, units, DX_COUNT_OF(units), &value) || value > INT64_MAX) return false;
    *nanos = (int64_t)value;
    return true;
}

bool dx_size_read(dx_slice text, uint64_t *bytes) {
    static const unit units[] = {
        {DX_SLICE_INIT("B"), 1}, {DX_SLICE_INIT("KiB"), 1u << 10}, {DX_SLICE_INIT("MiB"), 1u << 20}, {DX_SLICE_INIT("GiB"), 1u << 30}};
    return read_with(text, units, DX_COUNT_OF(units), bytes);
}
