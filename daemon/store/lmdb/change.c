#include "store/lmdb/change.h"

#include "base/wire.h"
#include "store/lmdb/append_journal.h"
#include "store/lmdb/append_recall.h"
#include "store/lmdb/audit.h"
#include "store/lmdb/fold.h"
#include "store/lmdb/purge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { RETRY_DISK_MS = 5000 };

/* What holds for a verb before it runs. */
struct change_row {
    int (*apply)(struct change *change);
    bool needs_room;          /* refused while the disk has not its reserve free */
    bool may_create;          /* runs also where there is no conversation */
    bool on_deleted;          /* runs also on a softly deleted one */
    bool journals;            /* folds what waits in the journal only when it must */
    bool no_conversation;     /* is about none */
    enum store_action action; /* what the audit trail calls it, unless the verb says otherwise; NONE: not there */
    bool removes;             /* it is there only if messages were removed */
};

static const struct change_row change_rows[STORE_VERB_COUNT] = {
    [STORE_CREATE_CONVERSATION] = {.apply = change_create_conversation,
                                   .needs_room = true,
                                   .may_create = true,
                                   .on_deleted = true,
                                   .action = STORE_ACTION_CREATE_CONVERSATION},
    [STORE_UPDATE_CONVERSATION] = {.apply = change_update_conversation,
                                   .needs_room = true,
                                   .action = STORE_ACTION_UPDATE_CONVERSATION},
    [STORE_DELETE_CONVERSATION] = {.apply = change_delete_conversation,
                                   .on_deleted = true,
                                   .action = STORE_ACTION_DELETE_CONVERSATION},
    [STORE_UNDELETE_CONVERSATION] = {.apply = change_undelete_conversation,
                                     .needs_room = true,
                                     .on_deleted = true,
                                     .action = STORE_ACTION_UNDELETE_CONVERSATION},
    [STORE_APPEND_MESSAGES] = {.apply = change_append_messages,
                               .needs_room = true,
                               .may_create = true,
                               .journals = true,
                               .action = STORE_ACTION_REPLACE_MESSAGES,
                               .removes = true},
    [STORE_UPDATE_MESSAGE] = {.apply = change_update_message,
                              .needs_room = true,
                              .action = STORE_ACTION_UPDATE_MESSAGE},
    [STORE_DELETE_MESSAGE] = {.apply = change_delete_message, .action = STORE_ACTION_DELETE_MESSAGE},
    [STORE_POP_MESSAGES] = {.apply = change_pop_messages, .action = STORE_ACTION_POP_MESSAGES},
    [STORE_FORGET_USER] = {.apply = change_forget_user,
                           .no_conversation = true,
                           .action = STORE_ACTION_FORGET_USER_BEGIN},
    [STORE_NOTE_EVENT] = {.apply = change_note_event, .no_conversation = true},
};

static int purge_running(struct change *change, const char *what)
{
    error_set(change->error, ERROR_PURGE_RUNNING, "%s is still being removed", what);
    return error_add_detail(change->error, "retry_delay_ms", PURGE_RETRY_MS);
}

static int request_damaged(struct change *change)
{
    const struct store_op *op = change->op;
    struct key name = key_id(op->user, op->conversation, op->request_id);
    return record_damaged(change->error, "request", key_span(&name));
}

/* Answers a request that was carried out before. Returns 1 when it was. */
static int request_replay(struct change *change)
{
    const struct store_op *op = change->op;
    struct span value;
    uint64_t hash[2];
    enum get_result found = place_get_request(&change->work->txn, &change->head.place, op->request_id, &value);
    if (found == GET_MISSING) {
        return 0;
    }
    if (found == GET_DAMAGED || entry_get_request_hash(value, hash)) {
        return request_damaged(change);
    }
    if (memcmp(hash, op->request_hash, sizeof(hash)) != 0) {
        return error_set(change->error, ERROR_REQUEST_ID_REUSED,
                         "this request_id was used in the conversation for another change");
    }
    if (entry_get_request(value, op->record_field, change->result)) {
        return request_damaged(change);
    }
    return change->result->records.failed ? memory_short(change->error) : 1;
}

static void request_remember(struct change *change)
{
    buffer_clear(change->work->scratch);
    entry_put_request(change->work->scratch, change->op, change->result);
    place_put_request(change->work, &change->head.place, change->op->request_id);
}

/* What every verb about one conversation demands of it. */
static int change_check(struct change *change, const struct change_row *row)
{
    bool live = change->head.state == HEAD_LIVE;
    if (row->needs_room && !change->has_room) {
        error_set(change->error, ERROR_DISK_FULL, "the disk has no room left; reads and deletes go on");
        return error_add_detail(change->error, "retry_delay_ms", RETRY_DISK_MS);
    }
    if (!live && !row->may_create) {
        return conversation_not_found(change->error);
    }
    if (live && change->head.record.delete_time_us != 0 && !row->on_deleted) {
        return error_set(change->error, ERROR_CONVERSATION_DELETED, "the conversation is deleted; undelete it first");
    }
    return 0;
}

