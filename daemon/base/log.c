#include "base/log.h"

#include "base/log_form.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TRACE_FIRST = 3, TRACE_DIGITS = LOG_TRACE_BYTES - 1 }; /* "00-" and the trace ID */

static const struct {
    const char *name;
    const char *id;
} events[LOG_EVENT_COUNT] = {
#define LOG_EVENT_ROW(name, id, meaning) [LOG_EVENT_##name] = {#name, #id},
    LOG_EVENTS(LOG_EVENT_ROW)
#undef LOG_EVENT_ROW
};

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "?";
}

/* What systemd says of the journal must be true of our standard error: somebody may have redirected it. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    uintmax_t device, inode;
    return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           device == status.st_dev && inode == status.st_ino;
}

struct log log_new(enum log_level level, enum log_format format)
{
    return (struct log){.level = level, .format = format, .journal = stderr_is_journal()};
}

/* A client's words must not make a second line. */
static void text_clean(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

void log_note_add(struct log_note *note, const char *name, const char *format, ...)
{
    assert(note->count < LOG_FIELDS_MAX);
    struct log_field *field = &note->fields[note->count++];
    va_list arguments;
    field->name = name;
    va_start(arguments, format);
    vsnprintf(field->value, sizeof(field->value), format, arguments);
    va_end(arguments);
    text_clean(field->value);
}

/* False when it is not "00-<32 digits>-...". */
static bool trace_take(struct span traceparent, char trace_id[LOG_TRACE_BYTES])
{
    if (traceparent.size <= TRACE_FIRST + TRACE_DIGITS || traceparent.data[TRACE_FIRST - 1] != '-' ||
        traceparent.data[TRACE_FIRST + TRACE_DIGITS] != '-') {
        return false;
    }
    memcpy(trace_id, traceparent.data + TRACE_FIRST, TRACE_DIGITS);
    trace_id[TRACE_DIGITS] = '\0';
    return strspn(trace_id, "0123456789abcdef") == TRACE_DIGITS;
}

static void time_write(char text[LOG_TIME_BYTES])
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(text, LOG_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, LOG_TIME_BYTES - length, ".%03ldZ", now.tv_nsec / 1000000);
}

static void line_send(const struct log *log, const struct log_line *line)
{
    char bytes[LOG_JSON_BYTES];
    size_t size;
    if (log->journal) {
        if (log_journal_send(line)) {
            return;
        }
        size = (size_t)snprintf(bytes, sizeof(bytes), "<%d>%s\n", (int)line->level, line->message);
    } else if (log->format == LOG_JSON) {
        size = log_json_write(line, bytes);
    } else {
        size = (size_t)snprintf(bytes, sizeof(bytes), "%s %s %s\n", line->time, log_level_name(line->level),
                                line->message);
    }
    ssize_t rc = write(STDERR_FILENO, bytes, size);
    (void)rc; /* nobody is left to tell */
}

void log_write(const struct log *log, enum log_level level, const struct log_note *note, const char *format, ...)
{
    static const struct log_note nothing = {.event = LOG_EVENT_NONE};
    char message[LOG_MESSAGE_BYTES], time[LOG_TIME_BYTES], trace_id[LOG_TRACE_BYTES], event[LOG_TIME_BYTES];
    if (level > log->level) {
        return;
    }
    note = note ? note : &nothing;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    text_clean(message);
    time_write(time);
    const char *name = events[note->event].name;
    for (size_t i = 0; name && (i == 0 || name[i - 1]); i++) {
        event[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    }
    const struct log_line line = {.level = level,
                                  .message = message,
                                  .time = time,
                                  .note = note,
                                  .event = name ? event : NULL,
                                  .message_id = events[note->event].id,
                                  .trace_id = trace_take(note->traceparent, trace_id) ? trace_id : NULL};
    line_send(log, &line);
}
