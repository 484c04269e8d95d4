/* Lines on standard error, each with its level as systemd reads it ("<4>...") when standard error is the journal,
 * else with time and level in words. Never content of messages, never tokens. Thread-safe; a line is one write. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* The levels of syslog that chatlogd uses. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

struct log {
    enum log_level level; /* lines above it are left out */
    int journal;          /* not 0: prefix with <level>, no time */
};

/* A log at this level whose form fits where standard error goes. */
struct log log_new(enum log_level level);

void log_write(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(log, ...)   log_write((log), LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_write((log), LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_write((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...)   log_write((log), LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
