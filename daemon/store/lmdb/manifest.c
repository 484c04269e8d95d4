/* The manifest of a backup: JSON, so that people and tools can read it. It has the sum of the data file, and one of
 * itself: what an operator chooses a backup by is as sound as the backup. */
#include "store/lmdb/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* Sums up all other members, whatever their order and layout. */
#define OWN_SUM "manifest_xxh3_64"

enum { MANIFEST_FORMAT = 1, MANIFEST_MODE = 0600, MANIFEST_BYTES_MAX = 65536, SUM_DIGITS = 16 };

/* The numbers in it. */
static const struct field {
    const char *name;
    size_t offset; /* of a uint64_t in struct store_backup */
} fields[] = {
    {"commit_id", offsetof(struct store_backup, commit_id)},
    {"time_us", offsetof(struct store_backup, time_us)},
    {"layout", offsetof(struct store_backup, layout)},
    {"target_layout", offsetof(struct store_backup, target)},
    {"file_bytes", offsetof(struct store_backup, file_bytes)},
    {"users", offsetof(struct store_backup, users)},
    {"conversations", offsetof(struct store_backup, conversations)},
    {"messages", offsetof(struct store_backup, messages)},
    {"content_bytes", offsetof(struct store_backup, content_bytes)},
    {"findings", offsetof(struct store_backup, findings)},
};

static void sum_write(uint64_t sum, char ret[SUM_DIGITS + 1])
{
    snprintf(ret, SUM_DIGITS + 1, "%016" PRIx64, sum);
}

/* False: memory is short. */
static bool own_sum(const json_t *json, char ret[SUM_DIGITS + 1])
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (text) {
        sum_write(XXH3_64bits(text, strlen(text)), ret);
    }
    free(text);
    return text != NULL;
}

static bool manifest_fill(json_t *json, const struct store_backup *backup)
{
    char sum[SUM_DIGITS + 1];
    bool filled = true;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        uint64_t value;
        memcpy(&value, (const char *)backup + fields[i].offset, sizeof(value));
        filled = filled && json_object_set_new(json, fields[i].name, json_integer((json_int_t)value)) == 0;
    }
    return filled && own_sum(json, sum) && json_object_set_new(json, OWN_SUM, json_string(sum)) == 0;
}

static json_t *manifest_tell(const struct store_backup *backup)
{
    char sum[SUM_DIGITS + 1];
    sum_write(backup->sum, sum);
    json_t *json = json_pack("{s:i, s:s}", "chatlogd_backup", MANIFEST_FORMAT, "xxh3_64", sum);
    if (json && !manifest_fill(json, backup)) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

static int text_write(int file, const char *text)
{
    for (size_t at = 0, size = strlen(text); at < size;) {
        ssize_t count = write(file, text + at, size - at);
        if (count < 0 && errno != EINTR) {
            return errno;
        }
        at += count > 0 ? (size_t)count : 0;
    }
    return fsync(file) ? errno : 0;
}

int manifest_write(int directory, const struct store_backup *backup)
{
    json_t *json = manifest_tell(backup);
    /* Not json_dumpfd: jansson 2.14 does not notice when a key cannot be written. */
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    if (!text) {
        return ENOMEM;
    }
    int file = openat(directory, BACKUP_MANIFEST, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MANIFEST_MODE);
    int rc = file < 0 ? errno : text_write(file, text);
    if (file >= 0) {
        close(file);
    }
    free(text);
    return rc;
}

static bool sum_take(const char *text, uint64_t *ret_sum)
{
    char *end;
    *ret_sum = strtoull(text, &end, 16);
    return strlen(text) == SUM_DIGITS && *end == '\0';
}

/* Takes the sum out of the manifest. False: it is not that of the rest. */
static bool own_sum_fits(json_t *json)
{
    char told[SUM_DIGITS + 1];
    char sum[SUM_DIGITS + 1];
    const char *text = json_string_value(json_object_get(json, OWN_SUM));
    if (!text || strlen(text) != SUM_DIGITS) {
        return false;
    }
    memcpy(told, text, sizeof(told));
    return json_object_del(json, OWN_SUM) == 0 && own_sum(json, sum) && strcmp(told, sum) == 0;
}

static bool manifest_take(json_t *json, struct store_backup *ret)
{
    int format;
    const char *sum;
    struct store_backup backup = {0};
    if (json_unpack(json, "{s:i, s:s}", "chatlogd_backup", &format, "xxh3_64", &sum) || format != MANIFEST_FORMAT ||
        !sum_take(sum, &backup.sum)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        json_t *number = json_object_get(json, fields[i].name);
        if (!json_is_integer(number) || json_integer_value(number) < 0) {
            return false;
        }
        uint64_t value = (uint64_t)json_integer_value(number);
        memcpy((char *)&backup + fields[i].offset, &value, sizeof(value));
    }
    *ret = backup;
    return true;
}

int manifest_read(const char *backup, struct store_backup *ret, char *why, size_t why_size)
{
    char path[PATH_MAX];
    char text[MANIFEST_BYTES_MAX];
    snprintf(path, sizeof(path), "%s/" BACKUP_MANIFEST, backup);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text));
    int number = errno;
    if (file >= 0) {
        close(file);
    }
    if (size < 0) {
        snprintf(why, why_size, "%s", strerror(number));
        return -1;
    }
    json_t *json = json_loadb(text, (size_t)size, JSON_REJECT_DUPLICATES, NULL);
    struct store_backup told;
    const char *wrong = !json || !manifest_take(json, &told)
                            ? "it is not the manifest of a backup that this chatlogd knows"
                        : !own_sum_fits(json) ? "it was changed or damaged: its checksum of itself does not fit"
                                              : NULL;
    json_decref(json);
    if (wrong) {
        snprintf(why, why_size, "%s", wrong);
        return -1;
    }
    *ret = told;
    return 0;
}
