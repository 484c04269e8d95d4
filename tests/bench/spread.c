#include "bench/spread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int value_order(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

struct spread spread_of(const double *values, size_t count)
{
    assert(count >= 1 && count <= SPREAD_COUNT_MAX);
    double sorted[SPREAD_COUNT_MAX];
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), value_order);
    return (struct spread){(sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted[0], sorted[count - 1]};
}

struct spread spread_of_ratios(const double *values, const double *divisors, size_t count)
{
    assert(count <= SPREAD_COUNT_MAX);
    double ratios[SPREAD_COUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        ratios[i] = divisors[i] > 0 ? values[i] / divisors[i] : 0;
    }
    return spread_of(ratios, count);
}
