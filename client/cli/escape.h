/* Text of strangers shown to people: no byte of it can steer a terminal or pass for another line. */
#ifndef CLI_ESCAPE_H
#define CLI_ESCAPE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes text on one line: control characters, line ends and marks that reorder text are shown as \n, \x1b, \u202e;
 * bytes that are not UTF-8 as \xff. */
void escape_line(FILE *out, const char *text, size_t length);

/* The same, but keeps line ends, puts indent after each, and keeps tabs. */
void escape_block(FILE *out, const char *text, size_t length, const char *indent);

/* "2025-11-22T08:40:00.123456Z". */
struct time_text {
    char text[48];
};
struct time_text time_text(int64_t time_us);

#endif
