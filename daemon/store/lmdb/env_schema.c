#include "store/lmdb/env_schema.h"

#include "store/lmdb/directory.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

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

int schema_create(struct env *env, const struct env_config *config, struct error *error)
{
    struct txn txn = env_begin(env);
    uint32_t layout = config->create_layout ? config->create_layout : MARKER_LAYOUT;
    assert(layout <= MARKER_LAYOUT);
    if (!tables_open(env, &txn, MDB_CREATE, 0)) {
        marker_create(&txn, (uint16_t)layout, config->now_us);
    }
    int rc = env_commit(env, &txn);
    return rc ? env_refuse(env->path, "cannot create the tables", rc, error) : 0;
}

int schema_complete(struct env *env, struct error *error)
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
    return rc ? env_refuse(env->path, "cannot create the tables", rc, error) : 0;
}

static int marker_read(struct env *env, struct txn *txn, struct marker *ret, struct error *error)
{
    struct span bytes;
    MDB_dbi *table = &env->tables[TABLE_META];
    int rc = txn->rc ? txn->rc : mdb_dbi_open(txn->handle, table_rows[TABLE_META].name, 0, table);
    if (rc && rc != MDB_NOTFOUND && rc != MDB_INCOMPATIBLE) {
        return env_refuse(env->path, "cannot read it", rc, error);
    }
    if (rc || !txn_get(txn, TABLE_META, span_of_string(MARKER_KEY), &bytes)) {
        return marker_refuse(env->path, "missing", error);
    }
    return marker_decode(bytes, ret) ? marker_refuse(env->path, "damaged", error) : 0;
}

int schema_read(struct env *env, bool refuse_older, struct error *error)
{
    MDB_stat stat;
    int rc = mdb_env_stat(env->handle, &stat);
    if (rc) {
        return env_refuse(env->path, "cannot read it", rc, error);
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
        rc = env_refuse(env->path, "a table is missing", txn.rc, error);
    }
    if (rc) {
        env_abort(&txn);
        return rc;
    }
    rc = mdb_txn_commit(txn.handle); /* keeps the table handles */
    return rc ? env_refuse(env->path, "cannot read it", rc, error) : 0;
}
