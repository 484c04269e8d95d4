#include "store/lmdb/writer_internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LOOK_US = CLOCK_SECOND_US,         /* the wall clock may jump, the disk may fill or empty */
    COMPANY_US = CLOCK_MILLISECOND_US, /* what was folded waits for operations to be committed with */
    READER_CHECK_US = 10 * CLOCK_SECOND_US,
};

static int batch_commit(struct writer *writer, struct work *work)
{
    int rc = writer_commit_work(writer, work);
    if (rc == 0) {
        meters_note_changes(&writer->meters, writer->batch.changed);
    }
    return rc;
}

/* After a common commit that found no room: each operation alone, so that only the one that is too large fails. */
static void batch_run_singly(struct writer *writer)
{
    for (size_t i = 0; i < writer->batch.count; i++) {
        struct work work = writer_begin_work(writer);
        writer_check_room(writer, &work.txn);
        batch_redo_one(&writer->batch, i, &work, atomic_load(&writer->takes_writes));
        batch_answer_one(&writer->batch, i, batch_commit(writer, &work));
    }
}

bool writer_is_called(void *arg)
{
    struct writer *writer = arg;
    return !queue_is_empty(&writer->queue) || queue_is_stopped(&writer->queue);
}

/* While no operation comes. */
static void fold_idle(struct writer *writer)
{
    struct work work = writer_begin_work(writer);
    struct error error;
    fold_driver_idle(&writer->folding, &work, writer_is_called, writer);
    int rc = work.txn.rc;
    if (rc && txn_error(rc, &error) == -ERROR_RECORD_DAMAGED) {
        writer_abort_work(writer, &work); /* all that waits can be read where it is: no reason to end */
    } else {
        rc = writer_commit_work(writer, &work);
    }
    if (rc) {
        fold_driver_failed(&writer->folding);
    }
}

/* Folds before it takes operations: while it does, those whose answers were sent last send their next ones, and the
 * batch is as large as can be. Folds that find no room are left for later. True: there are some in it. */
static bool batch_begin(struct writer *writer, struct work *work)
{
    *work = writer_begin_work(writer);
    writer_check_room(writer, &work->txn);
    bool folded = fold_driver_beside(&writer->folding, work);
    if (work->txn.rc && txn_error_is_passing(work->txn.rc)) {
        writer_abort_work(writer, work);
        *work = writer_begin_work(writer);
        folded = false;
    }
    return folded;
}

static void batch_run(struct writer *writer)
{
    struct work work;
    bool folded = batch_begin(writer, &work);
    if (folded) {
        queue_wait(&writer->queue, COMPANY_US);
    }
    batch_fill(&writer->batch, &work, atomic_load(&writer->takes_writes));
    if (folded) { /* the processor that waits for the disk packs what the next one folds */
        packed_runs_look(work.packed, work.txn.pending);
    }
    int rc = batch_commit(writer, &work);
    if (rc && (folded || writer->batch.count > 1)) {
        batch_run_singly(writer);
    } else {
        batch_answer_all(&writer->batch, rc);
    }
    writer->folds_on = folded && rc == 0 && writer->batch.count > 0;
    writer->last_batch_us = clock_monotonic_us();
    fold_driver_used(&writer->folding);
}

/* How long the thread may sleep when no operation comes. */
static int64_t idle_time(const struct writer *writer)
{
    int64_t now = clock_monotonic_us();
    int64_t wait = writer->next_look_us - now;
    if (writer->next_deadline_us != INT64_MAX) {
        int64_t until = writer->next_deadline_us - writer_wall_us(writer);
        wait = until < wait ? until : wait;
    }
    wait = writer->purge_pending ? 0 : wait;
    int64_t pause = writer->next_slice_us - now;
    wait = wait > pause ? wait : pause;
    int64_t move = migrate_driver_wait(&writer->migration);
    int64_t fold = fold_driver_wait(&writer->folding);
    wait = move < wait ? move : wait;
    return fold < wait ? fold : wait;
}

/* What is due from time to time, whether operations come or not. */
static void round_run(struct writer *writer)
{
    int64_t now = clock_monotonic_us();
    if (now >= writer->next_reader_check_us) {
        env_check_readers(writer->config.env);
        writer->next_reader_check_us = now + READER_CHECK_US;
    }
    if (now >= writer->next_look_us) {
        writer_look(writer);
        writer->next_look_us = now + LOOK_US;
    }
}

