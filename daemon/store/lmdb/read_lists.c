/* The lists of conversations and of users. */
#include "store/lmdb/read.h"

#include "base/wire.h"

#include <assert.h>

enum { LIST_SCAN_MAX = 10000 /* index entries a call looks at, so that its snapshot is short */ };

static int position_invalid(struct read *read)
{
    return error_set(read->error, ERROR_PAGE_TOKEN_INVALID, "the page token is not one of this list");
}

static bool entry_is_wanted(const struct read *read, const struct recency_entry *entry)
{
    static const bool archived_wanted[][2] = {
        [STORE_ARCHIVED_EXCLUDE] = {true, false},
        [STORE_ARCHIVED_ONLY] = {false, true},
        [STORE_ARCHIVED_INCLUDE] = {true, true},
    };
    bool gone = entry->gone_time_us != 0 && entry->gone_time_us <= read->now_us;
    return !gone && archived_wanted[read->op->list.archived][entry->archived] &&
           (read->op->list.show_deleted || !entry->deleted);
}

/* Adds the conversation of a recency entry to the result, if it is wanted. Returns 1 when it was added, 2 when the
 * page has no room for it. */
static int entry_add(struct read *read, const struct cursor *cursor)
{
    const struct store_op *op = read->op;
    struct recency_entry entry;
    int64_t activity;
    struct span conversation, value;
    struct conversation_record record;
    if (key_parse_recency(cursor->key, op->user, &activity, &conversation) ||
        entry_get_recency(cursor->value, &entry)) {
        return record_damaged(read->error, "recency", cursor->key);
    }
    if (!entry_is_wanted(read, &entry)) {
        return 0;
    }
    struct key key = key_conversation(op->user, conversation);
    if (!txn_get(read->txn, TABLE_CONVERSATIONS, key_span(&key), &value)) {
        return 0;
    }
    if (record_get_conversation(value, &record) || !span_equal(record.conversation_id, conversation)) {
        return record_damaged(read->error, "conversation", key_span(&key));
    }
    struct buffer *records = &read->result->records;
    if (records->size > 0 &&
        records->size + wire_element_size(op->record_field, value.size) > read->limits->request_bytes) {
        return 2;
    }
    wire_put_element(records, op->record_field, value);
    return 1;
}

int read_list_conversations(struct read *read)
{
    const struct store_op *op = read->op;
    struct key prefix = key_user_prefix(op->user);
    struct key last = prefix; /* everything up to it is done */
    size_t found = 0;
    int rc = 0;
    if (op->list.after.size > 0 && key_parse_position(op->list.after, op->user, &last)) {
        return position_invalid(read);
    }
    if (head_user_is_forgotten(read->txn, op->user)) {
        return 0;
    }
    struct cursor cursor = cursor_open(read->txn, TABLE_RECENCY);
    bool more = cursor_seek(&cursor, key_span(&last));
    if (more && span_equal(cursor.key, key_span(&last))) {
        more = cursor_next(&cursor);
    }
    for (size_t scanned = 0; more && span_starts_with(cursor.key, key_span(&prefix)); scanned++) {
        rc = found == op->list.page_size || scanned == LIST_SCAN_MAX ? 2 : entry_add(read, &cursor);
        if (rc < 0 || rc == 2) {
            break;
        }
        found += (size_t)rc;
        last = cursor_copy_key(&cursor);
        more = cursor_next(&cursor);
    }
    cursor_close(&cursor);
    if (rc == 2) {
        struct span next = key_position(key_span(&last), op->user);
        buffer_append(&read->result->next, next.data, next.size);
    }
    return rc < 0 ? rc : 0;
}

int read_list_users(struct read *read)
{
    const struct store_op *op = read->op;
    struct span after = op->list.after;
    if (after.size > 0 && !key_is_id(after)) {
        return position_invalid(read);
    }
    struct cursor cursor = cursor_open(read->txn, TABLE_CONVERSATIONS);
    struct key last = {0}; /* the user looked at last */
    if (after.size > 0) {
        last = key_forgotten_user(after);
    }
    struct key end = last.size > 0 ? key_user_end(key_span(&last)) : last;
    bool more = last.size > 0 ? cursor_seek(&cursor, key_span(&end)) : cursor_first(&cursor);
    size_t found = 0;
    for (size_t scanned = 0; more; scanned++) {
        struct span user, conversation;
        if (key_parse_conversation(cursor.key, &user, &conversation)) {
            struct key damaged = cursor_copy_key(&cursor);
            cursor_close(&cursor);
            return record_damaged(read->error, "conversation", key_span(&damaged));
        }
        if (found == op->list.page_size || scanned == LIST_SCAN_MAX) {
            buffer_append(&read->result->next, last.bytes, last.size);
            break;
        }
        last = key_forgotten_user(user);
        end = key_user_end(key_span(&last));
        if (!head_user_is_forgotten(read->txn, key_span(&last))) {
            wire_put_element(&read->result->records, op->record_field, key_span(&last));
            found++;
        }
        more = cursor_seek(&cursor, key_span(&end));
    }
    cursor_close(&cursor);
    return 0;
}
