#include "bench/settings.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUICK_CONVERSATIONS = 10000,
    CONVERSATIONS = 100000,
    CONVERSATIONS_MAX = 1000000,
    QUICK_APPENDS = 400000,
    APPENDS = 4000000,
    APPENDS_MAX = 100000000,
    QUICK_ROUNDS = 3,
    ROUNDS = 5
};

static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                        {"growth", no_argument, NULL, 'g'},
                                        {"fold", no_argument, NULL, 'f'},
                                        {"beside", no_argument, NULL, 'b'},
                                        {"conversations", required_argument, NULL, 'c'},
                                        {"appends", required_argument, NULL, 'a'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"rounds", required_argument, NULL, 'r'},
                                        {"systems", required_argument, NULL, 'y'},
                                        {"workloads", required_argument, NULL, 'w'},
                                        {"text", required_argument, NULL, 't'},
                                        {"directory", required_argument, NULL, 'd'},
                                        {"json", no_argument, NULL, 'j'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

static void usage(FILE *out)
{
    fputs("usage: ./dev bench [OPTION...]\n\n"
          "Measures chatlogd beside other systems: the same load, the same machine, in turn.\n\n"
          "  --quick            less data, shorter measurements: an answer within three minutes\n"
          "  --conversations N  of 50 messages, a multiple of 100; default 100000 (quick: 10000)\n"
          "  --seconds S        for each measurement; default 3 (quick: 0.5)\n"
          "  --rounds N         of each row; default 5 (quick: 3)\n"
          "  --systems A,B      only these\n"
          "  --workloads A,B    only these\n"
          "  --text FILE        JSON lines to cut messages from; default: made-up words\n"
          "  --directory DIR    for all data; ./dev bench makes one and removes it\n"
          "  --json             one object a line\n\n"
          "Other programmes instead of the comparison:\n"
          "  --growth           chatlogd with 100,000 and 10,000,000 messages; conversations of 1,000 and 1,000,000\n"
          "  --fold             chatlogd and Redis under a long run of appends, 256 in flight\n"
          "  --appends N        so many; default 4000000 (quick: 400000)\n"
          "  --beside           how long chatlogd's readers wait while 64 writers append\n\nWorkloads:\n",
          out);
    for (const struct workload *workload = workloads; workload->name; workload++) {
        fprintf(out, "  %-12s %s\n", workload->name, workload->meaning);
    }
    fputs("\nSystems:\n", out);
    for (size_t i = 0; i < SYSTEMS; i++) {
        fprintf(out, "  %-12s %s\n", systems[i]->name, systems[i]->meaning);
    }
}

static void __attribute__((noreturn)) refuse(const char *what)
{
    fprintf(stderr, "bench: %s; --help lists what is allowed\n", what);
    exit(64);
}

bool settings_name_in(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

static size_t names_count(const char *list)
{
    size_t count = 1;
    for (; *list; list++) {
        count += *list == ',';
    }
    return count;
}

static void systems_choose(struct settings *settings, const char *list)
{
    size_t chosen = 0;
    for (size_t i = 0; i < SYSTEMS; i++) {
        settings->systems[i] = settings_name_in(list, systems[i]->name);
        chosen += settings->systems[i];
    }
    if (chosen != names_count(list)) {
        refuse("--systems names one there is not");
    }
}

static void workloads_choose(struct settings *settings, const char *list)
{
    size_t chosen = 0;
    for (const struct workload *workload = workloads; workload->name; workload++) {
        chosen += settings_name_in(list, workload->name);
    }
    if (chosen != names_count(list)) {
        refuse("--workloads names one there is not");
    }
    settings->workloads = list;
}

static uint64_t number_parse(const char *text, uint64_t least, uint64_t most, const char *refusal)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || number < least || number > most) {
        refuse(refusal);
    }
    return number;
}

static double seconds_parse(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 0.1 && seconds <= 600)) {
        refuse("--seconds must be 0.1 to 600");
    }
    return seconds;
}

static void option_take(struct settings *settings, int option)
{
    switch (option) {
    case 'q':
        break; /* was looked for first */
    case 'g':
        settings->programme = PROGRAMME_GROWTH;
        break;
    case 'f':
        settings->programme = PROGRAMME_FOLD;
        break;
    case 'b':
        settings->programme = PROGRAMME_BESIDE;
        break;
    case 'c':
        settings->conversations = number_parse(optarg, DATASET_USER_CONVERSATIONS, CONVERSATIONS_MAX,
                                               "--conversations must be 100 to 1000000");
        break;
    case 'a':
        settings->appends = number_parse(optarg, 1, APPENDS_MAX, "--appends must be 1 to 100000000");
        break;
    case 's':
        settings->seconds = seconds_parse(optarg);
        break;
    case 'r':
        settings->rounds = (unsigned)number_parse(optarg, 1, SETTINGS_ROUNDS_MAX, "--rounds must be 1 to 99");
        break;
    case 'y':
        systems_choose(settings, optarg);
        break;
    case 'w':
        workloads_choose(settings, optarg);
        break;
    case 't':
        settings->text = optarg;
        break;
    case 'd':
        settings->directory = optarg;
        break;
    case 'j':
        settings->json = true;
        break;
    default:
        usage(option == 'h' ? stdout : stderr);
        exit(option == 'h' ? 0 : 64);
    }
}

/* --quick changes what the other options' defaults are, wherever it stands. */
static struct settings settings_default(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--quick") == 0) {
            return (struct settings){
                .conversations = QUICK_CONVERSATIONS, .appends = QUICK_APPENDS, .rounds = QUICK_ROUNDS, .seconds = 0.5};
        }
    }
    return (struct settings){.conversations = CONVERSATIONS, .appends = APPENDS, .rounds = ROUNDS, .seconds = 3};
}

struct settings settings_parse(int count, char **arguments)
{
    struct settings settings = settings_default(count, arguments);
    for (size_t i = 0; i < SYSTEMS; i++) {
        settings.systems[i] = true;
    }
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        option_take(&settings, option);
    }
    if (optind < count || !settings.directory) {
        refuse(optind < count ? "there are only options" : "--directory is needed");
    }
    if (settings.conversations % DATASET_USER_CONVERSATIONS != 0) {
        refuse("--conversations must be a multiple of 100");
    }
    return settings;
}
