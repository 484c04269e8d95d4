#include "store/lmdb/purge.h"

#include "store/lmdb/audit.h"
#include "store/lmdb/fold.h"
#include "store/lmdb/purge_range.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

bool purge_is_running(struct txn *txn, struct span user, struct span conversation)
{
    struct key key = key_conversation(user, conversation);
    struct span value;
    return txn_get(txn, TABLE_PURGES, key_span(&key), &value);
}

bool purge_is_large(struct txn *txn, const struct conversation_place *place)
{
    size_t count = 0;
    size_t bytes = 0;
    range_measure(txn, &place->head, &count, &bytes);
    if (place->split) {
        range_measure(txn, &place->moved, &count, &bytes);
    }
    return count > PURGE_INLINE_RECORDS || bytes > PURGE_INLINE_BYTES;
}

static void purge_entry_save(struct work *work, struct span key, const struct purge_entry *entry)
{
    buffer_clear(work->scratch);
    entry_put_purge(work->scratch, entry);
    work_put_scratch(work, TABLE_PURGES, key);
}

static struct purge_place purge_place_of(const struct place *place)
{
    return (struct purge_place){.layout = place->layout->number,
                                .user_number = place->user_number,
                                .conversation_number = place->conversation_number};
}

/* Leaves the conversation's content to later slices. */
static void rest_put_off(struct work *work, const struct conversation_place *place)
{
    struct key key = key_conversation(place->head.user, place->head.conversation);
    struct purge_entry entry = {.begun = 1, .places = {purge_place_of(&place->head)}};
    if (place->split) {
        entry.places[1] = purge_place_of(&place->moved);
    }
    purge_entry_save(work, key_span(&key), &entry);
}

size_t purge_conversation(struct work *work, struct conversation_place *place, const struct conversation_record *record)
{
    static const struct purge_budget all = {.records = SIZE_MAX, .until_us = INT64_MAX};
    struct tally tally = {.work = work, .budget = &all};
    struct conversation_record head = *record;
    if (place->journal) {
        fold_conversation(work, place->head.user_number, place->head.conversation_number);
        place->journal = NULL;
    }
    /* Its messages leave the statistics one by one, as they are removed. */
    head.message_count = 0;
    head.content_bytes = 0;
    if (purge_is_large(&work->txn, place)) {
        rest_put_off(work, place);
    } else {
        range_remove_content(&tally, &place->head);
        if (place->split) {
            range_remove_content(&tally, &place->moved);
        }
    }
    head_put(work, place, &head, NULL);
    return tally.removed + 1;
}

size_t purge_gone(struct work *work, struct conversation_place *place, const struct conversation_record *record)
{
    bool deleted = record->purge_time_us != 0 && record->purge_time_us == record_gone_time(record);
    struct event_record event = {
        .action = deleted ? STORE_ACTION_PURGE_CONVERSATION : STORE_ACTION_EXPIRE_CONVERSATION,
        .user = place->head.user,
        .conversation = place->head.conversation,
    };
    audit_set_whole(&event, record);
    size_t removed = purge_conversation(work, place, record);
    audit_put(work, &event);
    return removed;
}

/* Removes a conversation whose head cannot be read: everything that is found by its name. */
static size_t purge_damaged(struct work *work, const struct conversation_place *place)
{
    if (!place->found) {
        return 0; /* its name cannot be read either */
    }
    if (place->head.layout->has_runs) {
        fold_conversation(work, place->head.user_number, place->head.conversation_number);
    }
    rest_put_off(work, place);
    place_delete_head(work, place);
    work->stats.conversations -= work->stats.conversations > 0;
    place_remove(work, place);
    audit_put(work, &(struct event_record){.action = STORE_ACTION_PURGE_CONVERSATION,
                                           .user = place->head.user,
                                           .conversation = place->head.conversation});
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
    int rc = head_load(&work->txn, &work->layouts, user, conversation, work->now_us, head, &error);
    if (rc == -ERROR_MEMORY_SHORT) {
        txn_fail_memory(&work->txn);
        return 0;
    }
    size_t removed = 1;
    if (rc) {
        removed += purge_damaged(work, &head->place);
    } else if (head->state == HEAD_GONE) {
        removed += purge_gone(work, &head->place, &head->record);
    }
    txn_delete(&work->txn, TABLE_DEADLINES, key_span(key)); /* in case it did not go with the head */
    return removed;
}

