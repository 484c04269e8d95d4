/* The comparison: every workload on every system, round after round, one system at a time while the others are
 * stopped. */
#include "bench/programmes.h"

#include "bench/fail.h"

#include <stdlib.h>

struct comparison {
    const struct settings *settings;
    struct dataset dataset;
    void *instances[SYSTEMS]; /* NULL: does not take part */
    struct report_disk disk;
};

static void system_bring_up(struct comparison *comparison, size_t index)
{
    const struct system *system = systems[index];
    long long began_ns = bench_now_ns();
    void *instance = system->start(comparison->settings->directory);
    if (system->load) {
        system_load(system, instance, &comparison->dataset);
        comparison->disk.systems[index] = system->disk(instance, &comparison->dataset);
        report_progress("%s has loaded %.0f messages in %.1f s", system->name, comparison->disk.messages,
                        (double)(bench_now_ns() - began_ns) / 1e9);
    }
    system_pause(system, instance, true);
    comparison->instances[index] = instance;
}

static bool takes_part(const struct comparison *comparison, size_t index, const struct workload *workload)
{
    if (!comparison->instances[index]) {
        return false;
    }
    struct operation operation;
    for (uint64_t i = 0; systems[index]->appends_only && i < 100; i++) {
        workload->next(&comparison->dataset, 0, dataset_random(i), &operation);
        if (operation.kind != OPERATION_APPEND) {
            return false;
        }
    }
    return true;
}

static void row_measure(const struct comparison *comparison, struct report_row *row)
{
    for (size_t i = 0; i < SYSTEMS; i++) {
        row->measured[i] = takes_part(comparison, i, row->workload);
        if (row->measured[i]) { /* what the row before has left to be done is not this one's */
            system_pause(systems[i], comparison->instances[i], false);
            system_rest(systems[i], comparison->instances[i]);
            system_pause(systems[i], comparison->instances[i], true);
        }
    }
    for (unsigned round = 0; round < row->rounds; round++) {
        struct load_plan plan = {.dataset = &comparison->dataset,
                                 .workload = row->workload,
                                 .in_flight = row->in_flight,
                                 .seconds = comparison->settings->seconds,
                                 .seed = (uint64_t)(row->workload - workloads) << 32 | row->in_flight << 16 | round};
        for (size_t i = 0; i < SYSTEMS; i++) {
            if (row->measured[i]) {
                system_pause(systems[i], comparison->instances[i], false);
                row->results[i][round] = system_measure(systems[i], comparison->instances[i], &plan);
                system_pause(systems[i], comparison->instances[i], true);
            }
        }
    }
}

static void rows_measure(const struct comparison *comparison)
{
    const struct settings *settings = comparison->settings;
    struct report_row *row = bench_allocate(1, sizeof(*row));
    for (const struct workload *workload = workloads; workload->name; workload++) {
        if (settings->workloads && !settings_name_in(settings->workloads, workload->name)) {
            continue;
        }
        for (const unsigned *in_flight = workload->in_flight; *in_flight > 0; in_flight++) {
            *row = (struct report_row){.workload = workload, .in_flight = *in_flight, .rounds = settings->rounds};
            row_measure(comparison, row);
            report_row(settings, row, &comparison->disk);
        }
    }
    free(row);
}

void compare_run(const struct settings *settings, const struct corpus *corpus)
{
    struct comparison comparison = {
        .settings = settings,
        .dataset = {.corpus = corpus, .conversations = settings->conversations, .messages = SETTINGS_MESSAGES},
        .disk = {.messages = (double)(settings->conversations * SETTINGS_MESSAGES)},
    };
    for (size_t i = 0; i < SYSTEMS; i++) {
        if (settings->systems[i]) {
            system_bring_up(&comparison, i);
        }
    }
    rows_measure(&comparison);
    report_disk(settings, &comparison.disk);
    for (size_t i = 0; i < SYSTEMS; i++) {
        if (comparison.instances[i]) {
            systems[i]->stop(comparison.instances[i]);
        }
    }
}
