#include "metrics/metrics_collect.h"

static void store_collect(struct store *store, struct metrics_snapshot *snapshot, const struct store_measures *measures)
{
    const struct store_stats *stats = &measures->stats;
    struct store_info info = store_describe(store);
    snapshot->engine_version = info.engine_version;
    snapshot->layout = info.layout;
    snapshot->users = stats->users;
    snapshot->conversations = stats->conversations;
    snapshot->messages = stats->messages;
    snapshot->content_bytes = stats->content_bytes;
    snapshot->data_used_bytes = stats->used_bytes;
    snapshot->data_file_bytes = stats->file_bytes;
    snapshot->data_free_bytes = stats->file_bytes > stats->used_bytes ? stats->file_bytes - stats->used_bytes : 0;
    snapshot->data_map_bytes = stats->map_bytes;
    snapshot->disk_free_bytes = measures->disk_free_bytes;
    snapshot->readers = measures->readers;
    snapshot->reader_slots = measures->reader_slots;
    snapshot->commits_total = stats->commits;
    snapshot->changes_total = stats->changes;
    snapshot->queue_requests = stats->queue_length;
    snapshot->queue_bytes = stats->queue_bytes;
    snapshot->journal_entries = stats->journal_entries;
    snapshot->journal_bytes = stats->journal_bytes;
    snapshot->journal_folds_total = stats->folds;
    snapshot->audit_events_total = measures->audit_events;
    snapshot->commit_changes = measures->commit_changes;
    snapshot->commit_time_us = measures->commit_time_us;
}

static void migration_collect(struct store *store, struct metrics_snapshot *snapshot)
{
    struct store_migration migration;
    store_migration(store, &migration);
    snapshot->migration = migration.state;
    snapshot->migration_messages = migration.messages_total;
    snapshot->migration_moved_messages = migration.messages_moved;
    snapshot->migration_conversations = migration.conversations_total;
    snapshot->migration_moved_conversations = migration.conversations_moved;
    snapshot->migration_quarantined = migration.quarantined;
}

static void counters_collect(const struct counters *counters, struct metrics_snapshot *snapshot)
{
    snapshot->damaged_records_total = atomic_load_explicit(&counters->damaged_records, memory_order_relaxed);
    snapshot->tokens_verified_total = atomic_load_explicit(&counters->tokens_verified, memory_order_relaxed);
    snapshot->tokens_refused_total = atomic_load_explicit(&counters->tokens_refused, memory_order_relaxed);
    snapshot->connections = atomic_load_explicit(&counters->connections, memory_order_relaxed);
    snapshot->connections_accepted_total = atomic_load_explicit(&counters->connections_accepted, memory_order_relaxed);
    snapshot->slow_requests_total = atomic_load_explicit(&counters->slow_requests, memory_order_relaxed);
}

bool metrics_collect(const struct metrics_config *config, int64_t start_wall_us, struct metrics_snapshot *ret)
{
    struct store_measures measures;
    if (!store_measure(config->store, &measures)) {
        return false;
    }
    *ret = (struct metrics_snapshot){
        .version = config->version,
        .nng_version = server_nng_version(),
        .start_time_seconds = (uint64_t)start_wall_us,
        .ready = metrics_unready(config) == NULL,
    };
    store_collect(config->store, ret, &measures);
    migration_collect(config->store, ret);
    counters_collect(config->counters, ret);
    const char *reason;
    uint64_t count;
    while (ret->refusal_count < METRICS_REASONS_MAX &&
           server_refusal_at(config->server, ret->refusal_count, &reason, &count)) {
        ret->refusals[ret->refusal_count].reason = reason;
        ret->refusals[ret->refusal_count++].count = count;
    }
    const struct method_meters *meters = rpc_meters(config->rpc);
    while (ret->method_count < METRICS_METHODS_MAX &&
           method_meters_read(meters, ret->method_count, &ret->methods[ret->method_count])) {
        ret->method_count++;
    }
    return true;
}

const char *metrics_unready(const struct metrics_config *config)
{
    return store_takes_writes(config->store) ? NULL : "changes are refused: the disk has no room";
}
