#include "store/lmdb/journal_part.h"

#include <assert.h>
#include <stdlib.h>

void journal_part_counters(struct conversation_record *record, const struct journal_entry *entry, bool damaged,
                           size_t entries)
{
    if (damaged) {
        record->revision += entries; /* another etag than any before, most likely */
    } else {
        record->revision = entry->revision;
        record->message_count = entry->message_count;
        record->content_bytes = entry->content_bytes;
        record->update_time_us = entry->update_time_us;
        record->activity_time_us = entry->activity_time_us;
    }
    record->last_seq = entry->last_seq;
}

int journal_part_load(struct txn *txn, struct head *head)
{
    struct journal_part *part = &head->journal;
    const struct conversation_place *place = &head->place;
    if (!txn->pending || !place->head.layout->has_runs || place->split) {
        return 0;
    }
    pending_chain(txn->pending, place->head.conversation_number, txn->is_write, &part->chain);
    if (!txn->is_write && part->chain.removal_commit > txn_id(txn)) {
        return 1;
    }
    struct journal_entry entry;
    enum get_result found = GET_MISSING;
    for (part->first = 0; part->first < part->chain.count; part->first++) {
        found = journal_get(txn, part->chain.ids[part->first], &entry);
        if (found != GET_MISSING) {
            break;
        }
    }
    if (found == GET_MISSING || entry.last_seq <= head->record.last_seq) {
        return 0;
    }
    part->home_last_seq = head->record.last_seq;
    head->place.journal = part;
    journal_part_counters(&head->record, &entry, found == GET_DAMAGED, part->chain.count - part->first);
    return 0;
}

static struct message_batch *batch_grow(struct message_batch *batch, size_t capacity)
{
    struct message_batch *grown = realloc(batch, sizeof(*batch) + capacity * sizeof(batch->messages[0]));
    if (!grown) {
        free(batch);
        return NULL;
    }
    if (!batch) {
        *grown = (struct message_batch){0};
    }
    grown->capacity = capacity;
    return grown;
}

static struct message_batch *batch_add(struct message_batch *batch, uint64_t seq, struct span record)
{
    if (batch && batch->count == batch->capacity) {
        batch = batch_grow(batch, 2 * batch->capacity);
    }
    if (batch) {
        batch->messages[batch->count++] = (struct run_message){.seq = seq, .record = record};
    }
    return batch;
}

struct message_batch *journal_part_messages(struct txn *txn, const struct conversation_place *place)
{
    const struct journal_part *part = place->journal;
    struct message_batch *batch = batch_grow(NULL, 2 * (part->chain.count - part->first));
    for (size_t i = part->chain.count; i > part->first && batch; i--) {
        struct journal_entry entry;
        enum get_result found = journal_get(txn, part->chain.ids[i - 1], &entry);
        if (found == GET_MISSING || entry.last_seq <= part->home_last_seq) {
            continue;
        }
        if (found == GET_DAMAGED) {
            batch = batch_add(batch, entry.last_seq, span_of(NULL, 0));
            continue;
        }
        struct message_record record;
        struct span bytes;
        int more = 0;
        while (batch && (more = journal_next_message(&entry, &record, &bytes)) == 1) {
            batch = batch_add(batch, record.seq, bytes);
        }
        if (batch && more < 0) {
            batch = batch_add(batch, entry.last_seq, span_of(NULL, 0));
        }
    }
    if (!batch) {
        txn_fail_memory(txn);
    }
    return batch;
}

enum get_result journal_part_find_id(struct txn *txn, const struct conversation_place *place, struct span message_id,
                                     uint64_t *ret_seq)
{
    if (!place->journal->chain.has_ids) {
        return GET_MISSING;
    }
    struct message_batch *batch = journal_part_messages(txn, place);
    enum get_result found = GET_MISSING;
    for (size_t i = batch ? batch->count : 0; i > 0 && found != GET_FOUND; i--) {
        struct message_record record;
        if (record_get_message(batch->messages[i - 1].record, &record)) {
            found = GET_DAMAGED; /* it may be this one */
        } else if (span_equal(record.message_id, message_id)) {
            *ret_seq = record.seq;
            found = GET_FOUND;
        }
    }
    free(batch);
    return found;
}

enum get_result journal_part_find_request(struct txn *txn, const struct conversation_place *place,
                                          struct span request_id, struct span *ret)
{
    const struct journal_part *part = place->journal;
    uint32_t tag = pending_tag(request_id.data, request_id.size);
    for (size_t i = part->first; i < part->chain.count; i++) {
        struct journal_entry entry;
        if (part->chain.tags[i] != tag || journal_get(txn, part->chain.ids[i], &entry) != GET_FOUND) {
            continue;
        }
        if (entry.last_seq > part->home_last_seq && span_equal(entry.request_id, request_id)) {
            *ret = entry.request;
            return GET_FOUND;
        }
    }
    return GET_MISSING;
}
