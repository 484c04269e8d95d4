#include "store/lmdb/writer.h"

#include "base/clock.h"
#include "store/lmdb/audit.h"
#include "store/lmdb/batch.h"
#include "store/lmdb/fold_ahead.h"
#include "store/lmdb/fold_driver.h"
#include "store/lmdb/meters.h"
#include "store/lmdb/purge.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SLICE_RECORDS = 1000,
    SLICE_US = 4 * CLOCK_MILLISECOND_US,
    SLICE_PAUSE_US = 20 * CLOCK_MILLISECOND_US, /* between slices while operations wait: they come first */
    FAILED_PAUSE_US = CLOCK_SECOND_US,
    LOOK_US = CLOCK_SECOND_US,            /* the wall clock may jump, the disk may fill or empty */
    BUSY_US = 50 * CLOCK_MILLISECOND_US,  /* since the last operation: more are to be expected */
    COMPANY_US = CLOCK_MILLISECOND_US,    /* what was folded waits for operations to be committed with */
    AUDIT_LATE_US = 60 * CLOCK_SECOND_US, /* old events are removed many at a time, not each in a commit */
    READER_CHECK_US = 10 * CLOCK_SECOND_US,
    SCRATCH_KEEP_BYTES = 1024 * 1024,
    FATAL_TEXT_BYTES = 200,
};

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
    bool folds_on; /* it folded beside operations: the next one begins with that before they come */
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

static int64_t wall_now(const struct writer *writer)
{
    int64_t now = writer->config.wall_clock_us();
    return now > 0 ? now : 1; /* 0 means "not set" in a record */
}

/* When, by the wall clock, a conversation's time or that of the audit trail's oldest events is over. */
static int64_t deadline_next(const struct writer *writer, struct txn *txn)
{
    int64_t keep = writer->config.audit_retention_us;
    int64_t purge = purge_next_deadline(txn);
    int64_t oldest = keep > 0 ? audit_oldest(txn) : INT64_MAX;
    int64_t audit = oldest < INT64_MAX - keep - AUDIT_LATE_US ? oldest + keep + AUDIT_LATE_US : INT64_MAX;
    return purge < audit ? purge : audit;
}

static struct work work_begin(struct writer *writer)
{
    struct work work = {.txn = env_begin(writer->config.env),
                        .now_us = wall_now(writer),
                        .scratch = &writer->scratch,
                        .heads = writer->heads,
                        .places = writer->places,
                        .packed = writer->packed};
    work_load(&work);
    return work;
}

/* Ends the process: a commit whose outcome is unknown can neither be answered nor followed by another. */
static void writer_die(struct writer *writer, int rc)
{
    char message[FATAL_TEXT_BYTES];
    snprintf(message, sizeof(message), "the data file cannot be written: %s", mdb_strerror(rc));
    writer->config.fatal(writer->config.fatal_arg, message);
    abort(); /* fatal must not return */
}

/* What was appended in it was not appended. */
static void work_abort(struct writer *writer, struct work *work)
{
    env_abort(&work->txn);
    head_cache_clear(writer->heads);
}

/* Commits. Returns 0, or the error of a transaction that stored nothing. */
static int work_commit(struct writer *writer, struct work *work)
{
    work_save(work);
    bool pending = purge_is_pending(&work->txn);
    int64_t deadline = deadline_next(writer, &work->txn);
    bool wrote = work->txn.writes > 0;
    int64_t begun_us = clock_monotonic_us();
    int rc = env_commit(writer->config.env, &work->txn);
    if (writer->scratch.capacity > SCRATCH_KEEP_BYTES) {
        buffer_free(&writer->scratch);
    }
    if (rc && !txn_error_is_passing(rc)) {
        writer_die(writer, rc);
    }
    if (rc == 0) {
        writer->purge_pending = pending;
        writer->next_deadline_us = deadline;
    } else {
        head_cache_clear(writer->heads);
    }
    if (rc == 0 && wrote) {
        meters_note_commit(&writer->meters, clock_monotonic_us() - begun_us, work);
    }
    return rc;
}

static void room_tell(struct writer *writer, bool room)
{
    const struct migrate_driver_config *to = &writer->config.migrate;
    if (writer->full_told != room || !to->event) {
        return;
    }
    writer->full_told = !room;
    to->event(to->event_arg, room ? STORE_EVENT_DISK_ROOM : STORE_EVENT_DISK_FULL,
              room ? "there is room on the disk again: changes are taken"
                   : "the disk has no room beyond its reserve, or the data file may not grow: changes that need some "
                     "are refused; reads and deletes go on");
}

