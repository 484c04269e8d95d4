#include "store/lmdb/heads.h"

#include <assert.h>

enum { DESCRIBE_BYTES = 200, RETRY_MEMORY_MS = 1000 };

static const char stats_key[] = "stats";

int record_damaged(struct error *error, const char *kind, struct span key)
{
    char text[DESCRIBE_BYTES];
    key_describe(key, text, sizeof(text));
    return error_set(error, ERROR_RECORD_DAMAGED, "the record %s %s is damaged", kind, text);
}

int memory_short(struct error *error)
{
    error_set(error, ERROR_MEMORY_SHORT, "the daemon is short of memory");
    return error_add_detail(error, "retry_delay_ms", RETRY_MEMORY_MS);
}

int conversation_not_found(struct error *error)
{
    return error_set(error, ERROR_CONVERSATION_NOT_FOUND, "the user has no conversation of this ID");
}

void work_put_scratch(struct work *work, enum table table, struct span key)
{
    if (work->scratch->failed) {
        txn_fail_memory(&work->txn);
        return;
    }
    txn_put(&work->txn, table, key, buffer_span(work->scratch));
}

void work_load_stats(struct work *work)
{
    struct span value;
    work->stats = (struct stats_entry){0};
    if (txn_get(&work->txn, TABLE_META, span_of_string(stats_key), &value)) {
        entry_get_stats(value, &work->stats);
    }
    work->stats_stored = work->stats;
}

void work_save_stats(struct work *work)
{
    if (memcmp(&work->stats, &work->stats_stored, sizeof(work->stats)) == 0) {
        return;
    }
    buffer_clear(work->scratch);
    entry_put_stats(work->scratch, &work->stats);
    if (work->scratch->size == 0 && !work->scratch->failed) {
        txn_delete(&work->txn, TABLE_META, span_of_string(stats_key)); /* all are zero */
    } else {
        work_put_scratch(work, TABLE_META, span_of_string(stats_key));
    }
}

int head_load(struct txn *txn, struct span user, struct span conversation, int64_t now_us, struct head *head,
              struct error *error)
{
    struct key key = key_conversation(user, conversation);
    struct span value;
    head->state = HEAD_MISSING;
    if (!txn_get(txn, TABLE_CONVERSATIONS, key_span(&key), &value)) {
        return 0;
    }
    buffer_clear(&head->bytes);
    buffer_append(&head->bytes, value.data, value.size);
    if (head->bytes.failed) {
        return memory_short(error);
    }
    if (record_get_conversation(buffer_span(&head->bytes), &head->record) ||
        !span_equal(head->record.conversation_id, conversation)) {
        return record_damaged(error, "conversation", key_span(&key));
    }
    int64_t gone = record_gone_time(&head->record);
    head->state = gone != 0 && gone <= now_us ? HEAD_GONE : HEAD_LIVE;
    return 0;
}

void head_free(struct head *head)
{
    buffer_free(&head->bytes);
}

bool head_user_has_any(struct txn *txn, struct span user)
{
    struct key prefix = key_user_prefix(user);
    struct cursor cursor = cursor_open(txn, TABLE_CONVERSATIONS);
    bool found = cursor_seek(&cursor, key_span(&prefix)) && span_starts_with(cursor.key, key_span(&prefix));
    cursor_close(&cursor);
    return found;
}

bool head_user_is_forgotten(struct txn *txn, struct span user)
{
    struct key key = key_forgotten_user(user);
    struct span value;
    return txn_get(txn, TABLE_PURGES, key_span(&key), &value);
}

/* Counters never go below zero, also when a record they were counted from was damaged. */
static void count_move(uint64_t *counter, uint64_t before, uint64_t after)
{
    uint64_t added = *counter + after;
    *counter = added > before ? added - before : 0;
}

static const struct conversation_record no_record = {0};

static void stats_move(struct work *work, struct span user, const struct conversation_record *before,
                       const struct conversation_record *after)
{
    const struct conversation_record *from = before ? before : &no_record;
    const struct conversation_record *to = after ? after : &no_record;
    count_move(&work->stats.conversations, before != NULL, after != NULL);
    count_move(&work->stats.messages, from->message_count, to->message_count);
    count_move(&work->stats.content_bytes, from->content_bytes, to->content_bytes);
    /* Called while the head is not there: before it is put, after it is removed. */
    if (!before != !after && !head_user_has_any(&work->txn, user)) {
        count_move(&work->stats.users, before != NULL, after != NULL);
    }
}

static void recency_put(struct work *work, struct span user, const struct conversation_record *before,
                        const struct conversation_record *after)
{
    struct key old = {0};
    if (before) {
        old = key_recency(user, before->activity_time_us, before->conversation_id);
    }
    if (!after) {
        txn_delete(&work->txn, TABLE_RECENCY, key_span(&old));
        return;
    }
    struct key new = key_recency(user, after->activity_time_us, after->conversation_id);
    if (before && !span_equal(key_span(&old), key_span(&new))) {
        txn_delete(&work->txn, TABLE_RECENCY, key_span(&old));
    }
    const struct recency_entry entry = {
        .archived = after->archived, .deleted = after->delete_time_us != 0, .gone_time_us = record_gone_time(after)};
    buffer_clear(work->scratch);
    entry_put_recency(work->scratch, &entry);
    work_put_scratch(work, TABLE_RECENCY, key_span(&new));
}

static void deadline_put(struct work *work, struct span user, const struct conversation_record *before,
                         const struct conversation_record *after)
{
    int64_t old = before ? record_gone_time(before) : 0;
    int64_t new = after ? record_gone_time(after) : 0;
    if (old == new) {
        return;
    }
    if (old) {
        struct key key = key_deadline(old, user, before->conversation_id);
        txn_delete(&work->txn, TABLE_DEADLINES, key_span(&key));
    }
    if (new) {
        struct key key = key_deadline(new, user, after->conversation_id);
        txn_put(&work->txn, TABLE_DEADLINES, key_span(&key), span_of("-", 1)); /* the key says it all */
    }
}

void head_put(struct work *work, struct span user, const struct conversation_record *before,
              const struct conversation_record *after)
{
    assert(before || after);
    struct key key = key_conversation(user, before ? before->conversation_id : after->conversation_id);
    if (!after) {
        txn_delete(&work->txn, TABLE_CONVERSATIONS, key_span(&key));
    }
    stats_move(work, user, before, after);
    if (after) {
        buffer_clear(work->scratch);
        record_put_conversation(work->scratch, after);
        work_put_scratch(work, TABLE_CONVERSATIONS, key_span(&key));
    }
    recency_put(work, user, before, after);
    deadline_put(work, user, before, after);
}
