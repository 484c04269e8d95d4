#include "store/lmdb/audit.h"

#include <assert.h>

/* A key above those of the same time. */
static struct key next_key(struct txn *txn, int64_t time_us)
{
    struct key end = key_event(time_us, UINT64_MAX);
    struct cursor cursor = cursor_open(txn, TABLE_AUDIT);
    int64_t found_us;
    uint64_t counter = 0;
    bool same = cursor_seek_below(&cursor, key_span(&end)) && key_parse_event(cursor.key, &found_us, &counter) == 0 &&
                found_us == time_us;
    cursor_close(&cursor);
    return key_event(time_us, same ? counter + 1 : 0);
}

void audit_put(struct work *work, const struct event_record *event)
{
    static const uint8_t there = 1; /* a value is never empty */
    struct event_record record = *event;
    struct txn *txn = &work->txn;
    if (txn->rc) {
        return;
    }
    assert(event->principal.size <= (size_t)2 * KEY_ID_MAX && event->request_id.size <= KEY_ID_MAX);
    record.time_us = work->now_us < KEY_TIME_MAX ? work->now_us : KEY_TIME_MAX;
    record.commit_id = txn_id(txn);
    struct key key = next_key(txn, record.time_us);
    buffer_clear(work->scratch);
    record_put_event(work->scratch, &record);
    seal_add(key_span(&key), work->scratch);
    if (work->scratch->failed) {
        txn_fail_memory(txn);
        return;
    }
    txn_put_last(txn, TABLE_AUDIT, key_span(&key), buffer_span(work->scratch));
    work->audit_events++;
    if (event->user.size > 0) {
        struct key name = key_event_of_user(event->user, audit_stays(event->action), key_span(&key));
        txn_put(txn, TABLE_AUDIT_USERS, key_span(&name), span_of(&there, sizeof(there)));
    }
}

void audit_set_whole(struct event_record *event, const struct conversation_record *conversation)
{
    event->first_seq = conversation->message_count > 0 ? 1 : 0;
    event->last_seq = conversation->message_count > 0 ? conversation->last_seq : 0;
    event->messages = conversation->message_count;
    event->content_bytes = conversation->content_bytes;
}

int audit_get(struct span key, struct span value, struct event_record *ret)
{
    struct event_record record;
    int64_t time_us;
    uint64_t counter;
    if (key_parse_event(key, &time_us, &counter) || seal_open(key, &value) || record_get_event(value, &record) ||
        record.time_us != time_us) {
        return -1;
    }
    *ret = record;
    return 0;
}

bool audit_stays(uint32_t action)
{
    return action == STORE_ACTION_FORGET_USER_BEGIN || action == STORE_ACTION_FORGET_USER_END;
}

/* The first of the user's that do not stay: its key in `audit_users`; empty: there is none. */
static struct key first_of_user(struct txn *txn, struct span user)
{
    struct key prefix = key_event_of_user(user, false, span_of(NULL, 0));
    struct key found = {0};
    struct cursor cursor = cursor_open(txn, TABLE_AUDIT_USERS);
    if (cursor_seek(&cursor, key_span(&prefix)) && span_starts_with(cursor.key, key_span(&prefix))) {
        found = cursor_copy_key(&cursor);
    }
    cursor_close(&cursor);
    return found;
}

bool audit_user_has_any(struct txn *txn, struct span user)
{
    return first_of_user(txn, user).size > 0;
}

bool audit_remove_one_of_user(struct work *work, struct span user)
{
    struct key name = first_of_user(&work->txn, user);
    if (name.size == 0) {
        return false;
    }
    size_t prefix_size = user.size + 2;
    struct span event = span_of(name.bytes + prefix_size, name.size - prefix_size);
    txn_delete(&work->txn, TABLE_AUDIT_USERS, key_span(&name));
    if (event.size > 0) {
        txn_delete(&work->txn, TABLE_AUDIT, event);
    }
    return !work->txn.rc;
}

int64_t audit_oldest(struct txn *txn)
{
    struct cursor cursor = cursor_open(txn, TABLE_AUDIT);
    int64_t time_us = INT64_MAX;
    uint64_t counter;
    if (cursor_first(&cursor) && key_parse_event(cursor.key, &time_us, &counter)) {
        time_us = 0; /* not an entry of ours: audit_remove_old removes it */
    }
    cursor_close(&cursor);
    return time_us;
}

size_t audit_remove_old(struct work *work, int64_t before_us, size_t most)
{
    struct txn *txn = &work->txn;
    size_t removed = 0;
    while (removed < most && audit_oldest(txn) < before_us && !txn->rc) {
        struct event_record event;
        struct key name = {0};
        struct cursor cursor = cursor_open(txn, TABLE_AUDIT);
        bool found = cursor_first(&cursor);
        if (found && audit_get(cursor.key, cursor.value, &event) == 0 && event.user.size > 0) {
            name = key_event_of_user(event.user, audit_stays(event.action), cursor.key);
        }
        if (found) {
            cursor_delete(&cursor);
        }
        cursor_close(&cursor);
        if (name.size > 0) { /* that of a damaged one stays, and finds nothing */
            txn_delete(txn, TABLE_AUDIT_USERS, key_span(&name));
        }
        removed++;
    }
    return removed;
}
