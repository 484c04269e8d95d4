/* Stores that break their promise, by way of LMDB's own functions: the controls, which a test must find out. */
#include "fault/shim/shim.h"

#include <lmdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIE_EVERY = 10,
    LIE_AFTER = 20, /* commits: what opens the data is done */
    PARK_AFTER = 4, /* snapshots: the daemon keeps most of them for the next reads */
    LEAK_BYTES = 32768,
    LEAK_PAGE_BYTES = 4096,
    BRIM_SHARE = 8, /* as much of the map as the daemon keeps for deletions */
};

static bool control_is(const char *name)
{
    const char *control = getenv("IOFAULT_LMDB");
    return control && strcmp(control, name) == 0;
}

SHIM_VISIBLE int mdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode)
{
    int (*real)(MDB_env *, const char *, unsigned int, mdb_mode_t);
    shim_find("mdb_env_open", &real, sizeof(real));
    flags |= control_is("nosync") ? MDB_NOSYNC : 0;
    flags |= control_is("nometasync") ? MDB_NOMETASYNC : 0;
    return real(env, path, flags, mode);
}

SHIM_VISIBLE int mdb_env_set_mapsize(MDB_env *env, size_t size)
{
    int (*real)(MDB_env *, size_t);
    shim_find("mdb_env_set_mapsize", &real, sizeof(real));
    return real(env, control_is("brim") ? size - size / BRIM_SHARE : size);
}

SHIM_VISIBLE int mdb_reader_check(MDB_env *env, int *dead)
{
    int (*real)(MDB_env *, int *);
    shim_find("mdb_reader_check", &real, sizeof(real));
    if (control_is("stale")) {
        *dead = 0;
        return 0;
    }
    return real(env, dead);
}

SHIM_VISIBLE int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn)
{
    static atomic_uint snapshots;
    int (*real)(MDB_env *, MDB_txn *, unsigned int, MDB_txn **);
    shim_find("mdb_txn_begin", &real, sizeof(real));
    if (flags & MDB_RDONLY && control_is("park") && atomic_fetch_add(&snapshots, 1) == PARK_AFTER) {
        MDB_txn *parked;
        if (real(env, NULL, MDB_RDONLY, &parked)) {
            shim_die("no snapshot can be parked");
        }
    }
    if (control_is("leak")) {
        unsigned char *volatile lost = calloc(1, LEAK_BYTES);
        for (size_t i = 0; lost && i < LEAK_BYTES; i += LEAK_PAGE_BYTES) {
            lost[i] = 1; /* so that it is resident */
        }
    }
    return real(env, parent, flags, txn);
}

SHIM_VISIBLE int mdb_txn_commit(MDB_txn *txn)
{
    static atomic_uint commits;
    int (*real)(MDB_txn *);
    shim_find("mdb_txn_commit", &real, sizeof(real));
    unsigned count = atomic_fetch_add(&commits, 1);
    if (control_is("lie") && count >= LIE_AFTER && count % LIE_EVERY == 0) {
        mdb_txn_abort(txn);
        return 0;
    }
    int rc = real(txn);
    return control_is("ignore") ? 0 : rc;
}
