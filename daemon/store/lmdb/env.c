#include "store/lmdb/env.h"

#include "store/lmdb/directory.h"
#include "store/lmdb/recovery.h"

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
    ENV_FILE_MODE = 0600,
    ENV_META_PAGES = 2,
    ENV_PAGE_BYTES_MAX = 65536, /* the map is a multiple of every page size */
    /* Deletes copy pages before they free some: the data file's last part is kept for them. */
    ENV_MAP_RESERVE_SHARE = 8,
    ENV_MAP_RESERVE_MAX = 64 * 1024 * 1024,
    LMDB_FREE_TABLE = 0, /* LMDB's own: the list of free pages, the list of tables */
    LMDB_MAIN_TABLE = 1,
};

/* Tables come into being with the marker, or at the next opening by a daemon that knows a newer layout. */
static const struct table_row {
    const char *name;
    uint16_t since; /* data of an older layout may lack it */
} table_rows[TABLE_COUNT] = {
    [TABLE_META] = {"_meta", 1},
    [TABLE_DEADLINES] = {"deadlines", 1},
    [TABLE_PURGES] = {"purges", 1},
    [TABLE_QUARANTINE] = {"quarantine", 2},
    [TABLE_AUDIT] = {"audit", UINT16_MAX}, /* data of any layout may lack these two */
    [TABLE_AUDIT_USERS] = {"audit_users", UINT16_MAX},
    [TABLE_CONVERSATIONS] = {"conversations", 1},
    [TABLE_MESSAGES] = {"messages", 1},
    [TABLE_MESSAGE_IDS] = {"message_ids", 1},
    [TABLE_RECENCY] = {"recency", 1},
    [TABLE_REQUESTS] = {"requests", 1},
    [TABLE_2_USERS] = {"2.users", 2},
    [TABLE_2_DATA] = {"2.data", 2},
    [TABLE_3_JOURNAL] = {"3.journal", 3},
};

struct env {
    MDB_env *handle;
    MDB_dbi tables[TABLE_COUNT];
    int lock;
    char *path;
    uint64_t map_bytes;
    uint64_t disk_reserve_bytes;
    uint64_t page_bytes;
    struct pending *pending;
    struct buffer packing;
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

static int marker_check(const struct env *env, const struct marker *marker, bool refuse_older, struct error *error)
{
    unsigned needed = marker->min_writer > marker->min_reader ? marker->min_writer : marker->min_reader;
    bool resting = marker->state == MARKER_AT_REST;
    if (needed > MARKER_LAYOUT) {
        return error_set(error, ERROR_STARTUP,
                         "%s/%s has key layout %u and needs a chatlogd that knows layout %u; this one knows layouts %d "
                         "to %d: nothing was changed; start the newer chatlogd, or go back with its chatlogd migrate "
                         "--to %d",
                         env->path, DIRECTORY_DATA_FILE, (unsigned)marker->layout, needed, MARKER_LAYOUT_OLDEST,
                         MARKER_LAYOUT, MARKER_LAYOUT);
    }
    if (marker->layout < MARKER_LAYOUT_OLDEST || marker->layout > MARKER_LAYOUT ||
        marker->target < MARKER_LAYOUT_OLDEST || marker->target > MARKER_LAYOUT || marker->state > MARKER_MIGRATING ||
        resting != (marker->layout == marker->target)) {
        return marker_refuse(env->path, "one that no chatlogd wrote", error);
    }
    if (refuse_older && resting && marker->layout < MARKER_LAYOUT) {
        return error_set(error, ERROR_STARTUP,
                         "%s has key layout %u, this chatlogd writes layout %d, and migrate = refuse: nothing was "
                         "changed; set migrate = auto or hold, or run chatlogd migrate --to %d",
                         env->path, (unsigned)marker->layout, MARKER_LAYOUT, MARKER_LAYOUT);
    }
    return 0;
}

static void marker_create(struct txn *txn, uint16_t layout, int64_t now_us)
{
    struct marker marker = {
        .format = MARKER_FORMAT,
        .layout = layout,
        .target = layout,
        .min_reader = layout,
        .min_writer = layout,
        .state = MARKER_AT_REST,
        .create_time_us = now_us,
    };
    uint8_t bytes[MARKER_BYTES];
    if (getrandom(marker.identity, sizeof(marker.identity), 0) != (ssize_t)sizeof(marker.identity)) {
        txn->rc = EIO;
    }
    marker_encode(&marker, bytes);
    txn_put(txn, TABLE_META, span_of_string(MARKER_KEY), span_of(bytes, sizeof(bytes)));
}

/* Opens the tables there are, those of a layout younger than `youngest` only if they exist. Returns LMDB's error. */
static int tables_open(struct env *env, struct txn *txn, unsigned flags, uint16_t youngest)
{
    for (size_t i = 0; i < TABLE_COUNT && !txn->rc; i++) {
        if (env->tables[i] == TXN_TABLE_CLOSED) {
            int rc = mdb_dbi_open(txn->handle, table_rows[i].name, flags, &env->tables[i]);
            txn->rc = rc == MDB_NOTFOUND && table_rows[i].since > youngest ? 0 : rc;
        }
    }
    return txn->rc;
}

/* The first table and the marker come into being in one commit: there is no data without a marker. */
static int layout_create(struct env *env, const struct env_config *config, struct error *error)
{
    struct txn txn = env_begin(env);
    uint32_t layout = config->create_layout ? config->create_layout : MARKER_LAYOUT;
    assert(layout <= MARKER_LAYOUT);
    if (!tables_open(env, &txn, MDB_CREATE, 0)) {
        marker_create(&txn, (uint16_t)layout, config->now_us);
    }
    int rc = env_commit(env, &txn);
    if (rc) {
        return lmdb_refuse(env->path, "cannot create the tables", rc, error);
    }
    return directory_sync(env->path, error);
}

/* Creates the tables that data of an older layout lacks, so that it can be migrated. They are empty: an older daemon
 * does not mind. */
static int tables_complete(struct env *env, struct error *error)
{
    size_t closed = 0;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        closed += env->tables[i] == TXN_TABLE_CLOSED;
    }
    if (closed == 0) {
        return 0;
    }
    struct txn txn = env_begin(env);
    tables_open(env, &txn, MDB_CREATE, 0);
    int rc = env_commit(env, &txn);
    return rc ? lmdb_refuse(env->path, "cannot create the tables", rc, error) : 0;
}

