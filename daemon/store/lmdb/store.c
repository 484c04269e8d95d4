/* store.h on LMDB: opens the parts, gives each operation to the readers or to the writer. */
#include "store/store.h"

#include "base/clock.h"
#include "store/lmdb/env.h"
#include "store/lmdb/jobs.h"
#include "store/lmdb/marker.h"
#include "store/lmdb/migrate.h"
#include "store/lmdb/pending.h"
#include "store/lmdb/read.h"
#include "store/lmdb/readers.h"
#include "store/lmdb/writer.h"

#include <assert.h>
#include <stdlib.h>

#define TEXT_OF(number)                 #number
#define VERSION_OF(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
#define ENGINE_VERSION                  VERSION_OF(MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH)

enum { STALE_TRIES = 3 }; /* snapshots a read takes while folding overtakes it, before folding waits for it */

static const uint32_t readable_layouts[] = {1, 2, 3};

struct store {
    struct env *env;
    struct readers readers;
    struct head_hints hints;
    struct writer *writer;
    struct jobs *jobs;
    const struct limits *limits;
    int64_t (*wall_clock_us)(void);
};

static int store_start(struct store *store, const struct store_config *config, struct error *error)
{
    const struct env_config env_config = {
        .data_dir = config->data_dir,
        .map_bytes = config->map_bytes,
        .disk_reserve_bytes = config->disk_reserve_bytes,
        .now_us = store->wall_clock_us(),
        .create_layout = config->create_layout,
        .refuse_older = config->migrate == STORE_MIGRATE_REFUSE,
    };
    int rc = env_open(&env_config, &store->env, error);
    if (rc) {
        return rc;
    }
    const struct writer_config writer_config = {
        .env = store->env,
        .limits = config->limits,
        .deleted_retention_us = config->deleted_retention_us,
        .fold_late = config->fold_late,
        .audit_retention_us = config->audit_retention_us,
        .wall_clock_us = store->wall_clock_us,
        .fatal = config->fatal,
        .fatal_arg = config->fatal_arg,
        .migrate = {.mode = config->migrate,
                    .to = config->migrate_to ? config->migrate_to : MARKER_LAYOUT,
                    .slice_records = config->migrate_slice_records,
                    .event = config->event,
                    .event_arg = config->event_arg},
    };
    rc = writer_start(&writer_config, &store->writer, error);
    if (rc) {
        env_close(store->env);
        return rc;
    }
    const struct jobs_config jobs_config = {.env = store->env,
                                            .writer = store->writer,
                                            .backup_dir = config->backup_dir,
                                            .disk_reserve_bytes = config->disk_reserve_bytes,
                                            .map_bytes = config->map_bytes,
                                            .scrub_interval_us = config->scrub_interval_us,
                                            .wall_clock_us = store->wall_clock_us,
                                            .event = config->event,
                                            .event_arg = config->event_arg};
    rc = jobs_start(&jobs_config, &store->jobs, error);
    if (rc) {
        writer_stop(store->writer);
        env_close(store->env);
        return rc;
    }
    readers_init(&store->readers, store->env);
    return 0;
}

