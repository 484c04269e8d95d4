/* chatlog_bench_migrate: what a migration from an older layout costs, and what clients notice of it. Makes data of it
 * in a scratch directory, lets $CHATLOGD migrate a copy with nothing else to do, and then the data itself, share by
 * share: before each it is measured under the same load while it holds and while it migrates, so that both see the same
 * data and the same machine. Prints a table beside the goals. Removes what it made. */
#include "bench/migrate_table.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_BYTES = 512,
    OUTPUT_BYTES = 65536,
    MESSAGE_FILE_BYTES = 800, /* of a message in a data file, at most: for the look at the disk */
    FILES = 3,                /* such files at once: source, copy, what a migration adds */
    WINDOW_LOOK_US = 100000,
    MIB = 1024 * 1024,
};

struct settings {
    uint64_t messages;
    unsigned long from; /* layout */
    const char *directory;
    double seconds; /* of a window */
    size_t windows;
    bool compact;
};

static void usage(FILE *out)
{
    fputs("usage: chatlog_bench_migrate [--messages N] [--from LAYOUT] [--directory DIR] [--windows N] [--seconds S]\n"
          "                             [--compact]\n\n"
          "  --messages N     of the data that is migrated, 1000 to 1000000000; default 1000000\n"
          "  --from LAYOUT    that the data is in, older than the newest; default 1\n"
          "  --directory DIR  where the data is made, and removed again; default /var/tmp\n"
          "  --windows N      pairs of windows in which the daemon is under load, holding and migrating; 1 to 20,\n"
          "                   default 6\n"
          "  --seconds S      of a window, at most; default 10\n"
          "  --compact        packs the data with mdb_copy -c (lmdb-utils) first, so that its file has no free room\n",
          out);
}

static struct settings settings_parse(int count, char **arguments)
{
    static const struct option options[] = {{"messages", required_argument, NULL, 'm'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"directory", required_argument, NULL, 'd'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"windows", required_argument, NULL, 'w'},
                                            {"compact", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct settings settings = {.messages = 1000000, .from = 1, .directory = "/var/tmp", .windows = 6, .seconds = 10};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 'm':
            settings.messages = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            settings.from = strtoul(optarg, NULL, 10);
            break;
        case 'd':
            settings.directory = optarg;
            break;
        case 's':
            settings.seconds = strtod(optarg, NULL);
            break;
        case 'w':
            settings.windows = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            settings.compact = true;
            break;
        default:
            usage(option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 64);
        }
    }
    if (settings.messages < 1000 || settings.messages > 1000000000 || settings.from < 1 || settings.from > 99 ||
        strlen(settings.directory) > 100 || !(settings.seconds > 0 && settings.seconds <= 600) ||
        settings.windows < 1 || settings.windows > MIGRATE_WINDOWS_MAX) {
        usage(stderr);
        exit(64);
    }
    return settings;
}

static void space_check(const struct settings *settings)
{
    struct statvfs disk;
    if (statvfs(settings->directory, &disk)) {
        perror(settings->directory);
        exit(1);
    }
    double needed = (double)settings->messages * MESSAGE_FILE_BYTES * FILES / 1e9;
    double free_gb = (double)disk.f_bavail * (double)disk.f_frsize / 1e9;
    fprintf(stderr, "bench: needs at most %.1f GB in %s, which has %.1f GB free\n", needed, settings->directory,
            free_gb);
    if (needed > free_gb) {
        fprintf(stderr, "bench: too little; name another place with --directory, or fewer --messages\n");
        exit(1);
    }
}

/* Runs a program that must succeed. */
static void must_run(const char *const *arguments, char *output)
{
    fprintf(stderr, "bench: %s %s\n", arguments[0], arguments[1] ? arguments[1] : "");
    if (program_run(arguments, output, OUTPUT_BYTES) != 0) {
        fprintf(stderr, "bench: %s failed: %s\n", arguments[0], output);
        exit(1);
    }
}

/* The number behind a word of the output; 0 when there is none. */
static double number_behind(const char *output, const char *word)
{
    const char *at = strstr(output, word);
    return at ? strtod(at + strlen(word), NULL) : 0;
}

