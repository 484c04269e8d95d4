#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_BYTES = 1024 };

static const char *level_name(enum log_level level)
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

struct log log_new(enum log_level level)
{
    return (struct log){.level = level, .journal = getenv("JOURNAL_STREAM") != NULL};
}

static size_t prefix_write(const struct log *log, enum log_level level, char *line, size_t size)
{
    if (log->journal) {
        return (size_t)snprintf(line, size, "<%d>", (int)level);
    }
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &parts);
    return length +
           (size_t)snprintf(line + length, size - length, ".%03ldZ %s ", now.tv_nsec / 1000000, level_name(level));
}

void log_write(const struct log *log, enum log_level level, const char *format, ...)
{
    if (level > log->level) {
        return;
    }
    char line[LOG_LINE_BYTES];
    size_t length = prefix_write(log, level, line, sizeof(line));
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(line + length, sizeof(line) - length, format, arguments);
    va_end(arguments);
    length += wanted > 0 ? (size_t)wanted : 0;
    if (length > sizeof(line) - 2) {
        length = sizeof(line) - 2;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?'; /* a client's words must not make a second line */
        }
    }
    line[length++] = '\n';
    ssize_t rc = write(STDERR_FILENO, line, length);
    (void)rc; /* nobody is left to tell */
}