int store_open(const struct store_config *config, struct store **ret_store, struct error *error)
{
    assert(config->data_dir && config->limits && config->fatal && config->deleted_retention_us >= 0);
    assert(config->audit_retention_us >= 0);
    assert(config->limits->append_messages <= CHATLOG_CAP_append_messages);
    struct store *store = calloc(1, sizeof(*store));
    if (!store) {
        return error_set(error, ERROR_STARTUP, "%s: no memory to open it", config->data_dir);
    }
    store->limits = config->limits;
    store->wall_clock_us = config->wall_clock_us ? config->wall_clock_us : clock_wall_us;
    int rc = store_start(store, config, error);
    if (rc) {
        free(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

static void result_clear(struct store_result *result)
{
    buffer_free(&result->records);
    buffer_free(&result->next);
    *result = (struct store_result){0};
}

static void store_read(struct store *store, struct store_op *op)
{
    struct store_result result = {0};
    struct error error = {0};
    struct txn txn = readers_take(&store->readers);
    struct read read = {
        .txn = &txn,
        .env = store->env,
        .hints = &store->hints,
        .op = op,
        .limits = store->limits,
        .now_us = store->wall_clock_us(),
        .result = &result,
        .error = &error,
    };
    int rc = txn.rc ? 0 : read_run(&read);
    unsigned tries = 1;
    for (; !txn.rc && read.head.stale; tries++) {
        if (tries == STALE_TRIES) {
            pending_hold(txn.pending);
        }
        result_clear(&result);
        read.head.stale = false;
        env_reset_read(&txn);
        env_renew_read(&txn);
        rc = txn.rc ? 0 : read_run(&read);
    }
    if (tries > STALE_TRIES) {
        pending_let_go(txn.pending);
    }
    if (txn.rc) {
        rc = txn_error(txn.rc, &error); /* what was concluded from a failed transaction is worth nothing */
    }
    readers_give(&store->readers, &txn);
    head_free(&read.head);
    if (rc == 0 && op->verb == STORE_GET_STATS) {
        writer_add_stats(store->writer, &result.stats);
        jobs_add_stats(store->jobs, &result.stats);
    }
    op->done(op, rc ? &error : NULL, rc ? NULL : &result);
    result_clear(&result);
}

void store_run(struct store *store, struct store_op *op)
{
    assert(op->done);
    if (op->verb == STORE_BACKUP || op->verb == STORE_VERIFY) {
        jobs_push(store->jobs, op);
        return;
    }
    if (!read_is_verb(op->verb)) {
        writer_push(store->writer, op);
        return;
    }
    if (op->deadline_us != 0 && clock_monotonic_us() > op->deadline_us) {
        struct error error = {0};
        error_set(&error, ERROR_DEADLINE_PASSED, "the time was over before the work began; nothing was done");
        op->done(op, &error, NULL);
        return;
    }
    store_read(store, op);
}

bool store_takes_writes(struct store *store)
{
    return writer_takes_writes(store->writer);
}

int64_t store_silence_us(struct store *store)
{
    return writer_silence_us(store->writer);
}

struct store_info store_describe(struct store *store)
{
    struct txn txn = readers_take(&store->readers);
    struct marker marker = {.layout = MARKER_LAYOUT};
    migrate_read_marker(&txn, &marker);
    readers_give(&store->readers, &txn);
    return (struct store_info){
        .engine_version = ENGINE_VERSION,
        .layout = marker.layout,
        .readable_layouts = readable_layouts,
        .readable_count = sizeof(readable_layouts) / sizeof(readable_layouts[0]),
    };
}

void store_migration(struct store *store, struct store_migration *ret)
{
    struct migration_entry entry;
    struct store_migration migration = {.seconds_left = -1};
    struct txn txn = readers_take(&store->readers);
    if (migrate_progress(&txn, &entry) || migrate_last(&txn, &entry)) {
        migration = migrate_tell(&entry);
    }
    readers_give(&store->readers, &txn);
    writer_show_migration(store->writer, &migration);
    *ret = migration;
}

bool store_measure(struct store *store, struct store_measures *ret)
{
    struct store_measures measures = {.readers = readers_busy(&store->readers)};
    struct txn txn = readers_take(&store->readers);
    if (!txn.rc) {
        measures.stats = read_stats(store->env, &txn);
    }
    bool done = !txn.rc;
    readers_give(&store->readers, &txn);
    if (done) {
        measures.disk_free_bytes = env_free_bytes(store->env);
        measures.reader_slots = env_reader_slots(store->env);
        writer_add_stats(store->writer, &measures.stats);
        writer_add_measures(store->writer, &measures);
        *ret = measures;
    }
    return done;
}

void store_end_jobs(struct store *store)
{
    jobs_end(store->jobs);
}

struct store *store_close(struct store *store)
{
    store->jobs = jobs_free(store->jobs);
    store->writer = writer_stop(store->writer);
    readers_destroy(&store->readers);
    store->env = env_close(store->env);
    free(store);
    return NULL;
}
