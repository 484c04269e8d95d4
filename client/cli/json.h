/* JSON as the command writes it: on one line, members in the order they were put, safe on a terminal. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "chatlog.h"

#include <jansson.h>
#include <stdio.h>

/* How all JSON of messages and lines is read: a second member of one name is an error, U+0000 is kept. */
enum { JSON_READ_FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL };

/* Put a member into an object. Memory shortage ends the process. json_put consumes value. */
void json_put(json_t *object, const char *name, json_t *value);
void json_put_text(json_t *object, const char *name, const char *text); /* nothing when NULL or empty */
void json_put_time(json_t *object, const char *name, int64_t time_us);  /* nothing when 0 */
void json_put_pairs(json_t *object, const char *name, const struct chatlog_pair *pairs, size_t count);

/* Numbers above 2^63 - 1, which the daemon never sends, become text. */
json_t *json_number(uint64_t value);

json_t *json_base64(const void *data, size_t length);

/* Writes value compactly, without a line end; control characters above U+007E are escaped too. */
void json_write(FILE *out, const json_t *value);

/* Writes all but the last brace of an object, so that a further member can follow. */
void json_write_open(FILE *out, const json_t *object);

#endif
