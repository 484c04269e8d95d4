#include "store/lmdb/fold.h"

#include "store/lmdb/heads.h"
#include "store/lmdb/journal.h"
#include "store/lmdb/journal_part.h"

#include <assert.h>
#include <stdlib.h>

/* A conversation being folded. All spans point into `copy`, so that they outlive the writes. */
struct fold {
    struct work *work;
    struct head head; /* as it is at home */
    struct conversation_record after;
    struct buffer copy;
    struct journal_item *items;
    size_t item_count;
    struct run_message *messages;
    size_t message_count;
    size_t message_capacity;
    uint64_t last_seq; /* at home, with what was taken so far */
    bool damaged;      /* what is home then may not be what the appends made */
};

static struct span span_copy(struct fold *fold, struct span span)
{
    size_t at = fold->copy.size;
    buffer_append(&fold->copy, span.data, span.size);
    return span_of(fold->copy.data + at, fold->copy.failed ? 0 : span.size);
}

/* Copies what is to be folded out of the journal. */
static void items_copy(struct fold *fold, const struct pending_chain *chain)
{
    size_t bytes = 0;
    fold->item_count = journal_part_list(&fold->work->txn, chain, fold->head.record.last_seq, fold->items);
    for (size_t i = 0; i < fold->item_count; i++) {
        const struct journal_entry *entry = &fold->items[i].entry;
        bytes += entry->messages.size + entry->request.size + entry->request_id.size;
    }
    buffer_extend(&fold->copy, bytes + 1); /* at once, so that spans into it stay */
    fold->copy.size = 0;
    for (size_t i = 0; i < fold->item_count && !fold->copy.failed; i++) {
        struct journal_entry *entry = &fold->items[i].entry;
        entry->messages = span_copy(fold, entry->messages);
        entry->request = span_copy(fold, entry->request);
        entry->request_id = span_copy(fold, entry->request_id);
    }
}

static bool message_add(struct fold *fold, uint64_t seq, struct span record)
{
    if (fold->message_count == fold->message_capacity) {
        size_t capacity = fold->message_capacity ? 2 * fold->message_capacity : 64;
        struct run_message *grown = realloc(fold->messages, capacity * sizeof(*grown));
        if (!grown) {
            txn_fail_memory(&fold->work->txn);
            return false;
        }
        fold->messages = grown;
        fold->message_capacity = capacity;
    }
    fold->messages[fold->message_count++] = (struct run_message){seq, record};
    fold->last_seq = seq;
    return true;
}

static void messages_put(struct fold *fold)
{
    place_append_messages(fold->work, &fold->head.place, fold->messages, fold->message_count);
    fold->message_count = 0;
}

static void request_put(struct fold *fold, const struct journal_entry *entry)
{
    buffer_clear(fold->work->scratch);
    buffer_append(fold->work->scratch, entry->request.data, entry->request.size);
    place_put_request(fold->work, &fold->head.place, entry->request_id);
}

/* Its messages stay what they were to every caller: damaged, each by itself. They keep the bytes that are there, behind
 * a word that makes them no record of any kind; they lack its seal, too. */
static void damage_put(struct fold *fold, const struct journal_item *item)
{
    const struct place *place = &fold->head.place.head;
    struct buffer *scratch = fold->work->scratch;
    struct span journal_key, value;
    messages_put(fold);
    for (uint64_t seq = item->first_seq; seq <= item->entry.last_seq; seq++) {
        struct key key = place->layout->message_key(place, seq);
        buffer_clear(scratch);
        buffer_append(scratch, "damaged ", strlen("damaged "));
        if (seq == item->first_seq && journal_find(&fold->work->txn, item->entry.id, &journal_key, &value)) {
            buffer_append(scratch, value.data, value.size);
        }
        work_put_scratch(fold->work, place->layout->tables[KIND_MESSAGE], key_span(&key));
    }
}

static void entry_put(struct fold *fold, struct journal_entry entry)
{
    struct message_record record;
    struct span bytes;
    if (entry.request_id.size > 0) {
        request_put(fold, &entry);
    }
    while (journal_next_message(&entry, &record, &bytes) == 1 && !fold->work->txn.rc) {
        if (record.seq <= fold->last_seq) {
            continue; /* there already: only where the disk has lost commits */
        }
        if (message_add(fold, record.seq, bytes) && record.message_id.size > 0) {
            place_put_message_id(fold->work, &fold->head.place, record.message_id, record.seq);
        }
    }
}

