/* How results are shown: one set of functions per output form. They only write; errors of writing stay in the FILE. */
#ifndef CLI_PRINTER_H
#define CLI_PRINTER_H

#include "chatlog.h"

#include <stdio.h>

/* What an import did. */
struct import_counts {
    uint64_t lines;         /* read, without blank ones */
    uint64_t failed;        /* of them */
    uint64_t conversations; /* created */
    uint64_t messages;      /* appended */
    uint64_t present;       /* messages that had been stored before */
};

struct printer {
    void (*conversation)(FILE *out, const struct chatlog_conversation *conversation);
    /* After a change of that name: "renamed". */
    void (*changed)(FILE *out, const char *change, const struct chatlog_conversation *conversation);
    void (*purged)(FILE *out, const char *user_id, const char *conversation_id);
    void (*message)(FILE *out, const struct chatlog_message *message);
    void (*appended)(FILE *out, const struct chatlog_append_result *result);
    void (*receipt)(FILE *out, const char *user_id, const struct chatlog_receipt *receipt);
    /* migration is NULL when the daemon is too old to tell. */
    void (*info)(FILE *out, const struct chatlog_server_info *info, const struct chatlog_migration *migration);
    void (*stats)(FILE *out, const struct chatlog_stats *stats);
    void (*health)(FILE *out, bool serving);
    void (*backup)(FILE *out, const char *name, const struct chatlog_backup *backup);
    void (*verification)(FILE *out, const struct chatlog_verification *verification);
    void (*event)(FILE *out, const struct chatlog_audit_event *event);
    void (*imported)(FILE *out, const struct import_counts *counts);
};

extern const struct printer printer_text;
extern const struct printer printer_json;

/* How much is wrong. */
uint64_t verification_findings(const struct chatlog_verification *verification);

/* "moving"; what it calls the states of a migration in both forms. */
const char *migration_state_name(enum chatlog_migration_state state);

/* "update_message". */
const char *audit_action_name(enum chatlog_audit_action action);

/* The numbers of GetStats, so that both forms show the same ones in the same order. Ends in a row without a name. */
struct stats_field {
    const char *name;
    size_t offset; /* of a uint64_t in struct chatlog_stats */
};
extern const struct stats_field stats_fields[];

uint64_t stats_value(const struct chatlog_stats *stats, const struct stats_field *field);

#endif
