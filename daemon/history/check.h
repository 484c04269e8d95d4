/* The checks that several requests share: what an ID, a text, metadata, a page may be. Pure: no store, no clock. Each
 * returns 0 or fills *error (FIELD_REQUIRED, FIELD_INVALID, REQUEST_TOO_LARGE) naming the field and what is allowed. */
#ifndef HISTORY_CHECK_H
#define HISTORY_CHECK_H

#include "base/error.h"
#include "base/limits.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

/* Times are kept in keys with 16 digits: until the year 2286. */
#define CHECK_TIME_MAX INT64_C(9999999999999999)

/* A user, conversation or message ID: 1..limits->id_bytes bytes without control characters. */
int check_id(const struct limits *limits, const char *field, const char *value, struct error *error);

/* A text of at most max bytes without control characters; may be empty. */
int check_text(const char *field, const char *value, uint64_t max, struct error *error);

/* user_id and conversation_id. */
int check_owner(const struct limits *limits, const char *user_id, const char *conversation_id, struct error *error);

/* Entries of a map<string, string>. */
int check_metadata(const struct limits *limits, size_t count, ProtobufCMessage *const *entries, struct error *error);

int check_time(const char *field, int64_t value, struct error *error);

/* A number of entries: at most limits->append_messages; 0 only where it stands for a default. */
int check_count(const struct limits *limits, const char *field, uint64_t value, bool zero_is_default,
                struct error *error);

struct mask_path {
    const char *path;
    unsigned bit;
};

/* Turns an update mask into bits; the table ends in a row without a path. */
int check_mask(const struct limits *limits, size_t count, char *const *paths, const struct mask_path *table,
               unsigned *ret_mask, struct error *error);

/* Key and value of an entry of a map<string, string>, whatever message it belongs to. */
const char *map_entry_key(const ProtobufCMessage *entry);
const char *map_entry_value(const ProtobufCMessage *entry);

#endif
