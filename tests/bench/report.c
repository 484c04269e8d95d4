#include "bench/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MIB = 1 << 20 };

/* One figure of a system in every round. */
struct figures {
    double ops_per_s[SETTINGS_ROUNDS_MAX];
    double p50_us[SETTINGS_ROUNDS_MAX];
    double p99_us[SETTINGS_ROUNDS_MAX];
    double cpu_us[SETTINGS_ROUNDS_MAX];
    double memory_bytes[SETTINGS_ROUNDS_MAX];
};

static struct figures figures_of(const struct report_row *row, size_t system)
{
    struct figures figures = {0};
    for (unsigned i = 0; i < row->rounds; i++) {
        const struct system_result *result = &row->results[system][i];
        figures.ops_per_s[i] = result->load.ops_per_s;
        figures.p50_us[i] = result->load.p50_us;
        figures.p99_us[i] = result->load.p99_us;
        figures.cpu_us[i] = result->cpu_us;
        figures.memory_bytes[i] = result->memory_bytes;
    }
    return figures;
}

static struct spread ratio_of(const struct report_row *row, size_t system, size_t peer)
{
    struct figures own = figures_of(row, system);
    struct figures others = figures_of(row, peer);
    return spread_of_ratios(own.ops_per_s, others.ops_per_s, row->rounds);
}

/* ---- For programs ------------------------------------------------------------------------------------------------ */

static void json_ratios(const struct report_row *row, size_t system)
{
    static const char *const peers[] = {"redis", "postgresql", "sqlite", "nng_echo"};
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        size_t peer = 0;
        while (strcmp(systems[peer]->name, peers[i]) != 0) {
            peer++;
        }
        printf("%s\"%s\":", i == 0 ? "" : ",", peers[i]);
        row->measured[peer] ? printf("%.4f", ratio_of(row, system, peer).median) : printf("null");
    }
}

static void json_row(const struct report_row *row, size_t system, const struct report_disk *disk)
{
    struct figures figures = figures_of(row, system);
    printf("{\"workload\":\"%s\",\"in_flight\":%u,\"system\":\"%s\",\"ops_per_s\":%.1f,\"p50_us\":%.1f,"
           "\"p99_us\":%.1f,\"cpu_us\":%.2f,\"rss_bytes\":%.0f,\"bytes_per_message\":",
           row->workload->name, row->in_flight, systems[system]->name, spread_of(figures.ops_per_s, row->rounds).median,
           spread_of(figures.p50_us, row->rounds).median, spread_of(figures.p99_us, row->rounds).median,
           spread_of(figures.cpu_us, row->rounds).median, spread_of(figures.memory_bytes, row->rounds).median);
    double bytes = disk->systems[system].file_bytes;
    bytes > 0 ? printf("%.1f", bytes / disk->messages) : printf("null");
    printf(",\"ratio\":{");
    json_ratios(row, system);
    printf("}}\n");
}

/* ---- For people -------------------------------------------------------------------------------------------------- */

static void table_row(const struct report_row *row, size_t system)
{
    struct figures figures = figures_of(row, system);
    struct spread ops = spread_of(figures.ops_per_s, row->rounds);
    char range[32];
    snprintf(range, sizeof(range), "%.0f-%.0f", ops.least, ops.most);
    printf("  %-12s %9.0f  %-17s %8.0f %8.0f %7.1f %8.0f", systems[system]->name, ops.median, range,
           spread_of(figures.p50_us, row->rounds).median, spread_of(figures.p99_us, row->rounds).median,
           spread_of(figures.cpu_us, row->rounds).median, spread_of(figures.memory_bytes, row->rounds).median / MIB);
    if (system != 0 && row->measured[0]) {
        struct spread ratio = ratio_of(row, 0, system);
        printf("  %6.2f x (%.2f-%.2f)", ratio.median, ratio.least, ratio.most);
    }
    printf("\n");
}

void report_row(const struct settings *settings, const struct report_row *row, const struct report_disk *disk)
{
    if (!settings->json) {
        printf("\n%s  %s, %u in flight\n", row->workload->name, row->workload->meaning, row->in_flight);
        printf("  %-12s %9s  %-17s %8s %8s %7s %8s  %s\n", "", "ops/s", "least-most", "p50 us", "p99 us", "CPU us",
               "MiB", "chatlogd is");
    }
    for (size_t i = 0; i < SYSTEMS; i++) {
        if (row->measured[i]) {
            settings->json ? json_row(row, i, disk) : table_row(row, i);
        }
    }
    fflush(stdout);
}

void report_disk(const struct settings *settings, const struct report_disk *disk)
{
    if (settings->json) {
        return;
    }
    printf("\nBytes a message of 300 B on disk, after loading; text: %s\n  %-12s %9s %9s  %s\n",
           settings->text ? settings->text : "made-up words", "", "file", "used", "chatlogd is");
    for (size_t i = 0; i < SYSTEMS; i++) {
        const struct system_disk *system = &disk->systems[i];
        if (system->file_bytes <= 0) {
            continue;
        }
        printf("  %-12s %9.0f %9.0f", systems[i]->name, system->file_bytes / disk->messages,
               system->used_bytes / disk->messages);
        if (i > 0 && disk->systems[0].file_bytes > 0) {
            printf("  %6.2f x", disk->systems[0].file_bytes / system->file_bytes);
        }
        printf("\n");
    }
    fflush(stdout);
}

void report_progress(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}
