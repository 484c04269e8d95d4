#include "store/lmdb/env.h"

#include "store/lmdb/birth.h"
#include "store/lmdb/directory.h"
#include "store/lmdb/env_schema.h"
#include "store/lmdb/recovery.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    ENV_FILE_MODE = 0600,
    ENV_META_PAGES = 2,
    ENV_PAGE_BYTES_MAX = 65536, /* the map is a multiple of every page size */
    /* Deletes copy pages before they free some: the data file's last part is kept for them. */
    ENV_MAP_RESERVE_SHARE = 8,
    ENV_MAP_RESERVE_MAX = 64 * 1024 * 1024,
    LMDB_FREE_TABLE = 0, /* LMDB's own: the list of free pages, the list of tables */
    LMDB_MAIN_TABLE = 1,
};

struct txn env_begin(struct env *env)
{
    struct txn txn = {.tables = env->tables, .is_write = true, .packing = &env->packing, .pending = env->pending};
    txn.rc = mdb_txn_begin(env->handle, NULL, 0, &txn.handle);
    return txn;
}

struct txn env_begin_read(struct env *env)
{
    struct txn txn = {.tables = env->tables, .pending = env->pending};
    txn.rc = mdb_txn_begin(env->handle, NULL, MDB_RDONLY, &txn.handle);
    return txn;
}

void env_renew_read(struct txn *txn)
{
    txn->rc = mdb_txn_renew(txn->handle);
}

void env_reset_read(struct txn *txn)
{
    mdb_txn_reset(txn->handle);
}

void env_abort(struct txn *txn)
{
    if (txn->handle) {
        mdb_txn_abort(txn->handle);
        txn->handle = NULL;
        if (txn->is_write && txn->pending) {
            pending_rollback(txn->pending);
        }
    }
}

int env_commit(struct env *env, struct txn *txn)
{
    if (txn->rc) {
        int rc = txn->rc;
        env_abort(txn);
        return rc;
    }
    uint64_t id = txn_id(txn);
    int rc = mdb_txn_commit(txn->handle);
    txn->handle = NULL;
    if (rc == 0 && txn->pending) {
        pending_commit(txn->pending, id);
    }
    if (rc) {
        if (txn->pending) {
            pending_rollback(txn->pending);
        }
        /* A full disk may have been met while the meta page was written: LMDB then refuses every later transaction,
         * and the outcome is unknown. */
        struct txn probe = env_begin(env);
        rc = probe.rc == MDB_PANIC ? MDB_PANIC : rc;
        env_abort(&probe);
    }
    return rc;
}

void env_check_readers(struct env *env)
{
    int dead;
    mdb_reader_check(env->handle, &dead);
}

uint64_t env_reader_slots(const struct env *env)
{
    MDB_envinfo info;
    return mdb_env_info(env->handle, &info) == 0 ? info.me_numreaders : 0;
}

int env_refuse(const char *path, const char *what, int rc, struct error *error)
{
    return error_set(error, ERROR_STARTUP, "%s/%s: %s: %s", path, DIRECTORY_DATA_FILE, what, mdb_strerror(rc));
}

int env_open_lmdb(struct env *env, const char *path, unsigned flags, struct error *error)
{
    int rc = mdb_env_create(&env->handle);
    rc = rc ? rc : mdb_env_set_maxdbs(env->handle, TABLE_COUNT);
    rc = rc ? rc : mdb_env_set_maxreaders(env->handle, ENV_READERS_MAX);
    rc = rc ? rc : mdb_env_set_mapsize(env->handle, env->map_bytes / ENV_PAGE_BYTES_MAX * ENV_PAGE_BYTES_MAX);
    /* Default flags: each commit is on disk before it returns. NOTLS: a read transaction is not bound to a thread. */
    rc = rc ? rc : mdb_env_open(env->handle, path, MDB_NOTLS | flags, ENV_FILE_MODE);
    if (rc) {
        return env_refuse(env->path, "cannot open it", rc, error);
    }
    assert(mdb_env_get_maxkeysize(env->handle) >= KEY_LMDB_MAX);
    MDB_stat stat;
    mdb_env_stat(env->handle, &stat);
    env->page_bytes = stat.ms_psize;
    return 0;
}

static int env_start(struct env *env, const struct env_config *config, struct error *error)
{
    int rc = directory_create(env->path, error);
    if (rc) {
        return rc;
    }
    env->lock = directory_lock(env->path, error);
    if (env->lock < 0) {
        return env->lock;
    }
    rc = directory_check_data_file(env->path, error);
    rc = rc ? rc : birth_run(config, error);
    rc = rc ? rc : env_open_lmdb(env, env->path, 0, error);
    if (rc) {
        return rc;
    }
    env_check_readers(env);
    rc = schema_read(env, config->refuse_older, error);
    if (rc == 1) { /* made by an older chatlogd that did not get far */
        return schema_create(env, config, error);
    }
    return rc ? rc : schema_complete(env, error);
}

