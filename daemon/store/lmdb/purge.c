#include "store/lmdb/purge.h"

#include "base/clock.h"
#include "store/lmdb/digest.h"

#include <assert.h>

/* The tables whose keys begin with user and conversation, beside its head. Messages last: they are counted in the
 * store's statistics, so that those tell truly when a removal is over. */
static const enum table rest_tables[] = {TABLE_MESSAGE_IDS, TABLE_REQUESTS, TABLE_MESSAGES};
enum { REST_TABLE_COUNT = sizeof(rest_tables) / sizeof(rest_tables[0]) };

/* What a removal adds to and takes from. */
struct tally {
    struct work *work;
    struct purge_entry *entry; /* of a user; NULL for a conversation, which gets no receipt */
};

/* Sees an entry before it is removed. */
typedef void purge_visit(const struct tally *tally, struct span key, struct span value);

static void count_lower(uint64_t *counter, uint64_t by)
{
    *counter -= by < *counter ? by : *counter;
}

static void record_visit(const struct tally *tally, struct span key, struct span value)
{
    if (tally->entry) {
        digest_add(&tally->entry->digest_high, &tally->entry->digest_low, key, value);
    }
}

static void message_visit(const struct tally *tally, struct span key, struct span value)
{
    struct message_record record = {0};
    record_get_message(value, &record); /* a damaged one counts without content */
    record_visit(tally, key, value);
    count_lower(&tally->work->stats.messages, 1);
    count_lower(&tally->work->stats.content_bytes, record.content_size);
    if (tally->entry) {
        tally->entry->messages++;
        tally->entry->content_bytes += record.content_size;
    }
}

static void head_visit(const struct tally *tally, struct span key, struct span value)
{
    record_visit(tally, key, value);
    count_lower(&tally->work->stats.conversations, 1);
    tally->entry->conversations++;
}

/* How each table is visited. */
static purge_visit *const table_visits[TABLE_COUNT] = {
    [TABLE_CONVERSATIONS] = head_visit,
    [TABLE_MESSAGES] = message_visit,
    [TABLE_MESSAGE_IDS] = record_visit,
    [TABLE_REQUESTS] = record_visit,
};

static bool budget_is_left(const struct purge_budget *budget, size_t removed)
{
    /* The first record goes in any case, so that every slice gets on. */
    return removed < budget->records && (removed == 0 || clock_monotonic_us() < budget->until_us);
}

static size_t range_remove(const struct tally *tally, enum table table, struct span prefix,
                           const struct purge_budget *budget)
{
    size_t removed = 0;
    purge_visit *visit = table_visits[table];
    struct cursor cursor = cursor_open(&tally->work->txn, table);
    while (budget_is_left(budget, removed) && cursor_seek(&cursor, prefix) && span_starts_with(cursor.key, prefix)) {
        if (visit) {
            visit(tally, cursor.key, cursor.value);
        }
        cursor_delete(&cursor);
        removed++;
    }
    cursor_close(&cursor);
    return removed;
}

static bool range_is_empty(struct txn *txn, enum table table, struct span prefix)
{
    struct cursor cursor = cursor_open(txn, table);
    bool found = cursor_seek(&cursor, prefix) && span_starts_with(cursor.key, prefix);
    cursor_close(&cursor);
    return !found;
}

bool purge_is_running(struct txn *txn, struct span user, struct span conversation)
{
    struct key key = key_conversation(user, conversation);
    struct span value;
    return txn_get(txn, TABLE_PURGES, key_span(&key), &value);
}

/* Counts a range on top of *count and *bytes, no further than one commit may remove. */
static void range_measure(struct txn *txn, enum table table, struct span prefix, size_t *count, size_t *bytes)
{
    struct cursor cursor = cursor_open(txn, table);
    bool found = cursor_seek(&cursor, prefix);
    while (found && *count <= PURGE_INLINE_RECORDS && *bytes <= PURGE_INLINE_BYTES &&
           span_starts_with(cursor.key, prefix)) {
        *count += 1;
        *bytes += cursor.value.size;
        found = cursor_next(&cursor);
    }
    cursor_close(&cursor);
}

bool purge_is_large(struct txn *txn, struct span user, struct span conversation)
{
    struct key prefix = key_conversation_prefix(user, conversation);
    size_t count = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < REST_TABLE_COUNT; i++) {
        range_measure(txn, rest_tables[i], key_span(&prefix), &count, &bytes);
    }
    return count > PURGE_INLINE_RECORDS || bytes > PURGE_INLINE_BYTES;
}

static void purge_entry_save(struct work *work, struct span key, const struct purge_entry *entry)
{
    buffer_clear(work->scratch);
    entry_put_purge(work->scratch, entry);
    work_put_scratch(work, TABLE_PURGES, key);
}

static size_t rest_remove(struct work *work, struct span prefix, const struct purge_budget *budget)
{
    const struct tally tally = {.work = work};
    size_t removed = 0;
    for (size_t i = 0; i < REST_TABLE_COUNT; i++) {
        struct purge_budget left = {.records = budget->records - removed, .until_us = budget->until_us};
        removed += range_remove(&tally, rest_tables[i], prefix, &left);
    }
    return removed;
}