/* Runs the verb and, if it made a change, puts it into the audit trail. */
static int change_apply(struct change *change, const struct change_row *row)
{
    const struct store_op *op = change->op;
    struct txn *txn = &change->work->txn;
    uint64_t writes = txn->writes;
    change->event.action = row->action;
    int rc = row->apply(change);
    assert(rc == 0 || txn->rc || txn->writes == writes);
    struct event_record *event = &change->event;
    bool told = event->action != STORE_ACTION_NONE && (!row->removes || event->messages > 0);
    if (rc == 0 && told && txn->writes > writes) {
        event->principal = op->actor;
        event->user = op->user;
        event->conversation = op->conversation;
        event->request_id = op->request_id;
        audit_put(change->work, event);
    }
    return rc;
}

/* Finds the conversation in the data file. Returns 1 when the request was carried out before, and is answered. */
static int change_find(struct change *change)
{
    const struct store_op *op = change->op;
    head_cache_drop(change->work->heads, op->user, op->conversation);
    int rc = head_load(&change->work->txn, &change->work->layouts, op->user, op->conversation, change->work->now_us,
                       &change->head, change->error);
    if (rc == 0 && op->request_id.size > 0 && change->head.state == HEAD_LIVE) {
        rc = request_replay(change); /* first of all: a retry gets its answer whatever has changed since */
    }
    return rc;
}

static int change_one_conversation(struct change *change, const struct change_row *row)
{
    const struct store_op *op = change->op;
    struct txn *txn = &change->work->txn;
    int rc = row->journals && append_recall(change) ? 0 : change_find(change);
    if (rc == 1) {
        return 0;
    }
    rc = rc ? rc : change_check(change, row);
    if (rc) {
        return rc;
    }
    if (!row->journals || append_must_fold(change)) {
        change_fold(change);
    }
    rc = change_apply(change, row);
    if (rc == 0 && change->result->records.failed) {
        txn_fail_memory(txn);
    }
    if (rc == 0 && op->request_id.size > 0 && change->head.state == HEAD_LIVE && !change->remembered) {
        request_remember(change);
    }
    return rc;
}

int change_run(struct change *change)
{
    const struct change_row *row = &change_rows[change->op->verb];
    assert(row->apply && (change->op->user.size > 0 || row->no_conversation));
    if (row->no_conversation) {
        return change_apply(change, row);
    }
    if (head_user_is_forgotten(&change->work->txn, change->op->user)) {
        return purge_running(change, "the user's data");
    }
    return change_one_conversation(change, row);
}

int64_t change_time(const struct change *change)
{
    int64_t now = change->work->now_us;
    bool live = change->head.state == HEAD_LIVE;
    return live && change->head.record.update_time_us > now ? change->head.record.update_time_us : now;
}

void change_step_head(struct change *change, struct conversation_record *after)
{
    const struct conversation_record *before = change->head.state == HEAD_LIVE ? &change->head.record : NULL;
    after->update_time_us = change_time(change);
    /* Begins with the time, so that a conversation created again under its ID does not repeat the old one's etags. */
    after->revision = before ? before->revision + 1 : (uint64_t)after->update_time_us;
    snprintf(change->result->etag, sizeof(change->result->etag), "%" PRIu64, after->revision);
}

void change_fold(struct change *change)
{
    const struct conversation_place *place = &change->head.place;
    if (place->journal) {
        fold_conversation(change->work, place->head.user_number, place->head.conversation_number);
        change->head.place.journal = NULL; /* the head is at home as it was read */
    }
}

void change_put_head(struct change *change, struct conversation_record *after)
{
    const struct conversation_record *before = change->head.state == HEAD_LIVE ? &change->head.record : NULL;
    assert(!change->head.place.journal);
    change_step_head(change, after);
    head_put(change->work, &change->head.place, before, after);
    change->head.state = HEAD_LIVE; /* from here on, also where there was none */
}

void change_add_conversation(struct change *change, const struct conversation_record *record)
{
    struct buffer *scratch = change->work->scratch;
    buffer_clear(scratch);
    record_put_conversation(scratch, record);
    if (scratch->failed) {
        txn_fail_memory(&change->work->txn);
        return;
    }
    wire_put_element(&change->result->records, change->op->record_field, buffer_span(scratch));
}

int change_check_creation(struct change *change)
{
    const struct store_op *op = change->op;
    struct txn *txn = &change->work->txn;
    assert(change->head.state != HEAD_LIVE);
    if (purge_is_running(txn, op->user, op->conversation) ||
        (change->head.state == HEAD_GONE && purge_is_large(txn, &change->head.place))) {
        return purge_running(change, "an earlier conversation of this ID");
    }
    return 0;
}

struct conversation_record change_begin_creation(struct change *change)
{
    if (change->head.state == HEAD_GONE) {
        purge_gone(change->work, &change->head.place, &change->head.record);
        change->head.state = HEAD_MISSING;
        place_find(&change->work->txn, &change->work->layouts, change->op->user, change->op->conversation,
                   &change->head.place);
    }
    int64_t now = change_time(change);
    return (struct conversation_record){
        .conversation_id = change->op->conversation, .create_time_us = now, .activity_time_us = now};
}
