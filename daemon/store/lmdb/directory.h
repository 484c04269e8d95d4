/* The data directory before LMDB touches it: created, locked against a second daemon, its data file looked at.
 * Knows no LMDB call, only what the head of its file looks like. Every failure is ERROR_STARTUP and says what to do. */
#ifndef STORE_LMDB_DIRECTORY_H
#define STORE_LMDB_DIRECTORY_H

#include "base/error.h"

#include <stdbool.h>

#define DIRECTORY_DATA_FILE "data.mdb"
#define DIRECTORY_LOCK_FILE "chatlogd.lock"
#define DIRECTORY_NEW       "new" /* where a data file is made */

/* Creates the directory with mode 0700 unless it exists (its parent must). */
int directory_create(const char *path, struct error *error);

/* Takes the lock file's lock and writes our process ID in it. Returns the descriptor that holds the lock until it is
 * closed; the error names the process that holds it. Does not wait. */
int directory_lock(const char *path, struct error *error);

/* Creates the directory for data that come from elsewhere, and locks it. Refuses one that has anything in it but what
 * an interrupted earlier try leaves. Returns as directory_lock. */
int directory_begin(const char *path, struct error *error);

/* 0 when there is no data file yet or LMDB 0.9 on this machine can open it. Must run before LMDB opens the file:
 * closing any other descriptor of it later would drop LMDB's locks. */
int directory_check_data_file(const char *path, struct error *error);

/* Makes the names of the files in it, and its own in its parent, durable. */
int directory_sync(const char *path, struct error *error);

#endif