static void history_make(const struct settings *settings, const char *data, struct migrate_report *report)
{
    static char output[OUTPUT_BYTES];
    char messages[32];
    char layout[8];
    snprintf(messages, sizeof(messages), "%" PRIu64, settings->messages);
    snprintf(layout, sizeof(layout), "%lu", settings->from);
    const char *program = getenv("CHATLOG_MAKE_HISTORY");
    must_run((const char *const[]){program ? program : "chatlog_make_history", data, messages, layout, NULL}, output);
    report->conversations = strtoull(output, NULL, 10);
    report->from = settings->from;
}

static void forecast_take(const char *data, struct migrate_report *report)
{
    static char output[OUTPUT_BYTES];
    must_run((const char *const[]){getenv("CHATLOGD"), "migrate", "--dry-run", "--data-dir", data, NULL}, output);
    report->predicted_seconds = number_behind(output, "\ntime ");
    report->predicted_bytes = number_behind(output, ", at most ") * MIB;
}

static void idle_measure(const char *data, struct migrate_report *report)
{
    static char output[OUTPUT_BYTES];
    struct chatlog_migration migration;
    struct watched *watched = watched_start(data, "auto");
    report->ready_ms = watched_ready_ms(watched);
    if (!watched_wait_moved(watched, UINT64_MAX, &migration)) {
        exit(1);
    }
    report->seconds = (double)(migration.finish_time_us - migration.start_time_us) / 1e6;
    report->messages = migration.messages_moved;
    chatlog_migration_free(&migration);
    report->idle = watched_look(watched);
    watched_stop(watched);
    must_run((const char *const[]){getenv("CHATLOGD"), "migrate", "--status", "--data-dir", data, NULL}, output);
    report->target_bytes = (uint64_t)number_behind(output, "\"used_bytes\":");
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* How many messages have been moved; UINT64_MAX when all are. */
static uint64_t moved_count(struct watched *watched)
{
    struct chatlog_migration migration;
    if (!watched_wait_moved(watched, 0, &migration)) {
        exit(1);
    }
    uint64_t moved = migration.state == CHATLOG_MIGRATION_NONE ? UINT64_MAX : migration.messages_moved;
    chatlog_migration_free(&migration);
    return moved;
}

/* The load on a daemon for a while, or until it has nothing left to move. */
static void window_run(const struct settings *settings, struct watched *watched, size_t number,
                       struct migrate_report *report, struct migrate_load *load)
{
    bool moves = load == &report->moving;
    load->ready_ms = watched_ready_ms(watched) > load->ready_ms ? watched_ready_ms(watched) : load->ready_ms;
    struct paced *paced = paced_start(watched_url(watched), report->conversations, number);
    double began = now_seconds();
    uint64_t first = moves ? moved_count(watched) : 0;
    uint64_t last = first;
    double passed = 0;
    while (passed < settings->seconds && last != UINT64_MAX) {
        usleep(WINDOW_LOOK_US);
        last = moves ? moved_count(watched) : 0;
        passed = now_seconds() - began;
    }
    struct paced_result result = paced_stop(paced);
    if (moves && first != UINT64_MAX) {
        report->loaded_messages += (last == UINT64_MAX ? report->messages : last) - first;
        report->loaded_seconds += passed;
    }
    load->reads_p99_us[number] = paced_at(&result.reads, 0.99);
    paced_add(&load->all, &result);
}

static void seen_add(struct watched_result *total, const struct watched_result *more)
{
    uint64_t first = total->file_first_bytes ? total->file_first_bytes : more->file_first_bytes;
    uint64_t file = total->file_peak_bytes;
    uint64_t memory = total->anonymous_peak_kib;
    *total = *more;
    total->file_first_bytes = first;
    total->file_peak_bytes = file > more->file_peak_bytes ? file : more->file_peak_bytes;
    total->anonymous_peak_kib = memory > more->anonymous_peak_kib ? memory : more->anonymous_peak_kib;
}

/* A pair of windows; then it migrates up to the share of the next one with nothing else to do. */
static bool pair_run(const struct settings *settings, const char *data, size_t number, struct migrate_report *report)
{
    struct chatlog_migration migration;
    struct watched *watched = watched_start(data, "hold");
    window_run(settings, watched, number, report, &report->held);
    struct watched_result seen = watched_look(watched);
    seen_add(&report->held.seen, &seen);
    watched_stop(watched);
    watched = watched_start(data, "auto");
    window_run(settings, watched, number, report, &report->moving);
    uint64_t share = number + 1 < settings->windows ? report->messages / settings->windows * (number + 1) : UINT64_MAX;
    if (!watched_wait_moved(watched, share, &migration)) {
        exit(1);
    }
    bool more = migration.state != CHATLOG_MIGRATION_NONE;
    chatlog_migration_free(&migration);
    seen = watched_look(watched);
    seen_add(&report->moving.seen, &seen);
    watched_stop(watched);
    return more;
}

static void loaded_measure(const struct settings *settings, const char *data, struct migrate_report *report)
{
    bool more = true;
    while (more) {
        fprintf(stderr, "bench: window %zu of %zu\n", report->windows + 1, settings->windows);
        more = pair_run(settings, data, report->windows++, report);
    }
}

/* Copies the data as the daemon writes it, page by page: the kernel caches a file in pieces as large as its writes, and
 * every later write of a page costs more the larger the piece it is in. */
static void data_copy(const char *from, const char *to)
{
    static char output[OUTPUT_BYTES];
    char input_file[2 * PATH_BYTES];
    char output_file[2 * PATH_BYTES];
    snprintf(input_file, sizeof(input_file), "if=%s/data.mdb", from);
    snprintf(output_file, sizeof(output_file), "of=%s/data.mdb", to);
    must_run((const char *const[]){"mkdir", to, NULL}, output);
    must_run((const char *const[]){"dd", "bs=4096", "status=none", input_file, output_file, NULL}, output);
}

/* Puts a copy without free pages in the place of the data. */
static void compact(const char *data, const char *scratch)
{
    static char output[OUTPUT_BYTES];
    must_run((const char *const[]){"mkdir", scratch, NULL}, output);
    must_run((const char *const[]){"mdb_copy", "-c", data, scratch, NULL}, output);
    must_run((const char *const[]){"rm", "-r", data, NULL}, output);
    must_run((const char *const[]){"mv", scratch, data, NULL}, output);
}

static int measure(const struct settings *settings, const char *scratch)
{
    static char output[OUTPUT_BYTES];
    struct migrate_report report = {0};
    char source[PATH_BYTES];
    char copy[PATH_BYTES];
    snprintf(source, sizeof(source), "%s/source", scratch);
    snprintf(copy, sizeof(copy), "%s/copy", scratch);
    history_make(settings, source, &report);
    if (settings->compact) {
        compact(source, copy);
    }
    forecast_take(source, &report);
    data_copy(source, copy);
    must_run((const char *const[]){"sync", NULL}, output);
    idle_measure(copy, &report);
    must_run((const char *const[]){"rm", "-r", copy, NULL}, output);
    loaded_measure(settings, source, &report);
    migrate_table_print(&report);
    paced_result_free(&report.held.all);
    paced_result_free(&report.moving.all);
    return 0;
}

/* Waits for the process to end, or ends it with everything it has started when this one is told to stop. */
static int measure_wait(pid_t pid, const sigset_t *signals)
{
    int status = 1;
    int signal_number = 0;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        sigwait(signals, &signal_number);
        if (signal_number != SIGCHLD) {
            kill(-pid, SIGKILL);
        }
    }
    kill(-pid, SIGKILL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Another process measures, so that this one can remove what it leaves behind however it ends. */
int main(int count, char **arguments)
{
    struct settings settings = settings_parse(count, arguments);
    static char output[OUTPUT_BYTES];
    char scratch[PATH_BYTES / 2];
    sigset_t signals;
    sigset_t before;
    space_check(&settings);
    snprintf(scratch, sizeof(scratch), "%s/chatlog-bench-XXXXXX", settings.directory);
    if (!mkdtemp(scratch)) {
        perror(scratch);
        return 1;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        exit(measure(&settings, scratch));
    }
    setpgid(pid, pid);
    int status = pid > 0 ? measure_wait(pid, &signals) : 1;
    must_run((const char *const[]){"rm", "-r", scratch, NULL}, output);
    return status;
}
