/* One line of the log with all that belongs to it, and the forms it is given. Private to base/log*.c. */
#ifndef BASE_LOG_FORM_H
#define BASE_LOG_FORM_H

#include "base/log.h"

#include <stddef.h>

enum { LOG_MESSAGE_BYTES = 1024, LOG_TRACE_BYTES = 33, LOG_TIME_BYTES = 32 };

struct log_line {
    enum log_level level;
    const char *message;         /* without control characters */
    const char *time;            /* "2025-11-22T08:40:00.123Z" */
    const struct log_note *note; /* never NULL */
    const char *event;           /* "ready"; NULL: none */
    const char *message_id;      /* NULL: none */
    const char *trace_id;        /* 32 hexadecimal digits; NULL: none */
};

const char *log_level_name(enum log_level level);

/* Sends it to the journal. False when that does not take it. */
bool log_journal_send(const struct log_line *line);

/* As a JSON object and a line end. Returns its size. */
enum { LOG_JSON_BYTES = 6 * (LOG_MESSAGE_BYTES + LOG_FIELDS_MAX * LOG_VALUE_BYTES) + 1024 };
size_t log_json_write(const struct log_line *line, char bytes[LOG_JSON_BYTES]);

#endif
