/* What the writer's thread counts of its work since the start. That thread notes, any thread reads. */
#ifndef STORE_LMDB_METERS_H
#define STORE_LMDB_METERS_H

#include "store/lmdb/work.h"
#include "store/store.h"

struct meters {
    atomic_ullong commits;
    atomic_ullong changes;
    atomic_ullong folds;
    atomic_ullong audit_events;
    struct histogram commit_changes;
    struct histogram commit_time_us;
};

/* A commit that wrote: how long it took, and what the work counted in it. */
void meters_note_commit(struct meters *meters, int64_t took_us, const struct work *work);

/* A commit had so many changes. */
void meters_note_changes(struct meters *meters, uint64_t changes);

void meters_add_stats(const struct meters *meters, struct store_stats *stats);
void meters_add_measures(const struct meters *meters, struct store_measures *measures);

#endif
