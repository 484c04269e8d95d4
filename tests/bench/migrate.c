/* chatlog_bench_migrate: what a migration from an older layout costs, and what clients notice of it. Makes data of it
 * in a scratch directory, measures $CHATLOGD on it while it holds and while it migrates, and prints a table beside the
 * goals. Removes what it made. */
#include "bench/paced.h"
#include "bench/watched.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATH_BYTES = 512,
    OUTPUT_BYTES = 65536,
    MESSAGE_FILE_BYTES = 800, /* of a message in a data file, at most: for the look at the disk */
    FILES = 3,                /* such files at once: source, copy, what a migration adds */
    QUIET_SECONDS = 10,       /* of the load while nothing migrates */
    MIB = 1024 * 1024,
};

struct settings {
    uint64_t messages;
    unsigned long from; /* layout */
    const char *directory;
    double quiet_seconds;
    bool compact;
};

/* What is measured. */
struct report {
    unsigned long from;
    uint64_t conversations;
    uint64_t messages;
    double hold_ready_ms;
    double ready_ms;
    double loaded_ready_ms;
    uint64_t anonymous_kib; /* of a daemon that holds, at its largest under the load */
    double seconds;         /* of the migration with the daemon idle */
    double loaded_seconds;
    struct watched_result idle;
    struct watched_result loaded;
    struct paced_result quiet;
    struct paced_result busy;
    double predicted_seconds; /* by --dry-run; 0: it said nothing */
    double predicted_bytes;
};

static void usage(FILE *out)
{
    fputs("usage: chatlog_bench_migrate [--messages N] [--from LAYOUT] [--directory DIR] [--seconds S] [--compact]\n\n"
          "  --messages N     of the data that is migrated, 1000 to 1000000000; default 1000000\n"
          "  --from LAYOUT    that the data is in, older than the newest; default 1\n"
          "  --directory DIR  where the data is made, and removed again; default /var/tmp\n"
          "  --seconds S      of the load on the daemon that holds; default 10\n"
          "  --compact        packs the data with mdb_copy -c (lmdb-utils) first, so that its file has no free room\n",
          out);
}

