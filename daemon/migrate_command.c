/* The command line of `chatlogd migrate`, and its reports in words and JSON. */
#include "migrate_command.h"

#include "config.h"
#include "store/maintenance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define MIB (1024.0 * 1024.0)

enum { STATUS_BAD = 1, STATUS_DAMAGED = 2, JSON_TEXT_BYTES = 1024 };

enum action { ACTION_NONE, ACTION_STATUS, ACTION_DRY_RUN, ACTION_VERIFY, ACTION_TO };

struct command {
    enum action action;
    uint32_t to; /* 0: the newest */
    bool accept_loss;
    bool help;
    struct store_config config;
};

static const char usage[] =
    "Usage: chatlogd migrate --data-dir DIR (--status | --dry-run | --verify | --to N [--accept-loss])\n"
    "Key layouts of a data directory. The daemon migrates by itself while it serves (migrate = auto); this is for\n"
    "looking ahead, for looking after, and for going back before an older chatlogd is installed.\n\n"
    "  --status       Prints which layout there is and how a migration stands, as JSON. Changes nothing.\n"
    "  --dry-run      Reads every record and migrates a copy of the first ones in DIR/trial-XXXXXX, which is removed\n"
    "                 again; prints what a migration to the newest layout (with --to N: to N) would bring. The data\n"
    "                 file is not changed.\n"
    "  --verify       Reads every record and compares the counts. Changes nothing.\n"
    "  --to N         Migrates to layout N, here and now. Interrupted, run it again. Refuses to go to a layout that\n"
    "                 cannot say everything there is, unless --accept-loss.\n"
    "  --accept-loss  With --to: go all the same.\n\n"
    "--status, --dry-run and --verify may run beside a daemon; --to needs it stopped.\n"
    "Exit status: 0 done, or sound; 1 it would not fit (--dry-run), something is wrong (--verify);\n"
    "2 damaged records were found (--dry-run); 64 bad option; 78 the data cannot be used or was refused.\n";

static int usage_fail(const char *text, const char *what)
{
    fprintf(stderr, "chatlogd migrate: %s%s; see chatlogd migrate --help\n", text, what);
    return EX_USAGE;
}

static bool layout_parse(const char *text, uint32_t *ret)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '1' || text[0] > '9' || *end != '\0' || number > UINT16_MAX) {
        return false;
    }
    *ret = (uint32_t)number;
    return true;
}

/* Takes the option at *index and what follows it. Returns an exit status, or 0. */
static int option_take(int argc, const char *const *argv, int *index, struct command *command)
{
    static const struct {
        const char *name;
        enum action action;
    } actions[] = {{"--status", ACTION_STATUS}, {"--dry-run", ACTION_DRY_RUN}, {"--verify", ACTION_VERIFY}};
    const char *option = argv[(*index)++];
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(option, actions[i].name) == 0) {
            if (command->action != ACTION_NONE) {
                return usage_fail("one at a time of --status, --dry-run and --verify", "");
            }
            command->action = actions[i].action;
            return 0;
        }
    }
    if (strcmp(option, "--help") == 0) {
        command->help = true;
        return 0;
    }
    if (strcmp(option, "--accept-loss") == 0) {
        command->accept_loss = true;
        return 0;
    }
    bool is_dir = strcmp(option, "--data-dir") == 0;
    if (!is_dir && strcmp(option, "--to") != 0) {
        return usage_fail("there is no option ", option);
    }
    if (*index == argc) {
        return usage_fail(option, " needs a value");
    }
    const char *value = argv[(*index)++];
    if (is_dir) {
        command->config.data_dir = value;
        return 0;
    }
    return layout_parse(value, &command->to) ? 0 : usage_fail("not the number of a layout: ", value);
}

