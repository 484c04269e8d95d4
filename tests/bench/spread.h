/* The median of a few measurements, and how far they lie apart. */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include <stddef.h>

enum { SPREAD_COUNT_MAX = 128 };

struct spread {
    double median;
    double least;
    double most;
};

/* Of 1 to SPREAD_COUNT_MAX values. */
struct spread spread_of(const double *values, size_t count);

/* Of values[i] / divisors[i]. */
struct spread spread_of_ratios(const double *values, const double *divisors, size_t count);

#endif