size_t purge_conversation(struct work *work, struct span user, const struct conversation_record *record)
{
    size_t removed = 1;
    struct key key = key_conversation(user, record->conversation_id);
    struct key prefix = key_conversation_prefix(user, record->conversation_id);
    struct conversation_record head = *record;
    /* Its messages leave the statistics one by one, as they are removed. */
    head.message_count = 0;
    head.content_bytes = 0;
    if (purge_is_large(&work->txn, user, record->conversation_id)) {
        purge_entry_save(work, key_span(&key), &(struct purge_entry){.begun = 1});
    } else {
        const struct purge_budget all = {.records = SIZE_MAX, .until_us = INT64_MAX};
        removed += rest_remove(work, key_span(&prefix), &all);
    }
    head_put(work, user, &head, NULL);
    return removed;
}

/* Removes a conversation whose head cannot be read: everything that is found by its name. */
static size_t purge_damaged(struct work *work, struct span user, struct span conversation)
{
    struct key key = key_conversation(user, conversation);
    purge_entry_save(work, key_span(&key), &(struct purge_entry){.begun = 1});
    if (txn_delete(&work->txn, TABLE_CONVERSATIONS, key_span(&key))) {
        work->stats.conversations -= work->stats.conversations > 0;
        work->stats.users -= work->stats.users > 0 && !head_user_has_any(&work->txn, user);
    }
    return 1;
}

/* The first deadline after *position that is due; position moves on to it. */
static bool due_find(struct work *work, struct key *position)
{
    struct cursor cursor = cursor_open(&work->txn, TABLE_DEADLINES);
    bool found = position->size ? cursor_seek(&cursor, key_span(position)) : cursor_first(&cursor);
    if (found && span_equal(cursor.key, key_span(position))) {
        found = cursor_next(&cursor);
    }
    int64_t time;
    struct span user, conversation;
    if (found) {
        *position = cursor_copy_key(&cursor);
        found = key_parse_deadline(cursor.key, &time, &user, &conversation) || time <= work->now_us;
    }
    cursor_close(&cursor);
    return found;
}

static size_t due_purge(struct work *work, const struct key *key, struct head *head)
{
    int64_t time;
    struct span user, conversation;
    struct error error;
    if (key_parse_deadline(key_span(key), &time, &user, &conversation)) {
        txn_delete(&work->txn, TABLE_DEADLINES, key_span(key)); /* not an entry of ours */
        return 1;
    }
    if (head_user_is_forgotten(&work->txn, user)) {
        return 0; /* goes with the user */
    }
    int rc = head_load(&work->txn, user, conversation, work->now_us, head, &error);
    if (rc == -ERROR_MEMORY_SHORT) {
        txn_fail_memory(&work->txn);
        return 0;
    }
    size_t removed = 1;
    if (rc) {
        removed += purge_damaged(work, user, conversation);
    } else if (head->state == HEAD_GONE) {
        removed += purge_conversation(work, user, &head->record);
    }
    txn_delete(&work->txn, TABLE_DEADLINES, key_span(key)); /* in case it did not go with the head */
    return removed;
}

size_t purge_due(struct work *work, const struct purge_budget *budget)
{
    struct key position = {0};
    struct head head = {0};
    size_t removed = 0;
    while (budget_is_left(budget, removed) && due_find(work, &position)) {
        removed += due_purge(work, &position, &head);
    }
    head_free(&head);
    return removed;
}

bool purge_begin_user(struct work *work, struct span user)
{
    struct txn *txn = &work->txn;
    if (head_user_is_forgotten(txn, user)) {
        return true;
    }
    bool counted = head_user_has_any(txn, user);
    struct key prefix = key_user_prefix(user);
    bool any = counted || !range_is_empty(txn, TABLE_PURGES, key_span(&prefix)) ||
               !range_is_empty(txn, TABLE_RECENCY, key_span(&prefix));
    if (!any) {
        return false;
    }
    struct key key = key_forgotten_user(user);
    purge_entry_save(work, key_span(&key), &(struct purge_entry){.begun = 1});
    work->stats.users -= counted && work->stats.users > 0;
    return true;
}

/* Removes the user's recency entries, and the deadlines that are known from them. */
static size_t recency_remove(const struct tally *tally, struct span user, struct span prefix,
                             const struct purge_budget *budget)
{
    struct txn *txn = &tally->work->txn;
    size_t removed = 0;
    while (budget_is_left(budget, removed)) {
        struct cursor cursor = cursor_open(txn, TABLE_RECENCY);
        struct recency_entry entry = {0};
        struct key deadline = {0};
        int64_t activity;
        struct span conversation;
        if (!cursor_seek(&cursor, prefix) || !span_starts_with(cursor.key, prefix)) {
            cursor_close(&cursor);
            break;
        }
        if (key_parse_recency(cursor.key, user, &activity, &conversation) == 0 &&
            entry_get_recency(cursor.value, &entry) == 0 && entry.gone_time_us) {
            deadline = key_deadline(entry.gone_time_us, user, conversation);
        }
        record_visit(tally, cursor.key, cursor.value);
        cursor_delete(&cursor);
        cursor_close(&cursor);
        removed++;
        struct span value;
        if (deadline.size > 0 && txn_get(txn, TABLE_DEADLINES, key_span(&deadline), &value)) {
            record_visit(tally, key_span(&deadline), value);
            txn_delete(txn, TABLE_DEADLINES, key_span(&deadline));
            removed++;
        }
    }
    return removed;
}