static int command_take(int argc, const char *const *argv, struct command *command)
{
    int status = 0;
    for (int index = 1; index < argc && status == 0;) {
        status = option_take(argc, argv, &index, command);
    }
    if (status || command->help) {
        return status;
    }
    if (!command->config.data_dir) {
        return usage_fail("--data-dir DIR is needed", "");
    }
    if (command->action == ACTION_NONE && command->to != 0) {
        command->action = ACTION_TO;
    }
    if (command->action == ACTION_NONE) {
        return usage_fail("one of --status, --dry-run, --verify and --to N is needed", "");
    }
    if ((command->to != 0 && (command->action == ACTION_STATUS || command->action == ACTION_VERIFY)) ||
        (command->accept_loss && command->action != ACTION_TO)) {
        return usage_fail("--to goes with --dry-run or alone, --accept-loss with --to", "");
    }
    return 0;
}

static int refused(const struct error *error)
{
    fprintf(stderr, "chatlogd migrate: %s\n", error->message);
    return EX_CONFIG;
}

static const char *state_name(enum store_migration_state state)
{
    static const char *const names[] = {[STORE_MIGRATION_NONE] = "none",
                                        [STORE_MIGRATION_MOVING] = "moving",
                                        [STORE_MIGRATION_PAUSED] = "paused",
                                        [STORE_MIGRATION_HALTED] = "halted",
                                        [STORE_MIGRATION_HELD] = "held"};
    return names[state];
}

/* Of texts of our own: quotes and backslashes are all there can be. */
static void json_text(const char *text, char json[JSON_TEXT_BYTES])
{
    size_t length = 0;
    for (; *text && length < JSON_TEXT_BYTES - 3; text++) {
        if (*text == '"' || *text == '\\') {
            json[length++] = '\\';
        }
        json[length++] = *text;
    }
    json[length] = '\0';
}

static int status_run(const struct command *command)
{
    struct store_status status;
    struct error error;
    char text[JSON_TEXT_BYTES];
    if (store_status(&command->config, &status, &error)) {
        return refused(&error);
    }
    const struct store_migration *migration = &status.migration;
    json_text(migration->last_error, text);
    printf("{\"layout\": %" PRIu32 ", \"target\": %" PRIu32 ", \"newest\": %" PRIu32 ",\n"
           " \"users\": %" PRIu64 ", \"conversations\": %" PRIu64 ", \"messages\": %" PRIu64
           ", \"content_bytes\": %" PRIu64 ",\n"
           " \"used_bytes\": %" PRIu64 ", \"file_bytes\": %" PRIu64 ", \"free_bytes\": %" PRIu64
           ", \"quarantine\": %" PRIu64 ", \"removals\": %" PRIu64 ",\n",
           status.layout, status.target, status.newest, status.users, status.conversations, status.messages,
           status.content_bytes, status.used_bytes, status.file_bytes, status.free_bytes, status.quarantine,
           status.removals);
    printf(" \"migration\": {\"state\": \"%s\", \"from\": %" PRIu32 ", \"to\": %" PRIu32
           ", \"messages_total\": %" PRIu64 ", \"messages_moved\": %" PRIu64 ",\n"
           "  \"conversations_total\": %" PRIu64 ", \"conversations_moved\": %" PRIu64 ", \"quarantined\": %" PRIu64
           ",\n  \"start_time_us\": %" PRId64 ", \"finish_time_us\": %" PRId64 ", \"last_error\": \"%s\"}}\n",
           state_name(migration->state), migration->from, migration->to, migration->messages_total,
           migration->messages_moved, migration->conversations_total, migration->conversations_moved,
           migration->quarantined, migration->start_time_us, migration->finish_time_us, text);
    return EX_OK;
}

static void survey_print(const struct store_survey *survey)
{
    printf("records      %" PRIu64 " users, %" PRIu64 " conversations, %" PRIu64 " messages, %" PRIu64
           " message_ids, %" PRIu64 " remembered requests\n",
           survey->users, survey->conversations, survey->messages, survey->message_ids, survey->requests);
    printf("bytes        %.1f MiB of keys and values, %.1f MiB of them content\n", (double)survey->bytes / MIB,
           (double)survey->content_bytes / MIB);
    printf("largest key  %zu bytes\n", survey->largest_key);
    printf("damaged      %" PRIu64 " records, %" PRIu64 " that do not fit others, %" PRIu64
           " that belong to nothing%s\n",
           survey->unreadable, survey->mismatches, survey->strays,
           survey->changed_meanwhile ? " (a daemon wrote meanwhile: totals were not compared)" : "");
    printf("audit trail  %" PRIu64 " events, %" PRIu64 " damaged\n", survey->events, survey->damaged_events);
    for (size_t i = 0; i < survey->finding_count; i++) {
        printf("  %s\n", survey->findings[i]);
    }
}

