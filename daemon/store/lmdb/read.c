#include "store/lmdb/read.h"

#include "base/wire.h"
#include "store/lmdb/messages.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static int read_get_conversation(struct read *read)
{
    head_put_element(&read->result->records, read->op->record_field, &read->head);
    return 0;
}

static int message_id_find(struct read *read, struct span id, uint64_t *ret_seq)
{
    enum get_result found = place_get_message_id(read->txn, &read->head.place, id, ret_seq);
    if (found == GET_MISSING) {
        return error_set(read->error, ERROR_MESSAGE_NOT_FOUND, "the conversation has no message of this message_id");
    }
    return found == GET_DAMAGED ? message_id_damaged(read->error, &read->head.place, id) : 0;
}

static int read_get_message(struct read *read)
{
    const struct store_op *op = read->op;
    uint64_t seq = op->message.seq;
    struct message_record record;
    if (seq == 0) {
        int rc = message_id_find(read, op->message.message_id, &seq);
        if (rc) {
            return rc;
        }
    }
    if (seq == 0 || seq > KEY_SEQ_MAX) {
        return message_not_found(read->error, seq);
    }
    struct message_cursor cursor;
    message_cursor_open(read->txn, &read->head.place, &cursor);
    enum get_result found = message_cursor_find(&cursor, seq);
    int rc = message_decode(&read->head.place, seq, found, cursor.record, &record, read->error);
    if (rc == 0) {
        wire_put_element(&read->result->records, op->record_field,
                         op->message.basic ? record_basic_view(cursor.record) : cursor.record);
    }
    message_cursor_close(&cursor);
    return rc;
}

struct store_stats read_stats(struct env *env, struct txn *txn)
{
    struct stats_entry stats = work_read_stats(txn);
    struct env_size size = env_size(env, txn);
    uint64_t oldest;
    return (struct store_stats){
        .users = stats.users,
        .conversations = stats.conversations,
        .messages = stats.messages,
        .content_bytes = stats.content_bytes,
        .used_bytes = size.used_bytes,
        .file_bytes = size.file_bytes,
        .map_bytes = size.map_bytes,
        .commit_id = txn_id(txn),
        .journal_entries = pending_span(txn->pending, &oldest),
        .journal_bytes = txn_pages(txn, TABLE_3_JOURNAL) * size.page_bytes,
    };
}

static int read_get_stats(struct read *read)
{
    read->result->stats = read_stats(read->env, read->txn);
    return 0;
}

/* What holds for a verb before it runs. */
struct read_row {
    int (*run)(struct read *read);
    bool one_conversation; /* its head is loaded, and must be live */
    bool on_deleted;       /* runs also on a softly deleted one */
};

static const struct read_row read_rows[STORE_VERB_COUNT] = {
    [STORE_GET_CONVERSATION] = {.run = read_get_conversation, .one_conversation = true, .on_deleted = true},
    [STORE_LIST_CONVERSATIONS] = {.run = read_list_conversations},
    [STORE_GET_MESSAGE] = {.run = read_get_message, .one_conversation = true},
    [STORE_LIST_MESSAGES] = {.run = read_list_messages, .one_conversation = true},
    [STORE_LIST_USERS] = {.run = read_list_users},
    [STORE_GET_STATS] = {.run = read_get_stats},
    [STORE_LIST_EVENTS] = {.run = read_list_events},
};

bool read_is_verb(enum store_verb verb)
{
    assert(verb < STORE_VERB_COUNT);
    return read_rows[verb].run != NULL;
}

static int head_check(struct read *read, const struct read_row *row)
{
    const struct store_op *op = read->op;
    if (head_user_is_forgotten(read->txn, op->user)) {
        return conversation_not_found(read->error);
    }
    int rc = head_load(read->txn, &read->layouts, op->user, op->conversation, read->now_us, &read->head, read->error);
    if (rc || read->head.stale) {
        return rc;
    }
    if (read->head.state != HEAD_LIVE) {
        return conversation_not_found(read->error);
    }
    if (read->head.record.delete_time_us != 0 && !row->on_deleted) {
        return error_set(read->error, ERROR_CONVERSATION_DELETED, "the conversation is deleted; undelete it first");
    }
    snprintf(read->result->etag, sizeof(read->result->etag), "%" PRIu64, read->head.record.revision);
    return 0;
}

int read_run(struct read *read)
{
    const struct read_row *row = &read_rows[read->op->verb];
    if (!layouts_load(read->txn, &read->layouts)) {
        txn_fail_damaged(read->txn);
        return 0;
    }
    int rc = row->one_conversation ? head_check(read, row) : 0;
    rc = rc || read->head.stale ? rc : row->run(read);
    if (rc == 0 && (read->result->records.failed || read->result->next.failed)) {
        rc = memory_short(read->error);
    }
    return rc;
}
