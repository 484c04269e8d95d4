/* The log's way to the journal. The only place that knows libsystemd's journal. */
#include "base/log_form.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

enum { FIXED_FIELDS = 6, FIELD_BYTES = LOG_MESSAGE_BYTES + 64 };

struct entry {
    char texts[FIXED_FIELDS + LOG_FIELDS_MAX][FIELD_BYTES];
    struct iovec fields[FIXED_FIELDS + LOG_FIELDS_MAX];
    int count;
};

static void field_add(struct entry *entry, const char *prefix, const char *name, const char *value)
{
    if (value) {
        char *text = entry->texts[entry->count];
        snprintf(text, FIELD_BYTES, "%s%s=%s", prefix, name, value);
        entry->fields[entry->count++] = (struct iovec){text, strlen(text)};
    }
}

bool log_journal_send(const struct log_line *line)
{
    struct entry entry;
    const char priority[] = {(char)('0' + (int)line->level), '\0'};
    entry.count = 0;
    field_add(&entry, "", "MESSAGE", line->message);
    field_add(&entry, "", "PRIORITY", priority);
    field_add(&entry, "", "SYSLOG_IDENTIFIER", "chatlogd");
    field_add(&entry, "", "MESSAGE_ID", line->message_id);
    field_add(&entry, "", "CHATLOG_EVENT", line->event);
    field_add(&entry, "", "TRACE_ID", line->trace_id);
    for (size_t i = 0; i < line->note->count; i++) {
        field_add(&entry, "CHATLOG_", line->note->fields[i].name, line->note->fields[i].value);
    }
    /* Without a journal sd_journal_sendv says that all is well. */
    return access("/run/systemd/journal/socket", F_OK) == 0 && sd_journal_sendv(entry.fields, entry.count) == 0;
}
