#include "metrics/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define PREFIX "chatlogd_"

enum {
    LINE_BYTES = 512,
    MICROSECONDS = 1000000,
    COUNT_BUCKETS = 10, /* 1 ... 512: a commit has fewer changes */
};

enum unit { UNIT_one, UNIT_seconds };

static void __attribute__((format(printf, 2, 3))) put(struct buffer *out, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    assert(length > 0 && length < (int)sizeof(line)); /* names and labels are the daemon's own */
    buffer_append(out, line, (size_t)length);
}

/* Every digit: a double shows a counter of microseconds only up to 2^53. */
static void put_value(struct buffer *out, uint64_t value, enum unit unit)
{
    if (unit == UNIT_one) {
        put(out, " %" PRIu64 "\n", value);
    } else {
        put(out, " %" PRIu64 ".%06" PRIu64 "\n", value / MICROSECONDS, value % MICROSECONDS);
    }
}

/* The buckets up to `buckets`, then +Inf, sum and count. label: "method=\"x\"" or "". */
static void put_histogram(struct buffer *out, const char *name, const char *label, const struct histogram_view *view,
                          unsigned shift, size_t buckets, enum unit unit)
{
    uint64_t below = 0;
    const char *comma = *label ? "," : "";
    const char *open = *label ? "{" : "";
    const char *close = *label ? "}" : "";
    for (size_t i = 0; i < buckets; i++) {
        uint64_t bound = histogram_bound(i, shift);
        below += view->counts[i];
        if (unit == UNIT_one) {
            put(out, PREFIX "%s_bucket{%s%sle=\"%" PRIu64 "\"} %" PRIu64 "\n", name, label, comma, bound, below);
        } else {
            put(out, PREFIX "%s_bucket{%s%sle=\"%" PRIu64 ".%06" PRIu64 "\"} %" PRIu64 "\n", name, label, comma,
                bound / MICROSECONDS, bound % MICROSECONDS, below);
        }
    }
    uint64_t total = histogram_total(view);
    put(out, PREFIX "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, comma, total);
    put(out, PREFIX "%s_sum%s%s%s", name, open, label, close);
    put_value(out, view->sum, unit);
    put(out, PREFIX "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, total);
}

static void put_build_info(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out)
{
    put(out, PREFIX "%s{version=\"%s\",nng=\"%s\",lmdb=\"%s\"} 1\n", name, snapshot->version, snapshot->nng_version,
        snapshot->engine_version);
}

static void put_migration_state(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out)
{
    static const char *const states[] = {
        [STORE_MIGRATION_NONE] = "none",     [STORE_MIGRATION_MOVING] = "moving", [STORE_MIGRATION_PAUSED] = "paused",
        [STORE_MIGRATION_HALTED] = "halted", [STORE_MIGRATION_HELD] = "held",
    };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        put(out, PREFIX "%s{state=\"%s\"} %d\n", name, states[i], snapshot->migration == i);
    }
}

static void put_connections_refused_total(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out)
{
    for (size_t i = 0; i < snapshot->refusal_count; i++) {
        put(out, PREFIX "%s{reason=\"%s\"} %" PRIu64 "\n", name, snapshot->refusals[i].reason,
            snapshot->refusals[i].count);
    }
}

static void put_requests_total(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out)
{
    for (size_t i = 0; i < snapshot->method_count; i++) {
        const struct method_view *method = &snapshot->methods[i];
        for (unsigned code = 0; code < METHOD_CODES; code++) {
            if (method->codes[code] > 0) {
                put(out, PREFIX "%s{method=\"%s\",code=\"%s\"} %" PRIu64 "\n", name, method->name,
                    error_code_name(code), method->codes[code]);
            }
        }
    }
}

static void put_request_duration_seconds(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out)
{
    for (size_t i = 0; i < snapshot->method_count; i++) {
        const struct method_view *method = &snapshot->methods[i];
        if (histogram_total(&method->latency) > 0) {
            char label[LINE_BYTES / 2];
            snprintf(label, sizeof(label), "method=\"%s\"", method->name);
            put_histogram(out, name, label, &method->latency, HISTOGRAM_TIME_SHIFT, HISTOGRAM_BUCKETS - 1,
                          UNIT_seconds);
        }
    }
}

static void put_commit_changes(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out)
{
    put_histogram(out, name, "", &snapshot->commit_changes, HISTOGRAM_COUNT_SHIFT, COUNT_BUCKETS, UNIT_one);
}

static void put_commit_duration_seconds(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out)
{
    put_histogram(out, name, "", &snapshot->commit_time_us, HISTOGRAM_TIME_SHIFT, HISTOGRAM_BUCKETS - 1, UNIT_seconds);
}

static const struct family {
    const char *name;
    const char *type;
    const char *help;
    void (*put)(const struct metrics_snapshot *snapshot, const char *name, struct buffer *out);
} families[] = {
#define METRICS_FAMILY(name, type, labels, help) {#name, #type, help, put_##name},
    METRICS_FAMILIES(METRICS_FAMILY)
#undef METRICS_FAMILY
};

static void put_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    put(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

void metrics_render(const struct metrics_snapshot *snapshot, struct buffer *out)
{
    const struct {
        const char *name;
        const char *type;
        const char *help;
        enum unit unit;
        uint64_t value;
    } numbers[] = {
#define METRICS_NUMBER(name, type, unit, help) {#name, #type, help, UNIT_##unit, snapshot->name},
        METRICS_NUMBERS(METRICS_NUMBER)
#undef METRICS_NUMBER
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        put_head(out, numbers[i].name, numbers[i].type, numbers[i].help);
        put(out, PREFIX "%s", numbers[i].name);
        put_value(out, numbers[i].value, numbers[i].unit);
    }
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        put_head(out, families[i].name, families[i].type, families[i].help);
        families[i].put(snapshot, families[i].name, out);
    }
}
