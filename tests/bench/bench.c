/* chatlog_bench: what the daemon does in a second on this machine. Starts $CHATLOGD in a directory of its own, fills
 * it, runs every workload at several depths over one connection, and prints a row for each. */
#include "bench/load.h"
#include "bench/process.h"
#include "support/daemon.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct settings {
    struct dataset dataset;
    double seconds;
    bool json;
};

static const unsigned depths[] = {1, 16, 64, 256};

static void usage(FILE *out)
{
    fputs("usage: chatlog_bench [--conversations N] [--messages N] [--seconds S] [--json]\n\n"
          "  --conversations N  filled before the measurement, 1000 to 10000000; default 10000\n"
          "  --messages N       in each, 1 to 100; default 50\n"
          "  --seconds S        for each row; default 3\n"
          "  --json             one object a line\n\nWorkloads:\n",
          out);
    for (const struct workload *workload = workloads; workload->name; workload++) {
        fprintf(out, "  %s  %s\n", workload->name, workload->meaning);
    }
}

static struct settings settings_parse(int count, char **arguments)
{
    static const struct option options[] = {{"conversations", required_argument, NULL, 'c'},
                                            {"messages", required_argument, NULL, 'm'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct settings settings = {.dataset = {.conversations = 10000, .messages = 50}, .seconds = 3};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            settings.dataset.conversations = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            settings.dataset.messages = strtoull(optarg, NULL, 10);
            break;
        case 's':
            settings.seconds = strtod(optarg, NULL);
            break;
        case 'j':
            settings.json = true;
            break;
        default:
            usage(option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 64);
        }
    }
    const struct dataset *dataset = &settings.dataset;
    if (dataset->conversations < 1000 || dataset->conversations > 10000000 || dataset->messages < 1 ||
        dataset->messages > 100 || !(settings.seconds > 0 && settings.seconds <= 3600)) {
        usage(stderr);
        exit(64);
    }
    return settings;
}

static double bytes_per_message(const struct daemon *daemon, struct chatlog *client)
{
    char path[512];
    struct stat status;
    struct chatlog_stats stats;
    snprintf(path, sizeof(path), "%s/data.mdb", daemon_data_dir(daemon));
    if (stat(path, &status) || chatlog_get_stats(client, NULL, &stats, NULL)) {
        return 0;
    }
    double bytes = (double)status.st_blocks * 512 / (double)stats.messages;
    chatlog_stats_free(&stats);
    return bytes;
}

static void row_print(const struct settings *settings, const struct workload *workload, unsigned in_flight,
                      const struct load_result *result, double cpu_us, unsigned long anonymous_kib)
{
    unsigned long long errors = result->errors;
    if (settings->json) {
        printf("{\"workload\":\"%s\",\"in_flight\":%u,\"system\":\"chatlogd\",\"ops_per_s\":%.0f,\"p50_us\":%u,"
               "\"p99_us\":%u,\"max_us\":%u,\"cpu_us\":%.1f,\"rss_bytes\":%lu,\"errors\":%llu}\n",
               workload->name, in_flight, result->ops_per_s, result->p50_us, result->p99_us, result->max_us, cpu_us,
               anonymous_kib * 1024, errors);
    } else {
        printf("%-4s %9u %12.0f %10u %10u %10u %10.1f %12lu %8llu\n", workload->name, in_flight, result->ops_per_s,
               result->p50_us, result->p99_us, result->max_us, cpu_us, anonymous_kib, errors);
    }
    fflush(stdout);
}

static void measure(const struct settings *settings, const struct daemon *daemon, struct chatlog *client)
{
    pid_t pid = daemon_pid(daemon);
    if (!settings->json) {
        printf("%llu conversations of %llu messages, %.0f bytes on disk a message\n\n",
               (unsigned long long)settings->dataset.conversations, (unsigned long long)settings->dataset.messages,
               bytes_per_message(daemon, client));
        printf("%-4s %9s %12s %10s %10s %10s %10s %12s %8s\n", "", "in flight", "requests/s", "p50 us", "p99 us",
               "max us", "CPU us", "RssAnon KiB", "errors");
    }
    for (const struct workload *workload = workloads; workload->name; workload++) {
        for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
            double before = process_cpu_us(pid);
            struct load_result result = load_run(client, &settings->dataset, workload, depths[i], settings->seconds);
            double cpu_us = (process_cpu_us(pid) - before) / (result.ops_per_s * settings->seconds);
            row_print(settings, workload, depths[i], &result, cpu_us, process_anonymous_kib(pid));
        }
    }
}

int main(int count, char **arguments)
{
    struct settings settings = settings_parse(count, arguments);
    struct daemon *daemon = daemon_start((const char *const[]){"--connection-requests", "1024", NULL});
    struct chatlog *client;
    struct chatlog_error error;
    if (chatlog_open(daemon_url(daemon), &client, &error)) {
        fprintf(stderr, "bench: %s\n", error.message);
        return 1;
    }
    load_fill(client, &settings.dataset);
    measure(&settings, daemon, client);
    chatlog_close(client);
    int status = daemon_stop(daemon);
    daemon_free(daemon);
    return status;
}