static struct settings settings_parse(int count, char **arguments)
{
    static const struct option options[] = {{"messages", required_argument, NULL, 'm'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"directory", required_argument, NULL, 'd'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"compact", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct settings settings = {
        .messages = 1000000, .from = 1, .directory = "/var/tmp", .quiet_seconds = QUIET_SECONDS};
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
            settings.quiet_seconds = strtod(optarg, NULL);
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
        strlen(settings.directory) > 100 || !(settings.quiet_seconds > 0 && settings.quiet_seconds <= 3600)) {
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

static void history_make(const struct settings *settings, const char *data, struct report *report)
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

/* The load on a daemon that leaves the data as it is: what the others are compared with. */
static void quiet_measure(const struct settings *settings, const char *data, struct report *report)
{
    struct watched *watched = watched_start(data, "hold");
    report->hold_ready_ms = watched_ready_ms(watched);
    struct paced *paced = paced_start(watched_url(watched), report->conversations);
    usleep((useconds_t)(settings->quiet_seconds * 1e6));
    report->quiet = paced_stop(paced);
    report->anonymous_kib = watched_look(watched).anonymous_peak_kib;
    watched_stop(watched);
}

static void forecast_take(const char *data, struct report *report)
{
    static char output[OUTPUT_BYTES];
    must_run((const char *const[]){getenv("CHATLOGD"), "migrate", "--dry-run", "--data-dir", data, NULL}, output);
    report->predicted_seconds = number_behind(output, "\ntime ");
    report->predicted_bytes = number_behind(output, ", at most ") * MIB;
}

/* Lets it migrate; returns how long that took. */
static double migration_wait(struct watched *watched, uint64_t *ret_messages)
{
    struct chatlog_migration migration;
    if (!watched_wait_migrated(watched, &migration)) {
        exit(1);
    }
    double seconds = (double)(migration.finish_time_us - migration.start_time_us) / 1e6;
    *ret_messages = migration.messages_moved;
    chatlog_migration_free(&migration);
    return seconds;
}

static void idle_measure(const char *data, struct report *report)
{
    struct watched *watched = watched_start(data, "auto");
    report->ready_ms = watched_ready_ms(watched);
    report->seconds = migration_wait(watched, &report->messages);
    report->idle = watched_look(watched);
    watched_stop(watched);
}

static void loaded_measure(const char *data, struct report *report)
{
    uint64_t messages;
    struct watched *watched = watched_start(data, "auto");
    report->loaded_ready_ms = watched_ready_ms(watched);
    struct paced *paced = paced_start(watched_url(watched), report->conversations);
    report->loaded_seconds = migration_wait(watched, &messages);
    report->busy = paced_stop(paced);
    report->loaded = watched_look(watched);
    watched_stop(watched);
}

/* ---- The table ---- */

static void row(const char *what, const char *goal, bool met, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void row(const char *what, const char *goal, bool met, const char *format, ...)
{
    char measured[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(measured, sizeof(measured), format, arguments);
    va_end(arguments);
    printf("%-46s %-26s %-38s %s\n", what, goal, measured, met ? "met" : "MISSED");
}

static double peak_ratio(const struct watched_result *seen)
{
    uint64_t larger = seen->file_first_bytes > seen->file_last_bytes ? seen->file_first_bytes : seen->file_last_bytes;
    return (double)seen->file_peak_bytes / (double)larger;
}

static void file_row(const char *what, const struct watched_result *seen)
{
    double ratio = peak_ratio(seen);
    row(what, "<= 1.10 x", ratio <= 1.10, "%.3f x (%.0f, %.0f, %.0f MB)", ratio, (double)seen->file_first_bytes / 1e6,
        (double)seen->file_peak_bytes / 1e6, (double)seen->file_last_bytes / 1e6);
}

static void memory_row(const char *what, const struct watched_result *seen, uint64_t before_kib)
{
    double mib = ((double)seen->anonymous_peak_kib - (double)before_kib) / 1024;
    row(what, "<= 32 MiB", mib <= 32, "%.1f MiB", mib);
}

static void latency_rows(const struct report *report)
{
    const struct paced_latency *quiet = &report->quiet.reads;
    const struct paced_latency *busy = &report->busy.reads;
    row("newest 50, p99, migrating / held", "<= 1.25 x (goal 1.1 x)", busy->p99_us <= 1.25 * quiet->p99_us,
        "%.2f x (%.0f / %.0f us)", busy->p99_us / quiet->p99_us, busy->p99_us, quiet->p99_us);
    printf("%-46s %-26s %.2f x (%.0f / %.0f us)\n", "newest 50, p50, migrating / held", "",
           busy->p50_us / quiet->p50_us, busy->p50_us, quiet->p50_us);
    quiet = &report->quiet.appends;
    busy = &report->busy.appends;
    row("append, p99, migrating - held", "<= 20 ms more", busy->p99_us - quiet->p99_us <= 20000,
        "%.1f ms more (%.1f, %.1f)", (busy->p99_us - quiet->p99_us) / 1e3, busy->p99_us / 1e3, quiet->p99_us / 1e3);
    printf("%-46s %-26s %.1f ms (held %.1f)\n", "append, longest while migrating", "goal 50 ms", busy->max_us / 1e3,
           quiet->max_us / 1e3);
}

static void forecast_rows(const struct report *report)
{
    double time = report->predicted_seconds / report->seconds;
    double space = report->predicted_bytes / (double)report->idle.file_peak_bytes;
    row("--dry-run: seconds, predicted / real", "within 20 %", time >= 0.8 && time <= 1.2, "%.2f (%.1f / %.1f s)", time,
        report->predicted_seconds, report->seconds);
    row("--dry-run: largest file, predicted / real", "within 20 %", space >= 0.8 && space <= 1.2,
        "%.2f (%.0f / %.0f MB)", space, report->predicted_bytes / 1e6, (double)report->idle.file_peak_bytes / 1e6);
}

static void report_print(const struct report *report)
{
    double rate = (double)report->messages / report->seconds;
    printf("\n%" PRIu64 " messages in %" PRIu64 " conversations, layout %lu; load: %d reads and %d appends a second\n"
           "(held: %zu and %zu, migrating: %zu and %zu)\n\n",
           report->messages, report->conversations, report->from, PACED_READS, PACED_APPENDS, report->quiet.reads.count,
           report->quiet.appends.count, report->busy.reads.count, report->busy.appends.count);
    row("exec to first answer, migration due", "<= 1,000 ms",
        report->ready_ms <= 1000 && report->loaded_ready_ms <= 1000, "%.0f and %.0f ms (held: %.0f)", report->ready_ms,
        report->loaded_ready_ms, report->hold_ready_ms);
    row("messages a second, daemon idle", ">= 500,000", rate >= 500000, "%.0f (%.2f s)", rate, report->seconds);
    printf("%-46s %-26s %.0f (%.2f s)\n", "messages a second, under load", "",
           (double)report->messages / report->loaded_seconds, report->loaded_seconds);
    file_row("peak file / larger of both, idle", &report->idle);
    file_row("peak file / larger of both, under load", &report->loaded);
    latency_rows(report);
    memory_row("extra RssAnon, idle", &report->idle, report->anonymous_kib);
    memory_row("extra RssAnon, under load", &report->loaded, report->anonymous_kib);
    forecast_rows(report);
    if (report->quiet.errors + report->busy.errors > 0) {
        printf("%" PRIu64 " requests failed: %s%s\n", report->quiet.errors + report->busy.errors,
               report->quiet.first_error, report->busy.first_error);
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
    struct report report = {0};
    char source[PATH_BYTES];
    char copy[PATH_BYTES];
    snprintf(source, sizeof(source), "%s/source", scratch);
    snprintf(copy, sizeof(copy), "%s/copy", scratch);
    history_make(settings, source, &report);
    quiet_measure(settings, source, &report);
    if (settings->compact) {
        compact(source, copy);
    }
    forecast_take(source, &report);
    data_copy(source, copy);
    must_run((const char *const[]){"sync", NULL}, output);
    idle_measure(copy, &report);
    must_run((const char *const[]){"rm", "-r", copy, NULL}, output);
    loaded_measure(source, &report);
    report_print(&report);
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
