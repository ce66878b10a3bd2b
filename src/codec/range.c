// Reading the Range field. Whatever is not exactly as the RFC has it is ignored, as section 14.2 wants it.
#include "codec/range.h"

#include "base/compiler.h"

// Digits alone; a number too large for 64 bits is as good as the largest.
static bool read_number(dx_slice text, uint64_t *out) {
    uint64_t value = 0;
    bool large = false;
    if (!text.size) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        large |= __builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (unsigned)(text.data[i] - '0'), &value);
    }
    *out = large ? UINT64_MAX : value;
    return true;
}

// "first-last", "first-" or "-suffix"; false when it is none of these. A range that does not exist has size 0.
static bool read_one(dx_slice text, uint64_t total, dx_byte_range *out) {
    size_t dash = dx_slice_find(text, '-');
    uint64_t first, last;
    if (dash == SIZE_MAX) return false;
    dx_slice left = dx_slice_of(text.data, dash), right = dx_slice_from(text, dash + 1);
    *out = (dx_byte_range){0, 0};
    if (!left.size) {
        if (!read_number(right, &last)) return false;
        out->size = last < total ? last : total;
        out->from = total - out->size;
        return true;
    }
    if (!read_number(left, &first)) return false;
    if (!right.size)
        last = UINT64_MAX;
    else if (!read_number(right, &last) || last < first)
        return false;
    if (first >= total) return true;
    out->from = first;
    out->size = (last < total ? last + 1 : total) - first;
    return true;
}

// Makes one of all that touch `range`, which may join what was apart before.
static void add(dx_byte_range *ranges, size_t *count, dx_byte_range range) {
    for (size_t i = 0; i < *count;) {
        uint64_t end = ranges[i].from + ranges[i].size, other = range.from + range.size;
        if (range.from > end || ranges[i].from > other) {
            i++;
            continue;
        }
        uint64_t from = ranges[i].from < range.from ? ranges[i].from : range.from;
        range = (dx_byte_range){from, (end > other ? end : other) - from};
        memmove(ranges + i, ranges + i + 1, (--*count - i) * sizeof *ranges);
        i = 0;
    }
    ranges[(*count)++] = range;
}

dx_range_verdict dx_range_read(dx_slice value, uint64_t total, dx_byte_range out[DX_RANGES_CAP], size_t *count) {
    static const dx_slice unit = DX_SLICE_INIT("bytes=");
    *count = 0;
    if (value.size < unit.size || !dx_slice_equal_nocase(dx_slice_of(value.data, unit.size), unit)) return DX_RANGE_NONE;
    value = dx_slice_from(value, unit.size);
    unsigned asked = 0;
    while (value.data) {
        dx_slice one = dx_slice_trim(dx_slice_cut(&value, ','));
        dx_byte_range range;
        if (!one.size) continue; // empty elements of a list are ignored (RFC 9110 section 5.6.1)
        if (++asked > DX_RANGES_CAP || !read_one(one, total, &range)) return DX_RANGE_NONE;
        if (range.size) add(out, count, range);
    }
    if (!asked) return DX_RANGE_NONE;
    return *count ? DX_RANGE_SOME : DX_RANGE_BEYOND;
}
