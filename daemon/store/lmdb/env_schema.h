/* What env.c is made of: the environment itself, and its marker and tables. Only env*.c and birth.c use it. */
#ifndef STORE_LMDB_ENV_SCHEMA_H
#define STORE_LMDB_ENV_SCHEMA_H

#include "store/lmdb/env.h"

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

/* An environment with nothing open. NULL: memory is short. */
struct env *env_new(const struct env_config *config);

/* Opens the data file in the directory `path` with these flags of LMDB besides the usual ones. */
int env_open_lmdb(struct env *env, const char *path, unsigned flags, struct error *error);

/* Says what LMDB's error was about. */
int env_refuse(const char *path, const char *what, int rc, struct error *error);

/* Reads the marker and opens the tables, and writes nothing. Returns 1 when the file is new. */
int schema_read(struct env *env, bool refuse_older, struct error *error);

/* The first table and the marker come into being in one commit: there is no data without a marker. */
int schema_create(struct env *env, const struct env_config *config, struct error *error);

/* Creates the tables that data of an older layout lacks, so that it can be migrated. They are empty: an older daemon
 * does not mind. */
int schema_complete(struct env *env, struct error *error);

#endif
