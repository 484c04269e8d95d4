/* The writer's thread: the only one that changes the store. It commits the queue's operations in groups, and in
 * between removes what is to be purged and moves what is to be migrated, in slices. */
#ifndef STORE_LMDB_WRITER_H
#define STORE_LMDB_WRITER_H

#include "store/lmdb/env.h"
#include "store/lmdb/migrate_driver.h"
#include "store/store.h"

#include <stdint.h>

struct writer;

struct writer_config {
    struct env *env;
    const struct limits *limits;
    int64_t deleted_retention_us;
    bool fold_late;
    int64_t audit_retention_us; /* 0: for ever */
    int64_t (*wall_clock_us)(void);
    void (*fatal)(void *arg, const char *message);
    void *fatal_arg;
    struct migrate_driver_config migrate;
};

/* Starts the thread. On failure (ERROR_STARTUP) *ret_writer is untouched. */
int writer_start(const struct writer_config *config, struct writer **ret_writer, struct error *error);

/* Gives it a change; op->done is called from the thread, or at once when the queue is full. */
void writer_push(struct writer *writer, struct store_op *op);

/* Finishes the queue, refuses the removals of users that go on at the next start, ends the thread. Returns NULL. */
struct writer *writer_stop(struct writer *writer);

/* False while changes that need room are refused. */
bool writer_takes_writes(struct writer *writer);

/* How long ago the thread began its present round: at most a second, and what one commit takes. */
int64_t writer_silence_us(struct writer *writer);

/* What the thread has done since the start, and the queue, into stats; the histograms and the audit trail's events. */
void writer_add_stats(struct writer *writer, struct store_stats *stats);
void writer_add_measures(struct writer *writer, struct store_measures *measures);

/* Adds what is known of a migration to what the data file says of it. */
void writer_show_migration(struct writer *writer, struct store_migration *migration);

#endif
