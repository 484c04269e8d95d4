/* store_restore: a data directory made of a backup. */
#include "store/lmdb/backup.h"
#include "store/lmdb/birth.h"
#include "store/lmdb/directory.h"
#include "store/maintenance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { BLOCK_BYTES = 1 << 18, FILE_MODE = 0600, WHY_BYTES = 160 };

struct restore {
    const struct store_config *config;
    const char *from;
    struct store_backup backup;
};

/* Copies to the end, and sums up what was copied. Returns 0, or an errno. */
static int bytes_copy(int from, int to, uint64_t *ret_bytes, uint64_t *ret_sum)
{
    XXH3_state_t *state = XXH3_createState();
    uint8_t *block = malloc(BLOCK_BYTES);
    int rc = state && block ? 0 : ENOMEM;
    uint64_t bytes = 0;
    ssize_t size = 0;
    if (rc == 0) {
        XXH3_64bits_reset(state);
    }
    while (rc == 0 && (size = read(from, block, BLOCK_BYTES)) > 0) {
        XXH3_64bits_update(state, block, (size_t)size);
        bytes += (uint64_t)size;
        for (ssize_t at = 0; at < size && rc == 0;) {
            ssize_t count = write(to, block + at, (size_t)(size - at));
            rc = count < 0 && errno != EINTR ? errno : 0;
            at += count > 0 ? count : 0;
        }
    }
    rc = rc == 0 && (size < 0 || fsync(to)) ? errno : rc;
    if (rc == 0) {
        *ret_sum = XXH3_64bits_digest(state);
        *ret_bytes = bytes;
    }
    XXH3_freeState(state);
    free(block);
    return rc;
}

static int file_copy(const struct restore *restore, const char *directory, struct error *error)
{
    char source[PATH_MAX];
    char target[PATH_MAX];
    uint64_t bytes = 0;
    uint64_t sum = 0;
    snprintf(source, sizeof(source), "%s/" DIRECTORY_DATA_FILE, restore->from);
    snprintf(target, sizeof(target), "%s/" DIRECTORY_DATA_FILE, directory);
    int from = open(source, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return error_set(error, ERROR_STARTUP, "%s: cannot open it: %s", source, strerror(errno));
    }
    int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    int rc = to < 0 ? errno : bytes_copy(from, to, &bytes, &sum);
    if (to >= 0) {
        close(to);
    }
    close(from);
    if (rc) {
        return error_set(error, ERROR_STARTUP, "%s: cannot copy it to %s: %s", source, target, strerror(rc));
    }
    if (bytes != restore->backup.file_bytes || sum != restore->backup.sum) {
        return error_set(error, ERROR_STARTUP,
                         "%s is not the file that the manifest beside it is about: it was changed or damaged; nothing "
                         "was restored; chatlogd salvage takes out of it what can be read",
                         source);
    }
    return 0;
}

/* Fills the directory in which the data file comes into being. */
static int restore_fill(void *arg, const char *directory, struct error *error)
{
    const struct restore *restore = arg;
    struct env *env;
    const struct env_config config = {.data_dir = directory, .map_bytes = restore->config->map_bytes, .alone = true};
    int rc = file_copy(restore, directory, error);
    rc = rc ? rc : env_open_read_only(&config, &env, error); /* refuses what this chatlogd does not know */
    if (rc == 0) {
        env_close(env);
    }
    return rc;
}

int store_restore(const struct store_config *config, const char *from, struct store_backup *ret, struct error *error)
{
    char why[WHY_BYTES];
    struct restore restore = {.config = config, .from = from};
    if (manifest_read(from, &restore.backup, why, sizeof(why))) {
        return error_set(error, ERROR_STARTUP, "%s/" BACKUP_MANIFEST ": %s; a backup is a directory with a manifest",
                         from, why);
    }
    int lock = directory_begin(config->data_dir, error);
    if (lock < 0) {
        return lock;
    }
    int rc = birth_make(config->data_dir, restore_fill, &restore, error);
    close(lock);
    if (rc == 0) {
        *ret = restore.backup;
    }
    return rc;
}
