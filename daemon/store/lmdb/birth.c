#include "store/lmdb/birth.h"

#include "store/lmdb/directory.h"
#include "store/lmdb/env_schema.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NEW_DIRECTORY_MODE = 0700 };

struct birth {
    char directory[PATH_MAX]; /* DIR/new */
    char made[PATH_MAX];      /* DIR/new/data.mdb */
    char file[PATH_MAX];      /* DIR/data.mdb */
};

static int birth_refuse(const char *path, const char *what, struct error *error)
{
    return error_set(error, ERROR_STARTUP, "%s: %s: %s", path, what, strerror(errno));
}

static int birth_name(const char *data_dir, struct birth *ret, struct error *error)
{
    int lengths[] = {
        snprintf(ret->directory, sizeof(ret->directory), "%s/" DIRECTORY_NEW, data_dir),
        snprintf(ret->made, sizeof(ret->made), "%s/" DIRECTORY_NEW "/" DIRECTORY_DATA_FILE, data_dir),
        snprintf(ret->file, sizeof(ret->file), "%s/" DIRECTORY_DATA_FILE, data_dir),
    };
    errno = ENAMETOOLONG;
    return lengths[1] < PATH_MAX ? 0 : birth_refuse(data_dir, "cannot be the data directory", error);
}

static int leftovers_remove(const struct birth *birth, struct error *error)
{
    if ((unlink(birth->made) && errno != ENOENT) || (rmdir(birth->directory) && errno != ENOENT)) {
        return birth_refuse(birth->directory, "cannot remove what an earlier start left", error);
    }
    return 0;
}

int birth_make(const char *data_dir, birth_fill *fill, void *arg, struct error *error)
{
    struct birth birth;
    int rc = birth_name(data_dir, &birth, error);
    rc = rc ? rc : leftovers_remove(&birth, error);
    if (rc) {
        return rc;
    }
    if (mkdir(birth.directory, NEW_DIRECTORY_MODE)) {
        return birth_refuse(birth.directory, "cannot create it", error);
    }
    rc = fill(arg, birth.directory, error);
    if (rc == 0 && rename(birth.made, birth.file)) {
        rc = birth_refuse(birth.file, "cannot give the new data file its name", error);
    }
    struct error ignored; /* what stays now is removed at the next start */
    leftovers_remove(&birth, &ignored);
    return rc ? rc : directory_sync(data_dir, error);
}

/* Nobody else knows of the file yet, so that it needs no locks. */
static int tables_fill(void *arg, const char *directory, struct error *error)
{
    const struct env_config *config = arg;
    struct env *env = env_new(config);
    if (!env) {
        return error_set(error, ERROR_STARTUP, "%s: no memory to open it", config->data_dir);
    }
    int rc = env_open_lmdb(env, directory, MDB_NOLOCK, error);
    rc = rc ? rc : schema_create(env, config, error);
    env_close(env);
    return rc;
}

int birth_run(const struct env_config *config, struct error *error)
{
    struct birth birth;
    struct stat status;
    struct env_config copy = *config;
    int rc = birth_name(config->data_dir, &birth, error);
    if (rc == 0 && stat(birth.file, &status) == 0 && status.st_size > 0) {
        return leftovers_remove(&birth, error);
    }
    return rc ? rc : birth_make(config->data_dir, tables_fill, &copy, error);
}
