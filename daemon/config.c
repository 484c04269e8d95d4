/* The command line, the order in which sources count, and what must fit together. */
#include "config_options.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sysexits.h>

/* Options that are not settings: they have no place in a file. */
static const struct command {
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *meaning;
    enum config_action action;
} commands[] = {
    {"config", "FILE", "Reads settings from FILE; the command line wins over it.", CONFIG_RUN},
    {"print-config", NULL, "Prints the settings in force as a configuration file, and exits.", CONFIG_PRINT},
    {"help", NULL, "Prints this, and exits.", CONFIG_HELP},
    {"version", NULL, "Prints the version, and exits.", CONFIG_VERSION},
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(*commands), MESSAGE_ROOM = 128 * 1024, CONFIG_LISTS_MAX = 8 };

/* Two settings that must fit: lower * factor + room <= upper. */
static const struct relation {
    const char *lower;
    const char *upper;
    size_t lower_offset;
    size_t upper_offset;
    uint64_t factor;
    uint64_t room;
    const char *words;
} relations[] = {
    {"message-bytes", "request-bytes", offsetof(struct config, limits.message_bytes),
     offsetof(struct config, limits.request_bytes), 1, MESSAGE_ROOM,
     "request-bytes must be at least message-bytes + 128K: a request carries metadata and IDs too"},
    {"request-bytes", "queue-bytes", offsetof(struct config, limits.request_bytes),
     offsetof(struct config, limits.queue_bytes), 2, 0,
     "queue-bytes must be at least twice request-bytes: a request must find room in the queue"},
    {"connection-requests", "requests", offsetof(struct config, limits.connection_requests),
     offsetof(struct config, limits.requests), 1, 0, "requests must be at least connection-requests"},
};

/* One "--name", "--name=value" or "--name value" of the command line. */
struct argument {
    char name[CONFIG_NAME_BYTES];
    const char *value; /* NULL: none was given */
};

