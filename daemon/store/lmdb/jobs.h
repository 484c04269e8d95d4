/* The thread for what takes long: backups, verifications that were asked for, and the scrub, which looks at everything
 * every so often with little haste. One at a time; a scrub rests for the others. */
#ifndef STORE_LMDB_JOBS_H
#define STORE_LMDB_JOBS_H

#include "store/lmdb/writer.h"

struct jobs;

struct jobs_config {
    struct env *env;
    struct writer *writer;  /* for the audit trail */
    const char *backup_dir; /* NULL: no backups; lives as long as the jobs */
    uint64_t disk_reserve_bytes;
    uint64_t map_bytes;
    int64_t scrub_interval_us; /* 0: no scrub */
    int64_t (*wall_clock_us)(void);
    void (*event)(void *arg, enum store_event event, const char *line); /* or NULL */
    void *event_arg;
};

/* Starts the thread. On failure (ERROR_STARTUP) *ret_jobs is untouched. */
int jobs_start(const struct jobs_config *config, struct jobs **ret_jobs, struct error *error);

/* Gives it an operation; op->done is called from the thread, or at once (JOB_RUNNING, BACKUP_OFF, SHUTTING_DOWN). */
void jobs_push(struct jobs *jobs, struct store_op *op);

/* Asks it to give up what it does. Does not wait. */
void jobs_end(struct jobs *jobs);

/* Ends the thread. Returns NULL. */
struct jobs *jobs_free(struct jobs *jobs);

/* What the last scrub found, into stats. */
void jobs_add_stats(struct jobs *jobs, struct store_stats *stats);

#endif