static void room_check(struct writer *writer, struct txn *txn)
{
    if (!txn->rc) {
        bool room = env_has_room(writer->config.env, txn);
        atomic_store(&writer->takes_writes, room);
        room_tell(writer, room);
    }
}

/* Finds out what there is to do and whether there is room, without a change. Returns LMDB's error. */
static int writer_look(struct writer *writer)
{
    struct txn txn = env_begin_read(writer->config.env);
    bool pending = purge_is_pending(&txn);
    int64_t deadline = deadline_next(writer, &txn);
    room_check(writer, &txn);
    if (!txn.rc) {
        writer->purge_pending = pending;
        writer->next_deadline_us = deadline;
    }
    env_abort(&txn);
    return txn.rc;
}

static int batch_commit(struct writer *writer, struct work *work)
{
    int rc = work_commit(writer, work);
    if (rc == 0) {
        meters_note_changes(&writer->meters, writer->batch.changed);
    }
    return rc;
}

/* After a common commit that found no room: each operation alone, so that only the one that is too large fails. */
static void batch_run_singly(struct writer *writer)
{
    for (size_t i = 0; i < writer->batch.count; i++) {
        struct work work = work_begin(writer);
        room_check(writer, &work.txn);
        batch_redo_one(&writer->batch, i, &work, atomic_load(&writer->takes_writes));
        batch_answer_one(&writer->batch, i, batch_commit(writer, &work));
    }
}

static bool operation_waits(void *arg)
{
    struct writer *writer = arg;
    return !queue_is_empty(&writer->queue) || queue_is_stopped(&writer->queue);
}

/* While no operation comes. */
static void fold_idle(struct writer *writer)
{
    struct work work = work_begin(writer);
    struct error error;
    fold_driver_idle(&writer->folding, &work, operation_waits, writer);
    int rc = work.txn.rc;
    if (rc && txn_error(rc, &error) == -ERROR_RECORD_DAMAGED) {
        work_abort(writer, &work); /* all that waits can be read where it is: no reason to end */
    } else {
        rc = work_commit(writer, &work);
    }
    if (rc) {
        fold_driver_failed(&writer->folding);
    }
}

/* Folds before it takes operations: while it does, those whose answers were sent last send their next ones, and the
 * batch is as large as can be. Folds that find no room are left for later. True: there are some in it. */
