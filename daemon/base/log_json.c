/* A line of the log as JSON, whatever bytes are in it. */
#include "base/log_form.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

static size_t text_put(char *out, const char *text)
{
    size_t size = strlen(text);
    memcpy(out, text, size);
    return size;
}

/* At most 6 bytes for each of the text's. What is no UTF-8 becomes U+FFFD. */
static size_t string_put(char *out, const char *text)
{
    size_t size = text_put(out, "\"");
    for (size_t left = strlen(text); left > 0;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, &point);
        size_t taken = length > 0 ? (size_t)length : 1;
        if (length <= 0) {
            size += text_put(out + size, "\\ufffd");
        } else if (point == '"' || point == '\\') {
            out[size++] = '\\';
            out[size++] = *text;
        } else {
            memcpy(out + size, text, taken);
            size += taken;
        }
        text += taken;
        left -= taken;
    }
    return size + text_put(out + size, "\"");
}

static size_t member_put(char *out, const char *name, const char *value)
{
    if (!value) {
        return 0;
    }
    size_t size = text_put(out, ",\"");
    for (; *name; name++) {
        out[size++] = (char)tolower((unsigned char)*name);
    }
    size += text_put(out + size, "\":");
    return size + string_put(out + size, value);
}

size_t log_json_write(const struct log_line *line, char bytes[LOG_JSON_BYTES])
{
    size_t size = text_put(bytes, "{\"time\":");
    size += string_put(bytes + size, line->time);
    size += member_put(bytes + size, "LEVEL", log_level_name(line->level));
    size += member_put(bytes + size, "MESSAGE", line->message);
    size += member_put(bytes + size, "EVENT", line->event);
    size += member_put(bytes + size, "MESSAGE_ID", line->message_id);
    size += member_put(bytes + size, "TRACE_ID", line->trace_id);
    for (size_t i = 0; i < line->note->count; i++) {
        size += member_put(bytes + size, line->note->fields[i].name, line->note->fields[i].value);
    }
    return size + text_put(bytes + size, "}\n");
}
