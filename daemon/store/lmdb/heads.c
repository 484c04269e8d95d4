#include "store/lmdb/heads.h"

#include "base/wire.h"
#include "store/lmdb/journal_part.h"

#include <assert.h>

enum { DESCRIBE_BYTES = 200, RETRY_MEMORY_MS = 1000 };

int record_damaged(struct error *error, const char *kind, struct span name)
{
    char text[DESCRIBE_BYTES];
    key_describe(name, text, sizeof(text));
    return error_set(error, ERROR_RECORD_DAMAGED, "the record %s %s is damaged", kind, text);
}

int conversation_damaged(struct error *error, const struct conversation_place *place)
{
    struct key name = key_conversation(place->head.user, place->head.conversation);
    return record_damaged(error, "conversation", key_span(&name));
}

int message_damaged(struct error *error, const struct conversation_place *place, uint64_t seq)
{
    struct key name = key_message(place->head.user, place->head.conversation, seq);
    return record_damaged(error, "message", key_span(&name));
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

int head_load(struct txn *txn, const struct layouts *layouts, struct span user, struct span conversation,
              int64_t now_us, struct head *head, struct error *error)
{
    head->state = HEAD_MISSING;
    head->stale = false;
    enum get_result found = place_find(txn, layouts, user, conversation, &head->place);
    if (found == GET_MISSING || txn->rc) {
        return 0;
    }
    return found == GET_DAMAGED ? conversation_damaged(error, &head->place) : head_read(txn, now_us, head, error);
}

int head_read(struct txn *txn, int64_t now_us, struct head *head, struct error *error)
{
    struct span value;
    head->state = HEAD_MISSING;
    if (place_get_head(txn, &head->place, &value) != GET_FOUND) {
        return conversation_damaged(error, &head->place);
    }
    buffer_clear(&head->bytes);
    buffer_append(&head->bytes, value.data, value.size);
    if (head->bytes.failed) {
        return memory_short(error);
    }
    if (record_get_conversation(buffer_span(&head->bytes), &head->record) ||
        !span_equal(head->record.conversation_id, head->place.head.conversation)) {
        return conversation_damaged(error, &head->place);
    }
    head->stale = journal_part_load(txn, head) == 1;
    int64_t gone = record_gone_time(&head->record);
    head->state = gone != 0 && gone <= now_us ? HEAD_GONE : HEAD_LIVE;
    return 0;
}

enum get_result head_find(struct txn *txn, const struct layout *layout, uint64_t user_number,
                          uint64_t conversation_number, struct head *ret)
{
    struct place *place = &ret->place.head;
    struct span value;
    *place = (struct place){.layout = layout, .user_number = user_number, .conversation_number = conversation_number};
    struct key key = layout->head_key(place);
    if (!txn_get(txn, layout->tables[KIND_HEAD], key_span(&key), &value)) {
        return GET_MISSING;
    }
    bool damaged = layout_open(layout, key_span(&key), &value) != 0;
    buffer_append(&ret->bytes, value.data, value.size);
    if (ret->bytes.failed) {
        txn_fail_memory(txn);
        return GET_MISSING;
    }
    if (damaged || record_get_conversation(buffer_span(&ret->bytes), &ret->record)) {
        return GET_DAMAGED;
    }
    ret->place.found = true;
    place->conversation = ret->record.conversation_id;
    return GET_FOUND;
}

void head_put_element(struct buffer *out, uint32_t field, const struct head *head)
{
    if (!head->place.journal) {
        wire_put_element(out, field, buffer_span(&head->bytes));
        return;
    }
    struct buffer record = {0};
    record_put_conversation(&record, &head->record);
    wire_put_element(out, field, buffer_span(&record));
    out->failed = out->failed || record.failed;
    buffer_free(&record);
}

void head_free(struct head *head)
{
    buffer_free(&head->bytes);
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

static void stats_move(struct work *work, const struct conversation_record *before,
                       const struct conversation_record *after)
{
    const struct conversation_record *from = before ? before : &no_record;
    const struct conversation_record *to = after ? after : &no_record;
    count_move(&work->stats.conversations, before != NULL, after != NULL);
    count_move(&work->stats.messages, from->message_count, to->message_count);
    count_move(&work->stats.content_bytes, from->content_bytes, to->content_bytes);
}

struct recency_entry record_recency(const struct conversation_record *record)
{
    return (struct recency_entry){
        .archived = record->archived, .deleted = record->delete_time_us != 0, .gone_time_us = record_gone_time(record)};
}

static void recency_put(struct work *work, const struct conversation_place *place,
                        const struct conversation_record *before, const struct conversation_record *after)
{
    if (before && (!after || before->activity_time_us != after->activity_time_us)) {
        place_delete_recency(work, place, before->activity_time_us);
    }
    if (after) {
        const struct recency_entry entry = record_recency(after);
        buffer_clear(work->scratch);
        entry_put_recency(work->scratch, &entry);
        place_put_recency(work, place, after->activity_time_us);
    }
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

void head_fold(struct work *work, struct conversation_place *place, const struct conversation_record *before,
               const struct conversation_record *after)
{
    buffer_clear(work->scratch);
    record_put_conversation(work->scratch, after);
    place_put_head(work, place);
    recency_put(work, place, before, after);
}

void head_count(struct work *work, const struct conversation_record *before, const struct conversation_record *after)
{
    stats_move(work, before, after);
}

void head_put(struct work *work, struct conversation_place *place, const struct conversation_record *before,
              const struct conversation_record *after)
{
    assert(before || after);
    if (!after) {
        place_delete_head(work, place);
        place_remove(work, place);
    }
    stats_move(work, before, after);
    if (after) {
        if (!place->found) {
            place_create(work, place);
        }
        buffer_clear(work->scratch);
        record_put_conversation(work->scratch, after);
        place_put_head(work, place);
    }
    recency_put(work, place, before, after);
    deadline_put(work, place->head.user, before, after);
}
