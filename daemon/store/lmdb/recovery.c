#include "store/lmdb/recovery.h"

enum { COMMIT_ENTRIES = 4096 }; /* so that what the index keeps of uncommitted changes stays small */

static bool entry_take(void *arg, const struct journal_entry *entry, bool damaged)
{
    struct pending *pending = arg;
    if (entry->last_seq == 0) {
        pending_remove(pending, entry->conversation_number);
        return pending_skip(pending, entry->id) == 0;
    }
    const struct pending_entry taken = {
        .id = entry->id,
        .user_number = entry->user_number,
        .conversation_number = entry->conversation_number,
        .activity_us = entry->activity_time_us,
        .request_tag = entry->request_id.size ? pending_tag(entry->request_id.data, entry->request_id.size) : 0,
        .bytes = (uint32_t)entry->messages.size,
        .has_ids = damaged || entry->has_ids,
    };
    if (entry->id > pending_next_id(pending) && pending_skip(pending, entry->id - 1)) {
        return false;
    }
    if (!pending_has_room(pending, &taken) || pending_push(pending, &taken)) {
        return false;
    }
    if (entry->id % COMMIT_ENTRIES == 0) {
        pending_commit(pending, 0);
    }
    return true;
}

struct pending *recovery_run(struct txn *txn)
{
    uint64_t numbers = journal_span(txn);
    struct pending *pending = pending_new(numbers > JOURNAL_ENTRIES_MAX ? numbers : JOURNAL_ENTRIES_MAX);
    if (!pending || !journal_scan(txn, 0, entry_take, pending)) {
        return pending ? pending_free(pending) : NULL;
    }
    pending_commit(pending, 0);
    return pending;
}
