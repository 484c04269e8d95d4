#include "base/histogram.h"

void histogram_add(const struct histogram *histogram, struct histogram_view *view)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        view->counts[i] += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    }
    view->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
}

uint64_t histogram_total(const struct histogram_view *view)
{
    uint64_t total = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += view->counts[i];
    }
    return total;
}