static int marker_read(struct env *env, struct txn *txn, struct marker *ret, struct error *error)
{
    struct span bytes;
    MDB_dbi *table = &env->tables[TABLE_META];
    int rc = txn->rc ? txn->rc : mdb_dbi_open(txn->handle, table_rows[TABLE_META].name, 0, table);
    if (rc && rc != MDB_NOTFOUND && rc != MDB_INCOMPATIBLE) {
        return lmdb_refuse(env->path, "cannot read it", rc, error);
    }
    if (rc || !txn_get(txn, TABLE_META, span_of_string(MARKER_KEY), &bytes)) {
        return marker_refuse(env->path, "missing", error);
    }
    return marker_decode(bytes, ret) ? marker_refuse(env->path, "damaged", error) : 0;
}

/* Reads the marker and opens the tables, and writes nothing. Returns 1 when the file is new. */
static int layout_read(struct env *env, bool refuse_older, struct error *error)
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
    struct marker marker;
    rc = marker_read(env, &txn, &marker, error);
    rc = rc ? rc : marker_check(env, &marker, refuse_older, error);
    uint16_t youngest = marker.layout > marker.target ? marker.layout : marker.target;
    if (rc == 0 && tables_open(env, &txn, 0, youngest)) {
        rc = lmdb_refuse(env->path, "a table is missing", txn.rc, error);
    }
    if (rc) {
        env_abort(&txn);
        return rc;
    }
    rc = mdb_txn_commit(txn.handle); /* keeps the table handles */
    return rc ? lmdb_refuse(env->path, "cannot read it", rc, error) : 0;
}

static int lmdb_open(struct env *env, unsigned flags, struct error *error)
{
    int rc = mdb_env_create(&env->handle);
    rc = rc ? rc : mdb_env_set_maxdbs(env->handle, TABLE_COUNT);
    rc = rc ? rc : mdb_env_set_maxreaders(env->handle, ENV_READERS_MAX);
    rc = rc ? rc : mdb_env_set_mapsize(env->handle, env->map_bytes / ENV_PAGE_BYTES_MAX * ENV_PAGE_BYTES_MAX);
    /* Default flags: each commit is on disk before it returns. NOTLS: a read transaction is not bound to a thread. */
    rc = rc ? rc : mdb_env_open(env->handle, env->path, MDB_NOTLS | flags, ENV_FILE_MODE);
    if (rc) {
        return lmdb_refuse(env->path, "cannot open it", rc, error);
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
    rc = rc ? rc : lmdb_open(env, 0, error);
    if (rc) {
        return rc;
    }
    env_check_readers(env);
    rc = layout_read(env, config->refuse_older, error);
    if (rc == 1) {
        return layout_create(env, config, error);
    }
    return rc ? rc : tables_complete(env, error);
}

static int env_look(struct env *env, const struct env_config *config, struct error *error)
{
    (void)config;
    int rc = directory_check_data_file(env->path, error);
    rc = rc ? rc : lmdb_open(env, MDB_RDONLY, error);
    rc = rc ? rc : layout_read(env, false, error);
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
        return lmdb_refuse(env->path, "cannot read the journal", rc, error);
    }
    env->pending = pending;
    return 0;
}

static int env_make(const struct env_config *config, env_begin_with *begin, struct env **ret_env, struct error *error)
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
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        env->tables[i] = TXN_TABLE_CLOSED;
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