/* Puts home what is found in the journal; true: there was something. */
static bool fold_items(struct fold *fold, const struct pending_chain *chain)
{
    fold->items = calloc(chain->count, sizeof(*fold->items));
    if (fold->items) {
        items_copy(fold, chain);
    }
    if (!fold->items || fold->copy.failed) {
        txn_fail_memory(&fold->work->txn);
        return false;
    }
    fold->last_seq = fold->head.record.last_seq;
    for (size_t i = 0; i < fold->item_count && !fold->work->txn.rc; i++) {
        const struct journal_item *item = &fold->items[i];
        if (item->damaged) {
            fold->damaged = true;
            damage_put(fold, item);
        } else {
            entry_put(fold, item->entry);
        }
        journal_part_counters(&fold->after, item);
    }
    messages_put(fold);
    return fold->item_count > 0;
}

/* The conversation's entries wait no more: a mark says so, or, when there is no number left for one, they go at once.
 * So folding always gets on, whatever fills the journal. */
static void entries_end(struct fold *fold, const struct pending_chain *chain, uint64_t user_number,
                        uint64_t conversation_number)
{
    struct work *work = fold->work;
    struct pending *pending = work->txn.pending;
    uint64_t mark = pending_next_id(pending);
    bool has_number = pending_skip(pending, mark) == 0;
    pending_remove(pending, conversation_number);
    work->folds++;
    if (has_number) {
        journal_put_fold(work, mark, user_number, conversation_number);
        return;
    }
    for (size_t i = 0; i < chain->count; i++) {
        struct journal_entry entry;
        if (journal_get(&work->txn, chain->ids[i], &entry) != GET_MISSING) {
            journal_delete(work, &entry);
        }
    }
}

void fold_conversation(struct work *work, uint64_t user_number, uint64_t conversation_number)
{
    struct fold fold = {.work = work};
    struct pending *pending = work->txn.pending;
    struct pending_chain *chain = &fold.head.journal.chain;
    pending_chain(pending, conversation_number, true, chain);
    if (chain->count == 0 || work->txn.rc) {
        return;
    }
    const struct layout *layout = layouts_with_journal(&work->layouts);
    enum get_result found = head_find(&work->txn, layout, user_number, conversation_number, &fold.head);
    fold.after = fold.head.record;
    if (found != GET_MISSING && fold_items(&fold, chain) && found == GET_FOUND) {
        head_fold(work, &fold.head.place, &fold.head.record, &fold.after);
    }
    if (found != GET_FOUND || fold.damaged || fold.item_count != chain->count) {
        head_cache_clear(work->heads);
    }
    entries_end(&fold, chain, user_number, conversation_number);
    head_free(&fold.head);
    buffer_free(&fold.copy);
    free(fold.items);
    free(fold.messages);
}

/* What the folds will look at comes from the memory for all of them at once, not for one entry after the other. */
static void group_prefetch(const struct work *work, const struct pending_place *group, size_t count)
{
    struct pending_walk walks[FOLD_GROUP_MAX];
    uint64_t ids[FOLD_GROUP_MAX * PENDING_CHAIN_MAX];
    size_t bytes[FOLD_GROUP_MAX * PENDING_CHAIN_MAX];
    size_t entries = 0;
    for (size_t i = 0; i < count; i++) {
        walks[i] = pending_walk_begin(work->txn.pending, group[i].conversation_number);
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            if (walks[i].left > 0) {
                ids[entries] = walks[i].id;
                bytes[entries] = walks[i].bytes;
                journal_places_prefetch_place(work->places, ids[entries++]);
                pending_walk_next(work->txn.pending, &walks[i]);
                more = true;
            }
        }
    }
    for (size_t i = 0; i < entries; i++) {
        journal_places_prefetch(work->places, ids[i], bytes[i]);
    }
}

size_t fold_next(struct work *work, size_t most)
{
    struct pending *pending = work->txn.pending;
    struct pending_place group[FOLD_GROUP_MAX];
    assert(most >= 1 && most <= FOLD_GROUP_MAX);
    size_t count = pending_sweep(pending, most, group);
    if (count == 0) {
        pending_begin_sweep(pending);
        count = pending_sweep(pending, most, group);
    }
    group_prefetch(work, group, count);
    for (size_t i = 0; i < count; i++) {
        fold_conversation(work, group[i].user_number, group[i].conversation_number);
    }
    return count;
}

bool fold_truncate(struct work *work, size_t records)
{
    uint64_t oldest;
    pending_span(work->txn.pending, &oldest);
    return journal_truncate(work, oldest, records);
}
