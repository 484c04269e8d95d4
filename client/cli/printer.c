/* What the printers share. */
#include "cli/printer.h"

#include <string.h>

#define FIELD(name)                                                                                                    \
    {                                                                                                                  \
#name, offsetof(struct chatlog_stats, name)                                                                    \
    }

const struct stats_field stats_fields[] = {
    FIELD(users),
    FIELD(conversations),
    FIELD(messages),
    FIELD(content_bytes),
    FIELD(used_bytes),
    FIELD(file_bytes),
    FIELD(commit_id),
    FIELD(uptime_us),
    FIELD(commits),
    FIELD(changes),
    FIELD(queue_length),
    FIELD(connections),
    FIELD(connections_accepted),
    FIELD(connections_refused),
    FIELD(damaged_records),
    FIELD(journal_entries),
    FIELD(journal_bytes),
    FIELD(journal_folds),
    FIELD(commit_time_us),
    FIELD(queue_bytes),
    FIELD(map_bytes),
    FIELD(slow_requests),
    FIELD(scrub_time_us),
    FIELD(scrub_findings),
    {NULL, 0},
};

uint64_t stats_value(const struct chatlog_stats *stats, const struct stats_field *field)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + field->offset, sizeof(value));
    return value;
}

uint64_t verification_findings(const struct chatlog_verification *verification)
{
    return verification->unreadable + verification->mismatches + verification->strays + verification->damaged_events;
}

const char *migration_state_name(enum chatlog_migration_state state)
{
    static const char *const names[] = {
        [CHATLOG_MIGRATION_UNKNOWN] = "unknown", [CHATLOG_MIGRATION_NONE] = "none",
        [CHATLOG_MIGRATION_MOVING] = "moving",   [CHATLOG_MIGRATION_PAUSED] = "paused",
        [CHATLOG_MIGRATION_HALTED] = "halted",   [CHATLOG_MIGRATION_HELD] = "held",
    };
    return names[state];
}

const char *audit_action_name(enum chatlog_audit_action action)
{
    static const char *const names[CHATLOG_AUDIT_ACTION_COUNT] = {
        [CHATLOG_AUDIT_UNKNOWN] = "unknown",
        [CHATLOG_AUDIT_DAMAGED] = "damaged",
        [CHATLOG_AUDIT_CREATE_CONVERSATION] = "create_conversation",
        [CHATLOG_AUDIT_UPDATE_CONVERSATION] = "update_conversation",
        [CHATLOG_AUDIT_DELETE_CONVERSATION] = "delete_conversation",
        [CHATLOG_AUDIT_UNDELETE_CONVERSATION] = "undelete_conversation",
        [CHATLOG_AUDIT_PURGE_CONVERSATION] = "purge_conversation",
        [CHATLOG_AUDIT_EXPIRE_CONVERSATION] = "expire_conversation",
        [CHATLOG_AUDIT_REPLACE_MESSAGES] = "replace_messages",
        [CHATLOG_AUDIT_UPDATE_MESSAGE] = "update_message",
        [CHATLOG_AUDIT_DELETE_MESSAGE] = "delete_message",
        [CHATLOG_AUDIT_POP_MESSAGES] = "pop_messages",
        [CHATLOG_AUDIT_FORGET_USER_BEGIN] = "forget_user_begin",
        [CHATLOG_AUDIT_FORGET_USER_END] = "forget_user_end",
        [CHATLOG_AUDIT_MIGRATION_BEGIN] = "migration_begin",
        [CHATLOG_AUDIT_MIGRATION_END] = "migration_end",
        [CHATLOG_AUDIT_RELOAD_TOKENS] = "reload_tokens",
        [CHATLOG_AUDIT_BACKUP] = "backup",
        [CHATLOG_AUDIT_RELOAD_TOKENS_FAILED] = "reload_tokens_failed",
    };
    return names[action];
}