static int __attribute__((format(printf, 2, 3))) usage_fail(struct config_error *error, const char *format, ...)
{
    va_list arguments;
    error->exit_status = EX_USAGE;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return -1;
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Takes the argument at *index and moves *index past it. */
static int argument_take(int argc, const char *const *argv, int *index, struct argument *ret_argument,
                         struct config_error *error)
{
    const char *text = argv[(*index)++];
    size_t length = strncmp(text, "--", 2) == 0 ? strcspn(text + 2, "=") : 0;
    if (length == 0) {
        return usage_fail(error, "\"%.100s\" is not an option: options begin with --; see chatlogd --help", text);
    }
    struct config_option option;
    struct argument argument = {.value = text[2 + length] == '=' ? text + 2 + length + 1 : NULL};
    snprintf(argument.name, sizeof(argument.name), "%.*s", (int)length, text + 2);
    const struct command *command = command_find(argument.name);
    if (length >= sizeof(argument.name) || (!command && !config_option_find(argument.name, &option))) {
        return usage_fail(error, "there is no option --%.*s; see chatlogd --help", (int)(length < 100 ? length : 100),
                          text + 2);
    }
    bool wants_value = !command || command->argument;
    if (wants_value && !argument.value) {
        if (*index == argc) {
            return usage_fail(error, "--%s needs a value", argument.name);
        }
        argument.value = argv[(*index)++];
    } else if (!wants_value && argument.value) {
        return usage_fail(error, "--%s takes no value", argument.name);
    }
    *ret_argument = argument;
    return 0;
}

/* First pass: is every word an option, which file is to be read, what is to be done. */
static int commands_take(int argc, const char *const *argv, const char **ret_file, enum config_action *ret_action,
                         struct config_error *error)
{
    struct argument argument;
    for (int index = 1; index < argc;) {
        if (argument_take(argc, argv, &index, &argument, error)) {
            return -1;
        }
        const struct command *command = command_find(argument.name);
        if (command && command->argument) {
            *ret_file = argument.value;
        } else if (command && command->action > *ret_action) {
            *ret_action = command->action;
        }
    }
    return 0;
}

/* True when the list was not given before: what is given takes the place of the default or of the file's. */
static bool list_first(const struct list *list, const struct list *given[CONFIG_LISTS_MAX])
{
    size_t i = 0;
    while (given[i] && given[i] != list) {
        i++;
        assert(i < CONFIG_LISTS_MAX);
    }
    bool first = !given[i];
    given[i] = list;
    return first;
}

/* Second pass: the settings. */
static int settings_take(int argc, const char *const *argv, struct config *config, struct config_error *error)
{
    const struct list *given[CONFIG_LISTS_MAX] = {NULL};
    struct argument argument;
    struct config_option option;
    char why[CONFIG_TEXT_BYTES];
    for (int index = 1; index < argc;) {
        if (argument_take(argc, argv, &index, &argument, error)) {
            return -1;
        }
        if (!config_option_find(argument.name, &option)) {
            continue; /* a command */
        }
        if (option.kind == CONFIG_LIST && list_first(option.list, given)) {
            config_list_clear(option.list, config);
        }
        if (!config_option_set(&option, argument.value, config, why)) {
            return usage_fail(error, "--%s %.200s: %s", option.name, argument.value, why);
        }
    }
    return 0;
}

static uint64_t number_at(const struct config *config, size_t offset)
{
    uint64_t number;
    memcpy(&number, (const char *)config + offset, sizeof(number));
    return number;
}

static int whole_check(const struct config *config, const char *file, struct config_error *error)
{
    error->exit_status = file ? EX_CONFIG : EX_USAGE;
    const char *prefix = file ? file : "";
    const char *colon = file ? ": " : "";
    if (config->data_dir[0] == '\0') {
        snprintf(error->message, sizeof(error->message),
                 "%.200s%sdata-dir is not set: give --data-dir DIR or set it in the configuration file", prefix, colon);
        return -1;
    }
    for (size_t i = 0; i < config->url_count; i++) {
        if (!server_url_is_local(config->urls[i]) && config->token_key_count == 0) {
            snprintf(error->message, sizeof(error->message),
                     "%.200s%slisten = %s: other machines can reach it, so token-key must be set too", prefix, colon,
                     config->urls[i]);
            return -1;
        }
    }
    for (size_t i = 0; i < sizeof(relations) / sizeof(*relations); i++) {
        const struct relation *one = &relations[i];
        uint64_t lower = number_at(config, one->lower_offset);
        uint64_t upper = number_at(config, one->upper_offset);
        if (lower * one->factor + one->room > upper) { /* the caps keep this far from 2^64 */
            snprintf(error->message, sizeof(error->message), "%.200s%s%s = %" PRIu64 " and %s = %" PRIu64 ": %s",
                     prefix, colon, one->lower, lower, one->upper, upper, one->words);
            return -1;
        }
    }
    return 0;
}

int config_load(int argc, const char *const *argv, struct config *ret_config, enum config_action *ret_action,
                struct config_error *error)
{
    const char *file = NULL;
    enum config_action action = CONFIG_RUN;
    if (commands_take(argc, argv, &file, &action, error)) {
        return -1;
    }
    if (action == CONFIG_HELP || action == CONFIG_VERSION) {
        *ret_action = action;
        return 0;
    }
    struct config config = config_defaults();
    if ((file && config_file_load(file, &config, error)) || settings_take(argc, argv, &config, error) ||
        whole_check(&config, file, error)) {
        return -1;
    }
    *ret_config = config;
    *ret_action = action;
    return 0;
}

static void text_comment(FILE *out, const struct config_option *option)
{
    char range[CONFIG_TEXT_BYTES];
    config_option_range(option, range);
    fprintf(out, "\n# %s\n# Allowed: %s.\n", option->meaning, range);
}

void config_print(const struct config *config, FILE *out)
{
    struct config_option option;
    char text[CONFIG_TEXT_BYTES];
    fputs("# Configuration of chatlogd: chatlogd --config FILE. A # begins a comment line.\n[chatlogd]\n", out);
    for (size_t i = 0; config_option_at(i, &option); i++) {
        text_comment(out, &option);
        if (option.kind == CONFIG_PATH) {
            const char *path = (const char *)config + option.offset;
            fprintf(out, path[0] ? "%s = %s\n" : "#%s =%s\n", option.name, path);
            continue;
        }
        if (option.kind != CONFIG_LIST) {
            config_option_format(&option, config, text);
            fprintf(out, "%s = %s\n", option.name, text);
            continue;
        }
        const char *entry;
        for (size_t one = 0; (entry = config_list_at(option.list, config, one)); one++) {
            fprintf(out, "%s = %s\n", option.name, entry);
        }
        if (!config_list_at(option.list, config, 0)) {
            fprintf(out, "#%s =\n", option.name);
        }
    }
}

static void default_help(const struct config_option *option, const struct config *defaults, FILE *out)
{
    char text[CONFIG_TEXT_BYTES];
    const char *entry = option->kind == CONFIG_LIST ? config_list_at(option->list, defaults, 0) : NULL;
    if (entry) {
        fprintf(out, " Default: %s.\n", entry);
    } else if (option->kind != CONFIG_PATH && option->kind != CONFIG_LIST) {
        config_option_format(option, defaults, text);
        fprintf(out, " Default: %s.\n", text);
    } else {
        fputc('\n', out);
    }
}

void config_help(FILE *out)
{
    struct config_option option;
    char range[CONFIG_TEXT_BYTES];
    struct config defaults = config_defaults();
    fputs("Usage: chatlogd --data-dir DIR [--OPTION VALUE | --OPTION=VALUE]...\n"
          "       chatlogd (migrate | check | restore | salvage) --help\n"
          "Keeps chat history for chatbots. Stays in the foreground; logs to standard error; SIGTERM stops it,\n"
          "SIGHUP makes it read the token keys again.\n\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  --%s%s%s\n      %s\n", commands[i].name, commands[i].argument ? " " : "",
                commands[i].argument ? commands[i].argument : "", commands[i].meaning);
    }
    fputs("\nSettings, also as \"name = value\" under [chatlogd] in FILE:\n\n", out);
    for (size_t i = 0; config_option_at(i, &option); i++) {
        config_option_range(&option, range);
        fprintf(out, "  --%s VALUE\n      %s\n      Allowed: %s.", option.name, option.meaning, range);
        default_help(&option, &defaults, out);
    }
    fputs("\nExit status: 0 stopped as told; 64 bad option; 78 bad configuration, or the data or a listen address\n"
          "cannot be used; 74 the disk failed.\n",
          out);
}
