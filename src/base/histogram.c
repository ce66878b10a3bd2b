// The log-linear histogram: bucket 0 holds what is below 2^10 ns, then come 16 buckets for each doubling, up to the one that holds an hour.
#include "base/histogram.h"

enum {
    FIRST_BIT = 10,   // 2^10 ns: the first doubling that is divided
    DIVIDED_BITS = 4, // into 16
    DIVIDED = 1 << DIVIDED_BITS
};

#define LOAD(word) atomic_load_explicit(&(word), memory_order_relaxed)

static size_t bucket_of(int64_t value) {
    if (value < 1 << FIRST_BIT) return 0;
    unsigned bit = 63u - (unsigned)__builtin_clzll((uint64_t)value);
    size_t part = (size_t)((uint64_t)value >> (bit - DIVIDED_BITS)) & (DIVIDED - 1);
    size_t bucket = 1 + (size_t)(bit - FIRST_BIT) * DIVIDED + part;
    return bucket < DX_HISTOGRAM_BUCKETS ? bucket : DX_HISTOGRAM_BUCKETS - 1;
}

// What a bucket's values are taken for: its middle, which is at most 1/32 from both ends. Bucket 0's is a microsecond, which is as near to
// those of its values that lie above.
static int64_t middle_of(size_t bucket) {
    if (bucket == 0) return DX_MICROSECOND;
    unsigned bit = (unsigned)((bucket - 1) / DIVIDED) + FIRST_BIT;
    int64_t width = (int64_t)1 << (bit - DIVIDED_BITS);
    return width * (int64_t)(DIVIDED + (bucket - 1) % DIVIDED) + width / 2;
}

static void lower_least(dx_histogram *histogram, int64_t candidate) {
    int64_t known = LOAD(histogram->least_and_one);
    while ((known == 0 || candidate < known) && !atomic_compare_exchange_weak_explicit(&histogram->least_and_one, &known, candidate,
                                                                                       memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void raise_greatest(dx_histogram *histogram, int64_t candidate) {
    int64_t known = LOAD(histogram->greatest);
    while (candidate > known &&
           !atomic_compare_exchange_weak_explicit(&histogram->greatest, &known, candidate, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void add(_Atomic(uint64_t) *word, uint64_t amount) {
    (void)atomic_fetch_add_explicit(word, amount, memory_order_relaxed);
}

void dx_histogram_record(dx_histogram *histogram, dx_nanos duration) {
    if (duration < 0) duration = 0;
    if (duration == INT64_MAX) duration--; // the least is kept with one added
    add(&histogram->buckets[bucket_of(duration)], 1);
    add(&histogram->sum, (uint64_t)duration);
    lower_least(histogram, duration + 1);
    raise_greatest(histogram, duration);
}

uint64_t dx_histogram_count(const dx_histogram *histogram) {
    uint64_t count = 0;
    for (size_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) count += LOAD(histogram->buckets[i]);
    return count;
}

uint64_t dx_histogram_sum(const dx_histogram *histogram) {
    return LOAD(histogram->sum);
}

dx_nanos dx_histogram_min(const dx_histogram *histogram) {
    int64_t least_and_one = LOAD(histogram->least_and_one);
    return least_and_one ? least_and_one - 1 : 0;
}

dx_nanos dx_histogram_max(const dx_histogram *histogram) {
    return LOAD(histogram->greatest);
}

// The nearest rank, from 1 on. In millionths, so that 95 % of 100 is 95 and not a hair more.
static uint64_t rank_of(uint64_t count, double percent) {
    if (!(percent > 0)) return 1; // also what is no number
    if (percent >= 100) return count;
    uint64_t millionths = (uint64_t)(percent * 10000 + 0.5);
    uint64_t rank = (uint64_t)(((unsigned __int128)count * millionths + 999999) / 1000000);
    return rank ? rank : 1;
}

dx_nanos dx_histogram_percentile(const dx_histogram *histogram, double percent) {
    uint64_t count = dx_histogram_count(histogram), seen = 0;
    if (count == 0) return 0;
    uint64_t rank = rank_of(count, percent);
    dx_nanos least = dx_histogram_min(histogram), greatest = dx_histogram_max(histogram);
    for (size_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) {
        seen += LOAD(histogram->buckets[i]);
        if (seen < rank) continue;
        // The ends are exact, where they lie in this bucket; elsewhere they say nothing (one may be emptied, or not yet counted).
        dx_nanos middle = middle_of(i);
        if (middle > greatest && bucket_of(greatest) == i) middle = greatest;
        return middle < least && bucket_of(least) == i ? least : middle;
    }
    return greatest; // it was emptied meanwhile
}

void dx_histogram_cumulate(const dx_histogram *histogram, const dx_nanos *bounds, size_t size, uint64_t *counts) {
    uint64_t seen = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < size; i++) {
        while (bucket < DX_HISTOGRAM_BUCKETS && middle_of(bucket) <= bounds[i]) seen += LOAD(histogram->buckets[bucket++]);
        counts[i] = seen;
    }
}

void dx_histogram_merge(dx_histogram *into, const dx_histogram *from) {
    int64_t least_and_one = LOAD(from->least_and_one);
    for (size_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = LOAD(from->buckets[i]);
        if (count) add(&into->buckets[i], count);
    }
    add(&into->sum, LOAD(from->sum));
    if (least_and_one) lower_least(into, least_and_one);
    raise_greatest(into, LOAD(from->greatest));
}

void dx_histogram_snapshot(dx_histogram *out, const dx_histogram *histogram) {
    for (size_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) atomic_init(&out->buckets[i], LOAD(histogram->buckets[i]));
    atomic_init(&out->sum, LOAD(histogram->sum));
    atomic_init(&out->least_and_one, LOAD(histogram->least_and_one));
    atomic_init(&out->greatest, LOAD(histogram->greatest));
}

void dx_histogram_reset(dx_histogram *histogram, dx_histogram *out) {
    int64_t least_and_one = atomic_exchange_explicit(&histogram->least_and_one, 0, memory_order_relaxed);
    int64_t greatest = atomic_exchange_explicit(&histogram->greatest, 0, memory_order_relaxed);
    uint64_t sum = atomic_exchange_explicit(&histogram->sum, 0, memory_order_relaxed);
    for (size_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = atomic_exchange_explicit(&histogram->buckets[i], 0, memory_order_relaxed);
        if (out && count) add(&out->buckets[i], count);
    }
    if (!out) return;
    add(&out->sum, sum);
    if (least_and_one) lower_least(out, least_and_one);
    raise_greatest(out, greatest);
}
