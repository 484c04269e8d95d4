/* A backup: the data file as one snapshot has it, in a directory of its own with a manifest, verified, and under its
 * name only when it is whole and on disk. */
#ifndef STORE_LMDB_BACKUP_H
#define STORE_LMDB_BACKUP_H

#include "store/lmdb/env.h"
#include "store/lmdb/survey.h"

#include <stdatomic.h>

struct backup_config {
    struct env *env;
    const char *directory; /* all backups are in it */
    const char *name;      /* one file name */
    uint64_t disk_reserve_bytes;
    uint64_t map_bytes;
    int64_t (*wall_clock_us)(void);
    const atomic_bool *stop; /* give up */
};

/* Makes it; blocks until it is done. The snapshot is held while the file is written, and given up when changes make
 * the data file grow by more than it had at the beginning and BACKUP_GROWTH_BYTES, or take the disk's reserve. Returns
 * 0 or a negative error; then nothing of it is left but what the next one removes. */
int backup_run(const struct backup_config *config, struct store_backup *ret, struct error *error);

/* The manifest beside a backup's data file. */
#define BACKUP_MANIFEST "manifest.json"

/* Writes it and makes it durable. Returns 0, or an errno. */
int manifest_write(int directory, const struct store_backup *backup);

/* Reads it. -1: there is none, or it is not one this program knows; `why` says so. */
int manifest_read(const char *backup, struct store_backup *ret, char *why, size_t why_size);

#endif
