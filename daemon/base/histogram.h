/* Counts of values in buckets whose bounds double. Any thread may note a value at any time; what is read meanwhile may
 * lack the newest. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_BUCKETS = 24, /* the last has no upper bound */
    /* Bounds of durations in microseconds: 8, 16 ... 33,554,432. */
    HISTOGRAM_TIME_SHIFT = 3,
    /* Bounds of counts: 1, 2, 4 ... */
    HISTOGRAM_COUNT_SHIFT = 0,
};

struct histogram {
    atomic_ullong counts[HISTOGRAM_BUCKETS];
    atomic_ullong sum;
};

struct histogram_view {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t sum;
};

/* The largest value of a bucket that is not the last. */
static inline uint64_t histogram_bound(size_t bucket, unsigned shift)
{
    return UINT64_C(1) << (bucket + shift);
}

/* The first bucket whose bound is at or above the value. */
static inline size_t histogram_bucket(uint64_t value, unsigned shift)
{
    uint64_t above = value > 0 ? (value - 1) >> shift : 0;
    size_t bits = above > 0 ? 64 - (size_t)__builtin_clzll(above) : 0;
    return bits < HISTOGRAM_BUCKETS ? bits : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_note(struct histogram *histogram, uint64_t value, unsigned shift)
{
    atomic_fetch_add_explicit(&histogram->counts[histogram_bucket(value, shift)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

/* Adds what the histogram holds to the view. */
void histogram_add(const struct histogram *histogram, struct histogram_view *view);

/* Of all buckets. */
uint64_t histogram_total(const struct histogram_view *view);

#endif
