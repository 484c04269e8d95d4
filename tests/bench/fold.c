/* A long run of appends to random conversations, so that chatlogd has to fold while it appends: throughput, the slowest
 * second, and the longest time without any answer. */
#include "bench/programmes.h"

#include <stdio.h>

static void print_result(const struct settings *settings, const struct system *system,
                         const struct system_result *result)
{
    const struct load_result *load = &result->load;
    if (settings->json) {
        printf("{\"programme\":\"fold\",\"system\":\"%s\",\"appends\":%llu,\"ops_per_s\":%.1f,\"second_least\":%u,"
               "\"second_median\":%u,\"second_most\":%u,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
               "\"stall_us\":%.1f,\"cpu_us\":%.2f,\"rss_bytes\":%.0f}\n",
               system->name, (unsigned long long)load->operations, load->ops_per_s, load->second_least,
               load->second_median, load->second_most, load->p50_us, load->p99_us, load->max_us, load->gap_us,
               result->cpu_us, result->memory_bytes);
    } else {
        printf("%-12s %9.0f %9u %9u %9u %8.0f %8.0f %8.1f %8.1f %7.1f %8.0f\n", system->name, load->ops_per_s,
               load->second_least, load->second_median, load->second_most, load->p50_us, load->p99_us,
               load->max_us / 1000, load->gap_us / 1000, result->cpu_us, result->memory_bytes / (1 << 20));
    }
    fflush(stdout);
}

/* Returns operations a second. */
static double system_run(const struct settings *settings, const struct system *system, const struct dataset *dataset)
{
    void *instance = system->start(settings->directory);
    system_load(system, instance, dataset);
    report_progress("%s has loaded its messages", system->name);
    struct load_plan plan = {
        .dataset = dataset, .workload = &workloads[0], .in_flight = WORKLOAD_IN_FLIGHT_MAX, .limit = settings->appends};
    struct system_result result = system_measure(system, instance, &plan);
    print_result(settings, system, &result);
    system->stop(instance);
    return result.load.ops_per_s;
}

void fold_run(const struct settings *settings, const struct corpus *corpus)
{
    struct dataset dataset = {
        .corpus = corpus, .conversations = settings->conversations, .messages = SETTINGS_MESSAGES};
    if (!settings->json) {
        printf("%llu appends, %u in flight, to %llu conversations of %u messages\n\n",
               (unsigned long long)settings->appends, WORKLOAD_IN_FLIGHT_MAX,
               (unsigned long long)settings->conversations, SETTINGS_MESSAGES);
        printf("%-12s %9s %9s %9s %9s %8s %8s %8s %8s %7s %8s\n", "", "ops/s", "slowest s", "median s", "fastest s",
               "p50 us", "p99 us", "max ms", "stall ms", "CPU us", "MiB");
    }
    double redis = system_run(settings, &system_redis, &dataset);
    double chatlogd = system_run(settings, &system_chatlogd, &dataset);
    if (!settings->json) {
        printf("\nchatlogd does %.2f x what Redis does\n", chatlogd / redis);
    }
}