static bool survey_is_clean(const struct store_survey *survey)
{
    return survey->unreadable == 0 && survey->mismatches == 0 && survey->strays == 0 && survey->damaged_events == 0;
}

static int verify_run(const struct command *command)
{
    struct store_survey survey;
    struct error error;
    if (store_verify(&command->config, &survey, &error)) {
        return refused(&error);
    }
    survey_print(&survey);
    bool clean = survey_is_clean(&survey);
    puts(clean ? "everything is sound" : "something is wrong");
    return clean ? EX_OK : STATUS_BAD;
}

static int dry_run(const struct command *command)
{
    struct store_status status;
    struct store_forecast forecast;
    struct error error;
    if (store_status(&command->config, &status, &error)) {
        return refused(&error);
    }
    uint32_t to = command->to ? command->to : status.newest;
    if (to == status.layout && status.layout == status.target) {
        printf("layout %" PRIu32 " is there already: there is nothing to migrate\n", to);
        return EX_OK;
    }
    if (store_forecast(&command->config, to, &forecast, &error)) {
        return refused(&error);
    }
    printf("layout %" PRIu32 " to %" PRIu32 "; the data file was not changed\n", forecast.from, forecast.to);
    survey_print(&forecast.survey);
    if (to == status.newest) {
        printf("key then     %zu bytes at most\n", forecast.survey.largest_target_key);
    }
    printf("trial        %" PRIu64 " messages copied to a scratch directory, migrated in %.2f s, and removed again\n",
           forecast.trial_messages, forecast.trial_seconds);
    printf("time         %.1f s with the daemon idle, beside live changes ten times that or more\n",
           forecast.predicted_seconds);
    printf("space        file now %.1f MiB, at most %.1f MiB; data then %.1f MiB\n", (double)forecast.file_bytes / MIB,
           (double)forecast.predicted_file_bytes / MIB, (double)forecast.predicted_used_bytes / MIB);
    bool fits = forecast.needed_bytes <= forecast.free_bytes;
    printf("disk         %.1f MiB needed, %.1f MiB free: %s\n", (double)forecast.needed_bytes / MIB,
           (double)forecast.free_bytes / MIB, fits ? "fits" : "does not fit");
    return !fits ? STATUS_BAD : survey_is_clean(&forecast.survey) ? EX_OK : STATUS_DAMAGED;
}

static void line_print(void *arg, enum store_event event, const char *line)
{
    (void)arg, (void)event;
    puts(line);
    fflush(stdout);
}

static int to_run(struct command *command)
{
    struct store_migration migration;
    struct error error;
    command->config.event = line_print;
    if (store_migrate_to(&command->config, command->to, command->accept_loss, &migration, &error)) {
        return refused(&error);
    }
    printf("the data has key layout %" PRIu32 "\n", command->to);
    if (migration.to == command->to) {
        printf("moved %" PRIu64 " messages and %" PRIu64
               " conversations; counts and digests of both sides are equal; %" PRIu64 " records in quarantine\n",
               migration.messages_moved, migration.conversations_moved, migration.quarantined);
    }
    return EX_OK;
}

int migrate_command(int argc, const char *const *argv)
{
    static const struct limits limits = LIMITS_DEFAULT;
    struct command command = {.config = {.limits = &limits,
                                         .map_bytes = CONFIG_MAP_BYTES_DEFAULT,
                                         .disk_reserve_bytes = CONFIG_DISK_RESERVE_DEFAULT}};
    int status = command_take(argc, argv, &command);
    if (status) {
        return status;
    }
    if (command.help) {
        fputs(usage, stdout);
    } else if (command.action == ACTION_STATUS) {
        status = status_run(&command);
    } else if (command.action == ACTION_VERIFY) {
        status = verify_run(&command);
    } else if (command.action == ACTION_DRY_RUN) {
        status = dry_run(&command);
    } else {
        status = to_run(&command);
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? status : EX_IOERR;
}
