#include "store/lmdb/backup.h"

#include "store/lmdb/directory.h"
#include "store/lmdb/env_copy.h"
#include "store/lmdb/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

/* Where it is made: hidden, so that nobody takes it for a backup. What a killed daemon left there the next one removes.
 */
#define MAKING ".making"

enum {
    BLOCK_BYTES = 1 << 18,
    BLOCKS_CHECKED = 16, /* room and growth are looked at so often */
    FILE_MODE = 0600,
    DIRECTORY_MODE = 0700,
    PAGES_SPARE = 1 << 20, /* of the copy beside pages in use, and the manifest */
};

struct backup {
    const struct backup_config *config;
    struct error *error;
    int directory; /* of all backups */
    int making;
    int file;
    uint64_t file_bytes_at_first; /* of the data file */
    XXH3_state_t *state;
    uint8_t *block;
    struct store_backup done;
};

static int backup_fail(struct backup *backup, const char *what, int number)
{
    if (number == ENOSPC || number == EDQUOT || number == EFBIG) {
        return error_set(backup->error, ERROR_DISK_FULL, "the backup was given up: %s: %s", what, strerror(number));
    }
    return error_set(backup->error, ERROR_BACKUP_FAILED, "the backup was given up: %s: %s", what, strerror(number));
}

static uint64_t room_left(const struct backup *backup)
{
    struct statvfs disk;
    if (fstatvfs(backup->directory, &disk)) {
        return UINT64_MAX; /* not known: the write will meet it */
    }
    uint64_t available = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t reserve = backup->config->disk_reserve_bytes;
    return available > reserve ? available - reserve : 0;
}

static struct env_size size_now(const struct backup *backup)
{
    struct txn txn = env_begin_read(backup->config->env);
    struct env_size size = env_size(backup->config->env, &txn);
    env_abort(&txn);
    return size;
}

