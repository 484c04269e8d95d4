/* Small additions to jansson. Knows nothing of what the members mean. */
#include "cli/json.h"

#include "cli/base64.h"
#include "cli/escape.h"
#include "cli/memory.h"

#include <stdlib.h>
#include <string.h>

void json_put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0) {
        memory_need(NULL);
    }
}

void json_put_text(json_t *object, const char *name, const char *text)
{
    if (text && *text) {
        json_put(object, name, json_string(text));
    }
}

void json_put_time(json_t *object, const char *name, int64_t time_us)
{
    if (time_us != 0) {
        json_put(object, name, json_string(time_text(time_us).text));
    }
}

void json_put_pairs(json_t *object, const char *name, const struct chatlog_pair *pairs, size_t count)
{
    json_t *map = memory_need(json_object());
    for (size_t i = 0; i < count; i++) {
        json_put(map, pairs[i].key, json_string(pairs[i].value));
    }
    json_put(object, name, map);
}

json_t *json_number(uint64_t value)
{
    if (value <= INT64_MAX) {
        return memory_need(json_integer((json_int_t)value));
    }
    char digits[24];
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    return memory_need(json_string(digits));
}

json_t *json_base64(const void *data, size_t length)
{
    char *text = memory_alloc(base64_encoded_length(length) + 1);
    base64_encode(data, length, text);
    json_t *value = memory_need(json_string(text));
    free(text);
    return value;
}

/* Outside of ASCII and below U+00A0 UTF-8 is C2 80 to C2 9F, and only strings can hold it. */
static void json_write_text(FILE *out, const char *text, size_t length)
{
    size_t from = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        unsigned char next = i + 1 < length ? (unsigned char)text[i + 1] : 0;
        bool high = byte == 0xc2 && next >= 0x80 && next < 0xa0;
        if (high || byte == 0x7f) {
            fwrite(text + from, 1, i - from, out);
            fprintf(out, "\\u%04x", high ? next : byte);
            i += high ? 1 : 0;
            from = i + 1;
        }
    }
    fwrite(text + from, 1, length - from, out);
}

void json_write(FILE *out, const json_t *value)
{
    char *text = memory_need(json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY));
    json_write_text(out, text, strlen(text));
    free(text);
}

void json_write_open(FILE *out, const json_t *object)
{
    char *text = memory_need(json_dumps(object, JSON_COMPACT));
    json_write_text(out, text, strlen(text) - 1);
    free(text);
}