/* Removes as much of the user as the budget allows. Returns true when nothing is left but the user's own entry. */
static bool user_remove(struct work *work, struct span user, const struct purge_budget *budget,
                        struct purge_entry *entry)
{
    /* After recency. Purges are those of the user's conversations; messages come last, as in rest_tables. */
    static const enum table tables[] = {TABLE_CONVERSATIONS, TABLE_PURGES, TABLE_MESSAGE_IDS, TABLE_REQUESTS,
                                        TABLE_MESSAGES};
    const struct tally tally = {.work = work, .entry = entry};
    struct key prefix = key_user_prefix(user);
    size_t removed = recency_remove(&tally, user, key_span(&prefix), budget);
    bool empty = range_is_empty(&work->txn, TABLE_RECENCY, key_span(&prefix));
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        size_t left = removed < budget->records ? budget->records - removed : 0;
        const struct purge_budget rest = {.records = left, .until_us = budget->until_us};
        removed += range_remove(&tally, tables[i], key_span(&prefix), &rest);
        empty = empty && range_is_empty(&work->txn, tables[i], key_span(&prefix));
    }
    return empty;
}

static void slice_user(struct work *work, struct span user, const struct purge_budget *budget, struct purge_done *done)
{
    struct key key = key_forgotten_user(user);
    struct purge_entry entry = {.begun = 1};
    struct span value;
    if (txn_get(&work->txn, TABLE_PURGES, key_span(&key), &value) && entry_get_purge(value, &entry)) {
        entry = (struct purge_entry){.begun = 1}; /* damaged: the removal matters more than its receipt */
    }
    if (user_remove(work, user, budget, &entry)) {
        txn_delete(&work->txn, TABLE_PURGES, key_span(&key));
        *done = (struct purge_done){.user_forgotten = true, .user = key, .receipt = entry};
    } else {
        purge_entry_save(work, key_span(&key), &entry);
    }
}

static void slice_conversation(struct work *work, struct span user, struct span conversation,
                               const struct purge_budget *budget)
{
    struct key prefix = key_conversation_prefix(user, conversation);
    rest_remove(work, key_span(&prefix), budget);
    bool empty = true;
    for (size_t i = 0; i < REST_TABLE_COUNT; i++) {
        empty = empty && range_is_empty(&work->txn, rest_tables[i], key_span(&prefix));
    }
    if (empty) {
        struct key key = key_conversation(user, conversation);
        txn_delete(&work->txn, TABLE_PURGES, key_span(&key));
    }
}

/* The next entry after *rotation, else the first. */
static bool rotation_move(struct txn *txn, struct key *rotation)
{
    struct cursor cursor = cursor_open(txn, TABLE_PURGES);
    bool found = rotation->size > 0 && cursor_seek(&cursor, key_span(rotation));
    if (found && span_equal(cursor.key, key_span(rotation))) {
        found = cursor_next(&cursor);
    }
    found = found || cursor_first(&cursor);
    if (found) {
        *rotation = cursor_copy_key(&cursor);
    }
    cursor_close(&cursor);
    return found;
}

bool purge_slice(struct work *work, struct key *rotation, const struct purge_budget *budget, struct purge_done *ret)
{
    struct span user, conversation;
    if (!rotation_move(&work->txn, rotation)) {
        return false;
    }
    if (key_parse_purge(key_span(rotation), &user, &conversation)) {
        txn_delete(&work->txn, TABLE_PURGES, key_span(rotation)); /* not an entry of ours */
    } else if (conversation.size == 0 || head_user_is_forgotten(&work->txn, user)) {
        slice_user(work, user, budget, ret);
    } else {
        slice_conversation(work, user, conversation, budget);
    }
    return true;
}

bool purge_is_pending(struct txn *txn)
{
    struct cursor cursor = cursor_open(txn, TABLE_PURGES);
    bool found = cursor_first(&cursor);
    cursor_close(&cursor);
    return found;
}

int64_t purge_next_deadline(struct txn *txn)
{
    struct cursor cursor = cursor_open(txn, TABLE_DEADLINES);
    int64_t time = INT64_MAX;
    struct span user, conversation;
    if (cursor_first(&cursor) && key_parse_deadline(cursor.key, &time, &user, &conversation)) {
        time = 0; /* not an entry of ours: purge_due removes it */
    }
    cursor_close(&cursor);
    return time;
}