static int directory_take(struct backup *backup)
{
    const struct backup_config *config = backup->config;
    struct stat status;
    backup->directory = open(config->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (backup->directory < 0) {
        return backup_fail(backup, "the backup directory (backup-dir) cannot be opened", errno);
    }
    if (flock(backup->directory, LOCK_EX | LOCK_NB)) {
        return error_set(backup->error, ERROR_JOB_RUNNING, "another process is making a backup in this directory");
    }
    if (fstatat(backup->directory, config->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        return error_set(backup->error, ERROR_BACKUP_EXISTS, "there is a backup \"%s\" already", config->name);
    }
    return errno == ENOENT ? 0 : backup_fail(backup, "the backup directory (backup-dir) cannot be read", errno);
}

static void making_remove(const struct backup *backup)
{
    unlinkat(backup->directory, MAKING "/" DIRECTORY_DATA_FILE, 0);
    unlinkat(backup->directory, MAKING "/" BACKUP_MANIFEST, 0);
    unlinkat(backup->directory, MAKING, AT_REMOVEDIR);
}

/* Refuses what would not leave the reserve free. Compacted, the copy is at most what the data takes now. */
static int room_check(struct backup *backup)
{
    struct env_size size = size_now(backup);
    uint64_t needed = size.used_bytes + PAGES_SPARE;
    uint64_t left = room_left(backup);
    backup->file_bytes_at_first = size.file_bytes;
    if (needed > left) {
        error_set(backup->error, ERROR_DISK_FULL,
                  "a backup needs up to %" PRIu64 " bytes, and the disk of the backup directory has %" PRIu64
                  " beyond its reserve",
                  needed, left);
        return error_add_detail(backup->error, "needed_bytes", needed);
    }
    return 0;
}

static int file_begin(struct backup *backup)
{
    making_remove(backup);
    if (mkdirat(backup->directory, MAKING, DIRECTORY_MODE)) {
        return backup_fail(backup, "the backup directory (backup-dir) cannot be written", errno);
    }
    backup->making = openat(backup->directory, MAKING, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (backup->making < 0) {
        return backup_fail(backup, "the backup directory (backup-dir) cannot be written", errno);
    }
    backup->file = openat(backup->making, DIRECTORY_DATA_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    return backup->file < 0 ? backup_fail(backup, "its file cannot be made", errno) : 0;
}

/* May it go on? The snapshot keeps the daemon from using again what is freed since. */
static int going_check(struct backup *backup)
{
    if (atomic_load(backup->config->stop)) {
        return error_set(backup->error, ERROR_SHUTTING_DOWN, "the backup was given up: the daemon is stopping");
    }
    if (room_left(backup) == 0 || env_free_bytes(backup->config->env) == 0) {
        return error_set(backup->error, ERROR_DISK_FULL, "the backup was given up: it would take the disk's reserve");
    }
    uint64_t bytes = size_now(backup).file_bytes;
    if (bytes > 2 * backup->file_bytes_at_first + STORE_BACKUP_GROWTH_BYTES) {
        return error_set(backup->error, ERROR_BACKUP_FAILED,
                         "the backup was given up: the data file grew from %" PRIu64 " to %" PRIu64
                         " bytes meanwhile; try again when less is written, or with a faster disk for backups",
                         backup->file_bytes_at_first, bytes);
    }
    return 0;
}

static int block_write(struct backup *backup, size_t size)
{
    XXH3_64bits_update(backup->state, backup->block, size);
    for (size_t at = 0; at < size;) {
        ssize_t count = write(backup->file, backup->block + at, size - at);
        if (count < 0 && errno != EINTR) {
            return backup_fail(backup, "its file cannot be written", errno);
        }
        at += count > 0 ? (size_t)count : 0;
    }
    backup->done.file_bytes += size;
    return 0;
}

static int stream_take(struct backup *backup, int stream)
{
    for (size_t blocks = 0;; blocks++) {
        int rc = blocks % BLOCKS_CHECKED == 0 ? going_check(backup) : 0;
        if (rc) {
            return rc;
        }
        ssize_t size = read(stream, backup->block, BLOCK_BYTES);
        if (size < 0 && errno != EINTR) {
            return backup_fail(backup, "the copy cannot be read", errno);
        }
        if (size == 0) {
            return 0;
        }
        rc = size > 0 ? block_write(backup, (size_t)size) : 0;
        if (rc) {
            return rc;
        }
    }
}

static int copy_take(struct backup *backup)
{
    struct env_copy *copy;
    int rc = env_copy_begin(backup->config->env, &copy, backup->error);
    if (rc) {
        return rc;
    }
    backup->done.commit_id = env_copy_commit(copy);
    backup->done.time_us = (uint64_t)backup->config->wall_clock_us();
    XXH3_64bits_reset(backup->state);
    rc = stream_take(backup, env_copy_descriptor(copy));
    int lmdb = env_copy_end(copy);
    if (rc == 0 && lmdb) {
        return error_set(backup->error, ERROR_BACKUP_FAILED, "the data file cannot be copied: %s", mdb_strerror(lmdb));
    }
    backup->done.sum = XXH3_64bits_digest(backup->state);
    return rc ? rc : fsync(backup->file) ? backup_fail(backup, "its file cannot be synced", errno) : 0;
}

/* Reads back from the disk what was written. */
static int file_compare(struct backup *backup)
{
    uint64_t bytes = 0;
    ssize_t size;
    posix_fadvise(backup->file, 0, 0, POSIX_FADV_DONTNEED);
    XXH3_64bits_reset(backup->state);
    while ((size = pread(backup->file, backup->block, BLOCK_BYTES, (off_t)bytes)) > 0) {
        XXH3_64bits_update(backup->state, backup->block, (size_t)size);
        bytes += (uint64_t)size;
    }
    if (size < 0) {
        return backup_fail(backup, "its file cannot be read", errno);
    }
    if (bytes != backup->done.file_bytes || XXH3_64bits_digest(backup->state) != backup->done.sum) {
        return error_set(backup->error, ERROR_BACKUP_FAILED, "the backup was given up: its file is not as written");
    }
    return 0;
}

static bool survey_goes_on(void *arg)
{
    const struct backup *backup = arg;
    return !atomic_load(backup->config->stop);
}

/* Opens the copy as a daemon would, and looks at everything in it. Damage in the data is damage in its backup: told,
 * and no reason to have none. */
static int file_survey(struct backup *backup)
{
    char path[PATH_MAX];
    struct env *env;
    struct store_survey survey;
    struct marker marker = {0};
    struct store_backup *done = &backup->done;
    const struct survey_pace pace = {.rest = survey_goes_on, .arg = backup};
    snprintf(path, sizeof(path), "%s/" MAKING, backup->config->directory);
    const struct env_config config = {.data_dir = path, .map_bytes = backup->config->map_bytes, .alone = true};
    int rc = env_open_read_only(&config, &env, backup->error);
    if (rc) {
        return error_set(backup->error, ERROR_BACKUP_FAILED, "the backup was given up: it does not open");
    }
    rc = survey_run(env, &pace, &survey, backup->error);
    struct txn txn = env_begin_read(env);
    migrate_read_marker(&txn, &marker);
    env_abort(&txn);
    env_close(env);
    done->layout = marker.layout;
    done->target = marker.target;
    done->users = survey.users;
    done->conversations = survey.conversations;
    done->messages = survey.messages;
    done->content_bytes = survey.content_bytes;
    done->findings = survey_findings(&survey);
    return rc;
}

static int name_give(struct backup *backup)
{
    int rc = manifest_write(backup->making, &backup->done);
    if (rc) {
        return backup_fail(backup, "its manifest cannot be written", rc);
    }
    if (fsync(backup->making) ||
        renameat2(backup->directory, MAKING, backup->directory, backup->config->name, RENAME_NOREPLACE) ||
        fsync(backup->directory)) {
        return backup_fail(backup, "it cannot be given its name", errno);
    }
    return 0;
}

int backup_run(const struct backup_config *config, struct store_backup *ret, struct error *error)
{
    struct backup backup = {.config = config,
                            .error = error,
                            .directory = -1,
                            .making = -1,
                            .file = -1,
                            .state = XXH3_createState(),
                            .block = malloc(BLOCK_BYTES)};
    int rc = backup.state && backup.block ? 0 : error_set(error, ERROR_MEMORY_SHORT, "no memory for a backup");
    int (*const steps[])(struct backup *) = {directory_take, room_check,  file_begin, copy_take,
                                             file_compare,   file_survey, name_give};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++) {
        rc = steps[i](&backup);
    }
    if (rc && backup.file >= 0) {
        making_remove(&backup);
    }
    const int descriptors[] = {backup.file, backup.making, backup.directory};
    for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
        if (descriptors[i] >= 0) {
            close(descriptors[i]);
        }
    }
    XXH3_freeState(backup.state);
    free(backup.block);
    if (rc == 0) {
        *ret = backup.done;
    }
    return rc;
}
