/* Help, printed from the tables of commands and options. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 28 };

/* A name, padded to the column, then its meaning; further lines of the meaning are put below it. */
static void help_row(FILE *out, const char *name, const char *meaning)
{
    fprintf(out, "  %-*s", HELP_COLUMN, name);
    for (;;) {
        size_t length = strcspn(meaning, "\n");
        fprintf(out, "%.*s\n", (int)length, meaning);
        if (!meaning[length]) {
            break;
        }
        meaning += length + 1;
        fprintf(out, "  %-*s", HELP_COLUMN, "");
    }
}

static void help_options(FILE *out, const char *heading, const struct option *table)
{
    fprintf(out, "\n%s:\n", heading);
    for (const struct option *row = table; row->name; row++) {
        char letter[8] = "";
        char name[64];
        if (row->letter) {
            snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        }
        snprintf(name, sizeof(name), "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
                 row->argument ? row->argument : "");
        help_row(out, name, row->meaning);
    }
}

static void help_all(FILE *out)
{
    fputs("usage: chatlog COMMAND [OPERAND]... [OPTION]...\n"
          "Stores, reads and moves the conversations that chatlogd keeps.\n\ncommands:\n",
          out);
    for (const struct command *command = commands; command->name; command++) {
        help_row(out, command->name, command->summary);
    }
    help_options(out, "options of every command, anywhere on the line", options_global);
    fputs("\nexit codes: 0 done; 1 failed, standard error says `chatlog: CODE: reason`; 64 wrong usage;\n"
          "69 no daemon answers. `chatlog help COMMAND` tells more of a command.\n",
          out);
}

void help_write(FILE *out, const struct command *command)
{
    if (!command) {
        help_all(out);
        return;
    }
    fprintf(out, "usage: chatlog %s%s%s%s\n%c%s.\n", command->name, *command->operands ? " " : "", command->operands,
            command->options ? " [OPTION]..." : "", command->summary[0] - 'a' + 'A', command->summary + 1);
    if (command->details) {
        fprintf(out, "\n%s\n", command->details);
    }
    if (command->options) {
        help_options(out, "options", command->options);
    }
    help_options(out, "options of every command", options_global);
}

const char *help_check(const struct options *options)
{
    return options->operand_count == 1 && !commands_find(options->operands[0]) ? "there is no such command" : NULL;
}

int command_help(struct session *session)
{
    help_write(session->out, commands_find(session_operand(session, 0)));
    return EXIT_SUCCESS;
}
