#include "store/lmdb/env.h"

#include "store/lmdb/directory.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    ENV_TABLES_MAX = 16, /* the tables of this layout and of one to migrate to */
    ENV_FILE_MODE = 0600,
    ENV_META_PAGES = 2,
    ENV_PAGE_BYTES_MAX = 65536, /* the map is a multiple of every page size */
    /* Deletes copy pages before they free some: the data file's last part is kept for them. */
    ENV_MAP_RESERVE_SHARE = 8,
    ENV_MAP_RESERVE_MAX = 64 * 1024 * 1024,
    LMDB_FREE_TABLE = 0, /* LMDB's own: the list of free pages, the list of tables */
    LMDB_MAIN_TABLE = 1,
};

static const char *const table_names[TABLE_COUNT] = {
    [TABLE_META] = "_meta",          [TABLE_CONVERSATIONS] = "conversations",
    [TABLE_MESSAGES] = "messages",   [TABLE_MESSAGE_IDS] = "message_ids",
    [TABLE_RECENCY] = "recency",     [TABLE_REQUESTS] = "requests",
    [TABLE_DEADLINES] = "deadlines", [TABLE_PURGES] = "purges",
};

static const char marker_key[] = "layout";

struct env {
    MDB_env *handle;
    MDB_dbi tables[TABLE_COUNT];
    int lock;
    char *path;
    uint64_t map_bytes;
    uint64_t disk_reserve_bytes;
    uint64_t page_bytes;
};

struct txn env_begin(struct env *env)
{
    struct txn txn = {.tables = env->tables};
    txn.rc = mdb_txn_begin(env->handle, NULL, 0, &txn.handle);
    return txn;
}

struct txn env_begin_read(struct env *env)
{
    struct txn txn = {.tables = env->tables};
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
    }
}

