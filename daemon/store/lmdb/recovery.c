#include "store/lmdb/recovery.h"

#include "store/lmdb/layout.h"
#include "store/record.h"

enum {
    COMMIT_ENTRIES = 4096,                 /* so that what the index keeps of uncommitted changes stays small */
    NUMBERS_MAX = 4 * JOURNAL_ENTRIES_MAX, /* beyond what any journal has: a key of it is damaged */
};

struct recovery {
    struct txn *txn;
    struct pending *pending;
    /* A damaged entry, until the one behind it tells whether its number can be believed. */
    bool holds;
    struct pending_entry held;
};

/* The last seq that the head at home knows; of a damaged head 0. False: there is none. */
static bool home_find(struct txn *txn, const struct pending_entry *entry, uint64_t *ret_last_seq)
{
    const struct place place = {
        .layout = &layout_3, .user_number = entry->user_number, .conversation_number = entry->conversation_number};
    struct key key = place.layout->head_key(&place);
    struct conversation_record record;
    struct span value;
    if (!txn_get(txn, place.layout->tables[KIND_HEAD], key_span(&key), &value)) {
        return false;
    }
    bool sound = layout_open(place.layout, key_span(&key), &value) == 0 && record_get_conversation(value, &record) == 0;
    *ret_last_seq = sound ? record.last_seq : 0;
    return true;
}

static bool entry_push(struct recovery *recovery, const struct pending_entry *entry)
{
    struct pending *pending = recovery->pending;
    if (entry->id < pending_next_id(pending)) {
        return false; /* a number that there was already */
    }
    if (entry->id > pending_next_id(pending) && pending_skip(pending, entry->id - 1)) {
        return false;
    }
    if (!pending_has_room(pending, entry)) {
        return false;
    }
    pending_push(pending, entry);
    if (entry->id % COMMIT_ENTRIES == 0) {
        pending_commit(pending, 0);
    }
    return true;
}

/* Counts the damaged entry that was held back, if the key can be that of one: before number `end`, and of a
 * conversation that there is. Else it is as if it were not there: nothing says whose it was. */
static void held_settle(struct recovery *recovery, uint64_t end)
{
    uint64_t ignored;
    const struct pending_entry *held = &recovery->held;
    if (recovery->holds && held->id >= pending_next_id(recovery->pending) && held->id < end &&
        home_find(recovery->txn, held, &ignored)) {
        entry_push(recovery, held);
    }
    recovery->holds = false;
}

static bool entry_take(void *arg, const struct journal_entry *entry, bool damaged)
{
    struct recovery *recovery = arg;
    struct pending *pending = recovery->pending;
    const struct pending_entry taken = {
        .id = entry->id,
        .user_number = entry->user_number,
        .conversation_number = entry->conversation_number,
        .activity_us = entry->activity_time_us,
        .request_tag = entry->request_id.size ? pending_tag(entry->request_id.data, entry->request_id.size) : 0,
        .bytes = (uint32_t)entry->messages.size,
        .has_ids = damaged || entry->has_ids,
    };
    uint64_t home_last_seq;
    if (damaged) {
        held_settle(recovery, entry->id);
        recovery->held = taken;
        recovery->holds = entry->last_seq > 0; /* a fold mark that is not heeded does no harm */
        return true;
    }
    held_settle(recovery, entry->id);
    if (entry->last_seq == 0) {
        pending_remove(pending, entry->conversation_number);
        return entry->id < pending_next_id(pending) || pending_skip(pending, entry->id) == 0;
    }
    /* One that there is no room for waits no more, but its fold mark is damaged. */
    return entry_push(recovery, &taken) || !home_find(recovery->txn, &taken, &home_last_seq) ||
           entry->last_seq <= home_last_seq;
}

struct pending *recovery_run(struct txn *txn)
{
    uint64_t numbers = journal_span(txn);
    numbers = numbers < NUMBERS_MAX ? numbers : NUMBERS_MAX;
    struct pending *pending = pending_new(numbers > JOURNAL_ENTRIES_MAX ? numbers : JOURNAL_ENTRIES_MAX);
    struct recovery recovery = {.txn = txn, .pending = pending};
    if (!pending) {
        txn_fail_memory(txn);
        return NULL;
    }
    if (!journal_scan(txn, 0, entry_take, &recovery)) {
        txn_fail_damaged(txn);
        return pending_free(pending);
    }
    held_settle(&recovery, pending_next_id(pending) + JOURNAL_ENTRIES_MAX);
    pending_commit(pending, 0);
    return pending;
}
