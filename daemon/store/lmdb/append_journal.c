#include "store/lmdb/append_journal.h"

#include "base/wire.h"
#include "store/lmdb/append_recall.h"
#include "store/lmdb/journal.h"

enum {
    ID_LOOKS_MAX = 32, /* entries that are read whole while the message_ids of an append are looked for */
    ENTRY_BYTES_MAX = JOURNAL_VALUE_MAX + 512, /* with its head, its request and the seal */
};

bool append_must_fold(const struct change *change)
{
    const struct store_op *op = change->op;
    const struct journal_part *part = change->head.place.journal;
    size_t looks = 0;
    for (size_t i = 0; part && part->chain.has_ids && i < op->append.count; i++) {
        looks += op->append.messages[i].message_id.size > 0 ? part->chain.count : 0;
    }
    return looks > ID_LOOKS_MAX;
}

static bool journal_is_open(const struct change *change)
{
    const struct layouts *layouts = &change->work->layouts;
    const struct conversation_place *place = &change->head.place;
    return layouts->home->has_runs && !layouts->loose && place->head.layout == layouts->home && !place->split &&
           txn_count(&change->work->txn, TABLE_3_JOURNAL) < JOURNAL_ENTRIES_MAX &&
           txn_pages(&change->work->txn, TABLE_3_JOURNAL) < JOURNAL_PAGES_MAX;
}

/* False: too large for the journal. */
static bool messages_look(const struct store_op *op, bool *ret_has_ids)
{
    size_t bytes = 0;
    bool has_ids = false;
    for (size_t i = 0; i < op->append.count; i++) {
        struct message_record record = append_message(&op->append.messages[i], 1, 0);
        bytes += record_message_bound(&record);
        has_ids = has_ids || record.message_id.size > 0;
    }
    *ret_has_ids = has_ids;
    return op->append.count > 0 && bytes <= JOURNAL_VALUE_MAX;
}

/* Encodes the append as the entry's value, into work->scratch. */
static void entry_encode(struct change *change, struct journal_entry *entry)
{
    const struct store_op *op = change->op;
    const struct store_result *result = change->result;
    struct buffer *scratch = change->work->scratch;
    struct buffer part = {0};
    if (op->request_id.size > 0) {
        entry_put_request(&part, op, result);
        entry->request_id = op->request_id;
        entry->request = buffer_span(&part);
    }
    buffer_clear(scratch);
    journal_put_head(scratch, entry);
    bool failed = part.failed;
    for (size_t i = 0; i < op->append.count; i++) {
        struct message_record record =
            append_message(&op->append.messages[i], result->first_seq + i, result->create_time_us);
        buffer_clear(&part);
        record_put_message(&part, &record);
        failed = failed || part.failed;
        wire_put_element(scratch, JOURNAL_MESSAGE_FIELD, buffer_span(&part));
    }
    scratch->failed = scratch->failed || failed;
    buffer_free(&part);
}

static struct pending_entry waiting_of(const struct change *change)
{
    const struct store_op *op = change->op;
    return (struct pending_entry){
        .id = pending_next_id(change->work->txn.pending),
        .user_number = change->head.place.head.user_number,
        .conversation_number = change->head.place.head.conversation_number,
        .request_tag = op->request_id.size ? pending_tag(op->request_id.data, op->request_id.size) : 0,
        .bytes = ENTRY_BYTES_MAX, /* known when it is encoded */
        .has_ids = change->has_message_ids,
    };
}

bool append_fits_journal(struct change *change)
{
    if (!journal_is_open(change) || !messages_look(change->op, &change->has_message_ids)) {
        return false;
    }
    struct pending_entry waiting = waiting_of(change);
    return pending_has_room(change->work->txn.pending, &waiting);
}

void append_to_journal(struct change *change, struct conversation_record *head)
{
    struct work *work = change->work;
    struct pending_entry waiting = waiting_of(change);
    change_step_head(change, head);
    struct journal_entry entry = {
        .id = waiting.id,
        .user_number = waiting.user_number,
        .conversation_number = waiting.conversation_number,
        .last_seq = head->last_seq,
        .revision = head->revision,
        .message_count = head->message_count,
        .content_bytes = head->content_bytes,
        .update_time_us = head->update_time_us,
        .activity_time_us = head->activity_time_us,
        .has_ids = waiting.has_ids,
    };
    entry_encode(change, &entry);
    waiting.activity_us = head->activity_time_us;
    waiting.bytes = (uint32_t)work->scratch->size;
    journal_put(work, &entry);
    if (!work->txn.rc) {
        pending_push(work->txn.pending, &waiting);
    }
    head_count(work, &change->head.record, head);
    change->remembered = true;
    append_remember(change, head);
}
