/* What a command works with: the connection, the values of the command line, and where results go. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "chatlog.h"
#include "cli/options.h"
#include "cli/printer.h"

#include <stdio.h>

struct session {
    const struct options *options;
    const struct printer *printer;
    FILE *out; /* results; errors of writing are found when the command has ended */
    const char *url;
    struct chatlog *client; /* NULL for commands that need none */
    struct chatlog_call_options call;
};

/* Connects to the daemon. Returns 0, or the exit code after it has reported why not. */
int session_open(struct session *session);

void session_close(struct session *session);

/* Reports a failed call. Returns the exit code. */
int session_fail(const struct session *session, const struct chatlog_error *error);

/* Operand i, or "" when there are fewer. */
const char *session_operand(const struct session *session, size_t i);

#endif
