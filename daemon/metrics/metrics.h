/* The daemon's metrics as text: what is told, and in which form. Pure; metrics_http.h brings the numbers and serves. */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "base/buffer.h"
#include "base/method_meters.h"
#include "metrics/metrics_list.h"
#include "store/store.h"

enum { METRICS_METHODS_MAX = 64, METRICS_REASONS_MAX = 16 };

/* All numbers of one moment. */
struct metrics_snapshot {
#define METRICS_FIELD(name, type, unit, help) uint64_t name;
    METRICS_NUMBERS(METRICS_FIELD)
#undef METRICS_FIELD
    const char *version;
    const char *nng_version;
    const char *engine_version;
    enum store_migration_state migration;
    struct {
        const char *reason;
        uint64_t count;
    } refusals[METRICS_REASONS_MAX];
    size_t refusal_count;
    struct method_view methods[METRICS_METHODS_MAX]; /* those without a call are not told */
    size_t method_count;
    struct histogram_view commit_changes;
    struct histogram_view commit_time_us;
};

/* Appends them in Prometheus' text format (version 0.0.4), at most about 200 KiB. out->failed tells of short memory. */
void metrics_render(const struct metrics_snapshot *snapshot, struct buffer *out);

#endif
