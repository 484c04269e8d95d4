/* The daemon's log: to the journal with fields, when standard error is the journal; else lines on standard error, for
 * people or as JSON. Never content of messages, never tokens. Thread-safe; a line is one write. Does not wait, but for
 * who reads standard error. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

/* The levels of syslog that chatlogd uses. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

enum log_format { LOG_TEXT, LOG_JSON };

/* X(name, MESSAGE_ID, meaning): what programs may wait for. The README's table is made from it. An ID never changes. */
#define LOG_EVENTS(X)                                                                                                  \
    X(START, 1a96ad50e8644b698bf8f860bb9046a9, "the daemon begins to open its data")                                   \
    X(READY, 5b42c3ac9bec4a159b8969afb12c78ab, "requests are answered from now on")                                    \
    X(STOP, cd240f4fa13e426e8b9d23f3d6a7cd77, "the daemon was told to stop")                                           \
    X(STOPPED, 1aa13f54c7304560b351ff972615c44e, "all is closed")                                                      \
    X(START_FAILED, 1eaf52867fa948ecae079be8fdf9a5a6, "the daemon cannot start")                                       \
    X(WRITE_FAILED, d06fcbce96b9415db371c3b2d7584c21, "a write or sync failed; the process ends at once")              \
    X(TOKENS_RELOADED, 7d36f96202574ecc8c615992a461cf39, "the token keys were read again")                             \
    X(TOKENS_KEPT, 17d70ecf050d418b932683554b461e90, "a token key could not be read again; all stay as they were")     \
    X(MIGRATION_BEGIN, 4122d0bf0c6a41738960340ddbdd23e5,                                                               \
      "a migration between key layouts begins or goes on after a start")                                               \
    X(MIGRATION_END, a9a733f2f11e4c1daf6808cf81f00a26, "a migration is done")                                          \
    X(MIGRATION_PAUSE, b7f03cd8b7fa44b5a8d7df9bf21e683f, "a migration waits for room")                                 \
    X(MIGRATION_RESUME, b731a59a60bd416ea572c21685a12f12, "a migration goes on")                                       \
    X(MIGRATION_HALT, ed5e8aa4a00141f1b654e37927f7668e, "a migration failed again and again")                          \
    X(DISK_FULL, a64c4f17046b43b5890783317bacd43a, "changes that need room are refused from now on")                   \
    X(DISK_ROOM, 8bec973c705b44cb86ea559cf99fd2b7, "they are taken again")                                             \
    X(RECORD_DAMAGED, 78df183dbabd4a68bdf771e21f5cc397, "a stored record is damaged")                                  \
    X(DEFECT, 948d4759795646d2a59ca5cb5d2d4e30, "a defect of the daemon")                                              \
    X(REFUSED, 2fa1ac79359941adac2b1a2ad5f7834a, "requests of somebody who may not make them")                         \
    X(SLOW, 2cc2da79a03f492583e645ceb1dec06f, "requests took longer than slow-request")

#define LOG_EVENT_ENUM(name, id, meaning) LOG_EVENT_##name,
enum log_event { LOG_EVENT_NONE, LOG_EVENTS(LOG_EVENT_ENUM) LOG_EVENT_COUNT };
#undef LOG_EVENT_ENUM

struct log {
    enum log_level level; /* lines above it are left out */
    enum log_format format;
    bool journal; /* takes the place of the format */
};

enum { LOG_FIELDS_MAX = 6, LOG_VALUE_BYTES = 300 };

/* What a line says in its message, for programs: names in capitals. */
struct log_note {
    enum log_event event;
    struct span traceparent; /* of W3C's Trace Context; empty, or anything a client says */
    struct log_field {
        const char *name;
        char value[LOG_VALUE_BYTES];
    } fields[LOG_FIELDS_MAX];
    size_t count;
};

/* A log at this level, to the journal if standard error is the journal. */
struct log log_new(enum log_level level, enum log_format format);

/* Adds a field; the value is cut to fit. */
void log_note_add(struct log_note *note, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* note: NULL: none. */
void log_write(const struct log *log, enum log_level level, const struct log_note *note, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_error(log, ...)   log_write((log), LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(log, ...) log_write((log), LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_info(log, ...)    log_write((log), LOG_LEVEL_INFO, NULL, __VA_ARGS__)

/* A line that is an event without fields. */
#define log_event(log, level, which, ...)                                                                              \
    log_write((log), (level), &(const struct log_note){.event = LOG_EVENT_##which}, __VA_ARGS__)

#endif
