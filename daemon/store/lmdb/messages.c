#include "store/lmdb/messages.h"

#include "base/wire.h"

#include <assert.h>
#include <inttypes.h>

int message_decode(const struct conversation_place *place, uint64_t seq, enum get_result found, struct span value,
                   struct message_record *ret, struct error *error)
{
    struct message_record record;
    if (found == GET_MISSING) {
        return message_not_found(error, seq);
    }
    if (found == GET_DAMAGED || record_get_message(value, &record) || record.seq != seq) {
        return message_damaged(error, place, seq);
    }
    *ret = record;
    return 0;
}

int message_decode_at(const struct message_cursor *cursor, struct message_record *ret, struct error *error)
{
    enum get_result found = cursor->damaged ? GET_DAMAGED : GET_FOUND;
    return message_decode(cursor->place, cursor->seq, found, cursor->record, ret, error);
}

int message_check_at(const struct message_cursor *cursor, struct error *error)
{
    struct message_record record;
    bool has_sum = !cursor->side || cursor->side->layout->sealed;
    return has_sum && !cursor->damaged && cursor->seq != 0 ? 0 : message_decode_at(cursor, &record, error);
}

int message_id_damaged(struct error *error, const struct conversation_place *place, struct span message_id)
{
    struct key name = key_id(place->head.user, place->head.conversation, message_id);
    return record_damaged(error, "message_id", key_span(&name));
}

int message_not_found(struct error *error, uint64_t seq)
{
    return error_set(error, ERROR_MESSAGE_NOT_FOUND, "the conversation has no message of seq %" PRIu64, seq);
}

int last_seq_check(struct change *change, const struct store_expected *expected)
{
    uint64_t last_seq = change->head.state == HEAD_LIVE ? change->head.record.last_seq : 0;
    if (!expected->given || expected->value == last_seq) {
        return 0;
    }
    error_set(change->error, ERROR_LAST_SEQ_MISMATCH, "the conversation's last_seq is %" PRIu64 ", not %" PRIu64,
              last_seq, expected->value);
    return error_add_detail(change->error, "last_seq", last_seq);
}

int tail_count(struct change *change, uint64_t seq, uint64_t limit, struct tail *ret)
{
    struct tail tail = {.seq = seq};
    struct message_cursor cursor;
    int rc = 0;
    message_cursor_open(&change->work->txn, &change->head.place, &cursor);
    bool found = message_cursor_seek(&cursor, seq);
    while (rc == 0 && found && tail.count <= limit) {
        struct message_record record;
        rc = message_decode_at(&cursor, &record, change->error);
        if (rc == 0) {
            tail.count++;
            tail.content_bytes += record.content_size;
            found = message_cursor_next(&cursor);
        }
    }
    message_cursor_close(&cursor);
    if (rc == 0) {
        *ret = tail;
    }
    return rc;
}

static void counts_lower(struct conversation_record *head, uint64_t count, uint64_t content_bytes)
{
    /* Never below zero, should an old count be wrong. */
    head->message_count -= count < head->message_count ? count : head->message_count;
    head->content_bytes -= content_bytes < head->content_bytes ? content_bytes : head->content_bytes;
}

/* For the audit trail. */
static void event_set(struct change *change, uint64_t first_seq, uint64_t last_seq, uint64_t removed,
                      uint64_t content_bytes)
{
    change->event.first_seq = first_seq;
    change->event.last_seq = last_seq;
    change->event.messages = removed;
    change->event.content_bytes = content_bytes;
}

void tail_remove(struct change *change, const struct tail *tail, struct conversation_record *head)
{
    struct work *work = change->work;
    struct buffer ids = {0};
    struct message_cursor cursor;
    struct message_record record;
    if (tail->count == 0) {
        return;
    }
    event_set(change, tail->seq, change->head.record.last_seq, tail->count, tail->content_bytes);
    message_cursor_open(&work->txn, &change->head.place, &cursor);
    for (bool found = message_cursor_seek(&cursor, tail->seq); found; found = message_cursor_next(&cursor)) {
        if (record_get_message(cursor.record, &record) == 0 && record.message_id.size > 0) {
            wire_put_element(&ids, 1, record.message_id);
        }
    }
    message_cursor_close(&cursor);
    place_cut_messages(work, &change->head.place, tail->seq);
    struct span rest = buffer_span(&ids);
    struct wire_field id;
    while (wire_next(&rest, &id) == 1) {
        place_delete_message_id(work, &change->head.place, id.bytes);
    }
    if (ids.failed) {
        txn_fail_memory(&work->txn);
    }
    buffer_free(&ids);
    counts_lower(head, tail->count, tail->content_bytes);
}

/* Finds the message of op's seq in the change's transaction; its record lives until the cursor is closed. */
static int message_find(struct change *change, uint64_t seq, struct message_cursor *cursor, struct message_record *ret)
{
    message_cursor_open(&change->work->txn, &change->head.place, cursor);
    if (seq == 0 || seq > KEY_SEQ_MAX) {
        return message_not_found(change->error, seq);
    }
    enum get_result found = message_cursor_find(cursor, seq);
    return message_decode(&change->head.place, seq, found, cursor->record, ret, change->error);
}

