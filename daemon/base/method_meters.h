/* What is counted of each method: answers by code, and how long they took. Each processor counts in memory of its own,
 * so that requests on several do not wait for each other's cache lines; reading adds it up. Thread-safe. */
#ifndef BASE_METHOD_METERS_H
#define BASE_METHOD_METERS_H

#include "base/error.h"
#include "base/histogram.h"

#include <stdbool.h>

enum { METHOD_CODES = ERROR_UNAUTHENTICATED + 1 };

struct method_meters;

struct method_view {
    const char *name;
    uint64_t codes[METHOD_CODES];
    struct histogram_view latency; /* in microseconds, HISTOGRAM_TIME_SHIFT */
};

/* Names are borrowed. Takes 384 bytes a method and processor, of at most METHOD_STRIPES_MAX. NULL when memory is
 * short. */
enum { METHOD_STRIPES_MAX = 64 };
struct method_meters *method_meters_new(const char *const *names, size_t count);
struct method_meters *method_meters_free(struct method_meters *meters);

/* A call of method `index` was answered with this code after so many microseconds. */
void method_meters_note(struct method_meters *meters, size_t index, enum error_code code, uint64_t latency_us);

/* False behind the last method. */
bool method_meters_read(const struct method_meters *meters, size_t index, struct method_view *ret);

#endif
