/* Appending messages: all or none, with the tail that is replaced. */
#include "store/lmdb/append_journal.h"
#include "store/lmdb/messages.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* What the checks found out, for the writing. */
struct append_plan {
    struct tail dropped;
    uint64_t first_seq;
};

static int id_order(const void *a, const void *b)
{
    return span_order(*(const struct span *)a, *(const struct span *)b);
}

static int id_exists(struct change *change, struct span id)
{
    return error_set(change->error, ERROR_MESSAGE_ID_EXISTS, "the conversation has a message of message_id \"%.*s\"",
                     SPAN_FORMAT(id));
}

/* No two messages of the call may have the same ID. */
static int ids_check_call(struct change *change)
{
    const struct store_op *op = change->op;
    struct span ids[CHATLOG_CAP_append_messages];
    size_t count = 0;
    for (size_t i = 0; i < op->append.count; i++) {
        if (op->append.messages[i].message_id.size > 0) {
            ids[count++] = op->append.messages[i].message_id;
        }
    }
    qsort(ids, count, sizeof(ids[0]), id_order);
    for (size_t i = 1; i < count; i++) {
        if (span_equal(ids[i - 1], ids[i])) {
            return error_set(change->error, ERROR_MESSAGE_ID_EXISTS,
                             "two messages of the call have message_id \"%.*s\"", SPAN_FORMAT(ids[i]));
        }
    }
    return 0;
}

/* Nor may one be in the conversation, save in the part that this call drops. */
static int ids_check_stored(struct change *change, const struct tail *dropped)
{
    const struct store_op *op = change->op;
    for (size_t i = 0; i < op->append.count; i++) {
        struct span id = op->append.messages[i].message_id;
        uint64_t seq;
        if (id.size == 0) {
            continue;
        }
        enum get_result found = place_get_message_id(&change->work->txn, &change->head.place, id, &seq);
        if (found == GET_MISSING) {
            continue;
        }
        if (found == GET_DAMAGED) {
            return message_id_damaged(change->error, &change->head.place, id);
        }
        if (dropped->count == 0 || seq < dropped->seq) {
            return id_exists(change, id);
        }
    }
    return 0;
}

static int drop_check(struct change *change, uint64_t last_seq, struct tail *ret)
{
    const struct store_expected *after = &change->op->append.replace_after_seq;
    uint64_t limit = change->limits->replace_messages;
    struct tail tail = {0};
    if (after->given && after->value < last_seq) {
        int rc = tail_count(change, after->value + 1, limit, &tail);
        if (rc) {
            return rc;
        }
    }
    if (tail.count > limit) {
        error_set(change->error, ERROR_REPLACE_TOO_LARGE,
                  "more than %" PRIu64 " messages would be dropped: shorten the conversation in several calls", limit);
        return error_add_detail(change->error, "limit", limit);
    }
    *ret = tail;
    return 0;
}

struct message_record append_message(const struct store_message *message, uint64_t seq, int64_t now_us)
{
    return (struct message_record){
        .seq = seq,
        .create_time_us = now_us,
        .revision = 1,
        .content_size = message->content.size,
        .message_id = message->message_id,
        .role = message->role,
        .content_type = message->content_type,
        .author = message->author,
        .token_count = message->token_count,
        .sent_time_us = message->sent_time_us,
        .metadata = {.pairs = message->metadata, .count = message->metadata_count},
        .content = message->content,
    };
}

static int append_check(struct change *change, struct append_plan *ret)
{
    const struct store_op *op = change->op;
    bool live = change->head.state == HEAD_LIVE;
    uint64_t last_seq = live ? change->head.record.last_seq : 0;
    struct append_plan plan = {.first_seq = last_seq + 1};
    if (!live && !op->append.create_if_missing) {
        return conversation_not_found(change->error);
    }
    int rc = live ? 0 : change_check_creation(change);
    rc = rc ? rc : last_seq_check(change, &op->append.expected_last_seq);
    rc = rc ? rc : drop_check(change, last_seq, &plan.dropped);
    rc = rc ? rc : ids_check_call(change);
    rc = rc || !live ? rc : ids_check_stored(change, &plan.dropped);
    if (rc == 0 && op->append.count > KEY_SEQ_MAX - last_seq) {
        rc = error_set(change->error, ERROR_CONVERSATION_FULL,
                       "the conversation has no sequence numbers left: go on in a new one");
    }
    if (rc == 0) {
        *ret = plan;
    }
    return rc;
}

/* Puts the messages at home. */
static void messages_put(struct change *change, uint64_t first_seq, int64_t now)
{
    const struct store_op *op = change->op;
    struct work *work = change->work;
    struct run_message messages[CHATLOG_CAP_append_messages];
    size_t ends[CHATLOG_CAP_append_messages];
    struct buffer records = {0};
    for (size_t i = 0; i < op->append.count; i++) {
        struct message_record record = append_message(&op->append.messages[i], first_seq + i, now);
        record_put_message(&records, &record);
        ends[i] = records.size;
    }
    if (records.failed) {
        txn_fail_memory(&work->txn);
    }
    for (size_t i = 0, start = 0; i < op->append.count && !work->txn.rc; start = ends[i++]) {
        messages[i] = (struct run_message){first_seq + i, span_of(records.data + start, ends[i] - start)};
        if (op->append.messages[i].message_id.size > 0) {
            place_put_message_id(work, &change->head.place, op->append.messages[i].message_id, first_seq + i);
        }
    }
    if (!work->txn.rc) {
        place_append_messages(work, &change->head.place, messages, op->append.count);
    }
    buffer_free(&records);
}

/* Counts the messages into the head, and tells what they became. */
static void messages_count(struct change *change, uint64_t first_seq, int64_t now, struct conversation_record *head)
{
    const struct store_op *op = change->op;
    if (op->append.count == 0) {
        return;
    }
    for (size_t i = 0; i < op->append.count; i++) {
        head->content_bytes += op->append.messages[i].content.size;
    }
    head->message_count += op->append.count;
    head->last_seq = first_seq + op->append.count - 1;
    head->activity_time_us = now;
    change->result->first_seq = first_seq;
    change->result->last_seq = head->last_seq;
    change->result->create_time_us = now;
}

int change_append_messages(struct change *change)
{
    struct append_plan plan;
    assert(change->op->append.count > 0 || change->op->append.replace_after_seq.given);
    assert(change->op->append.count <= CHATLOG_CAP_append_messages);
    int rc = append_check(change, &plan);
    if (rc) {
        return rc;
    }
    bool live = change->head.state == HEAD_LIVE;
    int64_t now = change_time(change);
    struct conversation_record head = live ? change->head.record : change_begin_creation(change);
    messages_count(change, plan.first_seq, now, &head);
    if (live && plan.dropped.count == 0 && (change->recalled || append_fits_journal(change))) {
        append_to_journal(change, &head);
        return 0;
    }
    change_fold(change);
    if (!change->head.place.found) {
        place_create(change->work, &change->head.place);
    }
    tail_remove(change, &plan.dropped, &head);
    messages_put(change, plan.first_seq, now);
    change_put_head(change, &head);
    return 0;
}
