#include "cli/top.h"

#include "cli/escape.h"
#include "cli/printer.h"

#include <inttypes.h>
#include <string.h>

enum { BUCKETS = 64, FIRST_BOUND = 8, MILLION = 1000000, NAME_COLUMNS = 34, METHODS_MAX = 64 };

struct method_change {
    uint64_t calls;
    uint64_t errors;
    uint64_t counts[BUCKETS];
    size_t count;
};

double top_quantile(const uint64_t *counts, size_t count, double share)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += counts[i];
    }
    double wanted = share * (double)total;
    double below = 0;
    for (size_t i = 0; i < count; i++) {
        if (counts[i] > 0 && below + (double)counts[i] >= wanted) {
            double upper = (double)FIRST_BOUND * (double)(UINT64_C(1) << i);
            double lower = i > 0 ? upper / 2 : 0;
            return i + 1 == count ? lower : lower + (upper - lower) * (wanted - below) / (double)counts[i];
        }
        below += (double)counts[i];
    }
    return 0;
}

static const struct chatlog_method_stats *method_find(const struct chatlog_stats *stats, const char *name)
{
    for (size_t i = 0; stats && i < stats->method_count; i++) {
        if (strcmp(stats->methods[i].method, name) == 0) {
            return &stats->methods[i];
        }
    }
    return NULL;
}

static struct method_change method_change(const struct chatlog_stats *before, const struct chatlog_method_stats *now)
{
    const struct chatlog_method_stats *old = method_find(before, now->method);
    struct method_change change = {.calls = now->calls - (old ? old->calls : 0),
                                   .errors = now->errors - (old ? old->errors : 0),
                                   .count = now->latency_count < BUCKETS ? now->latency_count : BUCKETS};
    for (size_t i = 0; i < change.count; i++) {
        change.counts[i] = now->latency_counts[i] - (old && i < old->latency_count ? old->latency_counts[i] : 0);
    }
    return change;
}

/* "950 us", "1.2 ms", "3.4 s". */
static void put_time(FILE *out, double us)
{
    if (us < 1000) {
        fprintf(out, " %6.0f us", us);
    } else if (us < MILLION) {
        fprintf(out, " %6.1f ms", us / 1000);
    } else {
        fprintf(out, " %6.1f s ", us / MILLION);
    }
}

static void put_methods(FILE *out, const struct chatlog_stats *before, const struct chatlog_stats *now, double seconds)
{
    fprintf(out, "%-*s %9s %9s %9s %9s %9s %12s\n", NAME_COLUMNS, "method", "calls/s", "errors/s", "p50", "p99",
            "p99.9", "calls");
    for (size_t i = 0; i < now->method_count && i < METHODS_MAX; i++) {
        const struct chatlog_method_stats *method = &now->methods[i];
        struct method_change change = method_change(before, method);
        const char *dot = strrchr(method->method, '.'); /* without the package */
        const char *name = dot ? dot + 1 : method->method;
        fprintf(out, "%-*.*s %9.1f %9.1f", NAME_COLUMNS, NAME_COLUMNS, name, (double)change.calls / seconds,
                (double)change.errors / seconds);
        put_time(out, top_quantile(change.counts, change.count, 0.5));
        put_time(out, top_quantile(change.counts, change.count, 0.99));
        put_time(out, top_quantile(change.counts, change.count, 0.999));
        fprintf(out, " %12" PRIu64 "\n", method->calls);
    }
}

static void put_migration(FILE *out, const struct chatlog_migration *migration)
{
    fprintf(out, "migration    %s", migration_state_name(migration->state));
    if (migration->state != CHATLOG_MIGRATION_NONE && migration->messages_total > 0) {
        fprintf(out, ", layout %" PRIu32 " to %" PRIu32 ": %.1f %%, %" PRIu64 " messages/s", migration->from_layout,
                migration->to_layout, 100 * (double)migration->messages_moved / (double)migration->messages_total,
                migration->messages_per_second);
    }
    fputc('\n', out);
}

static void put_writer(FILE *out, const struct chatlog_stats *before, const struct chatlog_stats *now, double seconds)
{
    static const struct chatlog_stats nothing;
    before = before ? before : &nothing;
    uint64_t commits = now->commits - before->commits;
    uint64_t changes = now->changes - before->changes;
    double each_us = commits > 0 ? (double)(now->commit_time_us - before->commit_time_us) / (double)commits : 0;
    fprintf(out, "commits      %.1f/s, %.1f changes/s, %.1f changes each, ", (double)commits / seconds,
            (double)changes / seconds, commits > 0 ? (double)changes / (double)commits : 0.0);
    put_time(out, each_us);
    fprintf(out, " each\nqueue        %" PRIu64 " changes, %" PRIu64 " KiB\n", now->queue_length,
            now->queue_bytes / 1024);
    fprintf(out, "journal      %" PRIu64 " entries, %" PRIu64 " KiB, %.1f conversations folded/s\n",
            now->journal_entries, now->journal_bytes / 1024,
            (double)(now->journal_folds - before->journal_folds) / seconds);
}

void top_frame(FILE *out, const char *url, const struct top_sample *before, const struct top_sample *now)
{
    const struct chatlog_stats *stats = &now->stats;
    const struct chatlog_stats *old = before && before->stats.uptime_us < stats->uptime_us ? &before->stats : NULL;
    double seconds = (double)(stats->uptime_us - (old ? old->uptime_us : 0)) / MILLION;
    seconds = seconds > 0 ? seconds : 1;
    fputs("chatlogd at ", out);
    escape_line(out, url, strnlen(url, NAME_COLUMNS + 16));
    fprintf(out, ", up %" PRIu64 " s, rates over %.1f s\n", stats->uptime_us / MILLION, seconds);
    fprintf(out, "stored       %" PRIu64 " users, %" PRIu64 " conversations, %" PRIu64 " messages\n", stats->users,
            stats->conversations, stats->messages);
    fprintf(out, "data file    %" PRIu64 " of %" PRIu64 " MiB used, may reach %" PRIu64 " MiB\n",
            stats->used_bytes >> 20, stats->file_bytes >> 20, stats->map_bytes >> 20);
    fprintf(out, "connections  %" PRIu64 " open, %" PRIu64 " accepted, %" PRIu64 " refused or closed for a limit\n",
            stats->connections, stats->connections_accepted, stats->connections_refused);
    put_writer(out, old, stats, seconds);
    put_migration(out, &now->migration);
    fprintf(out, "trouble      %" PRIu64 " damaged records, %" PRIu64 " slow requests\n\n", stats->damaged_records,
            stats->slow_requests);
    put_methods(out, old, stats, seconds);
}
