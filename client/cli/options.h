/* The command line as data: tables of options in, one struct of values out. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;

enum { OPTIONS_OPERANDS = 4, OPTIONS_PROBLEM_BYTES = 256 };

/* An optional number. */
struct number {
    bool given;
    uint64_t value;
};

enum output_form { OUTPUT_TEXT, OUTPUT_JSON };

/* Every value a command line can set; which ones a command takes is in its table. Borrowed from argv. */
struct options {
    const char *server;
    const char *token_file;
    int output; /* of enum output_form */
    struct number timeout;
    bool help;
    bool version;

    const char *user;
    const char *key;
    const char *scope;
    const char *audience;
    struct number ttl;
    const char *role;
    const char *request_id;
    struct number expected_last_seq;
    struct number count;
    struct number watch; /* given with 0: as often as the command finds good */
    struct number interval;
    struct number seconds;
    struct number in_flight;
    struct number before;
    struct number after;
    struct number around;
    const char *since;
    const char *until;
    bool archived;
    bool deleted;
    bool yes;

    const struct command *command; /* NULL: none was named */
    const char *operands[OPTIONS_OPERANDS];
    size_t operand_count;
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_NUMBER_OR_NONE, OPTION_CHOICE };

/* The value of a NUMBER_OR_NONE may be missing: a word that begins with no digit is not taken for it. */

/* One row of an option table; a table ends in a row without a name. */
struct option {
    enum option_kind kind;
    const char *name;     /* "last" for --last */
    char letter;          /* 'n' for -n; 0: none */
    const char *argument; /* what help calls the value; of a CHOICE the choices, "text|json"; NULL for a FLAG */
    size_t offset;        /* of the value in struct options: bool, const char *, struct number, int */
    uint64_t smallest;    /* of a NUMBER */
    uint64_t largest;
    const char *meaning;
};

extern const struct option options_global[];

/* Reads the command line. On failure returns -1 with a sentence in problem; ret_options->command is set as far as it
 * was known by then. */
int options_parse(int argc, char **argv, struct options *ret_options, char problem[OPTIONS_PROBLEM_BYTES]);

#endif