static bool batch_begin(struct writer *writer, struct work *work)
{
    *work = work_begin(writer);
    room_check(writer, &work->txn);
    bool folded = fold_driver_beside(&writer->folding, work);
    if (work->txn.rc && txn_error_is_passing(work->txn.rc)) {
        work_abort(writer, work);
        *work = work_begin(writer);
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
    if (folded) {
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

static void forget_finish(struct writer *writer, const struct purge_done *done, uint64_t commit_id)
{
    struct store_result result = {.receipt = {
                                      .conversations = done->receipt.conversations,
                                      .messages = done->receipt.messages,
                                      .content_bytes = done->receipt.content_bytes,
                                      .digest = {done->receipt.digest_high, done->receipt.digest_low},
                                      .commit_id = commit_id,
                                  }};
    batch_answer_forgets(&writer->batch, key_span(&done->user), &result);
}

/* Removes a bounded part of what is to be removed, in a commit of its own. */
static void slice_run(struct writer *writer)
{
    struct work work = work_begin(writer);
    struct purge_done done = {0};
    struct purge_budget budget = {.records = SLICE_RECORDS, .until_us = clock_monotonic_us() + SLICE_US};
    room_check(writer, &work.txn);
    head_cache_clear(writer->heads); /* of what is removed here the names are not known */
    size_t removed = purge_due(&work, &budget);
    if (writer->config.audit_retention_us > 0 && removed < budget.records) {
        removed += audit_remove_old(&work, work.now_us - writer->config.audit_retention_us, budget.records - removed);
    }
    if (removed < budget.records) {
        budget.records -= removed;
        purge_slice(&work, &writer->rotation, &budget, &done);
    }
    uint64_t commit_id = work.txn.handle ? txn_id(&work.txn) : 0;
    int rc = work_commit(writer, &work);
    if (rc == 0 && done.user_forgotten) {
        forget_finish(writer, &done, commit_id);
    }
    writer->next_slice_us = clock_monotonic_us() + (rc ? FAILED_PAUSE_US : SLICE_PAUSE_US);
    if (rc == 0 && queue_is_empty(&writer->queue)) {
        writer->next_slice_us = 0;
    }
}

static bool slice_is_due(const struct writer *writer)
{
    bool work = writer->purge_pending || writer->next_deadline_us <= wall_now(writer);
    return work && clock_monotonic_us() >= writer->next_slice_us;
}

static bool rc_is_no_room(int rc)
{
    struct error error;
    return rc != MDB_TXN_FULL && txn_error(rc, &error) == -ERROR_DISK_FULL;
}

/* A slice of the migration stored nothing; rc is LMDB's, or 0 when it failed of itself. */
static void migration_fail(struct writer *writer, int rc, const char *why)
{
    struct error error = {0};
    struct migration_entry entry;
    if (rc && rc_is_no_room(rc)) {
        txn_error(rc, &error);
        migrate_driver_shrink(&writer->migration, error.message);
        return;
    }
    if (rc && txn_error(rc, &error) != -ERROR_RECORD_DAMAGED && !txn_error_is_passing(rc)) {
        writer_die(writer, rc);
    }
    why = rc ? error.message : why;
    struct work work = work_begin(writer);
    migrate_note_failure(&work, why);
    bool noted = migrate_progress(&work.txn, &entry);
    if (work.txn.rc && !txn_error_is_passing(work.txn.rc)) {
        work_abort(writer, &work); /* not even that can be read: no more of it until the next start */
        entry = (struct migration_entry){.state = MIGRATION_HALTED};
        noted = true;
    } else if (work_commit(writer, &work)) {
        noted = false;
    }
    migrate_driver_failed(&writer->migration, why, noted ? &entry : NULL);
}

/* Moves a bounded part of what is to be migrated, in a commit of its own. While operations come anyway its time is
 * short; else it is long, and the first operation ends it. */
static void migration_run(struct writer *writer, bool busy)
{
    char why[MIGRATE_WHY_BYTES];
    struct migration_entry entry = {0};
    struct work work = work_begin(writer);
    room_check(writer, &work.txn);
    if (!work.txn.rc && !atomic_load(&writer->takes_writes)) {
        work_abort(writer, &work);
        migrate_driver_pause(&writer->migration, "the disk has no room left");
        return;
    }
    struct migrate_budget budget = migrate_driver_budget(&writer->migration, busy);
    budget.is_interrupted = busy ? NULL : operation_waits;
    budget.arg = writer;
    head_cache_clear(writer->heads); /* conversations get other places */
    enum migrate_result result = migrate_slice(&work, &budget, why);
    if (result == MIGRATE_FAILED) {
        int failure = work.txn.rc;
        work_abort(writer, &work);
        migration_fail(writer, failure, why);
        return;
    }
    if (!migrate_progress(&work.txn, &entry)) {
        migrate_last(&work.txn, &entry);
    }
    int rc = work_commit(writer, &work);
    if (rc) {
        migration_fail(writer, rc, why);
    } else {
        migrate_driver_moved(&writer->migration, result, &entry, busy);
    }
}

static void migration_step(struct writer *writer)
{
    if (migrate_driver_wait(&writer->migration) > 0) {
        return;
    }
    if (writer->migration.to_start) {
        struct work work = work_begin(writer);
        migrate_driver_begin(&writer->migration, &work);
        int rc = work_commit(writer, &work);
        if (rc) {
            struct error error;
            txn_error(rc, &error);
            migrate_driver_pause(&writer->migration, error.message);
        } else {
            migrate_driver_begun(&writer->migration);
        }
        return;
    }
    bool busy = !queue_is_empty(&writer->queue) || clock_monotonic_us() - writer->last_batch_us < (int64_t)BUSY_US;
    migration_run(writer, busy);
}

/* How long the thread may sleep when no operation comes. */
static int64_t idle_time(const struct writer *writer)
{
    int64_t now = clock_monotonic_us();
    int64_t wait = writer->next_look_us - now;
    if (writer->next_deadline_us != INT64_MAX) {
        int64_t until = writer->next_deadline_us - wall_now(writer);
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
        if (!stopping && slice_is_due(writer)) {
            slice_run(writer);
        }
        if (!stopping && queue_is_empty(&writer->queue) && fold_driver_wait(&writer->folding) == 0) {
            fold_idle(writer);
        }
        if (!stopping) {
            migration_step(writer);
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
