#include "store/lmdb/journal_part.h"

#include <assert.h>
#include <stdlib.h>

/* What is damaged right before a sound entry ends where that begins, whatever its key says. */
static void damaged_end(struct journal_item *items, size_t count, struct journal_entry next)
{
    struct message_record first;
    struct span bytes;
    bool known = count > 0 && items[count - 1].damaged && journal_next_message(&next, &first, &bytes) == 1;
    uint64_t end = known ? first.seq - 1 : 0;
    if (known) {
        items[count - 1].entry.last_seq = end;
    }
    for (size_t i = known ? count - 1 : 0; i > 0 && items[i - 1].damaged; i--) {
        end = end > 0 ? end - 1 : 0;
        end = items[i - 1].entry.last_seq < end ? items[i - 1].entry.last_seq : end;
        items[i - 1].entry.last_seq = end;
    }
}

/* Drops damaged entries that there is no place for: they are of another conversation, their keys are damaged. Tells
 * where the others begin. */
static size_t strangers_drop(struct journal_item *items, size_t count, uint64_t home_last_seq)
{
    size_t kept = 0;
    uint64_t last_seq = home_last_seq;
    for (size_t i = 0; i < count; i++) {
        uint64_t end = items[i].entry.last_seq;
        if (end > last_seq) {
            bool fits = end - last_seq <= CHATLOG_CAP_append_messages;
            items[i].first_seq = fits ? last_seq + 1 : end - CHATLOG_CAP_append_messages + 1;
            last_seq = end;
            items[kept++] = items[i];
        }
    }
    return kept;
}

size_t journal_part_list(struct txn *txn, const struct pending_chain *chain, uint64_t home_last_seq,
                         struct journal_item *items)
{
    size_t count = 0;
    bool any_damaged = false;
    uint64_t last_seq = home_last_seq;
    for (size_t i = chain->count; i > 0; i--) {
        struct journal_entry *entry = &items[count].entry;
        enum get_result found = journal_get(txn, chain->ids[i - 1], entry);
        if (found == GET_MISSING || entry->last_seq <= home_last_seq) {
            continue;
        }
        items[count].damaged = found == GET_DAMAGED;
        if (found == GET_DAMAGED) {
            any_damaged = true;
            bool plausible = entry->last_seq > last_seq && entry->last_seq - last_seq <= CHATLOG_CAP_append_messages;
            *entry =
                (struct journal_entry){.id = chain->ids[i - 1], .last_seq = plausible ? entry->last_seq : last_seq + 1};
        } else {
            damaged_end(items, count, *entry);
        }
        last_seq = entry->last_seq;
        count++;
    }
    return any_damaged ? strangers_drop(items, count, home_last_seq) : count;
}

void journal_part_counters(struct conversation_record *record, const struct journal_item *item)
{
    const struct journal_entry *entry = &item->entry;
    if (item->damaged) {
        record->revision++; /* as every append does; what else it said is not known */
    } else {
        record->revision = entry->revision;
        record->message_count = entry->message_count;
        record->content_bytes = entry->content_bytes;
        record->update_time_us = entry->update_time_us;
        record->activity_time_us = entry->activity_time_us;
    }
    record->last_seq = entry->last_seq;
}

/* The newest is damaged: what the head is, those before it tell. False: nothing waits. */
static bool damaged_load(struct txn *txn, struct head *head)
{
    struct journal_item items[PENDING_CHAIN_MAX];
    size_t count = journal_part_list(txn, &head->journal.chain, head->record.last_seq, items);
    for (size_t i = 0; i < count; i++) {
        journal_part_counters(&head->record, &items[i]);
    }
    return count > 0;
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
    struct journal_item newest = {.damaged = false};
    enum get_result found = GET_MISSING;
    for (part->first = 0; part->first < part->chain.count; part->first++) {
        found = journal_get(txn, part->chain.ids[part->first], &newest.entry);
        if (found != GET_MISSING) {
            break;
        }
    }
    part->home_last_seq = head->record.last_seq;
    bool waits = found == GET_FOUND && newest.entry.last_seq > head->record.last_seq;
    if (waits) {
        journal_part_counters(&head->record, &newest);
    }
    if (waits || (found == GET_DAMAGED && damaged_load(txn, head))) {
        head->place.journal = part;
    }
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
    struct journal_item items[PENDING_CHAIN_MAX];
    size_t count = journal_part_list(txn, &part->chain, part->home_last_seq, items);
    struct message_batch *batch = batch_grow(NULL, 2 * count + 1);
    for (size_t i = 0; i < count && batch; i++) {
        struct journal_entry *entry = &items[i].entry;
        struct message_record record;
        struct span bytes;
        for (uint64_t seq = items[i].first_seq; items[i].damaged && seq <= entry->last_seq; seq++) {
            batch = batch_add(batch, seq, span_of(NULL, 0));
        }
        while (!items[i].damaged && batch && journal_next_message(entry, &record, &bytes) == 1) {
            batch = batch_add(batch, record.seq, bytes);
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
            found = GET_DAMAGED; /* it may be this one, unless another is */
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
        if (part->chain.tags[i] != tag) {
            continue;
        }
        enum get_result found = journal_get(txn, part->chain.ids[i], &entry);
        if (found == GET_DAMAGED) {
            return GET_DAMAGED; /* it may be this one */
        }
        if (found == GET_FOUND && entry.last_seq > part->home_last_seq && span_equal(entry.request_id, request_id)) {
            *ret = entry.request;
            return GET_FOUND;
        }
    }
    return GET_MISSING;
}
