#include "history/check.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

enum { SHOWN_BYTES = 40 };

const char *map_entry_key(const ProtobufCMessage *entry)
{
    const char *const *key = (const void *)((const char *)entry + entry->descriptor->fields[0].offset);
    return *key;
}

const char *map_entry_value(const ProtobufCMessage *entry)
{
    const char *const *value = (const void *)((const char *)entry + entry->descriptor->fields[1].offset);
    return *value;
}

static int too_large(struct error *error, const char *field, uint64_t size, const char *unit, uint64_t max)
{
    error_set(error, ERROR_REQUEST_TOO_LARGE, "%s has %" PRIu64 " %s; at most %" PRIu64 " are allowed", field, size,
              unit, max);
    return error_add_detail(error, "limit", max);
}

int check_text(const char *field, const char *value, uint64_t max, struct error *error)
{
    size_t size = strlen(value);
    if (size > max) {
        return too_large(error, field, size, "bytes", max);
    }
    if (text_has_control_character(value)) {
        return error_set(error, ERROR_FIELD_INVALID, "%s has a control character; none is allowed", field);
    }
    return 0;
}

int check_id(const struct limits *limits, const char *field, const char *value, struct error *error)
{
    if (!*value) {
        return error_set(error, ERROR_FIELD_REQUIRED, "%s is needed: 1 to %" PRIu64 " bytes", field, limits->id_bytes);
    }
    return check_text(field, value, limits->id_bytes, error);
}

int check_owner(const struct limits *limits, const char *user_id, const char *conversation_id, struct error *error)
{
    int rc = check_id(limits, "user_id", user_id, error);
    return rc ? rc : check_id(limits, "conversation_id", conversation_id, error);
}

static int check_pair(const struct limits *limits, size_t index, ProtobufCMessage *const *entries, struct error *error)
{
    const char *key = map_entry_key(entries[index]);
    if (!*key) {
        return error_set(error, ERROR_FIELD_INVALID, "metadata has an empty key; 1 to %" PRIu64 " bytes are allowed",
                         limits->metadata_key_bytes);
    }
    int rc = check_text("a metadata key", key, limits->metadata_key_bytes, error);
    if (rc) {
        return rc;
    }
    size_t value_size = strlen(map_entry_value(entries[index]));
    if (value_size > limits->metadata_value_bytes) {
        return too_large(error, "a metadata value", value_size, "bytes", limits->metadata_value_bytes);
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(key, map_entry_key(entries[i])) == 0) {
            return error_set(error, ERROR_FIELD_INVALID, "metadata has the key \"%.*s\" twice", SHOWN_BYTES, key);
        }
    }
    return 0;
}

int check_metadata(const struct limits *limits, size_t count, ProtobufCMessage *const *entries, struct error *error)
{
    if (count > limits->metadata_pairs) {
        return too_large(error, "metadata", count, "pairs", limits->metadata_pairs);
    }
    for (size_t i = 0; i < count; i++) {
        int rc = check_pair(limits, i, entries, error);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

int check_time(const char *field, int64_t value, struct error *error)
{
    if (value < 0 || value > CHECK_TIME_MAX) {
        return error_set(error, ERROR_FIELD_INVALID,
                         "%s is %" PRId64 "; microseconds since 1970 from 0 to %" PRId64 " are allowed", field, value,
                         CHECK_TIME_MAX);
    }
    return 0;
}

int check_count(const struct limits *limits, const char *field, uint64_t value, bool zero_is_default,
                struct error *error)
{
    if (value > limits->append_messages || (value == 0 && !zero_is_default)) {
        error_set(error, ERROR_FIELD_INVALID, "%s is %" PRIu64 "; 1 to %" PRIu64 " are allowed%s", field, value,
                  limits->append_messages, zero_is_default ? ", or 0 for the default" : "");
        return error_add_detail(error, "limit", limits->append_messages);
    }
    return 0;
}

static const struct mask_path *mask_path_find(const struct mask_path *table, const char *path)
{
    while (table->path && strcmp(table->path, path) != 0) {
        table++;
    }
    return table->path ? table : NULL;
}

static int mask_path_unknown(const struct mask_path *table, const char *path, struct error *error)
{
    char allowed[128] = "";
    for (size_t used = 0; table->path && used < sizeof(allowed); table++) {
        strncat(allowed, used ? ", " : "", sizeof(allowed) - strlen(allowed) - 1);
        strncat(allowed, table->path, sizeof(allowed) - strlen(allowed) - 1);
        used = strlen(allowed);
    }
    return error_set(error, ERROR_FIELD_INVALID, "update_mask has \"%.*s\"; allowed are: %s", SHOWN_BYTES, path,
                     allowed);
}

int check_mask(const struct limits *limits, size_t count, char *const *paths, const struct mask_path *table,
               unsigned *ret_mask, struct error *error)
{
    if (count == 0) {
        return error_set(error, ERROR_FIELD_REQUIRED, "update_mask is needed: the fields to change");
    }
    if (count > limits->mask_paths) {
        return too_large(error, "update_mask", count, "paths", limits->mask_paths);
    }
    unsigned mask = 0;
    for (size_t i = 0; i < count; i++) {
        const struct mask_path *row = mask_path_find(table, paths[i]);
        if (!row) {
            return mask_path_unknown(table, paths[i], error);
        }
        mask |= row->bit;
    }
    *ret_mask = mask;
    return 0;
}