int env_commit(struct env *env, struct txn *txn)
{
    if (txn->rc) {
        int rc = txn->rc;
        env_abort(txn);
        return rc;
    }
    int rc = mdb_txn_commit(txn->handle);
    txn->handle = NULL;
    if (rc) {
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

static int lmdb_refuse(const char *path, const char *what, int rc, struct error *error)
{
    return error_set(error, ERROR_STARTUP, "%s/%s: %s: %s", path, DIRECTORY_DATA_FILE, what, mdb_strerror(rc));
}

static int marker_refuse(const char *path, const char *what, struct error *error)
{
    return error_set(error, ERROR_STARTUP,
                     "%s/%s holds data, but its layout marker is %s: nothing was changed; restore a backup of the "
                     "directory, or move it away to start empty",
                     path, DIRECTORY_DATA_FILE, what);
}

static int marker_check(const char *path, struct span bytes, struct error *error)
{
    struct marker marker;
    if (marker_decode(bytes, &marker)) {
        return marker_refuse(path, "damaged", error);
    }
    unsigned needed = marker.min_writer > marker.min_reader ? marker.min_writer : marker.min_reader;
    if (needed > MARKER_LAYOUT) {
        return error_set(error, ERROR_STARTUP,
                         "%s/%s has key layout %u and needs a chatlogd that knows layout %u; this one knows layouts 1 "
                         "to %d: nothing was changed; start the newer chatlogd",
                         path, DIRECTORY_DATA_FILE, (unsigned)marker.layout, needed, MARKER_LAYOUT);
    }
    if (marker.layout != MARKER_LAYOUT || marker.target != MARKER_LAYOUT || marker.state != MARKER_AT_REST) {
        return marker_refuse(path, "one that no chatlogd wrote", error);
    }
    return 0;
}

static void marker_create(struct txn *txn, int64_t now_us)
{
    struct marker marker = {
        .format = MARKER_FORMAT,
        .layout = MARKER_LAYOUT,
        .target = MARKER_LAYOUT,
        .min_reader = MARKER_LAYOUT,
        .min_writer = MARKER_LAYOUT,
        .state = MARKER_AT_REST,
        .create_time_us = now_us,
    };
    uint8_t bytes[MARKER_BYTES];
    if (getrandom(marker.identity, sizeof(marker.identity), 0) != (ssize_t)sizeof(marker.identity)) {
        txn->rc = EIO;
    }
    marker_encode(&marker, bytes);
    txn_put(txn, TABLE_META, span_of_string(marker_key), span_of(bytes, sizeof(bytes)));
}

static int tables_open(struct env *env, struct txn *txn, unsigned flags)
{
    for (size_t i = 0; i < TABLE_COUNT && !txn->rc; i++) {
        txn->rc = mdb_dbi_open(txn->handle, table_names[i], flags, &env->tables[i]);
    }
    return txn->rc;
}

/* The first table and the marker come into being in one commit: there is no data without a marker. */
static int layout_create(struct env *env, int64_t now_us, struct error *error)
{
    struct txn txn = env_begin(env);
    if (!tables_open(env, &txn, MDB_CREATE)) {
        marker_create(&txn, now_us);
    }
    int rc = env_commit(env, &txn);
    if (rc) {
        return lmdb_refuse(env->path, "cannot create the tables", rc, error);
    }
    return directory_sync(env->path, error);
}

/* Reads the marker and opens the tables, and writes nothing. Returns 1 when the file is new. */
static int layout_read(struct env *env, struct error *error)
{
    MDB_stat stat;
    int rc = mdb_env_stat(env->handle, &stat);
    if (rc) {
        return lmdb_refuse(env->path, "cannot read it", rc, error);
    }
    if (stat.ms_entries == 0) {
        return 1;
    }
    struct txn txn = env_begin_read(env);
    struct span marker;
    rc = txn.rc ? txn.rc : mdb_dbi_open(txn.handle, table_names[TABLE_META], 0, &env->tables[TABLE_META]);
    if (rc) {
        env_abort(&txn);
        return rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE ? marker_refuse(env->path, "missing", error)
                                                            : lmdb_refuse(env->path, "cannot read it", rc, error);
    }
    rc = txn_get(&txn, TABLE_META, span_of_string(marker_key), &marker) ? marker_check(env->path, marker, error)
                                                                        : marker_refuse(env->path, "missing", error);
    if (rc == 0 && tables_open(env, &txn, 0)) {
        rc = lmdb_refuse(env->path, "a table is missing", txn.rc, error);
    }
    if (rc) {
        env_abort(&txn);
        return rc;
    }
    rc = mdb_txn_commit(txn.handle); /* keeps the table handles */
    return rc ? lmdb_refuse(env->path, "cannot read it", rc, error) : 0;
}

static int lmdb_open(struct env *env, struct error *error)
{
    int rc = mdb_env_create(&env->handle);
    rc = rc ? rc : mdb_env_set_maxdbs(env->handle, ENV_TABLES_MAX);
    rc = rc ? rc : mdb_env_set_maxreaders(env->handle, ENV_READERS_MAX);
    rc = rc ? rc : mdb_env_set_mapsize(env->handle, env->map_bytes / ENV_PAGE_BYTES_MAX * ENV_PAGE_BYTES_MAX);
    /* Default flags: each commit is on disk before it returns. NOTLS: a read transaction is not bound to a thread. */
    rc = rc ? rc : mdb_env_open(env->handle, env->path, MDB_NOTLS, ENV_FILE_MODE);
    if (rc) {
        return lmdb_refuse(env->path, "cannot open it", rc, error);
    }
    assert(mdb_env_get_maxkeysize(env->handle) >= KEY_LMDB_MAX);
    MDB_stat stat;
    mdb_env_stat(env->handle, &stat);
    env->page_bytes = stat.ms_psize;
    env_check_readers(env);
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
    rc = rc ? rc : lmdb_open(env, error);
    rc = rc ? rc : layout_read(env, error);
    return rc == 1 ? layout_create(env, config->now_us, error) : rc;
}

int env_open(const struct env_config *config, struct env **ret_env, struct error *error)
{
    struct env *env = calloc(1, sizeof(*env));
    char *path = strdup(config->data_dir);
    if (!env || !path) {
        free(env);
        free(path);
        return error_set(error, ERROR_STARTUP, "%s: no memory to open it", config->data_dir);
    }
    *env = (struct env){
        .lock = -1,
        .path = path,
        .map_bytes = config->map_bytes,
        .disk_reserve_bytes = config->disk_reserve_bytes,
    };
    int rc = env_start(env, config, error);
    if (rc) {
        env_close(env);
        return rc;
    }
    *ret_env = env;
    return 0;
}

struct env *env_close(struct env *env)
{
    if (env->handle) {
        mdb_env_close(env->handle);
    }
    if (env->lock >= 0) {
        close(env->lock);
    }
    free(env->path);
    free(env);
    return NULL;
}

static uint64_t table_pages(struct txn *txn, MDB_dbi table)
{
    MDB_stat stat;
    if (txn->rc || mdb_stat(txn->handle, table, &stat)) {
        return 0;
    }
    return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

struct env_size env_size(struct env *env, struct txn *txn)
{
    uint64_t pages = ENV_META_PAGES + table_pages(txn, LMDB_FREE_TABLE) + table_pages(txn, LMDB_MAIN_TABLE);
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        pages += table_pages(txn, env->tables[i]);
    }
    mdb_filehandle_t file;
    struct stat status;
    uint64_t file_bytes = 0;
    if (mdb_env_get_fd(env->handle, &file) == 0 && fstat(file, &status) == 0) {
        file_bytes = (uint64_t)status.st_size;
    }
    return (struct env_size){.used_bytes = pages * env->page_bytes, .file_bytes = file_bytes};
}

bool env_has_room(struct env *env, struct txn *txn)
{
    struct statvfs disk;
    if (statvfs(env->path, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < env->disk_reserve_bytes) {
        return false;
    }
    uint64_t reserve = env->map_bytes / ENV_MAP_RESERVE_SHARE;
    reserve = reserve < ENV_MAP_RESERVE_MAX ? reserve : ENV_MAP_RESERVE_MAX;
    return env_size(env, txn).used_bytes + reserve <= env->map_bytes;
}
