/* What the writer does between the operations, a bounded part at a time and each in a commit of its own: it removes
 * what is to be purged, and moves what is to be migrated. */
#include "store/lmdb/writer_internal.h"

#include "store/lmdb/audit.h"
#include "store/lmdb/purge.h"

enum {
    SLICE_RECORDS = 1000,
    SLICE_US = 4 * CLOCK_MILLISECOND_US,
    SLICE_PAUSE_US = 20 * CLOCK_MILLISECOND_US, /* between slices while operations wait: they come first */
    FAILED_PAUSE_US = CLOCK_SECOND_US,
    BUSY_US = 50 * CLOCK_MILLISECOND_US, /* since the last operation: more are to be expected */
};

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

void writer_purge_slice(struct writer *writer)
{
    struct work work = writer_begin_work(writer);
    struct purge_done done = {0};
    struct purge_budget budget = {.records = SLICE_RECORDS, .until_us = clock_monotonic_us() + SLICE_US};
    writer_check_room(writer, &work.txn);
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
    int rc = writer_commit_work(writer, &work);
    if (rc == 0 && done.user_forgotten) {
        forget_finish(writer, &done, commit_id);
    }
    writer->next_slice_us = clock_monotonic_us() + (rc ? FAILED_PAUSE_US : SLICE_PAUSE_US);
    if (rc == 0 && queue_is_empty(&writer->queue)) {
        writer->next_slice_us = 0;
    }
}

bool writer_purge_is_due(const struct writer *writer)
{
    bool work = writer->purge_pending || writer->next_deadline_us <= writer_wall_us(writer);
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
    struct work work = writer_begin_work(writer);
    migrate_note_failure(&work, why);
    bool noted = migrate_progress(&work.txn, &entry);
    if (work.txn.rc && !txn_error_is_passing(work.txn.rc)) {
        writer_abort_work(writer, &work); /* not even that can be read: no more of it until the next start */
        entry = (struct migration_entry){.state = MIGRATION_HALTED};
        noted = true;
    } else if (writer_commit_work(writer, &work)) {
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
    struct work work = writer_begin_work(writer);
    writer_check_room(writer, &work.txn);
    if (!work.txn.rc && !atomic_load(&writer->takes_writes)) {
        writer_abort_work(writer, &work);
        migrate_driver_pause(&writer->migration, "the disk has no room left");
        return;
    }
    struct migrate_budget budget = migrate_driver_budget(&writer->migration, busy);
    budget.is_interrupted = busy ? NULL : writer_is_called;
    budget.arg = writer;
    head_cache_clear(writer->heads); /* conversations get other places */
    enum migrate_result result = migrate_slice(&work, &budget, why);
    if (result == MIGRATE_FAILED) {
        int failure = work.txn.rc;
        writer_abort_work(writer, &work);
        migration_fail(writer, failure, why);
        return;
    }
    if (!migrate_progress(&work.txn, &entry)) {
        migrate_last(&work.txn, &entry);
    }
    int rc = writer_commit_work(writer, &work);
    if (rc) {
        migration_fail(writer, rc, why);
    } else {
        migrate_driver_moved(&writer->migration, result, &entry, busy);
    }
}

void writer_migrate(struct writer *writer)
{
    if (migrate_driver_wait(&writer->migration) > 0) {
        return;
    }
    if (writer->migration.to_start) {
        struct work work = writer_begin_work(writer);
        migrate_driver_begin(&writer->migration, &work);
        int rc = writer_commit_work(writer, &work);
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
