/* The writer, for its own files: writer.c is the thread and the operations, writer_commit.c its transactions,
 * writer_slices.c what it does between operations. All of this is the thread's alone. */
#ifndef STORE_LMDB_WRITER_INTERNAL_H
#define STORE_LMDB_WRITER_INTERNAL_H

#include "base/clock.h"
#include "store/lmdb/batch.h"
#include "store/lmdb/fold_ahead.h"
#include "store/lmdb/fold_driver.h"
#include "store/lmdb/meters.h"
#include "store/lmdb/writer.h"

#include <stdatomic.h>

struct writer {
    struct writer_config config;
    struct queue queue;
    pthread_t thread;
    struct batch batch;
    struct buffer scratch;
    struct head_cache *heads;
    struct journal_places *places;
    struct packed_runs *packed;
    struct fold_ahead *ahead;
    struct key rotation;
    struct migrate_driver migration;
    struct fold_driver folding;
    /* What the last commit left to be done. */
    bool folds_on; /* folding beside operations: the next one begins with it before they come */
    bool purge_pending;
    bool full_told;           /* that there is no room */
    int64_t next_deadline_us; /* wall clock */
    /* clock_monotonic_us before which not to. */
    int64_t next_slice_us;
    int64_t next_reader_check_us;
    int64_t next_look_us;
    int64_t last_batch_us;
    _Atomic int64_t round_us; /* when the thread last began a round */
    atomic_bool takes_writes;
    struct meters meters;
};

/* The wall clock; never 0, which means "not set" in a record. */
int64_t writer_wall_us(const struct writer *writer);

struct work writer_begin_work(struct writer *writer);

/* Undoes it: what was appended in it was not appended. */
void writer_abort_work(struct writer *writer, struct work *work);

/* Commits. Returns 0, or the error of a transaction that stored nothing. */
int writer_commit_work(struct writer *writer, struct work *work);

/* Ends the process: a commit whose outcome is unknown can neither be answered nor followed by another. */
_Noreturn void writer_die(struct writer *writer, int rc);

/* Looks whether changes that need room may be made, and tells when that is another than before. */
void writer_check_room(struct writer *writer, struct txn *txn);

/* Finds out what there is to do and whether there is room, without a change. Returns LMDB's error. */
int writer_look(struct writer *writer);

/* True when an operation waits or the thread is to end. `arg` is the writer. */
bool writer_is_called(void *arg);

/* Removes a bounded part of what is to be removed; whether there is any, and it is time. */
void writer_purge_slice(struct writer *writer);
bool writer_purge_is_due(const struct writer *writer);

/* Moves a bounded part of what is to be migrated, if there is any, and it is time. */
void writer_migrate(struct writer *writer);

#endif
