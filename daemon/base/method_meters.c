#include "base/method_meters.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CACHE_LINE_BYTES = 64 };

struct cell {
    _Alignas(CACHE_LINE_BYTES) struct histogram latency;
    /* Successes are what is in the histogram and not here. */
    atomic_ullong errors[METHOD_CODES];
};

struct method_meters {
    const char *const *names;
    size_t count;
    size_t stripes;     /* a power of two */
    struct cell *cells; /* stripe after stripe */
};

struct method_meters *method_meters_new(const char *const *names, size_t count)
{
    struct method_meters *meters = calloc(1, sizeof(*meters));
    if (!meters) {
        return NULL;
    }
    long processors = sysconf(_SC_NPROCESSORS_CONF);
    *meters = (struct method_meters){.names = names, .count = count, .stripes = 1};
    while (meters->stripes < METHOD_STRIPES_MAX && (long)meters->stripes < processors) {
        meters->stripes *= 2;
    }
    size_t bytes = meters->stripes * count * sizeof(*meters->cells);
    meters->cells = aligned_alloc(CACHE_LINE_BYTES, bytes);
    if (!meters->cells) {
        return method_meters_free(meters);
    }
    memset(meters->cells, 0, bytes);
    return meters;
}

struct method_meters *method_meters_free(struct method_meters *meters)
{
    if (meters) {
        free(meters->cells);
        free(meters);
    }
    return NULL;
}

void method_meters_note(struct method_meters *meters, size_t index, enum error_code code, uint64_t latency_us)
{
    assert(index < meters->count);
    size_t stripe = (size_t)sched_getcpu() & (meters->stripes - 1);
    struct cell *cell = &meters->cells[stripe * meters->count + index];
    if (code != ERROR_OK) {
        atomic_fetch_add_explicit(&cell->errors[code], 1, memory_order_relaxed);
    }
    histogram_note(&cell->latency, latency_us, HISTOGRAM_TIME_SHIFT);
}

bool method_meters_read(const struct method_meters *meters, size_t index, struct method_view *ret)
{
    if (index >= meters->count) {
        return false;
    }
    struct method_view view = {.name = meters->names[index]};
    uint64_t errors = 0;
    for (size_t stripe = 0; stripe < meters->stripes; stripe++) {
        const struct cell *cell = &meters->cells[stripe * meters->count + index];
        for (size_t code = 1; code < METHOD_CODES; code++) {
            uint64_t count = atomic_load_explicit(&cell->errors[code], memory_order_relaxed);
            view.codes[code] += count;
            errors += count;
        }
        histogram_add(&cell->latency, &view.latency);
    }
    uint64_t total = histogram_total(&view.latency);
    view.codes[ERROR_OK] = total > errors ? total - errors : 0;
    *ret = view;
    return true;
}