size_t purge_due(struct work *work, const struct purge_budget *budget)
{
    struct key position = {0};
    struct head head = {0};
    struct tally tally = {.work = work, .budget = budget};
    while (tally_may_go_on(&tally) && due_find(work, &position)) {
        tally.removed += due_purge(work, &position, &head);
    }
    head_free(&head);
    return tally.removed;
}

/* What the user has in one layout, for purge_begin_user. Returns as that does. */
static int user_look(struct work *work, const struct layout *layout, struct span user, struct error *error)
{
    struct place place = {.layout = layout, .user = user};
    enum get_result found = layout->find(&work->txn, &place);
    if (found == GET_DAMAGED) {
        return record_damaged(error, "user", user);
    }
    struct key prefix = layout->recency_prefix(&place);
    return found == GET_FOUND || !range_is_empty(&work->txn, layout->tables[KIND_RECENCY], key_span(&prefix));
}

int purge_begin_user(struct work *work, struct span user, struct error *error)
{
    struct txn *txn = &work->txn;
    const struct layout *list[2];
    size_t count = layouts_list(&work->layouts, list);
    if (head_user_is_forgotten(txn, user)) {
        return 1;
    }
    struct key prefix = key_user_prefix(user);
    bool any = !range_is_empty(txn, TABLE_PURGES, key_span(&prefix)) ||
               !range_is_empty(txn, TABLE_QUARANTINE, key_span(&prefix)) || audit_user_has_any(txn, user);
    for (size_t i = 0; i < count; i++) {
        int rc = user_look(work, list[i], user, error);
        if (rc < 0) {
            return rc;
        }
        any = any || rc > 0;
    }
    if (!any) {
        return 0;
    }
    struct key key = key_forgotten_user(user);
    bool counted = place_user_has_any(txn, &work->layouts, user);
    purge_entry_save(work, key_span(&key), &(struct purge_entry){.begun = 1});
    work->stats.users -= counted && work->stats.users > 0;
    return 1;
}

/* Removes what purge entries of the user's conversations stand for, and the entries. */
static bool user_remove_rests(struct tally *tally, struct span user)
{
    struct txn *txn = &tally->work->txn;
    struct key prefix = key_user_prefix(user);
    bool done = true;
    for (;;) {
        struct purge_entry entry = {0};
        struct span named, conversation;
        struct cursor cursor = cursor_open(txn, TABLE_PURGES);
        bool found = cursor_seek(&cursor, key_span(&prefix)) && span_starts_with(cursor.key, key_span(&prefix));
        struct key key = found ? cursor_copy_key(&cursor) : prefix;
        if (found) {
            entry_get_purge(cursor.value, &entry);
        }
        cursor_close(&cursor);
        if (!found || !tally_may_go_on(tally)) {
            return !found;
        }
        if (key_parse_purge(key_span(&key), &named, &conversation) == 0) {
            done = range_remove_rest(tally, named, conversation, &entry);
        }
        if (!done) {
            return false;
        }
        txn_delete(txn, TABLE_PURGES, key_span(&key));
        tally->removed++;
    }
}

/* Removes one conversation of a user being forgotten, in every layout that has some of it. */
static bool user_remove_conversation(struct tally *tally, const struct place *found)
{
    struct work *work = tally->work;
    struct conversation_place place;
    if (place_find(&work->txn, &work->layouts, found->user, found->conversation, &place) != GET_FOUND) {
        place = (struct conversation_place){.head = *found};
    }
    if (place.head.layout->has_runs) {
        fold_conversation(work, place.head.user_number, place.head.conversation_number);
    }
    if ((place.split && !range_remove_content(tally, &place.moved)) || !range_remove_content(tally, &place.head)) {
        return false;
    }
    range_remove_head(tally, &place.head);
    place.head.layout->remove(work, &place.head);
    if (place.split) {
        place.moved.layout->remove(work, &place.moved);
    }
    return true;
}

