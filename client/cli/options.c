/* Parsing by the tables: global options anywhere, a command's own after its name. Knows no command. */
#include "cli/options.h"

#include "cli/commands.h"

#include "chatlog.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFSET(field) offsetof(struct options, field)

const struct option options_global[] = {
    {.kind = OPTION_TEXT,
     .name = "server",
     .argument = "URL",
     .offset = OFFSET(server),
     .meaning = "the daemon: ipc:///PATH or tcp://HOST:PORT; without it CHATLOG_SERVER, else\n" CHATLOG_DEFAULT_URL},
    {.kind = OPTION_TEXT,
     .name = "token-file",
     .argument = "FILE",
     .offset = OFFSET(token_file),
     .meaning = "the token to show the daemon; without it CHATLOG_TOKEN, else none"},
    {.kind = OPTION_CHOICE,
     .name = "output",
     .argument = "text|json",
     .offset = OFFSET(output),
     .meaning = "text for people (the default), or one JSON object a line for programs"},
    {.kind = OPTION_NUMBER,
     .name = "timeout",
     .argument = "SECONDS",
     .offset = OFFSET(timeout),
     .smallest = 1,
     .largest = 600,
     .meaning = "how long one call may take, 1..600; without it 30"},
    {.kind = OPTION_FLAG, .name = "help", .letter = 'h', .offset = OFFSET(help), .meaning = "show help and end"},
    {.kind = OPTION_FLAG, .name = "version", .offset = OFFSET(version), .meaning = "show the version and end"},
    {0},
};

struct parser {
    int argc;
    char **argv;
    int next; /* of argv */
    struct options *options;
    char *problem;
};

static int parser_fail(struct parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int parser_fail(struct parser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->problem, OPTIONS_PROBLEM_BYTES, format, arguments);
    va_end(arguments);
    return -1;
}

static const struct option *table_find(const struct option *table, const char *name, size_t length, char letter)
{
    for (const struct option *row = table; row && row->name; row++) {
        bool named = name && strlen(row->name) == length && strncmp(row->name, name, length) == 0;
        if (named || (letter && row->letter == letter)) {
            return row;
        }
    }
    return NULL;
}

static const struct option *parser_find(const struct parser *parser, const char *name, size_t length, char letter)
{
    const struct option *found = table_find(options_global, name, length, letter);
    const struct command *command = parser->options->command;
    return found || !command ? found : table_find(command->options, name, length, letter);
}

static int parse_number(struct parser *parser, const struct option *row, const char *text, struct number *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < row->smallest || value > row->largest) {
        return parser_fail(parser, "--%s takes a number from %llu to %llu, not '%.64s'", row->name,
                           (unsigned long long)row->smallest, (unsigned long long)row->largest, text);
    }
    *ret = (struct number){.given = true, .value = value};
    return 0;
}

/* The choices are the words of row->argument between bars; the value is the place of the word. */
static int parse_choice(struct parser *parser, const struct option *row, const char *text, int *ret)
{
    const char *word = row->argument;
    for (int place = 0; word; place++) {
        size_t length = strcspn(word, "|");
        if (strlen(text) == length && strncmp(word, text, length) == 0) {
            *ret = place;
            return 0;
        }
        word = word[length] ? word + length + 1 : NULL;
    }
    return parser_fail(parser, "--%s takes %s, not '%.64s'", row->name, row->argument, text);
}

static int parser_set(struct parser *parser, const struct option *row, const char *text)
{
    assert(row->offset < sizeof(*parser->options));
    void *value = (char *)parser->options + row->offset;
    if (row->kind == OPTION_FLAG) {
        if (text) {
            return parser_fail(parser, "--%s takes no value", row->name);
        }
        *(bool *)value = true;
        return 0;
    }
    bool follows = parser->next < parser->argc && isdigit((unsigned char)parser->argv[parser->next][0]);
    if (row->kind == OPTION_NUMBER_OR_NONE && !text && !follows) {
        *(struct number *)value = (struct number){.given = true};
        return 0;
    }
    if (!text) {
        if (parser->next == parser->argc) {
            return parser_fail(parser, "--%s needs a value", row->name);
        }
        text = parser->argv[parser->next++];
    }
    switch (row->kind) {
    case OPTION_NUMBER:
    case OPTION_NUMBER_OR_NONE:
        return parse_number(parser, row, text, value);
    case OPTION_CHOICE:
        return parse_choice(parser, row, text, value);
    default:
        *(const char **)value = text;
        return 0;
    }
}

static int parse_option(struct parser *parser, const char *word)
{
    const struct option *row;
    const char *text = NULL;
    if (word[1] == '-') {
        size_t length = strcspn(word + 2, "=");
        row = parser_find(parser, word + 2, length, 0);
        text = word[2 + length] ? word + 2 + length + 1 : NULL;
    } else {
        row = parser_find(parser, NULL, 0, word[1]);
        text = word[2] ? word + 2 : NULL;
    }
    if (row) {
        return parser_set(parser, row, text);
    }
    if (parser->options->command) {
        return parser_fail(parser, "this command has no option '%.64s' (before text that begins with '-', put '--')",
                           word);
    }
    return parser_fail(parser, "there is no option '%.64s' (options of a command come after its name)", word);
}

static int parse_operand(struct parser *parser, const char *word)
{
    struct options *options = parser->options;
    if (!options->command) {
        options->command = commands_find(word);
        return options->command ? 0 : parser_fail(parser, "there is no command '%.64s'", word);
    }
    if (options->operand_count == options->command->operands_most) {
        return parser_fail(parser, "'%.64s' is one word too many", word);
    }
    options->operands[options->operand_count++] = word;
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options, char problem[OPTIONS_PROBLEM_BYTES])
{
    *ret_options = (struct options){.server = NULL};
    struct parser parser = {.argc = argc, .argv = argv, .next = 1, .options = ret_options, .problem = problem};
    bool options_ended = false;
    while (parser.next < argc) {
        const char *word = argv[parser.next++];
        int result = 0;
        if (!options_ended && strcmp(word, "--") == 0) {
            options_ended = true;
        } else if (!options_ended && word[0] == '-' && word[1]) {
            result = parse_option(&parser, word);
        } else {
            result = parse_operand(&parser, word);
        }
        if (result < 0) {
            return result;
        }
    }
    return 0;
}