static int env_look(struct env *env, const struct env_config *config, struct error *error)
{
    int rc = directory_check_data_file(env->path, error);
    rc = rc ? rc : env_open_lmdb(env, env->path, MDB_RDONLY | (config->alone ? MDB_NOLOCK : 0U), error);
    rc = rc ? rc : schema_read(env, false, error);
    return rc == 1 ? error_set(error, ERROR_STARTUP, "%s holds no data yet", env->path) : rc;
}

typedef int env_begin_with(struct env *env, const struct env_config *config, struct error *error);

/* Reads the journal. */
static int pending_make(struct env *env, struct error *error)
{
    struct txn txn = env_begin_read(env);
    struct pending *pending = txn.rc ? NULL : recovery_run(&txn);
    int rc = txn.rc || pending ? txn.rc : ENOMEM;
    env_abort(&txn);
    if (rc) {
        return env_refuse(env->path, "cannot read the journal", rc, error);
    }
    env->pending = pending;
    return 0;
}

struct env *env_new(const struct env_config *config)
{
    struct env *env = calloc(1, sizeof(*env));
    char *path = strdup(config->data_dir);
    if (!env || !path) {
        free(env);
        free(path);
        return NULL;
    }
    *env = (struct env){
        .lock = -1,
        .path = path,
        .map_bytes = config->map_bytes,
        .disk_reserve_bytes = config->disk_reserve_bytes,
    };
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        env->tables[i] = TXN_TABLE_CLOSED;
    }
    return env;
}

static int env_make(const struct env_config *config, env_begin_with *begin, struct env **ret_env, struct error *error)
{
    struct env *env = env_new(config);
    if (!env) {
        return error_set(error, ERROR_STARTUP, "%s: no memory to open it", config->data_dir);
    }
    int rc = begin(env, config, error);
    rc = rc ? rc : pending_make(env, error);
    if (rc) {
        env_close(env);
        return rc;
    }
    *ret_env = env;
    return 0;
}

int env_open(const struct env_config *config, struct env **ret_env, struct error *error)
{
    return env_make(config, env_start, ret_env, error);
}

int env_open_read_only(const struct env_config *config, struct env **ret_env, struct error *error)
{
    return env_make(config, env_look, ret_env, error);
}

struct env *env_close(struct env *env)
{
    if (env->handle) {
        mdb_env_close(env->handle);
    }
    if (env->pending) {
        pending_free(env->pending);
    }
    if (env->lock >= 0) {
        close(env->lock);
    }
    buffer_free(&env->packing);
    free(env->path);
    free(env);
    return NULL;
}

static uint64_t table_pages(struct txn *txn, MDB_dbi table)
{
    MDB_stat stat;
    if (txn->rc || table == TXN_TABLE_CLOSED || mdb_stat(txn->handle, table, &stat)) {
        return 0;
    }
    return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

struct env_size env_size(struct env *env, struct txn *txn)
{
    uint64_t pages = ENV_META_PAGES + table_pages(txn, LMDB_FREE_TABLE) + table_pages(txn, LMDB_MAIN_TABLE);
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        pages += env->tables[i] == TXN_TABLE_CLOSED ? 0 : table_pages(txn, env->tables[i]);
    }
    mdb_filehandle_t file;
    struct stat status;
    uint64_t file_bytes = 0;
    if (mdb_env_get_fd(env->handle, &file) == 0 && fstat(file, &status) == 0) {
        file_bytes = (uint64_t)status.st_size;
    }
    return (struct env_size){.used_bytes = pages * env->page_bytes,
                             .file_bytes = file_bytes,
                             .page_bytes = env->page_bytes,
                             .map_bytes = env->map_bytes};
}

uint64_t env_free_bytes(const struct env *env)
{
    struct statvfs disk;
    if (statvfs(env->path, &disk)) {
        return UINT64_MAX; /* not known: LMDB will meet it */
    }
    uint64_t available = (uint64_t)disk.f_bavail * disk.f_frsize;
    return available > env->disk_reserve_bytes ? available - env->disk_reserve_bytes : 0;
}

bool env_has_room(struct env *env, struct txn *txn)
{
    if (env_free_bytes(env) == 0) {
        return false;
    }
    uint64_t reserve = env->map_bytes / ENV_MAP_RESERVE_SHARE;
    reserve = reserve < ENV_MAP_RESERVE_MAX ? reserve : ENV_MAP_RESERVE_MAX;
    return env_size(env, txn).used_bytes + reserve <= env->map_bytes;
}
