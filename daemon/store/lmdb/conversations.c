/* The changes of a conversation as a whole. */
#include "store/lmdb/audit.h"
#include "store/lmdb/change.h"
#include "store/lmdb/purge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static struct record_metadata metadata_of(const struct store_conversation *conversation)
{
    return (struct record_metadata){.pairs = conversation->metadata, .count = conversation->metadata_count};
}

static int etag_check(struct change *change, struct span etag)
{
    char present[sizeof(change->result->etag)];
    snprintf(present, sizeof(present), "%" PRIu64, change->head.record.revision);
    if (etag.size > 0 && !span_equal(etag, span_of_string(present))) {
        return error_set(change->error, ERROR_ETAG_MISMATCH, "the conversation was changed: its etag is now %s",
                         present);
    }
    return 0;
}

int change_create_conversation(struct change *change)
{
    const struct store_conversation *wanted = &change->op->create;
    if (change->head.state == HEAD_LIVE) {
        bool deleted = change->head.record.delete_time_us != 0;
        return error_set(change->error, ERROR_CONVERSATION_EXISTS, "the user has a%s conversation of this ID",
                         deleted ? " deleted" : "");
    }
    int rc = change_check_creation(change);
    if (rc) {
        return rc;
    }
    struct conversation_record record = change_begin_creation(change);
    record.title = wanted->title;
    record.metadata = metadata_of(wanted);
    record.archived = wanted->archived;
    record.expire_time_us = wanted->expire_time_us;
    change_put_head(change, &record);
    change_add_conversation(change, &record);
    return 0;
}

int change_update_conversation(struct change *change)
{
    const struct store_conversation *wanted = &change->op->update.conversation;
    unsigned mask = change->op->update.mask;
    struct conversation_record record = change->head.record;
    int rc = etag_check(change, change->op->update.etag);
    if (rc) {
        return rc;
    }
    record.title = mask & STORE_MASK_TITLE ? wanted->title : record.title;
    record.metadata = mask & STORE_MASK_METADATA ? metadata_of(wanted) : record.metadata;
    record.archived = mask & STORE_MASK_ARCHIVED ? wanted->archived : record.archived;
    record.expire_time_us = mask & STORE_MASK_EXPIRE_TIME ? wanted->expire_time_us : record.expire_time_us;
    change_put_head(change, &record);
    change_add_conversation(change, &record);
    return 0;
}

int change_delete_conversation(struct change *change)
{
    struct conversation_record record = change->head.record;
    bool purge = change->op->delete.purge;
    if (!purge && record.delete_time_us != 0) {
        return error_set(change->error, ERROR_CONVERSATION_DELETED, "the conversation is deleted already");
    }
    int rc = etag_check(change, change->op->delete.etag);
    if (rc) {
        return rc;
    }
    if (purge) {
        change->event.action = STORE_ACTION_PURGE_CONVERSATION;
        audit_set_whole(&change->event, &record);
        purge_conversation(change->work, &change->head.place, &record);
        change->head.state = HEAD_MISSING;
        return 0;
    }
    record.delete_time_us = change_time(change);
    bool fits = change->deleted_retention_us < INT64_MAX - record.delete_time_us;
    record.purge_time_us = fits ? record.delete_time_us + change->deleted_retention_us : INT64_MAX;
    change_put_head(change, &record);
    change_add_conversation(change, &record);
    return 0;
}

int change_undelete_conversation(struct change *change)
{
    struct conversation_record record = change->head.record;
    if (record.delete_time_us == 0) {
        return error_set(change->error, ERROR_CONVERSATION_NOT_DELETED, "the conversation is not deleted");
    }
    record.delete_time_us = 0;
    record.purge_time_us = 0;
    change_put_head(change, &record);
    change_add_conversation(change, &record);
    return 0;
}

int change_forget_user(struct change *change)
{
    struct work *work = change->work;
    uint64_t writes = work->txn.writes;
    int rc = purge_begin_user(work, change->op->user, change->error);
    change->waits = rc == 1;
    if (rc == 0) {
        /* Nothing was there after the last commit that wrote; this transaction is one if it has written. */
        uint64_t id = txn_id(&work->txn);
        change->result->receipt.commit_id = writes > 0 ? id : id - 1;
    }
    return rc < 0 ? rc : 0;
}

int change_note_event(struct change *change)
{
    const struct event_record event = {.action = change->op->note.action,
                                       .principal = change->op->actor,
                                       .user = change->op->user,
                                       .request_id = change->op->request_id,
                                       .conversations = change->op->note.conversations,
                                       .messages = change->op->note.messages,
                                       .content_bytes = change->op->note.content_bytes};
    audit_put(change->work, &event);
    return 0;
}
