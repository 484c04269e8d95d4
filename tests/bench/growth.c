/* Whether chatlogd stays as fast as its data grows: W1 and W3 on 100 times as many conversations, and the newest 50 of
 * a conversation 1,000 times as long. The small side begins anew in each round, so that it stays small. */
#include "bench/programmes.h"

#include "bench/fail.h"

#include <stdio.h>
#include <stdlib.h>

enum { IN_FLIGHT = 64, SMALL_CONVERSATIONS = 2000, LARGE_CONVERSATIONS = 200000, QUICK_CONVERSATIONS = 20000 };

/* A pair of datasets on daemons of their own; a workload is to be as fast on the large as on the small one. */
struct side {
    struct dataset dataset;
    char *directory;
    void *instance;
};

static void side_start(const struct settings *settings, struct side *side, unsigned number)
{
    char name[32];
    snprintf(name, sizeof(name), "growth-%u", number);
    side->directory = server_directory(settings->directory, name, NULL);
    side->instance = system_chatlogd.start(side->directory);
    system_load(&system_chatlogd, side->instance, &side->dataset);
    system_pause(&system_chatlogd, side->instance, true);
}

static void side_stop(struct side *side)
{
    system_chatlogd.stop(side->instance);
    free(side->directory);
}

static double side_measure(const struct settings *settings, const struct side *side, const struct workload *workload,
                           unsigned round)
{
    struct load_plan plan = {.dataset = &side->dataset,
                             .workload = workload,
                             .in_flight = IN_FLIGHT,
                             .seconds = settings->seconds,
                             .seed = (uint64_t)(workload - workloads) << 32 | round};
    system_pause(&system_chatlogd, side->instance, false);
    system_rest(&system_chatlogd, side->instance);
    double ops_per_s = system_measure(&system_chatlogd, side->instance, &plan).load.ops_per_s;
    system_pause(&system_chatlogd, side->instance, true);
    return ops_per_s;
}

static void print_row(const struct settings *settings, const struct workload *workload, const struct side *small,
                      const struct side *large, const double *small_ops, const double *large_ops)
{
    struct spread ratio = spread_of_ratios(small_ops, large_ops, settings->rounds);
    unsigned long long small_messages = small->dataset.conversations * small->dataset.messages;
    unsigned long long large_messages = large->dataset.conversations * large->dataset.messages;
    double small_median = spread_of(small_ops, settings->rounds).median;
    double large_median = spread_of(large_ops, settings->rounds).median;
    if (settings->json) {
        printf("{\"programme\":\"growth\",\"workload\":\"%s\",\"in_flight\":%u,\"messages\":[%llu,%llu],"
               "\"conversations\":[%llu,%llu],\"ops_per_s\":[%.1f,%.1f],\"ratio\":%.4f}\n",
               workload->name, IN_FLIGHT, small_messages, large_messages,
               (unsigned long long)small->dataset.conversations, (unsigned long long)large->dataset.conversations,
               small_median, large_median, ratio.median);
    } else {
        printf("%-4s %10llu %10llu %14llu %12.0f %12.0f   %.2f x (%.2f-%.2f)\n", workload->name, small_messages,
               large_messages, (unsigned long long)large->dataset.conversations, small_median, large_median,
               ratio.median, ratio.least, ratio.most);
    }
    fflush(stdout);
}

static void compare_sides(const struct settings *settings, struct side *small, struct side *large,
                          const struct workload *const *compared, size_t count)
{
    double small_ops[2][SETTINGS_ROUNDS_MAX];
    double large_ops[2][SETTINGS_ROUNDS_MAX];
    static const unsigned large_number = SETTINGS_ROUNDS_MAX;
    side_start(settings, large, large_number + (unsigned)count);
    report_progress("growth: the large side is loaded");
    for (unsigned round = 0; round < settings->rounds; round++) {
        side_start(settings, small, round + (unsigned)count * 1000);
        for (size_t i = 0; i < count; i++) {
            small_ops[i][round] = side_measure(settings, small, compared[i], round);
            large_ops[i][round] = side_measure(settings, large, compared[i], round);
        }
        side_stop(small);
    }
    side_stop(large);
    for (size_t i = 0; i < count; i++) {
        print_row(settings, compared[i], small, large, small_ops[i], large_ops[i]);
    }
}

void growth_run(const struct settings *settings, const struct corpus *corpus)
{
    bool quick = settings->conversations < LARGE_CONVERSATIONS / 4;
    uint64_t large_conversations = quick ? QUICK_CONVERSATIONS : LARGE_CONVERSATIONS;
    if (!settings->json) {
        printf("%-4s %10s %10s %14s %12s %12s   %s\n", "", "messages", "messages", "conversations", "ops/s", "ops/s",
               "slower with more");
    }
    struct side few = {.dataset = {corpus, 0, SMALL_CONVERSATIONS, SETTINGS_MESSAGES}};
    struct side many = {.dataset = {corpus, 0, large_conversations, SETTINGS_MESSAGES}};
    compare_sides(settings, &few, &many, (const struct workload *const[]){&workloads[2], &workloads[0]}, 2);

    struct side shallow = {.dataset = {corpus, 0, 1, 1000}};
    struct side deep = {.dataset = {corpus, 0, 1, 1000000}};
    compare_sides(settings, &shallow, &deep, (const struct workload *const[]){&workloads[2]}, 1);
}