static bool user_remove_conversations(struct tally *tally, const struct place *user)
{
    struct txn *txn = &tally->work->txn;
    struct buffer memory = {0};
    struct place found;
    bool done = true;
    /* One whose name is damaged goes with the leftovers, and those behind it. */
    while (done && user->layout->next_conversation(txn, user, &found, &memory) && found.damaged.size == 0 &&
           span_equal(found.user, user->user)) {
        done = tally_may_go_on(tally) && user_remove_conversation(tally, &found);
    }
    buffer_free(&memory);
    return done && !txn->rc;
}

static bool user_remove_events(struct tally *tally, struct span user)
{
    bool more = true;
    while (more && tally_may_go_on(tally)) {
        more = audit_remove_one_of_user(tally->work, user);
        tally->removed += more;
    }
    return !more;
}

/* Removes as much of the user as the budget allows. Returns true when nothing is left but the user's own entry. */
static bool user_remove(struct tally *tally, struct span user)
{
    const struct layout *list[2];
    struct work *work = tally->work;
    size_t count = layouts_list(&work->layouts, list);
    bool done = user_remove_rests(tally, user);
    /* The source of a migration first: it has the heads of what is split. */
    for (size_t i = count; i > 0 && done; i--) {
        struct place place = {.layout = list[i - 1], .user = user};
        enum get_result found = place.layout->find(&work->txn, &place);
        done = range_remove_recency(tally, &place);
        done = done && (found != GET_FOUND || user_remove_conversations(tally, &place));
        done = done && range_remove_leftovers(tally, &place);
        done = done && (!place.layout->has_runs || range_remove_journal(tally, &place));
        if (done) {
            place.layout->remove_user(work, &place);
        }
    }
    return done && user_remove_events(tally, user);
}

/* The receipt, in the audit trail. */
static void user_tell(struct work *work, struct span user, const struct purge_entry *entry)
{
    char digest[2 * 16 + 1];
    snprintf(digest, sizeof(digest), "%016" PRIx64 "%016" PRIx64, entry->digest_high, entry->digest_low);
    audit_put(work, &(struct event_record){.action = STORE_ACTION_FORGET_USER_END,
                                           .user = user,
                                           .conversations = entry->conversations,
                                           .messages = entry->messages,
                                           .content_bytes = entry->content_bytes,
                                           .digest = span_of_string(digest)});
}

static void slice_user(struct work *work, struct span user, const struct purge_budget *budget, struct purge_done *done)
{
    struct key key = key_forgotten_user(user);
    struct purge_entry entry = {.begun = 1};
    struct span value;
    if (txn_get(&work->txn, TABLE_PURGES, key_span(&key), &value) && entry_get_purge(value, &entry)) {
        entry = (struct purge_entry){.begun = 1}; /* damaged: the removal matters more than its receipt */
    }
    struct tally tally = {.work = work, .budget = budget, .entry = &entry};
    if (user_remove(&tally, user)) {
        txn_delete(&work->txn, TABLE_PURGES, key_span(&key));
        user_tell(work, key_span(&key), &entry);
        *done = (struct purge_done){.user_forgotten = true, .user = key, .receipt = entry};
    } else {
        purge_entry_save(work, key_span(&key), &entry);
    }
}

static void slice_conversation(struct work *work, struct span user, struct span conversation,
                               const struct purge_budget *budget)
{
    struct key key = key_conversation(user, conversation);
    struct purge_entry entry = {0};
    struct span value;
    struct tally tally = {.work = work, .budget = budget};
    if (txn_get(&work->txn, TABLE_PURGES, key_span(&key), &value)) {
        entry_get_purge(value, &entry);
    }
    if (range_remove_rest(&tally, user, conversation, &entry)) {
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
