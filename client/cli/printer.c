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
    {NULL, 0},
};

uint64_t stats_value(const struct chatlog_stats *stats, const struct stats_field *field)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + field->offset, sizeof(value));
    return value;
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
