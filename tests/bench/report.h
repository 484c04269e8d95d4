/* How the comparison is printed: a table for people, or a JSON object a line. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/settings.h"
#include "bench/spread.h"

/* One workload at one depth, measured round by round on some systems. */
struct report_row {
    const struct workload *workload;
    unsigned in_flight;
    unsigned rounds;
    bool measured[SYSTEMS];
    struct system_result results[SYSTEMS][SETTINGS_ROUNDS_MAX];
};

struct report_disk {
    double messages;
    struct system_disk systems[SYSTEMS]; /* zeros: holds no data */
};

void report_row(const struct settings *settings, const struct report_row *row, const struct report_disk *disk);

/* Bytes a message, at the end of the table. */
void report_disk(const struct settings *settings, const struct report_disk *disk);

/* Tells people what goes on. */
void report_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
