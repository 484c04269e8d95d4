/* The writer's transactions: how they begin and end, and what ends the process. */
#include "store/lmdb/writer_internal.h"

#include "store/lmdb/audit.h"
#include "store/lmdb/purge.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    AUDIT_LATE_US = 60 * CLOCK_SECOND_US, /* old events are removed many at a time, not each in a commit */
    SCRATCH_KEEP_BYTES = 1024 * 1024,
    FATAL_TEXT_BYTES = 200,
};

int64_t writer_wall_us(const struct writer *writer)
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

struct work writer_begin_work(struct writer *writer)
{
    struct work work = {.txn = env_begin(writer->config.env),
                        .now_us = writer_wall_us(writer),
                        .scratch = &writer->scratch,
                        .heads = writer->heads,
                        .places = writer->places,
                        .packed = writer->packed};
    work_load(&work);
    return work;
}

void writer_die(struct writer *writer, int rc)
{
    char message[FATAL_TEXT_BYTES];
    snprintf(message, sizeof(message), "the data file cannot be written: %s", mdb_strerror(rc));
    writer->config.fatal(writer->config.fatal_arg, message);
    abort(); /* fatal must not return */
}

void writer_abort_work(struct writer *writer, struct work *work)
{
    env_abort(&work->txn);
    head_cache_clear(writer->heads);
}

int writer_commit_work(struct writer *writer, struct work *work)
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

void writer_check_room(struct writer *writer, struct txn *txn)
{
    if (!txn->rc) {
        bool room = env_has_room(writer->config.env, txn);
        atomic_store(&writer->takes_writes, room);
        room_tell(writer, room);
    }
}

int writer_look(struct writer *writer)
{
    struct txn txn = env_begin_read(writer->config.env);
    bool pending = purge_is_pending(&txn);
    int64_t deadline = deadline_next(writer, &txn);
    writer_check_room(writer, &txn);
    if (!txn.rc) {
        writer->purge_pending = pending;
        writer->next_deadline_us = deadline;
    }
    env_abort(&txn);
    return txn.rc;
}
