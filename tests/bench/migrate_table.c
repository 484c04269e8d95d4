#include "bench/migrate_table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static void row(const char *what, const char *goal, const char *verdict, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void row(const char *what, const char *goal, const char *verdict, const char *format, ...)
{
    char measured[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(measured, sizeof(measured), format, arguments);
    va_end(arguments);
    printf("%-46s %-26s %-38s %s\n", what, goal, measured, verdict);
}

static const char *verdict(bool met)
{
    return met ? "met" : "MISSED";
}

static void file_row(const char *what, const struct watched_result *seen, uint64_t target_bytes)
{
    uint64_t larger = seen->file_first_bytes > target_bytes ? seen->file_first_bytes : target_bytes;
    double ratio = (double)seen->file_peak_bytes / (double)larger;
    row(what, "<= 1.10 x", verdict(ratio <= 1.10), "%.3f x (%.0f, %.0f, %.0f MB)", ratio,
        (double)seen->file_first_bytes / 1e6, (double)seen->file_peak_bytes / 1e6, (double)target_bytes / 1e6);
}

static void memory_row(const char *what, const struct watched_result *seen, const struct watched_result *held)
{
    double mib = ((double)seen->anonymous_peak_kib - (double)held->anonymous_peak_kib) / 1024;
    row(what, "<= 32 MiB", verdict(mib <= 32), "%.1f MiB", mib);
}

/* Of each window, so that one sees how much of the whole is chance. */
static void windows_print(const char *what, const struct migrate_load *load, size_t windows)
{
    printf("  p99 of each window, %-9s us:", what);
    for (size_t i = 0; i < windows; i++) {
        printf(" %5.0f", load->reads_p99_us[i]);
    }
    printf("\n");
}

static void latency_rows(const struct migrate_report *report)
{
    const struct paced_latency *held = &report->held.all.reads;
    const struct paced_latency *moving = &report->moving.all.reads;
    double ratio = paced_at(moving, 0.99) / paced_at(held, 0.99);
    row("newest 50, p99, migrating / held", "<= 1.25 x (goal 1.1 x)", verdict(ratio <= 1.25), "%.2f x (%.0f / %.0f us)",
        ratio, paced_at(moving, 0.99), paced_at(held, 0.99));
    windows_print("held", &report->held, report->windows);
    windows_print("migrating", &report->moving, report->windows);
    row("newest 50, p50, migrating / held", "", "", "%.2f x (%.0f / %.0f us)",
        paced_at(moving, 0.5) / paced_at(held, 0.5), paced_at(moving, 0.5), paced_at(held, 0.5));
    held = &report->held.all.appends;
    moving = &report->moving.all.appends;
    double more_us = paced_at(moving, 0.99) - paced_at(held, 0.99);
    row("append, p99, migrating - held", "<= 20 ms more", verdict(more_us <= 20000), "%.1f ms more (%.1f, %.1f)",
        more_us / 1e3, paced_at(moving, 0.99) / 1e3, paced_at(held, 0.99) / 1e3);
    row("append, longest while migrating", "goal 50 ms", "", "%.1f ms (held %.1f)", paced_at(moving, 1) / 1e3,
        paced_at(held, 1) / 1e3);
}

static void forecast_rows(const struct migrate_report *report)
{
    double time = report->predicted_seconds / report->seconds;
    double space = report->predicted_bytes / (double)report->idle.file_peak_bytes;
    row("--dry-run: seconds, predicted / real", "within 20 %", verdict(time >= 0.8 && time <= 1.2),
        "%.2f (%.1f / %.1f s)", time, report->predicted_seconds, report->seconds);
    row("--dry-run: largest file, predicted / real", "within 20 %", verdict(space >= 0.8 && space <= 1.2),
        "%.2f (%.0f / %.0f MB)", space, report->predicted_bytes / 1e6, (double)report->idle.file_peak_bytes / 1e6);
}

static void errors_print(const struct paced_result *result)
{
    if (result->errors > 0) {
        printf("%" PRIu64 " requests failed: %s\n", result->errors, result->first_error);
    }
}

void migrate_table_print(const struct migrate_report *report)
{
    double rate = (double)report->messages / report->seconds;
    const struct paced_result *held = &report->held.all;
    const struct paced_result *moving = &report->moving.all;
    printf("\n%" PRIu64 " messages in %" PRIu64 " conversations, layout %lu; load: %d reads and %d appends a second\n"
           "in %zu pairs of windows (held: %zu and %zu, migrating: %zu and %zu)\n\n",
           report->messages, report->conversations, report->from, PACED_READS, PACED_APPENDS, report->windows,
           held->reads.count, held->appends.count, moving->reads.count, moving->appends.count);
    row("exec to first answer, migration due", "<= 1,000 ms",
        verdict(report->ready_ms <= 1000 && report->moving.ready_ms <= 1000), "%.0f and %.0f ms (held: %.0f)",
        report->ready_ms, report->moving.ready_ms, report->held.ready_ms);
    row("messages a second, daemon idle", ">= 500,000", verdict(rate >= 500000), "%.0f (%.2f s)", rate,
        report->seconds);
    row("messages a second, under load", "goal 28,000", "", "%.0f (%.2f s)",
        (double)report->loaded_messages / report->loaded_seconds, report->loaded_seconds);
    file_row("peak file / larger of both, idle", &report->idle, report->target_bytes);
    file_row("peak file / larger of both, under load", &report->moving.seen, report->target_bytes);
    latency_rows(report);
    memory_row("extra RssAnon, idle", &report->idle, &report->held.seen);
    memory_row("extra RssAnon, under load", &report->moving.seen, &report->held.seen);
    forecast_rows(report);
    errors_print(held);
    errors_print(moving);
}
