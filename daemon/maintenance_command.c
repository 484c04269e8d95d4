#include "maintenance_command.h"

#include "config.h"
#include "store/maintenance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { STATUS_WRONG = 1, STATUS_UNREADABLE = 2 };

struct command {
    const char *name;
    const char *usage;
    const char *target; /* the option that says what is read or made */
    bool takes_from;
    int (*run)(struct store_config *config, const char *from);
};

static void finding_print(void *arg, enum store_event event, const char *finding)
{
    (void)arg;
    (void)event;
    puts(finding);
}

static int refused(const char *name, const struct error *error, int status)
{
    fprintf(stderr, "chatlogd %s: %s\n", name, error->message);
    return status;
}

static int check_run(struct store_config *config, const char *from)
{
    struct store_survey survey;
    struct error error;
    (void)from;
    config->event = finding_print;
    if (store_verify(config, &survey, &error)) {
        return refused("check", &error, STATUS_UNREADABLE);
    }
    uint64_t wrong = survey.unreadable + survey.mismatches + survey.strays + survey.damaged_events;
    printf("%" PRIu64 " users, %" PRIu64 " conversations, %" PRIu64 " messages, %" PRIu64 " message_ids, %" PRIu64
           " remembered requests, %" PRIu64 " events\n",
           survey.users, survey.conversations, survey.messages, survey.message_ids, survey.requests, survey.events);
    printf("%" PRIu64 " records are damaged, %" PRIu64 " do not fit others, %" PRIu64 " belong to nothing, %" PRIu64
           " events are damaged%s\n",
           survey.unreadable, survey.mismatches, survey.strays, survey.damaged_events,
           survey.changed_meanwhile ? " (a daemon wrote meanwhile: totals were not compared)" : "");
    puts(wrong == 0 ? "everything is sound" : "something is wrong");
    return wrong == 0 ? EX_OK : STATUS_WRONG;
}

static int restore_run(struct store_config *config, const char *from)
{
    struct store_backup backup;
    struct error error;
    if (store_restore(config, from, &backup, &error)) {
        return refused("restore", &error, EX_CONFIG);
    }
    printf("%s has the data of commit %" PRIu64 ": %" PRIu64 " users, %" PRIu64 " conversations, %" PRIu64
           " messages, key layout %" PRIu64 "\n",
           config->data_dir, backup.commit_id, backup.users, backup.conversations, backup.messages, backup.layout);
    if (backup.findings > 0) {
        printf("the data had %" PRIu64 " damaged records when the backup was made; chatlogd check names them\n",
               backup.findings);
    }
    return EX_OK;
}

static int salvage_run(struct store_config *config, const char *from)
{
    struct store_salvage salvage;
    struct error error;
    config->event = finding_print;
    if (store_salvage(config, from, &salvage, &error)) {
        return refused("salvage", &error, EX_CONFIG);
    }
    printf("%s has %" PRIu64 " conversations, %" PRIu64 " messages and %" PRIu64 " events; %" PRIu64
           " conversations lost a name, %" PRIu64 " records or pages were lost\n",
           config->data_dir, salvage.conversations, salvage.messages, salvage.events, salvage.renamed, salvage.lost);
    return salvage.lost + salvage.renamed == 0 ? EX_OK : STATUS_WRONG;
}

static const struct command commands[] = {
    {"check",
     "Usage: chatlogd check --data-dir DIR\n"
     "Looks at every record: checksums, counts, order, indexes both ways. Changes nothing, and may run beside a "
     "daemon;\n"
     "then totals are compared only if nothing was changed meanwhile. Prints what is wrong, a line each.\n\n"
     "Exit status: 0 everything is sound; 1 something is wrong; 2 it could not be looked at; 64 bad option.\n",
     "--data-dir", false, check_run},
    {"restore",
     "Usage: chatlogd restore --from BACKUP --data-dir DIR\n"
     "Makes the data directory DIR, which must be new or empty, of a backup: the directory that `chatlog backup` "
     "made.\n"
     "Its file is compared with its manifest first. Interrupted, run it again.\n\n"
     "Exit status: 0 done; 64 bad option; 78 refused, and nothing was restored.\n",
     "--data-dir", true, restore_run},
    {"salvage",
     "Usage: chatlogd salvage --from DIR --to NEW-DIR\n"
     "Makes the data directory NEW-DIR, which must not exist, of everything that can be read in the damaged DIR, and\n"
     "lists what cannot. DIR is not changed; no daemon should run on it. A conversation or user whose name is lost "
     "gets\n"
     "one of its number. Restore a backup instead if there is one that is new enough.\n\n"
     "Exit status: 0 all was readable; 1 something was lost; 64 bad option; 78 nothing could be salvaged.\n",
     "--to", true, salvage_run},
};

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool maintenance_is_command(const char *name)
{
    return command_find(name) != NULL;
}

static int usage_fail(const struct command *command, const char *text, const char *what)
{
    fprintf(stderr, "chatlogd %s: %s%s; see chatlogd %s --help\n", command->name, text, what, command->name);
    return EX_USAGE;
}

int maintenance_command(int argc, const char *const *argv)
{
    static const struct limits limits = LIMITS_DEFAULT;
    const struct command *command = command_find(argv[0]);
    const char *from = NULL;
    struct store_config config = {
        .limits = &limits, .map_bytes = CONFIG_MAP_BYTES_DEFAULT, .disk_reserve_bytes = CONFIG_DISK_RESERVE_DEFAULT};
    for (int i = 1; i < argc; i += 2) {
        bool is_from = command->takes_from && strcmp(argv[i], "--from") == 0;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(command->usage, stdout);
            return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
        }
        if (!is_from && strcmp(argv[i], command->target) != 0) {
            return usage_fail(command, "there is no option ", argv[i]);
        }
        if (i + 1 == argc) {
            return usage_fail(command, argv[i], " needs a value");
        }
        *(is_from ? &from : &config.data_dir) = argv[i + 1];
    }
    if (!config.data_dir || (command->takes_from && !from)) {
        return usage_fail(command, command->target, command->takes_from ? " and --from are needed" : " is needed");
    }
    int status = command->run(&config, from);
    return fflush(stdout) == 0 && !ferror(stdout) ? status : EX_IOERR;
}