static void edit_take(struct message_record *record, const struct store_message *wanted, unsigned mask)
{
    if (mask & STORE_MASK_CONTENT) {
        record->content = wanted->content;
        record->content_size = wanted->content.size;
    }
    if (mask & STORE_MASK_CONTENT_TYPE) {
        record->content_type = wanted->content_type;
    }
    if (mask & STORE_MASK_MESSAGE_METADATA) {
        record->metadata = (struct record_metadata){.pairs = wanted->metadata, .count = wanted->metadata_count};
    }
    if (mask & STORE_MASK_TOKEN_COUNT) {
        record->token_count = wanted->token_count;
    }
}

/* Encodes the message as it is to be into *out. */
static int edit_encode(struct change *change, struct message_record *ret, uint64_t *ret_old_size, struct buffer *out)
{
    const struct store_op *op = change->op;
    struct message_cursor cursor;
    int rc = message_find(change, op->edit.seq, &cursor, ret);
    if (rc == 0 && op->edit.expected_revision != 0 && op->edit.expected_revision != ret->revision) {
        rc = error_set(change->error, ERROR_REVISION_MISMATCH, "the message was changed: its revision is now %" PRIu32,
                       ret->revision);
    }
    if (rc == 0) {
        *ret_old_size = ret->content_size;
        edit_take(ret, &op->edit.message, op->edit.mask);
        ret->revision += ret->revision < UINT32_MAX;
        ret->update_time_us = change_time(change);
        record_put_message(out, ret);
        rc = out->failed ? memory_short(change->error) : 0;
    }
    message_cursor_close(&cursor);
    return rc;
}

int change_update_message(struct change *change)
{
    struct message_record record;
    struct buffer bytes = {0};
    uint64_t old_size;
    int rc = edit_encode(change, &record, &old_size, &bytes);
    if (rc == 0) {
        struct conversation_record head = change->head.record;
        counts_lower(&head, 0, old_size);
        head.content_bytes += record.content_size;
        wire_put_element(&change->result->records, change->op->record_field, record_basic_view(buffer_span(&bytes)));
        event_set(change, record.seq, record.seq, 0, 0);
        place_replace_message(change->work, &change->head.place, record.seq, buffer_span(&bytes));
        change_put_head(change, &head);
    }
    buffer_free(&bytes);
    return rc;
}

int change_delete_message(struct change *change)
{
    struct message_cursor cursor;
    struct message_record record;
    struct key id = {0};
    int rc = message_find(change, change->op->message.seq, &cursor, &record);
    if (rc == 0 && record.message_id.size > 0) {
        key_add_id(&id, record.message_id);
    }
    message_cursor_close(&cursor); /* the record's spans end here */
    if (rc) {
        return rc;
    }
    struct conversation_record head = change->head.record;
    counts_lower(&head, 1, record.content_size);
    event_set(change, record.seq, record.seq, 1, record.content_size);
    place_replace_message(change->work, &change->head.place, record.seq, span_of(NULL, 0));
    if (id.size > 0) {
        place_delete_message_id(change->work, &change->head.place, key_span(&id));
    }
    change_put_head(change, &head);
    return 0;
}

/* Adds the newest messages that are wanted to the result, and tells what they are. */
static int pop_collect(struct change *change, struct tail *ret)
{
    enum { POP_MAX = CHATLOG_CAP_append_messages };
    const struct store_op *op = change->op;
    struct span found[POP_MAX]; /* valid while nothing is written */
    struct tail tail = {0};
    size_t bytes = 0;
    int rc = 0;
    struct message_cursor cursor;
    message_cursor_open(&change->work->txn, &change->head.place, &cursor);
    cursor.keeps = true;
    bool more = message_cursor_seek_below(&cursor, UINT64_MAX);
    while (more && tail.count < op->pop.count && tail.count < POP_MAX) {
        struct message_record record;
        rc = message_decode_at(&cursor, &record, change->error);
        bytes += wire_element_size(op->record_field, cursor.record.size);
        if (rc || (tail.count > 0 && bytes > op->pop.max_bytes)) {
            break;
        }
        found[tail.count++] = cursor.record;
        tail.seq = cursor.seq;
        tail.content_bytes += record.content_size;
        more = message_cursor_previous(&cursor);
    }
    for (uint64_t i = tail.count; rc == 0 && i > 0; i--) {
        wire_put_element(&change->result->records, op->record_field, found[i - 1]);
    }
    message_cursor_close(&cursor);
    if (rc == 0) {
        *ret = tail;
    }
    return rc;
}

int change_pop_messages(struct change *change)
{
    struct tail tail;
    int rc = last_seq_check(change, &change->op->pop.expected_last_seq);
    rc = rc ? rc : pop_collect(change, &tail);
    if (rc) {
        return rc;
    }
    if (change->result->records.failed) {
        return memory_short(change->error);
    }
    struct conversation_record head = change->head.record;
    tail_remove(change, &tail, &head);
    change_put_head(change, &head);
    return 0;
}
