/* Failures as text on standard error. Each report is one write, so that threads and processes do not mix theirs. */
#include "cli/report.h"

#include "cli/escape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_BYTES = 4096 };

/* What to do next, by reason. */
static const struct {
    const char *reason;
    const char *hint;
} report_hints[] = {
    {"CONVERSATION_NOT_FOUND", "`chatlog conversations USER --archived --deleted` lists what the user has."},
    {"CONVERSATION_DELETED", "`chatlog undelete USER CONVERSATION` takes the deletion back."},
    {"LAST_SEQ_MISMATCH", "Somebody else wrote first: `chatlog log USER CONVERSATION` shows what is there now."},
    {"REQUEST_ID_REUSED", "Repeat the first change exactly, or choose another --request-id."},
    {"QUEUE_FULL", "The daemon is busy: try again later."},
    {"DISK_FULL", "Make room on the disk of the daemon's data directory; reading and deleting still work."},
    {"SHUTTING_DOWN", "Try again when the daemon has started."},
    {"NO_ANSWER", "If it was a change, it may have been made: look before you repeat it."},
    {"DEADLINE_PASSED", "Nothing was done: try again, perhaps with a larger --timeout."},
    {"TOKEN_REQUIRED", "Name a token with --token-file FILE or CHATLOG_TOKEN."},
    {"TOKEN_EXPIRED", "Get a new token from who issued it."},
    {"PEER_UNKNOWN", "Ask the daemon's operator, or name a token with --token-file FILE or CHATLOG_TOKEN."},
    {"DEFECT", "The daemon's log says more."},
};

/* A line for people, however hostile the text in it. */
static void report_write(const char *text)
{
    char *line = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&line, &length);
    if (!memory) {
        fputs("chatlog: RESOURCE_EXHAUSTED: MEMORY_SHORT\n", stderr);
        return;
    }
    escape_block(memory, text, strlen(text), "");
    fputc('\n', memory);
    if (fclose(memory) == 0) {
        fwrite(line, 1, length, stderr);
    }
    free(line);
}

void report_line(const char *format, ...)
{
    char sentence[REPORT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    char text[REPORT_BYTES + 16];
    snprintf(text, sizeof(text), "chatlog: %s", sentence);
    report_write(text);
}

void report_failure(const char *code, const char *reason, const char *format, ...)
{
    char sentence[REPORT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    char text[REPORT_BYTES + 256];
    snprintf(text, sizeof(text), "chatlog: %s: %s\n  %s", code, reason, sentence);
    report_write(text);
}

static const char *report_hint(const char *reason)
{
    for (size_t i = 0; i < sizeof(report_hints) / sizeof(report_hints[0]); i++) {
        if (strcmp(report_hints[i].reason, reason) == 0) {
            return report_hints[i].hint;
        }
    }
    return NULL;
}

int report_call(const struct chatlog_error *error)
{
    const char *hint = report_hint(error->reason);
    report_failure(chatlog_code_name((int)error->code), error->reason, "%s%s%s", error->message, hint ? "\n  " : "",
                   hint ? hint : "");
    return EXIT_FAILURE;
}

int report_usage(const char *command, const char *sentence)
{
    report_line("%s\nTry `chatlog help%s%s`.", sentence, command ? " " : "", command ? command : "");
    return EXIT_USAGE;
}
