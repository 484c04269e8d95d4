/* What the benchmark of migrations has measured, and its table. */
#ifndef BENCH_MIGRATE_TABLE_H
#define BENCH_MIGRATE_TABLE_H

#include "bench/paced.h"
#include "bench/watched.h"

enum { MIGRATE_WINDOWS_MAX = 20 };

/* What a daemon on the data was seen to do, over all its runs. */
struct migrate_load {
    struct watched_result seen;
    struct paced_result all;
    double ready_ms;                          /* the longest */
    double reads_p99_us[MIGRATE_WINDOWS_MAX]; /* of each window */
};

struct migrate_report {
    unsigned long from;
    uint64_t conversations;
    uint64_t messages;
    double seconds; /* of the migration with the daemon idle */
    double ready_ms;
    struct watched_result idle;
    uint64_t target_bytes; /* that the migrated data takes; its file, which never gets smaller, has free room beside */
    size_t windows;
    struct migrate_load held;
    struct migrate_load moving;
    uint64_t loaded_messages; /* moved under load, and how long that was */
    double loaded_seconds;
    double predicted_seconds; /* by --dry-run; 0: it said nothing */
    double predicted_bytes;
};

void migrate_table_print(const struct migrate_report *report);

#endif
