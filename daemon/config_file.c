/* The configuration file: INI as libinih reads it, with every setting under [chatlogd]. Knows no option by name. */
#include "config_options.h"

#include <errno.h>
#include <ini.h>
#include <string.h>
#include <sysexits.h>

#define SECTION "chatlogd"

enum {
    LINE_BYTES = TOKEN_KEY_SPEC_BYTES + CONFIG_NAME_BYTES + 16, /* the longest value there is */
    OPTIONS_MAX = 64,                                           /* more than there are */
};

struct reading {
    FILE *file;
    const char *path;
    struct config *config;
    struct config_error *error;
    unsigned line;
    bool failed;
    bool given[OPTIONS_MAX];
};

static void reading_fail(struct reading *reading, const char *name, const char *value, const char *why)
{
    if (reading->failed) {
        return; /* the first is told */
    }
    reading->failed = true;
    reading->error->exit_status = EX_CONFIG;
    snprintf(reading->error->message, sizeof(reading->error->message), "%.200s:%u: %.40s%s%.100s%s%.200s",
             reading->path, reading->line, name ? name : "", value ? " = " : "", value ? value : "", name ? ": " : "",
             why);
}

/* fgets for libinih that counts lines (it does not tell the handler) and lets no line be cut or hide behind a NUL. */
static char *line_read(char *line, int size, void *arg)
{
    struct reading *reading = arg;
    int length = 0;
    int byte = EOF;
    reading->line++;
    while (!reading->failed && length < size - 1 && (byte = getc(reading->file)) != EOF) {
        if (byte == '\0') {
            reading_fail(reading, NULL, NULL, "a NUL byte does not belong in a configuration file");
            return NULL;
        }
        line[length++] = (char)byte;
        if (byte == '\n') {
            break;
        }
    }
    if (length == size - 1 && byte != '\n') {
        reading_fail(reading, NULL, NULL, "the line is too long");
        return NULL;
    }
    line[length] = '\0';
    return length > 0 ? line : NULL;
}

/* A list that the file sets takes the place of the default one. */
static bool option_first(struct reading *reading, size_t index)
{
    bool first = !reading->given[index];
    reading->given[index] = true;
    return first;
}

static int setting_take(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *reading = arg;
    struct config_option option = {.kind = CONFIG_PATH};
    char why[CONFIG_TEXT_BYTES];
    if (strcmp(section, SECTION) != 0) {
        reading_fail(reading, name, NULL, "settings belong under [" SECTION "]");
        return 1;
    }
    size_t index = 0;
    while (config_option_at(index, &option) && strcmp(option.name, name) != 0) {
        index++;
    }
    if (strcmp(option.name, name) != 0) {
        reading_fail(reading, name, NULL, "there is no such option; chatlogd --help lists them");
        return 1;
    }
    bool first = option_first(reading, index);
    if (!first && option.kind != CONFIG_LIST) {
        reading_fail(reading, name, NULL, "it is set twice");
        return 1;
    }
    if (first && option.kind == CONFIG_LIST) {
        config_list_clear(option.list, reading->config);
    }
    if (!config_option_set(&option, value, reading->config, why)) {
        reading_fail(reading, name, value, why);
    }
    return 1;
}

int config_file_load(const char *path, struct config *config, struct config_error *error)
{
    struct reading reading = {.path = path, .config = config, .error = error};
    reading.file = fopen(path, "re");
    if (!reading.file) {
        error->exit_status = EX_CONFIG;
        snprintf(error->message, sizeof(error->message), "%.400s: %m", path);
        return -1;
    }
    /* What a value says is what it is: no comment begins inside it and no next line continues it. */
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    ini_use_stack = false;
    ini_max_line = ini_initial_alloc = LINE_BYTES;
    errno = 0;
    int rc = ini_parse_stream(line_read, &reading, setting_take, &reading);
    if (ferror(reading.file)) {
        reading_fail(&reading, NULL, NULL, strerror(errno));
    } else if (rc > 0) {
        reading.line = (unsigned)rc;
        reading_fail(&reading, NULL, NULL, "neither [" SECTION "] nor \"name = value\" nor a # comment");
    } else if (rc < 0) {
        reading_fail(&reading, NULL, NULL, "memory is too short to read it");
    }
    fclose(reading.file);
    return reading.failed ? -1 : 0;
}
