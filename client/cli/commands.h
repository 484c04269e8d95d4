/* The table of commands: to add one, add a row in commands.c and a function. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"
#include "cli/session.h"

struct command {
    const char *name;
    const char *operands; /* as help shows them: "USER CONVERSATION [TEXT|-]" */
    size_t operands_least;
    size_t operands_most;
    const struct option *options; /* its own; NULL: none */
    bool offline;                 /* needs no daemon */

    /* Pure: what the tables cannot say of the values. Returns NULL or a sentence. NULL: nothing to check. */
    const char *(*check)(const struct options *options);

    /* Does it. Returns the exit code, and has then reported why it is not 0. */
    int (*run)(struct session *session);

    const char *summary; /* one line */
    const char *details; /* further lines of its help, or NULL */
};

/* Ends in a row without a name. */
extern const struct command commands[];

const struct command *commands_find(const char *name);

/* Help on standard output: of one command, or of all when it is NULL. */
void help_write(FILE *out, const struct command *command);

int command_import(struct session *session);
int command_export(struct session *session);
int command_conversations(struct session *session);
int command_rename(struct session *session);
int command_delete(struct session *session);
int command_undelete(struct session *session);
int command_purge(struct session *session);
const char *log_check(const struct options *options);
int command_log(struct session *session);
const char *append_check(const struct options *options);
int command_append(struct session *session);
int command_pop(struct session *session);
const char *forget_check(const struct options *options);
int command_forget(struct session *session);
int command_info(struct session *session);
const char *stats_check(const struct options *options);
int command_stats(struct session *session);
int command_top(struct session *session);
const char *bench_check(const struct options *options);
int command_bench(struct session *session);
int command_health(struct session *session);
int command_backup(struct session *session);
int command_verify(struct session *session);
const char *audit_check(const struct options *options);
int command_audit(struct session *session);
const char *token_check(const struct options *options);
int command_token(struct session *session);
const char *help_check(const struct options *options);
int command_help(struct session *session);

#endif
