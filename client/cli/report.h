/* What the command says on standard error when something failed, and the exit codes that go with it. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "chatlog.h"

/* The other two are EXIT_SUCCESS and EXIT_FAILURE. The numbers are those of sysexits.h. */
enum { EXIT_USAGE = 64, EXIT_UNREACHABLE = 69 };

/* "chatlog: CODE: REASON", then the sentence, indented. Control characters in it are shown escaped. */
void report_failure(const char *code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a call that failed, with what to do next when that is known. Returns the exit code. */
int report_call(const struct chatlog_error *error);

/* One line "chatlog: ..." without a code: a note, or one of many failures. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "chatlog: ..." and where help is. Returns EXIT_USAGE. command may be NULL. */
int report_usage(const char *command, const char *sentence);

#endif
