/* Escaping for people's eyes, and times in ISO 8601. Knows neither options nor the library. */
#include "cli/escape.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

enum { MICROSECONDS = 1000000 };

/* Control characters, line and paragraph separators, and the marks that make text read in another order. */
static bool escape_is_needed(utf8proc_int32_t point)
{
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
    }
}

static void escape_point(FILE *out, utf8proc_int32_t point)
{
    switch (point) {
    case '\n':
        fputs("\\n", out);
        break;
    case '\r':
        fputs("\\r", out);
        break;
    case '\t':
        fputs("\\t", out);
        break;
    default:
        fprintf(out, point < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)point);
    }
}

/* indent NULL: everything on one line. */
static void escape_write(FILE *out, const char *text, size_t length, const char *indent)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t point = 0;
        utf8proc_ssize_t width = utf8proc_iterate(bytes + i, (utf8proc_ssize_t)(length - i), &point);
        if (width <= 0) {
            fprintf(out, "\\x%02x", bytes[i]);
            i++;
            continue;
        }
        if (indent && point == '\n') {
            fputc('\n', out);
            fputs(indent, out);
        } else if (escape_is_needed(point) && !(indent && point == '\t')) {
            escape_point(out, point);
        } else {
            fwrite(bytes + i, 1, (size_t)width, out);
        }
        i += (size_t)width;
    }
}

void escape_line(FILE *out, const char *text, size_t length)
{
    escape_write(out, text, length, NULL);
}

void escape_block(FILE *out, const char *text, size_t length, const char *indent)
{
    escape_write(out, text, length, indent);
}

struct time_text time_text(int64_t time_us)
{
    struct time_text result = {""};
    int64_t fraction = time_us % MICROSECONDS;
    time_t seconds = (time_t)(time_us / MICROSECONDS);
    if (fraction < 0) {
        fraction += MICROSECONDS;
        seconds--;
    }
    struct tm parts;
    char day[32];
    if (gmtime_r(&seconds, &parts) && strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts) > 0) {
        snprintf(result.text, sizeof(result.text), "%s.%06uZ", day, (unsigned)fraction);
    }
    return result;
}
