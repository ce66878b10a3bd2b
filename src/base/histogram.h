// How long things took, in bounded memory: a histogram whose buckets grow with what they hold, 16 to each doubling, so that a value read
// from it is off by at most 1/32 from a microsecond to an hour, in 4 KiB, whatever was counted. (The log-linear layout of HdrHistogram.)
// Counting is a few relaxed atomic additions, from any thread; reading walks the buckets. A zeroed histogram is an empty one.
//
// Not exact: percentiles are those of the buckets. Count, sum, least and greatest are exact, but each is a word of its own: what is read
// while others count may be some counts apart. The sum wraps after 584 years of summed time, as a counter may.
#ifndef DX_BASE_HISTOGRAM_H
#define DX_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define DX_HISTOGRAM_BUCKETS 508u

typedef struct dx_histogram {
    _Atomic(uint64_t) buckets[DX_HISTOGRAM_BUCKETS];
    _Atomic(uint64_t) sum;
    _Atomic(int64_t) least_and_one; // 0: nothing counted
    _Atomic(int64_t) greatest;
} dx_histogram;

_Static_assert(sizeof(dx_histogram) <= 4096, "a histogram fits in a page");

// Counts one. A negative duration counts as 0; below a microsecond all are alike, and above an hour.
void dx_histogram_record(dx_histogram *histogram, dx_nanos duration);

uint64_t dx_histogram_count(const dx_histogram *histogram);
uint64_t dx_histogram_sum(const dx_histogram *histogram); // nanoseconds
dx_nanos dx_histogram_min(const dx_histogram *histogram); // 0 when nothing is counted, and so are the next two
dx_nanos dx_histogram_max(const dx_histogram *histogram);
// The value that `percent` (0 to 100) of all counted do not exceed, by nearest rank; never below the least nor above the greatest.
dx_nanos dx_histogram_percentile(const dx_histogram *histogram, double percent);
// For each of `size` ascending `bounds`, how many do not exceed it: Prometheus's cumulative buckets, without its last one ("+Inf": the
// count). Each is judged by the middle of its bucket, so a bound acts as one that is off by at most 1/32.
void dx_histogram_cumulate(const dx_histogram *histogram, const dx_nanos *bounds, size_t size, uint64_t *counts);

// Adds all that `from` counts. Any thread, while others count in either.
void dx_histogram_merge(dx_histogram *into, const dx_histogram *from);
// A copy; `out` is overwritten and no one else's yet.
void dx_histogram_snapshot(dx_histogram *out, const dx_histogram *histogram);
// Empties it; with `out`, what was counted is added there. What is counted meanwhile is in the one or in the other, never in both.
void dx_histogram_reset(dx_histogram *histogram, dx_histogram *out);

#endif
