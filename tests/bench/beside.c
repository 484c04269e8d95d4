/* How long readers of the newest 50 messages wait when nobody else is there, and while 64 writers append. */
#include "bench/programmes.h"

#include <stdio.h>

static const unsigned readers[] = {1, 16, 64};

static struct load_result measure(const struct settings *settings, void *instance, const struct dataset *dataset,
                                  const struct workload *workload, unsigned writers, unsigned reading, unsigned round)
{
    struct load_plan plan = {.dataset = dataset,
                             .workload = workload,
                             .in_flight = writers + reading,
                             .first_measured = writers,
                             .seconds = settings->seconds,
                             .seed = (uint64_t)writers << 32 | reading << 16 | round};
    system_rest(&system_chatlogd, instance);
    return system_measure(&system_chatlogd, instance, &plan).load;
}

static void row_print(const struct settings *settings, unsigned reading, const struct load_result *alone,
                      const struct load_result *beside)
{
    double values[4][SETTINGS_ROUNDS_MAX];
    for (unsigned i = 0; i < settings->rounds; i++) {
        values[0][i] = alone[i].p99_us;
        values[1][i] = beside[i].p99_us;
        values[2][i] = alone[i].ops_per_s;
        values[3][i] = beside[i].ops_per_s;
    }
    struct spread ratio = spread_of_ratios(values[1], values[0], settings->rounds);
    double median[4];
    for (size_t i = 0; i < 4; i++) {
        median[i] = spread_of(values[i], settings->rounds).median;
    }
    printf(settings->json ? "{\"programme\":\"beside\",\"readers\":%u,\"writers\":%u,\"idle_ops_per_s\":%.1f,"
                            "\"idle_p99_us\":%.1f,\"ops_per_s\":%.1f,\"p99_us\":%.1f,\"ratio\":%.4f}\n"
                          : "%7u %7u %12.0f %12.0f %12.0f %12.0f   %.2f x",
           reading, WORKLOAD_WRITERS, median[2], median[0], median[3], median[1], ratio.median);
    if (!settings->json) {
        printf(" (%.2f-%.2f)\n", ratio.least, ratio.most);
    }
    fflush(stdout);
}

void beside_run(const struct settings *settings, const struct corpus *corpus)
{
    struct dataset dataset = {
        .corpus = corpus, .conversations = settings->conversations, .messages = SETTINGS_MESSAGES};
    void *instance = system_chatlogd.start(settings->directory);
    system_load(&system_chatlogd, instance, &dataset);
    if (!settings->json) {
        printf("%7s %7s %12s %12s %12s %12s   %s\n", "readers", "writers", "idle reads/s", "idle p99 us", "reads/s",
               "p99 us", "p99 beside writers / idle");
    }
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        struct load_result alone[SETTINGS_ROUNDS_MAX];
        struct load_result beside[SETTINGS_ROUNDS_MAX];
        for (unsigned round = 0; round < settings->rounds; round++) {
            alone[round] = measure(settings, instance, &dataset, &workloads[2], 0, readers[i], round);
            beside[round] =
                measure(settings, instance, &dataset, &workload_beside, WORKLOAD_WRITERS, readers[i], round);
        }
        row_print(settings, readers[i], alone, beside);
    }
    system_chatlogd.stop(instance);
}
