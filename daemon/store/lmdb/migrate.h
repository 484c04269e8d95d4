/* Migration: moves conversations from one layout to another in slices inside the writer's thread, while reads and
 * changes go on. A slice moves records, deletes their source, adds both digests and the counts in one commit, so that
 * every record is in exactly one layout at any commit, and what is left in the source is what is left to do.
 * Generic: it knows layouts only through layout.h, so that any pair is one pass.
 *
 * A record that cannot be read (its CRC32C fails, or it is not such a record) moves as it is and stays what it was to
 * every caller, a damaged record; a copy goes to the table `quarantine`. What belongs to no conversation goes there
 * alone. */
#ifndef STORE_LMDB_MIGRATE_H
#define STORE_LMDB_MIGRATE_H

#include "store/lmdb/work.h"

/* Persistent, in _meta/migration while a migration is not done; the entry of the last one that was done stays in
 * _meta/migrated with state NONE. */
enum migration_state { MIGRATION_NONE, MIGRATION_MOVING, MIGRATION_HALTED };

#define MIGRATE_LAST_KEY "migrated"

enum {
    MIGRATE_ATTEMPTS_MAX = 3,      /* failures without a record moved in between, until HALTED */
    MIGRATE_RECORDS_MAX = 1 << 20, /* of a slice, when nothing else is asked for: its time ends it before */
    /* Of records moved by a slice beside live changes: some 200 pages change, so that its commit is short too. */
    MIGRATE_SLICE_BYTES = 256 * 1024,
};

/* A pass that can be run. Every pair of layouts is one pass. */
struct migrate_step {
    uint32_t from;
    uint32_t to;
    const char *loss; /* what the target cannot say; NULL: nothing */
};

/* NULL when there is no such step. */
const struct migrate_step *migrate_step_find(uint32_t from, uint32_t to);

/* What one slice may do. */
struct migrate_budget {
    size_t records;
    size_t bytes;                      /* of them */
    int64_t until_us;                  /* clock_monotonic_us */
    bool (*is_interrupted)(void *arg); /* asked every few records: true ends the slice; NULL: never */
    void *arg;
};

enum migrate_result {
    MIGRATE_DONE,  /* nothing is left: the marker names the target layout alone */
    MIGRATE_MORE,  /* call again */
    MIGRATE_WAITS, /* nothing to move until the removals under way (purges) are done */
    MIGRATE_FAILED /* nothing of work's transaction may be committed: abort it, then migrate_note_failure */
};

/* The marker as it is in the data file. False: it is damaged or missing. */
struct marker;
bool migrate_read_marker(struct txn *txn, struct marker *ret);

/* Begins a migration in work's transaction: marker and migration entry. No other may be under way. */
void migrate_begin(struct work *work, uint32_t from, uint32_t to);

/* Moves as much as the budget allows, at least one record. `why` (at least MIGRATE_WHY_BYTES) is filled when it
 * FAILED for a reason of its own, and not because the transaction did. */
enum { MIGRATE_WHY_BYTES = 128 };
enum migrate_result migrate_slice(struct work *work, const struct migrate_budget *budget, char why[MIGRATE_WHY_BYTES]);

/* After a failed slice, in a transaction of its own: counts the attempt; at the third the state becomes HALTED. */
void migrate_note_failure(struct work *work, const char *why);

/* Takes up a migration that was HALTED, with its attempts counted anew. */
void migrate_resume(struct work *work);

/* The migration under way, or else the last one that was done. False: there is none such. */
bool migrate_progress(struct txn *txn, struct migration_entry *ret);
bool migrate_last(struct txn *txn, struct migration_entry *ret);

/* What an entry says, for the store's users: the state is MOVING, HALTED or NONE. */
struct store_migration migrate_tell(const struct migration_entry *entry);

#endif
