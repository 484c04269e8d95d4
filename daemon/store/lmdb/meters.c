#include "store/lmdb/meters.h"

static void add(atomic_ullong *counter, uint64_t count)
{
    atomic_fetch_add_explicit(counter, count, memory_order_relaxed);
}

static uint64_t get(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void meters_note_commit(struct meters *meters, int64_t took_us, const struct work *work)
{
    add(&meters->commits, 1);
    add(&meters->audit_events, work->audit_events);
    add(&meters->folds, work->folds);
    histogram_note(&meters->commit_time_us, took_us > 0 ? (uint64_t)took_us : 0, HISTOGRAM_TIME_SHIFT);
}

void meters_note_changes(struct meters *meters, uint64_t changes)
{
    if (changes > 0) {
        add(&meters->changes, changes);
        histogram_note(&meters->commit_changes, changes, HISTOGRAM_COUNT_SHIFT);
    }
}

void meters_add_stats(const struct meters *meters, struct store_stats *stats)
{
    stats->commits = get(&meters->commits);
    stats->changes = get(&meters->changes);
    stats->folds = get(&meters->folds);
    stats->commit_time_us = get(&meters->commit_time_us.sum);
}

void meters_add_measures(const struct meters *meters, struct store_measures *measures)
{
    measures->audit_events = get(&meters->audit_events);
    histogram_add(&meters->commit_changes, &measures->commit_changes);
    histogram_add(&meters->commit_time_us, &measures->commit_time_us);
}