static void *writer_main(void *arg)
{
    struct writer *writer = arg;
    for (;;) {
        atomic_store(&writer->round_us, clock_monotonic_us());
        bool stopping = queue_is_stopped(&writer->queue);
        if (!queue_is_empty(&writer->queue) || (writer->folds_on && !stopping)) {
            batch_run(writer);
        } else if (stopping) {
            break;
        } else {
            int64_t wait = idle_time(writer);
            if (wait > 0) {
                queue_wait(&writer->queue, wait);
            }
        }
        if (!stopping && writer_purge_is_due(writer)) {
            writer_purge_slice(writer);
        }
        if (!stopping && queue_is_empty(&writer->queue) && fold_driver_wait(&writer->folding) == 0) {
            fold_idle(writer);
        }
        if (!stopping) {
            writer_migrate(writer);
        }
        round_run(writer);
    }
    batch_refuse_forgets(&writer->batch);
    return NULL;
}

static int writer_begin(struct writer *writer, struct error *error)
{
    int rc = writer_look(writer); /* what the last run left to be done */
    struct txn txn = env_begin_read(writer->config.env);
    migrate_driver_look(&writer->migration, &txn);
    rc = rc ? rc : txn.rc;
    env_abort(&txn);
    if (rc) {
        return error_set(error, ERROR_STARTUP, "the data file cannot be read: %s", mdb_strerror(rc));
    }
    atomic_store(&writer->round_us, clock_monotonic_us());
    writer->ahead = fold_ahead_new(writer->config.env, writer->packed);
    rc = writer->ahead ? pthread_create(&writer->thread, NULL, writer_main, writer) : -1;
    return rc ? error_set(error, ERROR_STARTUP, "cannot start the writer's threads") : 0;
}

static void writer_free(struct writer *writer)
{
    migrate_driver_destroy(&writer->migration);
    queue_destroy(&writer->queue);
    buffer_free(&writer->scratch);
    head_cache_free(writer->heads);
    journal_places_free(writer->places);
    fold_ahead_free(writer->ahead);
    packed_runs_free(writer->packed);
    free(writer);
}

int writer_start(const struct writer_config *config, struct writer **ret_writer, struct error *error)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        return error_set(error, ERROR_STARTUP, "no memory for the writer");
    }
    writer->config = *config;
    writer->heads = head_cache_new();
    writer->places = journal_places_new();
    writer->packed = packed_runs_new();
    writer->batch.config = (struct batch_config){
        .env = config->env,
        .queue = &writer->queue,
        .limits = config->limits,
        .deleted_retention_us = config->deleted_retention_us,
        .scratch = &writer->scratch,
    };
    writer->folding = (struct fold_driver){.late = config->fold_late, .pending = true};
    queue_init(&writer->queue);
    migrate_driver_init(&writer->migration, &config->migrate);
    bool made = writer->heads && writer->places && writer->packed;
    int rc = made ? writer_begin(writer, error) : error_set(error, ERROR_STARTUP, "no memory for the writer");
    if (rc) {
        writer_free(writer);
        return rc;
    }
    *ret_writer = writer;
    return 0;
}

void writer_push(struct writer *writer, struct store_op *op)
{
    struct error error = {0};
    if (queue_push(&writer->queue, op, writer->config.limits, &error)) {
        op->done(op, &error, NULL);
    }
}

struct writer *writer_stop(struct writer *writer)
{
    queue_stop(&writer->queue);
    pthread_join(writer->thread, NULL);
    writer_free(writer);
    return NULL;
}

bool writer_takes_writes(struct writer *writer)
{
    return atomic_load(&writer->takes_writes);
}

int64_t writer_silence_us(struct writer *writer)
{
    return clock_monotonic_us() - atomic_load(&writer->round_us);
}

void writer_add_stats(struct writer *writer, struct store_stats *stats)
{
    meters_add_stats(&writer->meters, stats);
    queue_measure(&writer->queue, &stats->queue_length, &stats->queue_bytes);
}

void writer_add_measures(struct writer *writer, struct store_measures *measures)
{
    measures->takes_writes = writer_takes_writes(writer);
    meters_add_measures(&writer->meters, measures);
}

void writer_show_migration(struct writer *writer, struct store_migration *migration)
{
    migrate_driver_show(&writer->migration, migration);
}
